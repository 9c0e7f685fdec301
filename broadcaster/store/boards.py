"""The public record as boards show it, read from what was released; its cost does not grow with history.

Only what has a public revision is on it: a revision is given at release, and only to what is for the public.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, bindparam, desc, func, select, true

from broadcaster.domain.board import (
    ArchivePage,
    Board,
    BoardIncident,
    BoardUpdate,
    Entry,
    EtrChange,
    IncidentLine,
    Struck,
)
from broadcaster.domain.incident import Audience, Kind, Mode, Revision, Update
from broadcaster.domain.kept import Kept
from broadcaster.domain.standing import areas_concerned, estimate_of, standing_words, what_stands
from broadcaster.store import tables as t
from broadcaster.store.incidents import IncidentRecord, UpdateRecord, load_many

FEED_LENGTH = 50
ARCHIVE_PAGE_LENGTH = 50
RECENT_LENGTH = 10
ROOM = 2_000
"""Incidents worth keeping between two boards: all that are open on the worst of days, and those in the newest feeds."""
_CHUNK = 500  # ids in one statement; PostgreSQL takes 65,535 parameters, SQLite fewer
# What moves whenever a reader's view of an incident may: a public word its revision, any word its last number.
_MARKS = select(
    t.incident.c.id,
    t.incident.c.rev_epoch,
    t.incident.c.rev_n,
    t.incident.c.closed_at,
    t.incident.c.last_number,
).where(t.incident.c.id.in_(bindparam("ids", expanding=True)))


def newest_revision(connection: Connection) -> Revision:
    """The revision that boards should show; n is 0 while nothing was ever public.

    It is what the next release goes on from, not the newest update's: after a restored backup its epoch is higher than
    any board's, so that every board is written anew.
    """
    facts = select(t.meta.c.name, t.meta.c.value).where(t.meta.c.name.in_(["epoch", "revision"]))
    known = {row.name: row.value for row in connection.execute(facts)}
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
    changed = _newest_first(record.incidents(_incident_ids(connection, _after(since))))
    pages = _archive_pages(connection, since)
    return Board(
        revision=newest,
        since=since,
        at=at,
        mode=mode,
        open=_newest_first(
            record.incidents(_incident_ids(connection, t.incident.c.closed_at.is_(None)))
        ),
        recent=tuple(map(_line, record.incidents(_recent_ids(connection)))),
        changed=changed,
        feeds=_feeds(connection, record, _touched_areas(connection, since, changed)),
        archive=tuple(_archive_page(connection, record, number) for number in pages),
        archive_pages=_page_number(
            connection.scalar(select(func.max(t.incident.c.public_order))) or 0
        ),
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
        for record in load_many(self._connection, changed):
            yield record.id, self._kept.keep(record.id, marks[record.id], _incident(record))


# --------------------------------------------------------------------------------------------------- what is looked up
def _after(since: Revision | None) -> ColumnElement[bool]:
    if since is None:
        return true()
    return and_(t.incident.c.rev_epoch == since.epoch, t.incident.c.rev_n > since.n)


def _newest_first(incidents: Iterable[BoardIncident]) -> tuple[BoardIncident, ...]:
    # Sorted here: asked for in this order, SQLite would walk every revision instead of the few rows that are meant.
    return tuple(sorted(incidents, key=lambda told: told.updates[0].revision, reverse=True))


def _incident_ids(connection: Connection, which: ColumnElement[bool]) -> Sequence[int]:
    return connection.scalars(
        select(t.incident.c.id).where(which, t.incident.c.rev_epoch.is_not(None))
    ).all()


def _recent_ids(connection: Connection) -> Sequence[int]:
    return connection.scalars(
        select(t.incident.c.id)
        .where(t.incident.c.rev_epoch.is_not(None), t.incident.c.closed_at.is_not(None))
        .order_by(desc(t.incident.c.closed_at), desc(t.incident.c.id))
        .limit(RECENT_LENGTH)
    ).all()


def _touched_areas(
    connection: Connection, since: Revision | None, changed: Iterable[BoardIncident]
) -> Iterable[str]:
    """The areas whose feed reads otherwise than at `since`: an entry also says how its incident stands."""
    if since is None:
        return connection.scalars(select(t.update_area.c.area).distinct()).all()
    return dict.fromkeys(area for incident in changed for area in incident.areas_ever)


def _feeds(
    connection: Connection, record: _Record, areas: Iterable[str]
) -> Mapping[str, tuple[Entry, ...]]:
    places = {"": _newest(connection, None)} | {area: _newest(connection, area) for area in areas}
    record.incidents([row.incident_id for rows in places.values() for row in rows])
    return {
        area: tuple(_entry(record, row) for row in rows)
        for area, rows in places.items()
        if rows or not area
    }


def _newest(connection: Connection, area: str | None) -> Sequence[Any]:
    columns = t.update.c if area is None else t.update_area.c
    query = (
        select(t.update.c.incident_id, t.update.c.number)
        .where(columns.rev_epoch.is_not(None))
        .order_by(desc(columns.rev_epoch), desc(columns.rev_n))
        .limit(FEED_LENGTH)
    )
    if area is not None:
        query = query.join(t.update_area, t.update_area.c.update_id == t.update.c.id).where(
            t.update_area.c.area == area
        )
    return connection.execute(query).all()


def _entry(record: _Record, row: Any) -> Entry:
    (incident,) = record.incidents([row.incident_id])
    update = next(update for update in incident.updates if update.number == row.number)
    return Entry(_line(incident), update)


def _archive_pages(connection: Connection, since: Revision | None) -> Sequence[int]:
    orders = connection.scalars(
        select(t.incident.c.public_order).where(
            t.incident.c.public_order.is_not(None), _after(since)
        )
    )
    return sorted({_page_number(order) for order in orders if order is not None})


def _page_number(public_order: int) -> int:
    return -(-public_order // ARCHIVE_PAGE_LENGTH)


def _archive_page(connection: Connection, record: _Record, number: int) -> ArchivePage:
    last = number * ARCHIVE_PAGE_LENGTH
    ids = connection.scalars(
        select(t.incident.c.id)
        .where(t.incident.c.public_order.between(last - ARCHIVE_PAGE_LENGTH + 1, last))
        .order_by(t.incident.c.public_order)
    ).all()
    lines = tuple(map(_line, record.incidents(ids)))
    return ArchivePage(number, len(lines) == ARCHIVE_PAGE_LENGTH, lines)


# ------------------------------------------------------------------------------------------------- how it is told
class _Word(NamedTuple):
    """One released public update, `struck_by` the number of what corrected or retracted it."""

    said: Update
    revision: Revision
    at: datetime
    struck_by: int | None


def _words(updates: Iterable[UpdateRecord]) -> list[_Word]:
    """What was released to the public, in the order of release: a scheduled update has an earlier number."""
    words = [
        _Word(u.said, u.said.revision, u.said.released_at, u.struck_by)
        for u in updates
        if u.said.revision is not None and u.said.released_at is not None
    ]
    return sorted(words, key=lambda word: word.revision)


def _strikes(words: Sequence[_Word]) -> dict[int, Struck]:
    """Which numbers no longer stand, and since when."""
    by = {word.said.number: Struck(word.said.kind, word.at, word.said.number) for word in words}
    return {word.said.number: by[word.struck_by] for word in words if word.struck_by is not None}


def _incident(record: IncidentRecord) -> BoardIncident:
    words = _words(record.updates)
    stands = what_stands(record.updates, Audience.PUBLIC)
    standing = standing_words(record.updates, Audience.PUBLIC)
    # A retracted incident keeps name, severity and plan, so that a list can say what was retracted.
    speaking = [word.said for word in words if word.said.kind is not Kind.RETRACTION]
    named = stands or (speaking[-1] if speaking else words[-1].said)
    is_open = record.closed_at is None
    facts: dict[str, Any] = {"planned": named.planned}
    if stands:
        told = ("since", "planned", "affected", "cause", "instruction")
        facts = {name: getattr(stands, name) for name in told}
    if stands and is_open:
        facts |= {"areas": stands.areas, "etr": estimate_of(stands), "promise": stands.promise}
    elif stands:
        facts["since"] = _first_began(standing)
    ever = tuple(
        dict.fromkeys(area for word in words for area in (*word.said.areas, *word.said.ended))
    )
    stated = areas_concerned(record.updates, Audience.PUBLIC)
    return BoardIncident(
        id=record.name,
        mode=record.mode,
        severity=named.severity,
        headline=named.headline,
        areas_ever=ever,
        areas_stated=tuple(area for area in ever if area in stated) or ever,
        opened_at=words[0].at,
        closed_at=record.closed_at,
        retracted=stands is None,
        etr_history=tuple(_etr_history(standing)),
        updates=tuple(reversed(_updates(words, standing))),
        **{"areas": (), **facts},
    )


def _first_began(standing: Sequence[Update]) -> datetime | None:
    """When what is over began, as it was known at its first end: what opened again later had begun before."""
    ends = (before for before, after in pairwise(standing) if after.areas and not before.areas)
    first = next(ends, None)
    if first is None:
        return standing[-1].since
    return first.since or (first.planned.start if first.planned else None)


def _etr_history(standing: Sequence[Update]) -> Iterable[EtrChange]:
    """What of the estimates still stands: one that was taken over from a retracted word never was.

    What opened again is another outage: the estimates of the one before say nothing of it.
    """
    before: datetime | None = None
    for said in standing[_last_opening(standing) :]:
        if said.areas and said.etr != before and said.released_at is not None:
            yield EtrChange(said.released_at, said.etr, said.number)
            before = said.etr


def _last_opening(standing: Sequence[Update]) -> int:
    """The place of the word that opened it the last time, 0 where it was never over between."""
    opened = (
        place
        for place, (before, after) in enumerate(pairwise(standing), 1)
        if after.areas and not before.areas
    )
    return max(opened, default=0)


def _updates(words: Sequence[_Word], standing: Sequence[Update]) -> list[BoardUpdate]:
    """Every word: those that stand as they stand, without what they took over from a retracted one."""
    released, strikes = {word.said.number: word.at for word in words}, _strikes(words)
    stands = {said.number: said for said in standing}
    told = []
    etr_before: datetime | None = None
    etr_stood: datetime | None = None
    for word in words:
        said = stands.get(word.said.number)
        if said is None or said == word.said:
            update = _update(word, strikes.get(word.said.number), etr_before, released)
        else:
            # A feed's readers fetch an entry again when it says that it changed.
            taken_back = (each.at for each in words if each.said.kind is Kind.RETRACTION)
            at = max((word.at, *taken_back))
            shown = word._replace(said=said)
            update = replace(_update(shown, None, etr_stood, released), changed_at=at)
        told.append(update)
        etr_before = estimate_of(word.said)
        etr_stood = estimate_of(said) if said else etr_stood
    return told


def _update(
    word: _Word,
    struck: Struck | None,
    etr_before: datetime | None,
    released: Mapping[int, datetime],
) -> BoardUpdate:
    said = word.said
    return BoardUpdate(
        number=said.number,
        kind=said.kind,
        at=word.at,
        changed_at=max(word.at, struck.at) if struck else word.at,
        revision=word.revision,
        areas=said.areas,
        ended=said.ended,
        texts=said.texts,
        since=said.since,
        etr=estimate_of(said),
        etr_before=etr_before,
        promise=said.promise,
        planned=said.planned,
        affected=said.affected,
        cause=said.cause,
        instruction=said.instruction,
        corrects=said.corrects,
        corrects_at=released.get(said.corrects) if said.corrects is not None else None,
        struck=struck,
    )


def _line(incident: BoardIncident) -> IncidentLine:
    return IncidentLine(
        id=incident.id,
        headline=incident.headline,
        severity=incident.severity,
        mode=incident.mode,
        areas_ever=incident.areas_stated,
        opened_at=incident.opened_at,
        closed_at=incident.closed_at,
        retracted=incident.retracted,
        planned=incident.planned,
    )
