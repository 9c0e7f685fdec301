"""Reading incidents and their updates back as domain values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    desc,
    exists,
    false,
    or_,
    select,
)

from broadcaster.domain.incident import Audience, Kind, Mode, Planned, Revision, Severity, Update
from broadcaster.domain.redundancy import Quorum
from broadcaster.store import quorums, tables as t
from broadcaster.store.accepting import STAFF_LOG_ID, incident_name

_THESE = select(t.incident).where(t.incident.c.id.in_(bindparam("ids", expanding=True)))
_THEIR_UPDATES = (
    select(t.update)
    .where(t.update.c.incident_id.in_(bindparam("ids", expanding=True)))
    .order_by(t.update.c.incident_id, t.update.c.number)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRecord:
    """An update as kept: `said` is what it says, the rest how it came and went.

    `quorum` says what makes it out (None: nobody counts that), `out_at` when it was, by `out_channels` over `out_ways`.
    `struck_by` is the number of the update that corrected or retracted it, None while it stands.
    """

    id: int
    said: Update
    corrects_all: bool
    quiet: bool
    hold: str
    release_at: datetime | None
    cancelled_at: datetime | None
    out_at: datetime | None
    out_channels: int | None
    out_ways: int | None
    quorum: Quorum | None
    struck_by: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRecord:
    """An incident with its updates, oldest first."""

    id: int
    name: str
    mode: Mode
    staff: bool
    opened_at: datetime
    closed_at: datetime | None
    last_number: int
    updates: tuple[UpdateRecord, ...]

    def numbered(self, number: int) -> UpdateRecord | None:
        """The update of this number, or None."""
        return next((record for record in self.updates if record.said.number == number), None)


def load(connection: Connection, incident_id: int) -> IncidentRecord | None:
    """The incident of this id with all its updates, or None."""
    return next(iter(load_many(connection, [incident_id])), None)


def load_many(connection: Connection, ids: Sequence[int]) -> list[IncidentRecord]:
    """The incidents of these ids, in the order of `ids`."""
    rows = {row.id: row for row in connection.execute(_THESE, {"ids": list(ids)})}
    updates: dict[int, list[Any]] = {}
    for row in connection.execute(_THEIR_UPDATES, {"ids": list(ids)}):
        updates.setdefault(row.incident_id, []).append(row)
    return [_incident(rows[key], updates.get(key, [])) for key in ids if key in rows]


def _incident(row: Any, updates: list[Any]) -> IncidentRecord:
    name = incident_name(row.id, row.staff)
    return IncidentRecord(
        id=row.id,
        name=name,
        mode=Mode(row.mode),
        staff=row.staff,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        last_number=row.last_number,
        updates=tuple(_record(name, update, _struck_by(update, updates)) for update in updates),
    )


def _struck_by(row: Any, updates: list[Any]) -> int | None:
    """What first corrected or retracted `row`; what only staff are told strikes nothing that the public reads."""
    strikers = [
        other
        for other in updates
        if other.released_at is not None
        and (other.corrects == row.number or _retracts_all_before(other, row))
        and (other.audience == Audience.PUBLIC or row.audience == Audience.STAFF)
    ]
    return int(min(strikers, key=_order(strikers)).number) if strikers else None


def _order(words: list[Any]) -> Callable[[Any], Any]:
    """In what order words went out: clocks are set back, revisions and the numbers of what did not wait are not."""
    if all(word.rev_n is not None for word in words):
        return lambda word: (word.rev_epoch, word.rev_n)
    if all(word.release_at is None for word in words):
        return lambda word: word.number
    return lambda word: (word.released_at, word.number)


def _retracts_all_before(other: Any, row: Any) -> bool:
    """Whether all was retracted after `row` went out: by number, unless one of them had to wait for its time."""
    if not other.corrects_all or other.kind != Kind.RETRACTION or other.number == row.number:
        return False
    if other.release_at is None and row.release_at is None:
        return bool(other.number > row.number)
    if row.rev_n is not None and other.rev_n is not None:
        return (row.rev_epoch, row.rev_n) < (other.rev_epoch, other.rev_n)
    return row.released_at is not None and bool(row.released_at <= other.released_at)


def _record(incident: str, row: Any, struck_by: int | None) -> UpdateRecord:
    said = Update(
        incident=incident,
        number=row.number,
        kind=Kind(row.kind),
        audience=Audience(row.audience),
        severity=Severity(row.severity),
        mode=Mode(row.mode),
        areas=tuple(row.areas),
        ended=tuple(row.ended),
        texts=row.texts,
        headline=row.headline,
        since=row.since,
        etr=row.etr,
        promise=row.promise,
        planned=Planned(row.planned_start, row.planned_end) if row.planned_start else None,
        affected=row.affected,
        cause=row.cause,
        instruction=row.instruction,
        corrects=row.corrects,
        author=row.author,
        accepted_at=row.accepted_at,
        released_at=row.released_at,
        not_after=row.not_after,
        revision=Revision(row.rev_epoch, row.rev_n) if row.rev_epoch is not None else None,
    )
    return UpdateRecord(
        id=row.id,
        said=said,
        corrects_all=row.corrects_all,
        quiet=row.quiet,
        hold=row.hold or "",
        release_at=row.release_at,
        cancelled_at=row.cancelled_at,
        out_at=row.out_at,
        out_channels=row.out_channels,
        out_ways=row.out_ways,
        quorum=quorums.read(row.quorum),
        struck_by=struck_by,
    )


def _same() -> Select[Any]:
    later = t.update.alias("later")
    retracted = exists().where(
        later.c.incident_id == t.update.c.incident_id,
        later.c.number > t.update.c.number,
        later.c.kind == Kind.RETRACTION,
        later.c.released_at.is_not(None),
        or_(later.c.corrects_all, later.c.corrects == t.update.c.number),
    )
    return (
        select(t.update.c.incident_id, t.update.c.number, t.incident.c.staff)
        .join(t.incident, t.incident.c.id == t.update.c.incident_id)
        .where(
            t.update.c.digest == bindparam("digest"),
            t.update.c.accepted_at > bindparam("after"),
            t.update.c.accepted_at < bindparam("before"),
            t.update.c.cancelled_at.is_(None),
            ~retracted,
        )
        .order_by(desc(t.update.c.id))
        .limit(1)
    )


_SAME = _same()


def find_same(connection: Connection, digest: str, now: datetime, within: timedelta) -> str | None:
    """The name of an update with the same text and areas that was not retracted since, or None.

    It was accepted less than `within` before `now`; or after it, by another command just now. One accepted much later
    was so before the clock was set back, and says nothing.
    """
    between = {"digest": digest, "after": now - within, "before": now + within}
    row = connection.execute(_SAME, between).first()
    return f"{incident_name(row.incident_id, row.staff)}-{row.number}" if row else None


def staff_log(connection: Connection) -> IncidentRecord | None:
    """The hidden incident that holds the notices to staff, without its updates; None before the first."""
    row = connection.execute(
        select(t.incident).where(t.incident.c.id == STAFF_LOG_ID, t.incident.c.staff)
    ).first()
    return _incident(row, []) if row else None


def page(
    connection: Connection, *, before: int | None, limit: int, only_open: bool
) -> list[IncidentRecord]:
    """Public incidents, newest first, those with ids below `before`."""
    query = (
        select(t.incident.c.id)
        .where(~t.incident.c.staff)
        .order_by(desc(t.incident.c.id))
        .limit(limit)
    )
    if before is not None:
        query = query.where(t.incident.c.id < before)
    if only_open:
        query = query.where(t.incident.c.closed_at.is_(None))
    return load_many(connection, list(connection.scalars(query)))


def open_in(connection: Connection, areas: Sequence[str], limit: int) -> list[IncidentRecord]:
    """Open public incidents of which some word named one of these areas, newest first."""
    asked = {f"area_{place}": f'"{area}"' for place, area in enumerate(areas)}
    query = _open_in(len(areas))
    return (
        load_many(connection, list(connection.scalars(query, asked | {"most": limit})))
        if areas
        else []
    )


@functools.lru_cache(maxsize=64)
def _open_in(areas: int) -> Select[Any]:
    """Made once for so many areas: every report asks it, and to put it together costs more than to run it."""
    places = [bindparam(f"area_{place}", type_=Text) for place in range(areas)]
    named = or_(false(), *(cast(t.update.c.areas, Text).contains(place) for place in places))
    return (
        select(t.incident.c.id)
        .where(
            ~t.incident.c.staff,
            t.incident.c.closed_at.is_(None),
            exists().where(t.update.c.incident_id == t.incident.c.id, named),
        )
        .order_by(desc(t.incident.c.id))
        .limit(bindparam("most", type_=Integer))
    )


def scheduled(connection: Connection) -> list[tuple[IncidentRecord, UpdateRecord]]:
    """Every update that is accepted and waits for its time, soonest first."""
    rows = connection.execute(
        select(t.update.c.id, t.update.c.incident_id)
        .where(t.update.c.hold.is_not(None), t.update.c.cancelled_at.is_(None))
        .order_by(t.update.c.release_at)
    ).all()
    found = {
        record.id: record
        for record in load_many(connection, sorted({row.incident_id for row in rows}))
    }
    return [
        (found[row.incident_id], update)
        for row in rows
        for update in found[row.incident_id].updates
        if update.id == row.id
    ]
