"""Handing what waits on one channel to another, with the texts that were rendered for that one when it was accepted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, exists, insert, or_, select, update as sql_update

from broadcaster.domain.delivery import Shape, State
from broadcaster.store import audit, tables as t
from broadcaster.store.accepting import delivery_row, incident_name
from broadcaster.store.errors import StoreError
from broadcaster.store.fallbacks import add_audiences, add_steps
from broadcaster.store.moving import stop_begun
from broadcaster.store.rowlocks import hold_deliveries
from broadcaster.store.writer import wake


class NotRendered(StoreError):
    """Nothing was rendered for the other channel; `names` are the updates concerned."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(f"Nothing was rendered of {', '.join(names)}.")
        self.names = names


def reroute(
    connection: Connection,
    channel: str,
    target: str,
    shape: Shape,
    media: Mapping[str, str],
    now: datetime,
    actor: str,
) -> int:
    """Hand every waiting delivery of `channel` to `target`. Returns how many.

    What the target carries already is only withdrawn here. What waits for its time stays: the channel may be well by then.

    Raises:
        NotRendered: nothing was changed.
    """
    _hold_incidents(connection, channel)
    waiting = (
        t.delivery.c.channel == channel,
        t.delivery.c.state == State.WAITING,
        t.is_open(),
        t.delivery.c.released,
    )
    hold_deliveries(connection, *waiting)
    rows = connection.execute(
        select(t.delivery, t.incident.c.staff)
        .join(t.incident, t.incident.c.id == t.delivery.c.incident_id)
        .where(*waiting)
        .order_by(t.delivery.c.id)
    ).all()
    carried = [row for row in rows if _carried(connection, row.update_id, target)]
    fresh = [row for row in rows if row not in carried]
    lacking = [row for row in fresh if not _rendered(connection, row.update_id, target)]
    if lacking:
        names = (f"{incident_name(row.incident_id, row.staff)}-{row.number}" for row in lacking)
        raise NotRendered(tuple(dict.fromkeys(names)))
    for row in fresh:
        _hand(connection, row, target, shape, media, now)
    mine = t.delivery.c.id.in_([row.id for row in rows])
    stop_begun(connection, mine, stopped=True)
    connection.execute(
        sql_update(t.delivery)
        .where(mine, t.delivery.c.state == State.WAITING)
        .values(state=State.WITHDRAWN, ended_at=now, detail=f"taken over by {target}", fallback=[])
    )
    audit.note(connection, now, actor, "reroute channel", channel, to=target, deliveries=len(rows))
    wake(connection)
    return len(rows)


def _hold_incidents(connection: Connection, channel: str) -> None:
    """A retraction finds only the deliveries it can see: it comes before this write or after it, not in between."""
    waiting = select(t.delivery.c.incident_id).where(
        t.delivery.c.channel == channel, t.delivery.c.state == State.WAITING, t.is_open()
    )
    connection.execute(
        select(t.incident.c.id)
        .where(t.incident.c.id.in_(waiting))
        .order_by(t.incident.c.id)
        .with_for_update()
    )


def _carried(connection: Connection, update_id: int, channel: str) -> bool:
    """Whether the channel has this update, or had it. What was withdrawn there before it went counts for nothing."""
    same = exists().where(
        t.delivery.c.update_id == update_id,
        t.delivery.c.channel == channel,
        or_(
            and_(t.delivery.c.state != State.WITHDRAWN, ~t.delivery.c.stopped),
            t.delivery.c.accepted_at.is_not(None),
        ),
    )
    return bool(connection.scalar(select(same)))


def _rendered(connection: Connection, update_id: int, channel: str) -> bool:
    same = exists().where(t.message.c.update_id == update_id, t.message.c.channel == channel)
    return bool(connection.scalar(select(same)))


def _hand(
    connection: Connection,
    row: Any,
    target: str,
    shape: Shape,
    media: Mapping[str, str],
    now: datetime,
) -> None:
    new = delivery_row(row.update_id, row.incident_id, row.number, target, shape) | {
        "priority": row.priority,
        "life_safety": row.life_safety,
        "released": True,
        "due_at": now,
        "not_after": row.not_after,
        "fallback": [],
        "fallback_for": row.id,
        "detail": f"in place of {row.channel}",
    }
    key = connection.execute(insert(t.delivery).values(**new)).inserted_primary_key
    assert key is not None  # noqa: S101 - the table has one generated key
    if shape is Shape.LETTER:
        add_audiences(connection, row, int(key[0]), target, media)
    else:
        add_steps(connection, row.update_id, int(key[0]), target)
