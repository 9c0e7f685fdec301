"""Whose summary is due, and of which incidents; what is taken here is written to him in the same write, or stays due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Connection,
    delete,
    exists,
    func,
    select,
    update as sql_update,
)

from broadcaster.domain.choices import Quiet
from broadcaster.store import dues, tables as t
from broadcaster.store.choosing import choices_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A subscriber whom some words were not told. `incidents` are the ids they are about, the newest word's first."""

    subscriber_id: int
    channel: str
    address: bytes = field(repr=False)
    language: str
    quiet: Quiet | None
    incidents: tuple[int, ...]


def take_due(
    connection: Connection, now: datetime, most: int, zone: ZoneInfo
) -> tuple[list[Waiting], int]:
    """Take up to `most` subscribers whose summary is due, with all that they wait for, also what was due later.

    Gives those who can be written to, and how many were taken: fewer than `most` are all, or another node has the rest. Who
    has left since waits for nothing. For whom it is quiet now (by `zone`), for we come late or he chose anew, waits until
    that is over.
    """
    mine, out = t.subscriber, t.left_out
    first = select(out.c.subscriber_id).where(out.c.due_at <= now)
    first = first.order_by(out.c.due_at, out.c.subscriber_id).limit(most)
    subscribes = exists().where(t.subscription.c.subscriber_id == mine.c.id)
    # Held: whoever is erased meanwhile gets none, and no other node takes the same.
    held = connection.execute(
        select(mine, subscribes.label("subscribes"))
        .where(mine.c.id.in_(first))
        .order_by(mine.c.id)
        .with_for_update(skip_locked=True, of=mine)
    ).all()
    waiting, away = [], []
    about = _about(connection, [row.id for row in held])
    for row in held:
        quiet = choices_of((), row._asdict()).quiet
        if not row.subscribes or row.gone_at is not None:
            away.append(row.id)
        elif quiet is not None and quiet.holds(now, zone):
            put_off = {"due_at": quiet.over(now, zone)}
            connection.execute(sql_update(out).where(_waits([row.id])).values(**put_off))
        else:
            waiting.append(_waiting(row, quiet, about.get(row.id, ())))
    connection.execute(delete(out).where(out.c.subscriber_id.in_(away)))
    told = _waits([each.subscriber_id for each in waiting])
    connection.execute(sql_update(out).where(told).values(due_at=None))
    return [each for each in waiting if each.incidents], len(held)


def _waiting(row: Any, quiet: Quiet | None, incidents: tuple[int, ...]) -> Waiting:
    return Waiting(
        subscriber_id=row.id,
        channel=row.channel,
        address=row.address,
        language=row.language,
        quiet=quiet,
        incidents=incidents,
    )


def _waits(ids: Sequence[int]) -> ColumnElement[bool]:
    """What some subscribers were not told yet."""
    return t.left_out.c.subscriber_id.in_(ids) & t.left_out.c.due_at.is_not(None)


def _about(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    out = t.left_out
    rows = connection.execute(
        select(out.c.subscriber_id, t.update.c.incident_id)
        .join(t.update, t.update.c.id == out.c.update_id)
        .where(_waits(ids), t.update.c.released_at.is_not(None))
        .order_by(out.c.subscriber_id, t.update.c.released_at.desc(), t.update.c.id.desc())
    ).all()
    found: dict[int, dict[int, None]] = {}
    for row in rows:
        found.setdefault(row.subscriber_id, {})[row.incident_id] = None
    return {who: tuple(incidents) for who, incidents in found.items()}


# ------------------------------------------------------------------------------------------------ read in a summary before
def anybody_read(connection: Connection, incident_id: int) -> bool:
    """Whether anybody has read of an incident in a summary: where nobody has, nothing more is asked of a million readers."""
    return bool(connection.scalar(select(exists().where(*_read_of(incident_id)))))


def who_read(connection: Connection, incident_id: int, ids: Sequence[int]) -> frozenset[int]:
    """Those of some subscribers who have read of an incident in a summary, or may have."""
    mine = t.left_out.c.subscriber_id
    return frozenset(connection.scalars(select(mine).where(mine.in_(ids), *_read_of(incident_id))))


def _read_of(incident_id: int) -> tuple[ColumnElement[bool], ...]:
    of_it = select(t.update.c.id).where(t.update.c.incident_id == incident_id)
    return t.left_out.c.update_id.in_(of_it), t.left_out.c.due_at.is_(None)


def plan_next(connection: Connection) -> None:
    """Have the next summary that somebody waits for sent at its time."""
    at = connection.scalar(select(func.min(t.left_out.c.due_at)))
    if at is not None:
        dues.plan_summary(connection, at)
