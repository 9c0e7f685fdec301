"""Whose summary is due, and of which incidents; what is taken here is written to him in the same write, or stays due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time

from sqlalchemy import Connection, delete, exists, func, select

from broadcaster.store import dues, tables as t


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A subscriber whom some words were not told. `incidents` are the ids they are about, the newest word's first.

    `quiet_from` is when his next quiet hours begin, by the clock on the wall; None: he has none.
    """

    subscriber_id: int
    channel: str
    address: bytes = field(repr=False)
    language: str
    quiet_from: time | None
    incidents: tuple[int, ...]


def take_due(connection: Connection, now: datetime, most: int) -> tuple[list[Waiting], int]:
    """Take up to `most` subscribers whose summary is due, with all that they wait for, also what was due later.

    Gives those who can be written to, and how many were taken: fewer than `most` are all, or another node has the rest. Who
    has left since waits for nothing.
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
    ids = [row.id for row in held]
    about = _about(connection, ids)
    connection.execute(delete(out).where(out.c.subscriber_id.in_(ids)))
    waiting = [
        Waiting(
            subscriber_id=row.id,
            channel=row.channel,
            address=row.address,
            language=row.language,
            quiet_from=_wall(row.quiet_from),
            incidents=about[row.id],
        )
        for row in held
        if row.subscribes and row.gone_at is None and row.id in about
    ]
    return waiting, len(held)


def _about(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    out = t.left_out
    rows = connection.execute(
        select(out.c.subscriber_id, t.update.c.incident_id)
        .join(t.update, t.update.c.id == out.c.update_id)
        .where(out.c.subscriber_id.in_(ids), t.update.c.released_at.is_not(None))
        .order_by(out.c.subscriber_id, t.update.c.released_at.desc(), t.update.c.id.desc())
    ).all()
    found: dict[int, dict[int, None]] = {}
    for row in rows:
        found.setdefault(row.subscriber_id, {})[row.incident_id] = None
    return {who: tuple(incidents) for who, incidents in found.items()}


def _wall(minute: int | None) -> time | None:
    return None if minute is None else time(minute // 60, minute % 60)


def plan_next(connection: Connection) -> None:
    """Have the next summary that somebody waits for sent at its time."""
    at = connection.scalar(select(func.min(t.left_out.c.due_at)))
    if at is not None:
        dues.plan_summary(connection, at)
