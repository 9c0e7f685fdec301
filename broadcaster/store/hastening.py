"""A far side answers again: what rests only because it did not is tried now, not at the end of a pause of minutes.

What the far side asked to be left alone for a while goes on waiting, and so does what may have gone: that rests for its
reader's sake.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, exists, select, update as sql_update

from broadcaster.domain.delivery import Outcome, State
from broadcaster.store import tables as t
from broadcaster.store.claiming import database_now
from broadcaster.store.rowlocks import hold_deliveries, hold_jobs


def deliveries(connection: Connection, channel: str, now: datetime) -> int:
    """Boards and posts of a channel. Returns how many are due now that were not."""
    d, at = t.delivery.c, min(now, database_now(connection, now))
    in_doubt = exists().where(
        t.attempt.c.delivery_id == d.id, t.attempt.c.outcome == Outcome.UNCERTAIN
    )
    resting = (
        d.channel == channel,
        d.state == State.WAITING,
        t.is_open(),
        d.released,
        d.attempts > 0,
        d.due_at > now,
        d.due_at < d.not_after,
        ~d.wished,
        ~in_doubt,
    )
    if connection.scalar(select(d.id).where(*resting).limit(1)) is None:
        return 0
    hold_deliveries(connection, *resting)
    return connection.execute(sql_update(t.delivery).where(*resting).values(due_at=at)).rowcount


def jobs(connection: Connection, channel: str, now: datetime, wished: Collection[int]) -> int:
    """Jobs of letters of a channel, but for those that are `wished` to wait. Returns how many are due now that were not."""
    mine = select(t.delivery.c.id).where(t.delivery.c.channel == channel, t.is_open())
    in_doubt = exists().where(t.letter.c.job_id == t.job.c.id, t.letter.c.outcome == "doubtful")
    resting = (
        t.job.c.delivery_id.in_(mine),
        t.job.c.state == "waiting",
        t.job.c.due_at > now,
        t.job.c.attempts > 0,
        t.job.c.id.not_in(wished),
        ~in_doubt,
    )
    at, held = min(now, database_now(connection, now)), hold_jobs(connection, *resting)
    for each in held:
        connection.execute(sql_update(t.job).where(t.job.c.id == each).values(due_at=at))
    return len(held)
