"""The public record as boards show it, read from what was released; its cost does not grow with history.

Only what has a public revision is on it: a revision is given at release, and only to what is for the public.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, desc, func, select

from broadcaster.domain.board import ArchivePage, ArchiveVolume, Board, BoardIncident
from broadcaster.domain.incident import Mode, Revision
from broadcaster.domain.kept import Kept
from broadcaster.store import boardwords, feedpages, tables as t
from broadcaster.store.incidents import load_many

FEED_LENGTH = 50
ARCHIVE_PAGE_LENGTH = 50
VOLUME_LENGTH = 5
"""Pages of the archive that share an index."""
RECENT_LENGTH = 10
ROOM = 2_000
"""Incidents worth keeping between two boards: all that are open on the worst of days, and those in the newest feeds."""
_CHUNK = 500  # ids in one statement; PostgreSQL takes 65,535 parameters, SQLite fewer

# Put together once: to build a statement takes longer than to run it, and a board asks all of these.
_columns = t.incident.c
_META = select(t.meta.c.name, t.meta.c.value).where(t.meta.c.name.in_(["epoch", "revision"]))
_PUBLIC = select(_columns.id).where(_columns.rev_epoch.is_not(None))
_OPEN = _PUBLIC.where(_columns.closed_at.is_(None))
_CHANGED = _PUBLIC.where(
    _columns.rev_epoch == bindparam("epoch"), _columns.rev_n > bindparam("after")
)
_RECENT = (
    _PUBLIC.where(_columns.closed_at.is_not(None))
    .order_by(desc(_columns.closed_at), desc(_columns.id))
    .limit(bindparam("most"))
)
# What moves whenever a reader's view of an incident may: a public word its revision, any word its last number.
_MARKS = select(
    _columns.id, _columns.rev_epoch, _columns.rev_n, _columns.closed_at, _columns.last_number
).where(_columns.id.in_(bindparam("ids", expanding=True)))
_ALL_ORDERS = select(_columns.public_order).where(_columns.public_order.is_not(None))
_CHANGED_ORDERS = _ALL_ORDERS.where(
    _columns.rev_epoch == bindparam("epoch"), _columns.rev_n > bindparam("after")
)
_LAST_ORDER = select(func.max(_columns.public_order))
_ON_PAGE = (
    select(_columns.id)
    .where(_columns.public_order.between(bindparam("first"), bindparam("last")))
    .order_by(_columns.public_order)
)
_ORDERS_OF = select(_columns.public_order).where(
    _columns.id.in_(bindparam("ids", expanding=True)), _columns.public_order.is_not(None)
)
# The first public word: staff may have been told before.
_OPENED_AT = (
    select(func.min(t.update.c.released_at))
    .join(t.incident, t.update.c.incident_id == _columns.id)
    .where(_columns.public_order.in_(bindparam("orders", expanding=True)))
    .where(t.update.c.rev_epoch.is_not(None))
    .group_by(_columns.public_order)
    .order_by(_columns.public_order)
)
_AREAS = select(t.update_area.c.area).distinct()
_ENTRIES = (
    select(t.update.c.incident_id, t.update.c.number)
    .where(t.update.c.rev_epoch.is_not(None))
    .order_by(desc(t.update.c.rev_epoch), desc(t.update.c.rev_n))
    .limit(bindparam("most"))
)
_ENTRIES_OF_AREA = (
    select(t.update.c.incident_id, t.update.c.number)
    .join(t.update_area, t.update_area.c.update_id == t.update.c.id)
    .where(t.update_area.c.rev_epoch.is_not(None), t.update_area.c.area == bindparam("area"))
    .order_by(desc(t.update_area.c.rev_epoch), desc(t.update_area.c.rev_n))
    .limit(bindparam("most"))
)


def newest_revision(connection: Connection) -> Revision:
    """The revision that boards should show; n is 0 while nothing was ever public.

    It is what the next release goes on from, not the newest update's: after a restored backup its epoch is higher than
    any board's, so that every board is written anew.
    """
    known = {row.name: row.value for row in connection.execute(_META)}
    return Revision(int(known["epoch"]), int(known["revision"]))


def board(
    connection: Connection,
    since: Revision | None,
    at: datetime,
    mode: Mode,
    kept: Kept[BoardIncident] | None = None,
) -> Board:
    """The public record with everything that changed after `since`; see `Board`.

    Give it a connection on which nothing was read yet: it reads one state, whatever is released meanwhile.

    Args:
        since: the revision a board shows. None, or one of another epoch: everything, and `Board.since` is None.
        at: now.
        mode: the mode of the configuration; each incident keeps the one it was opened in.
        kept: incidents of boards that were read of this store before; those that did not change are not read anew.
    """
    if connection.dialect.name == "postgresql":
        connection.execution_options(isolation_level="REPEATABLE READ")
    newest = newest_revision(connection)
    if since is not None and since.epoch != newest.epoch:
        since = None
    record = _Record(connection, kept if kept is not None else Kept(0))
    changed_ids = _changed(connection, since)
    changed = _newest_first(record.incidents(changed_ids))
    pages = _archive_pages(connection, since)
    places = _places(connection, record, _touched_areas(connection, since, changed))
    last_order = connection.scalar(_LAST_ORDER) or 0
    volumes = tuple(
        _volume(connection, record, number)
        for number in _touched_volumes(connection, record, since, changed_ids, last_order)
    )
    return Board(
        revision=newest,
        since=since,
        at=at,
        mode=mode,
        open=_newest_first(record.incidents(connection.scalars(_OPEN).all())),
        recent=tuple(told.line for told in record.incidents(_recent_ids(connection))),
        changed=changed,
        feeds={
            area: tuple(feedpages.entries(record.incidents, rows)) for area, rows in places.items()
        },
        archive=tuple(_archive_page(connection, record, number) for number in pages),
        archive_pages=_page_number(last_order),
        feed_archives=feedpages.archives(
            connection, record.incidents, places, changed, since, FEED_LENGTH
        ),
        volumes=volumes,
        volumes_begin=_volumes_begin(connection, last_order) if volumes else (),
    )


class _Record:
    """The incidents read for one board, each once."""

    def __init__(self, connection: Connection, kept: Kept[BoardIncident]) -> None:
        self._connection = connection
        self._kept = kept
        self._told: dict[int, BoardIncident] = {}

    def incidents(self, ids: Sequence[int]) -> tuple[BoardIncident, ...]:
        missing = [key for key in dict.fromkeys(ids) if key not in self._told]
        for start in range(0, len(missing), _CHUNK):
            self._told.update(self._tell(missing[start : start + _CHUNK]))
        return tuple(self._told[key] for key in ids)

    def _tell(self, ids: Sequence[int]) -> Iterator[tuple[int, BoardIncident]]:
        marks = {row.id: tuple(row) for row in self._connection.execute(_MARKS, {"ids": ids})}
        changed = []
        for key, mark in marks.items():
            told = self._kept.look(key, mark)
            if told is None:
                changed.append(key)
            else:
                yield key, told
        for record in load_many(self._connection, changed) if changed else ():
            yield (
                record.id,
                self._kept.keep(record.id, marks[record.id], boardwords.incident(record)),
            )


# --------------------------------------------------------------------------------------------------- what is looked up
def _changed(connection: Connection, since: Revision | None) -> Sequence[int]:
    if since is None:
        return connection.scalars(_PUBLIC).all()
    return connection.scalars(_CHANGED, _since(since)).all()


def _since(since: Revision) -> dict[str, int]:
    return {"epoch": since.epoch, "after": since.n}


def _newest_first(incidents: Iterable[BoardIncident]) -> tuple[BoardIncident, ...]:
    # Sorted here: asked for in this order, SQLite would walk every revision instead of the few rows that are meant.
    return tuple(sorted(incidents, key=lambda told: told.updates[0].revision, reverse=True))


def _recent_ids(connection: Connection) -> Sequence[int]:
    return connection.scalars(_RECENT, {"most": RECENT_LENGTH}).all()


def _touched_areas(
    connection: Connection, since: Revision | None, changed: Iterable[BoardIncident]
) -> Iterable[str]:
    """The areas whose feed reads otherwise than at `since`: an entry also says how its incident stands."""
    if since is None:
        return connection.scalars(_AREAS).all()
    return dict.fromkeys(area for incident in changed for area in incident.areas_ever)


def _places(
    connection: Connection, record: _Record, areas: Iterable[str]
) -> Mapping[str, Sequence[Any]]:
    """The rows of the newest entries of each feed, whose incidents are read."""
    places = {"": _newest(connection, None)} | {area: _newest(connection, area) for area in areas}
    record.incidents([row.incident_id for rows in places.values() for row in rows])
    return {area: rows for area, rows in places.items() if rows or not area}


def _newest(connection: Connection, area: str | None) -> Sequence[Any]:
    if area is None:
        return connection.execute(_ENTRIES, {"most": FEED_LENGTH}).all()
    return connection.execute(_ENTRIES_OF_AREA, {"most": FEED_LENGTH, "area": area}).all()


def _archive_pages(connection: Connection, since: Revision | None) -> Sequence[int]:
    orders = (
        connection.scalars(_ALL_ORDERS)
        if since is None
        else connection.scalars(_CHANGED_ORDERS, _since(since))
    )
    return sorted({_page_number(order) for order in orders if order is not None})


def _page_number(public_order: int) -> int:
    return -(-public_order // ARCHIVE_PAGE_LENGTH)


def _archive_page(connection: Connection, record: _Record, number: int) -> ArchivePage:
    last = number * ARCHIVE_PAGE_LENGTH
    between = {"first": last - ARCHIVE_PAGE_LENGTH + 1, "last": last}
    ids = connection.scalars(_ON_PAGE, between).all()
    lines = tuple(told.line for told in record.incidents(ids))
    return ArchivePage(number, len(lines) == ARCHIVE_PAGE_LENGTH, lines)


# ------------------------------------------------------------------------------------------------- what can be looked up
def _touched_volumes(
    connection: Connection,
    record: _Record,
    since: Revision | None,
    changed: Sequence[int],
    last_order: int,
) -> Sequence[int]:
    """The volumes whose index reads otherwise: what goes on is in none."""
    if since is None:
        return range(1, _volume_number(last_order) + 1)
    told = zip(changed, record.incidents(changed), strict=True)
    over = [key for key, incident in told if incident.may_have_been_over]
    orders = [
        order
        for start in range(0, len(over), _CHUNK)
        for order in connection.scalars(_ORDERS_OF, {"ids": over[start : start + _CHUNK]})
    ]
    length = ARCHIVE_PAGE_LENGTH * VOLUME_LENGTH
    new = connection.scalars(_CHANGED_ORDERS, _since(since))
    orders += [order for order in new if order is not None and order % length == 1]
    return sorted({_volume_number(order) for order in orders})


def _volume_number(public_order: int) -> int:
    return -(-public_order // (ARCHIVE_PAGE_LENGTH * VOLUME_LENGTH))


def _volume(connection: Connection, record: _Record, number: int) -> ArchiveVolume:
    length = ARCHIVE_PAGE_LENGTH * VOLUME_LENGTH
    between = {"first": (number - 1) * length + 1, "last": number * length}
    incidents = record.incidents(connection.scalars(_ON_PAGE, between).all())
    over = tuple(each.line for each in incidents if not each.is_open)
    return ArchiveVolume(number, len(over) == length, over)


def _volumes_begin(connection: Connection, last_order: int) -> tuple[datetime, ...]:
    firsts = range(1, last_order + 1, ARCHIVE_PAGE_LENGTH * VOLUME_LENGTH)
    return tuple(
        begun
        for start in range(0, len(firsts), _CHUNK)
        for begun in connection.scalars(
            _OPENED_AT, {"orders": list(firsts[start : start + _CHUNK])}
        )
    )
