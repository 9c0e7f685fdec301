"""Which job of letters goes next: found at the same cost however many are still to be done."""

from __future__ import annotations

import functools
import itertools
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Select, String, and_, bindparam, func, or_, select

from broadcaster.domain.delivery import Shape, State
from broadcaster.store import tables as t


@functools.cache
def _sending() -> Select[Any]:
    """Deliveries of :channel whose letters may go :now, the most urgent first."""
    return (
        select(t.delivery.c.id, t.delivery.c.priority)
        .where(
            t.delivery.c.channel == bindparam("channel", type_=String),
            t.delivery.c.shape == Shape.LETTER,
            t.delivery.c.state == State.SENDING,
            t.is_open(),
            ~t.delivery.c.stopped,
            t.delivery.c.not_after > bindparam("now", type_=t.UtcTime),
        )
        .order_by(t.delivery.c.priority)
    )


@functools.cache
def _first_job() -> Select[Any]:
    """The first job of :delivery that may be claimed :at this time of the database."""
    at = bindparam("at", type_=t.UtcTime)
    return (
        select(
            t.job,
            t.delivery.c.life_safety,
            t.delivery.c.not_after,
            t.delivery.c.incident_id,
            t.delivery.c.number,
            t.delivery.c.update_id,
        )
        .join(t.delivery, t.delivery.c.id == t.job.c.delivery_id)
        .where(
            t.job.c.delivery_id == bindparam("delivery"),
            t.job_is_open,
            t.job.c.due_at <= at,
            or_(
                t.job.c.state == "waiting",
                and_(t.job.c.state == "sending", t.job.c.lease_until < at),
            ),
        )
        .order_by(t.job.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=t.job)
    )


def next_job(connection: Connection, channel: str, at: datetime, now: datetime) -> Any | None:
    """The oldest job of the most urgent deliveries.

    Asked delivery by delivery: sorted in one go, all jobs still to be done would be read for each that is claimed, two
    thousand of them where a million people are written to.
    """
    sending = connection.execute(_sending(), {"channel": channel, "now": now}).all()
    for _, alike in itertools.groupby(sending, attrgetter("priority")):
        asked = ({"delivery": each.id, "at": at} for each in alike)
        firsts = (connection.execute(_first_job(), each).first() for each in asked)
        jobs = [job for job in firsts if job is not None]
        if jobs:
            return min(jobs, key=attrgetter("id"))
    return None


def next_job_due(connection: Connection, channel: str) -> datetime | None:
    """When the next job of a delivery being sent on this channel can be tried, or None."""
    at: datetime | None = connection.scalar(
        select(func.min(t.job.c.due_at))
        .join(t.delivery, t.delivery.c.id == t.job.c.delivery_id)
        .where(
            t.delivery.c.channel == channel,
            t.delivery.c.state == State.SENDING,
            t.is_open(),
            t.job.c.state == "waiting",
            t.job_is_open,
        )
    )
    return at
