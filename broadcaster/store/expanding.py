"""From an audience to jobs: a predicate becomes lists of at most 500 subscriber ids, chunk by chunk, by cursor.

Accepting costs the same for a thousand and for a million subscribers, because this happens afterwards.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BindParameter,
    Connection,
    bindparam,
    exists,
    insert,
    literal,
    select,
    union,
    update as sql_update,
)

from broadcaster.domain.delivery import Shape
from broadcaster.store import summing, tables as t
from broadcaster.store.sieve import HAD, Sieve

CHUNK = 500
_UTC = ZoneInfo("UTC")


def expand(
    connection: Connection,
    delivery_id: int,
    lease_token: str,
    now: datetime,
    chunks: int = 20,
    zone: ZoneInfo = _UTC,
) -> bool:
    """Turn up to `chunks` chunks of a delivery's audiences into jobs. True when nothing is left to expand.

    `zone` is that of its readers' hours: who is not to be told now gets no letter of it; see `sieve`.
    """
    # Held: a node whose lease another takes at this moment must not write the same jobs as the other.
    delivery = connection.execute(
        select(t.delivery).where(t.delivery.c.id == delivery_id).with_for_update()
    ).one()
    if delivery.lease_token != lease_token or delivery.stopped:
        return True
    for audience in connection.execute(
        select(t.audience)
        .where(t.audience.c.delivery_id == delivery_id, ~t.audience.c.done)
        .order_by(t.audience.c.id)
    ).all():
        chunks = _expand_one(connection, delivery, audience, now, chunks, zone)
        if chunks == 0:
            return False
    connection.execute(
        sql_update(t.delivery).where(t.delivery.c.id == delivery_id).values(expanded=True)
    )
    release_lease(connection, delivery_id, lease_token)
    return True


def release_lease(connection: Connection, delivery_id: int, lease_token: str) -> None:
    """From here on the jobs are leased, one by one, by whichever node takes them."""
    connection.execute(
        sql_update(t.delivery)
        .where(t.delivery.c.id == delivery_id, t.delivery.c.lease_token == lease_token)
        .values(lease_node=None, lease_token=None, lease_until=None)
    )


def _expand_one(
    connection: Connection,
    delivery: Any,
    audience: Any,
    now: datetime,
    chunks: int,
    zone: ZoneInfo,
) -> int:
    cursor, done, jobs = audience.cursor, False, []
    sieve = Sieve(connection, delivery, audience, zone)
    # Made once for all chunks: to put it together costs more than to run it.
    summed = summing.anybody_read(connection, delivery.incident_id)
    after = bindparam("cursor", type_=t.Id)
    query = members(delivery, audience, after, summed=summed, most=CHUNK)
    while chunks and not done:
        ids = list(connection.scalars(query, {"cursor": cursor}))
        if told := sieve.keep(ids, cursor, now):
            jobs.append(_job(delivery, audience, told, now))
        cursor = ids[-1] if ids else cursor
        done = len(ids) < CHUNK
        chunks -= 1
    if jobs:
        connection.execute(insert(t.job), jobs)
        connection.execute(
            sql_update(t.delivery)
            .where(t.delivery.c.id == delivery.id)
            .values(total=t.delivery.c.total + sum(len(job["subscribers"]) for job in jobs))
        )
    connection.execute(
        sql_update(t.audience)
        .where(t.audience.c.id == audience.id)
        .values(cursor=cursor, done=done)
    )
    return chunks


def _job(delivery: Any, audience: Any, ids: list[int], now: datetime) -> dict[str, Any]:
    return {
        "delivery_id": delivery.id,
        "variant": audience.variant,
        "subscribers": ids,
        "watermark": 0,
        "state": "waiting",
        "due_at": now,
        "attempts": 0,
        "supplier": "",
    }


def members(
    delivery: Any,
    audience: Any,
    cursor: int | BindParameter[int],
    *,
    summed: bool,
    most: int | None = None,
) -> Any:
    """Subscriber ids after `cursor`, in order. Each filter is one index range.

    Args:
        summed: anybody may have read of the incident in a summary, which counts as a letter.
        most: how many at the most; None: all.
    """
    member = t.subscription
    query = (
        select(member.c.subscriber_id)
        .where(
            member.c.channel == audience.members_of,
            member.c.subscriber_id > cursor,
            member.c.id <= audience.upto,
        )
        .distinct()
        .order_by(member.c.subscriber_id)
    )
    if audience.areas is not None:
        query = query.where(member.c.area.in_(audience.areas))
    if audience.had_not:
        # Where life depends on it, another channel also writes to those who only may have it.
        sure = HAD[:1] if delivery.fallback_for and delivery.life_safety else HAD
        query = query.where(~_got(delivery.incident_id, audience.had_not, sure))
        if summed:
            query = query.where(~_read(delivery.incident_id, audience.had_not))
    if not audience.had:
        return query.limit(most)
    by_letter = query.where(_got(delivery.incident_id, audience.had, HAD)).limit(most)
    if not summed:
        return by_letter
    # Two ways to the same people, and not one with "or": for that PostgreSQL would read all letters for each chunk.
    in_summary = query.where(_read(delivery.incident_id, audience.had)).limit(most)
    both = union(*(select(way.subquery()) for way in (by_letter, in_summary))).subquery()
    return select(both.c.subscriber_id).order_by(both.c.subscriber_id).limit(most)


def _said(incident_id: int, numbers: list[int]) -> Any:
    return select(t.update.c.id).where(
        t.update.c.incident_id == literal(incident_id), t.update.c.number.in_(numbers)
    )


def _got(incident_id: int, numbers: list[int], outcomes: tuple[str, ...]) -> Any:
    """Whether the subscriber has a letter of one of these updates, by this channel or by one that stood in for it."""
    earlier = t.delivery.alias("earlier")
    return exists().where(
        earlier.c.update_id.in_(_said(incident_id, numbers)),
        earlier.c.shape == Shape.LETTER,
        t.letter.c.delivery_id == earlier.c.id,
        t.letter.c.subscriber_id == t.subscription.c.subscriber_id,
        t.letter.c.outcome.in_(outcomes),
    )


def _read(incident_id: int, numbers: list[int]) -> Any:
    """Whether the subscriber has read of one of these updates in a summary, or may have."""
    return exists().where(
        t.left_out.c.update_id.in_(_said(incident_id, numbers)),
        t.left_out.c.subscriber_id == t.subscription.c.subscriber_id,
        t.left_out.c.due_at.is_(None),
    )
