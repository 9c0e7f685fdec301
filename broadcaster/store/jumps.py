"""The wall clock jumped: what waits for a span of time goes on waiting for the rest of it, no longer and no shorter."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, and_, select, type_coerce, update as sql_update

from broadcaster.domain.delivery import State
from broadcaster.store import tables as t

SLACK = timedelta(seconds=2)
"""What the wall clock may be off in one step without being said to jump: a leap second, a time server's nudge."""


def follow(connection: Connection, before: datetime, by: timedelta) -> int:
    """Move leases, pauses and how long answers are kept along with a clock that went from `before` to `before + by`. Returns how many rows moved.

    Times of day (`not_after`, promises, planned work, scheduled releases) stay as they are. Only on SQLite: PostgreSQL has a
    clock of its own that leases and pauses are compared with.
    """
    if connection.dialect.name != "sqlite":
        return 0
    # What was due before the jump may lie ahead after it; what waits for its end (`not_after`) waits for a time of day.
    waiting_from = min(before, before + by)
    delivery, job, personal = t.delivery.c, t.job.c, t.personal_letter.c
    paused = and_(
        delivery.released,
        delivery.state.in_([State.WAITING, State.UNCERTAIN]),
        delivery.due_at > waiting_from,
        delivery.due_at < delivery.not_after,
    )
    return sum(
        _move(connection, column, where, by)
        for column, where in (
            (delivery.due_at, paused),
            (job.due_at, and_(job.state == "waiting", job.due_at > waiting_from)),
            (delivery.lease_until, delivery.lease_until.is_not(None)),
            (job.lease_until, job.lease_until.is_not(None)),
            (t.due.c.lease_until, t.due.c.lease_until.is_not(None)),
            (personal.due_at, and_(t.personal_is_open(), personal.due_at > waiting_from)),
            (personal.lease_until, personal.lease_until.is_not(None)),
            # A clock that is months ahead for a while must not have requests forgotten that come again in a minute.
            (t.idempotency.c.at, t.idempotency.c.at <= before),
        )
    )


def untried_is_due(connection: Connection, now: datetime) -> int:
    """What was released by the clock before the jump, and written after it, is due now. Returns how many.

    A delivery that was never tried is due when it is released: a time to come was told by another clock.
    """
    delivery = t.delivery.c
    untried = and_(
        delivery.released,
        delivery.state == State.WAITING,
        delivery.attempts == 0,
        delivery.due_at > now,
    )
    return connection.execute(sql_update(t.delivery).where(untried).values(due_at=now)).rowcount


def _move(connection: Connection, column: Any, where: Any, by: timedelta) -> int:
    moved = type_coerce(column, BigInteger) + by // timedelta(microseconds=1)
    return connection.execute(
        sql_update(column.table).where(where).values({column.name: moved})
    ).rowcount


def while_away(connection: Connection, node: str, now: datetime) -> timedelta | None:
    """How far the clock was set back while this node was off, at the least; None when it was not.

    To be asked before the node registers: it was last seen at a time that is still to come.
    """
    seen_at = connection.scalar(select(t.node.c.seen_at).where(t.node.c.name == node))
    return now - seen_at if seen_at is not None and seen_at > now + SLACK else None
