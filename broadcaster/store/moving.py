"""Changing the state of a delivery: one conditional update by the table of transitions, its row count checked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, update as sql_update

from broadcaster.domain.delivery import Shape, State, sources
from broadcaster.store import tables as t


def move(
    connection: Connection, delivery_id: int, target: State, token: str | None = None, **values: Any
) -> bool:
    """Change a delivery's state if the table of transitions allows it from where it stands; False otherwise."""
    query = sql_update(t.delivery).where(
        t.delivery.c.id == delivery_id,
        t.delivery.c.state.in_([str(state) for state in sources(target)]),
    )
    if token is not None:
        query = query.where(t.delivery.c.lease_token == token)
    return connection.execute(query.values(state=target, **values)).rowcount == 1


def stop_begun(connection: Connection, *waiting: Any, stopped: bool) -> int:
    """Waiting letters that were begun are not ended at one stroke: some may be on their way. Returns how many.

    They are handed to `finishing`, which ends them when what is known of each letter is written down.
    """
    return connection.execute(
        sql_update(t.delivery)
        .where(
            *waiting,
            t.delivery.c.state == State.WAITING,
            t.delivery.c.shape == Shape.LETTER,
            t.delivery.c.total > 0,
        )
        .values(state=State.SENDING, stopped=stopped, lease_until=None, lease_token=None)
    ).rowcount


def end(
    connection: Connection,
    delivery_id: int,
    state: State,
    now: datetime,
    detail: str,
    url: str = "",
) -> bool:
    """Bring a delivery to an end and let go of its lease."""
    values: dict[str, Any] = {
        "ended_at": now,
        "detail": detail,
        "lease_until": None,
        "lease_token": None,
    }
    if state is State.ACCEPTED:
        values |= {"accepted_at": now, "url": url}
    return move(connection, delivery_id, state, **values)
