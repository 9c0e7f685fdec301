"""The public record as boards show it, read from what was released; its cost does not grow with history.

Only what has a public revision is on it: a revision is given at release, and only to what is for the public.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, desc, func, select, true

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
from broadcaster.domain.incident import Kind, Mode, Revision, Update
from broadcaster.store import tables as t
from broadcaster.store.incidents import IncidentRecord, UpdateRecord, load_many

FEED_LENGTH = 50
ARCHIVE_PAGE_LENGTH = 50
RECENT_LENGTH = 10
_CHUNK = 500  # ids in one statement; PostgreSQL takes 65,535 parameters, SQLite fewer


def newest_revision(connection: Connection) -> Revision:
    """The revision that boards should show; n is 0 while nothing was ever public.

    It is what the next release goes on from, not the newest update's: after a restored backup its epoch is higher than
    any board's, so that every board is written anew.
    """
    facts = select(t.meta.c.name, t.meta.c.value).where(t.meta.c.name.in_(["epoch", "revision"]))
    known = {row.name: row.value for row in connection.execute(facts)}
    return Revision(int(known["epoch"]), int(known["revision"]))


def board(connection: Connection, since: Revision | None, at: datetime, mode: Mode) -> Board:
    """The public record with everything that changed after `since`; see `Board`.

    Give it a connection on which nothing was read yet: it reads one state, whatever is released meanwhile.

    Args:
        since: the revision a board shows. None, or one of another epoch: everything, and `Board.since` is None.
        at: now.
        mode: the mode of the configuration; each incident keeps the one it was opened in.
    """
    if connection.dialect.name == "postgresql":
        connection.execution_options(isolation_level="REPEATABLE READ")
    newest = newest_revision(connection)
    if since is not None and since.epoch != newest.epoch:
        since = None
    record = _Record(connection)
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

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._told: dict[int, BoardIncident] = {}

    def incidents(self, ids: Sequence[int]) -> tuple[BoardIncident, ...]:
        missing = [key for key in dict.fromkeys(ids) if key not in self._told]
        for start in range(0, len(missing), _CHUNK):
            for record in load_many(self._connection, missing[start : start + _CHUNK]):
                self._told[record.id] = _incident(record)
        return tuple(self._told[key] for key in ids)


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
    """One released public update."""

    said: Update
    revision: Revision
    at: datetime
    retracts_all: bool

    @property
    def etr(self) -> datetime | None:
        """The estimate as it stands after it: the end of the whole incident leaves none."""
        return None if self.closes else self.said.etr

    @property
    def closes(self) -> bool:
        return self.said.kind is Kind.RESTORED and not self.said.areas


def _words(updates: Iterable[UpdateRecord]) -> list[_Word]:
    """What was released to the public, in the order of release: a scheduled update has an earlier number."""
    words = [
        _Word(u.said, u.said.revision, u.said.released_at, u.corrects_all)
        for u in updates
        if u.said.revision is not None and u.said.released_at is not None
    ]
    return sorted(words, key=lambda word: word.revision)


def _strikes(words: Sequence[_Word]) -> dict[int, Struck]:
    """Which numbers no longer stand; the first strike counts, and one of all spares what was released after it."""
    strikes: dict[int, Struck] = {}
    for position, word in enumerate(words):
        kind, number = word.said.kind, word.said.number
        if kind not in (Kind.CORRECTION, Kind.RETRACTION):
            continue
        struck = [word.said.corrects] if word.said.corrects is not None else []
        if kind is Kind.RETRACTION and word.retracts_all:
            struck += [earlier.said.number for earlier in words[:position]]
        for wrong in struck:
            strikes.setdefault(wrong, Struck(kind, word.at, number))
    return strikes


def _incident(record: IncidentRecord) -> BoardIncident:
    words = _words(record.updates)
    strikes = _strikes(words)
    speaking = [word for word in words if word.said.kind is not Kind.RETRACTION]
    standing = [word for word in speaking if word.said.number not in strikes]
    # A retracted incident keeps its name and severity, so that a list can say what was retracted.
    named = (standing or speaking or words)[-1].said
    is_open = record.closed_at is None
    facts: dict[str, Any] = {}
    if standing:
        facts = {"since": named.since, "planned": named.planned}
        facts |= _standing_facts(words, standing[-1], strikes)
    if standing and is_open:
        facts |= {"etr": standing[-1].etr, "promise": named.promise}
    return BoardIncident(
        id=record.name,
        mode=record.mode,
        severity=named.severity,
        headline=named.headline,
        areas=named.areas if standing and is_open else (),
        areas_ever=tuple(
            dict.fromkeys(area for word in words for area in (*word.said.areas, *word.said.ended))
        ),
        opened_at=words[0].at,
        closed_at=record.closed_at,
        retracted=not standing,
        etr_history=tuple(_etr_history(standing)),
        updates=tuple(reversed(_updates(words, strikes))),
        **facts,
    )


def _standing_facts(
    words: Sequence[_Word], newest: _Word, strikes: Mapping[int, Struck]
) -> Mapping[str, Any]:
    """The facts of the newest standing word, without those it took over from a word that was retracted later."""
    place = words.index(newest)
    so_far = [word.said for word in words[: place + 1] if word.said.kind is not Kind.RETRACTION]
    later = {word.said.number for word in words[place:] if word.said.kind is Kind.RETRACTION}
    origins = {name: _origin(so_far, name) for name in ("affected", "cause", "instruction")}
    return {
        name: getattr(newest.said, name)
        for name, origin in origins.items()
        if origin not in strikes or strikes[origin].by not in later
    }


def _origin(said: Sequence[Update], name: str) -> int:
    """The number of the update that first said a fact as the last one has it, unbroken since."""
    fact = getattr(said[-1], name)
    *_, first = takewhile(lambda update: getattr(update, name) == fact, reversed(said))
    return first.number


def _etr_history(standing: Iterable[_Word]) -> Iterable[EtrChange]:
    before: datetime | None = None
    for word in standing:
        if not word.closes and word.etr != before:
            yield EtrChange(word.at, word.etr, word.said.number)
            before = word.etr


def _updates(words: Sequence[_Word], strikes: Mapping[int, Struck]) -> list[BoardUpdate]:
    released = {word.said.number: word.at for word in words}
    told = []
    etr_before: datetime | None = None
    for word in words:
        told.append(_update(word, strikes.get(word.said.number), etr_before, released))
        etr_before = word.etr
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
        etr=word.etr,
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
        areas_ever=incident.areas_ever,
        opened_at=incident.opened_at,
        closed_at=incident.closed_at,
        retracted=incident.retracted,
        planned=incident.planned,
    )
