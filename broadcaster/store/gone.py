"""Addresses that are no more, by what their far side says: no later update goes there until that is turned back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, exists, func, or_, select, update as sql_update

from broadcaster.store import tables as t

REASON = "came back: no such address"
"""The detail of a letter that is left out for it."""
FEW = 3
SHARE = 0.05  # of those who answered: lists that are kept have fewer dead addresses from one update to the next
_AT_ONCE = 500


def note(connection: Connection, subscriber_ids: Sequence[int], now: datetime) -> None:
    """Write to these no more."""
    _set(connection, subscriber_ids, now)


def forget(connection: Connection, subscriber_ids: Sequence[int]) -> None:
    """Write to these again: their owners ask for it, or a letter has arrived there after all."""
    _set(connection, subscriber_ids, None)


def believed(count: int, answered: int) -> bool:
    """Whether it may be true that so many of those who were written to have no such address.

    A mail server whose table is broken says it of everybody: nobody may be silenced by that.
    """
    return not count or (count < answered and count <= max(FEW, answered * SHARE))


def is_old_news(
    connection: Connection, subscriber_id: int, delivery_id: int, taken_at: datetime
) -> bool:
    """Whether its owner asked for letters anew, or a letter of a later delivery has arrived, since this letter was taken."""
    theirs = t.letter
    imported = (
        exists()
        .where(t.subscriber.c.id == subscriber_id)
        .where(t.import_run.c.id == t.subscriber.c.import_id, t.import_run.c.at > taken_at)
    )
    agreed = exists().where(
        t.subscriber.c.id == subscriber_id,
        t.consent.c.channel == t.subscriber.c.channel,
        t.consent.c.digest == t.subscriber.c.digest,
        t.consent.c.given_at > taken_at,
        t.consent.c.ended_at.is_(None),
    )
    # By the deliveries, which are few: letters are found by theirs.
    arrived = exists().where(
        t.delivery.c.id >= delivery_id,
        theirs.c.delivery_id == t.delivery.c.id,
        theirs.c.subscriber_id == subscriber_id,
        theirs.c.reported == "confirmed",
        theirs.c.at > taken_at,
    )
    return bool(connection.scalar(select(or_(imported, agreed, arrived))))


def who_came_back(connection: Connection, delivery_id: int) -> Sequence[int]:
    """Those whose letters of a delivery came back."""
    came_back = t.letter.c.delivery_id == delivery_id, t.letter.c.reported == "failed"
    return connection.scalars(select(t.letter.c.subscriber_id).where(*came_back)).all()


def count(connection: Connection) -> dict[str, int]:
    """How many addresses of each channel are written to no more."""
    gone = t.subscriber.c.gone_at.is_not(None)
    query = select(t.subscriber.c.channel, func.count()).where(gone)
    rows = connection.execute(query.group_by(t.subscriber.c.channel)).all()
    return {row[0]: int(row[1]) for row in rows}


def _set(connection: Connection, subscriber_ids: Sequence[int], at: datetime | None) -> None:
    changes = t.subscriber.c.gone_at.is_(None) if at else t.subscriber.c.gone_at.is_not(None)
    # In the order in which imports hold them, so that none waits for the other in a circle.
    ids = sorted(set(subscriber_ids))
    for begin in range(0, len(ids), _AT_ONCE):
        some = t.subscriber.c.id.in_(ids[begin : begin + _AT_ONCE])
        mine = select(t.subscriber.c.id).where(some, changes)
        held = connection.scalars(mine.order_by(t.subscriber.c.id).with_for_update()).all()
        if held:
            change = sql_update(t.subscriber).where(t.subscriber.c.id.in_(held))
            connection.execute(change.values(gone_at=at))
