"""Addresses that are no more, by what their far side says: nothing is sent to them until they are imported again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select, update as sql_update

from broadcaster.store import tables as t

REASON = "came back: no such address"
"""The detail of a letter that is left out for it."""


def note(connection: Connection, subscriber_ids: Sequence[int], now: datetime) -> None:
    """Write to these no more."""
    _set(connection, subscriber_ids, now)


def forget(connection: Connection, subscriber_ids: Sequence[int]) -> None:
    """Write to these again: somebody gave the address anew, or a letter has arrived there after all."""
    _set(connection, subscriber_ids, None)


def count(connection: Connection) -> dict[str, int]:
    """How many addresses of each channel are written to no more."""
    gone = t.subscriber.c.gone_at.is_not(None)
    query = select(t.subscriber.c.channel, func.count()).where(gone)
    rows = connection.execute(query.group_by(t.subscriber.c.channel)).all()
    return {row[0]: int(row[1]) for row in rows}


def _set(connection: Connection, subscriber_ids: Sequence[int], at: datetime | None) -> None:
    if not subscriber_ids:
        return
    mine = t.subscriber.c.id.in_(list(subscriber_ids))
    # In the order in which imports hold them, so that none waits for the other in a circle.
    held = connection.scalars(
        select(t.subscriber.c.id).where(mine).order_by(t.subscriber.c.id).with_for_update()
    ).all()
    change = sql_update(t.subscriber).where(t.subscriber.c.id.in_(held))
    changes = t.subscriber.c.gone_at.is_(None) if at else t.subscriber.c.gone_at.is_not(None)
    connection.execute(change.where(changes).values(gone_at=at))
