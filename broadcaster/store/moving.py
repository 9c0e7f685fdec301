"""Changing the state of a delivery: one conditional update by the table of transitions, its row count checked."""

from __future__ import annotations

import functools
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Update, bindparam, update as sql_update

from broadcaster.domain.delivery import Shape, State, sources
from broadcaster.store import tables as t


def move(
    connection: Connection, delivery_id: int, target: State, token: str | None = None, **values: Any
) -> bool:
    """Change a delivery's state if the table of transitions allows it from where it stands; False otherwise."""
    mine = {"this": delivery_id} | ({} if token is None else {"token": token})
    moved = connection.execute(_moved(target, token is not None), mine | {"state": target} | values)
    return moved.rowcount == 1


@functools.cache
def _moved(target: State, held: bool) -> Update:
    """Made once: to put it together costs more than to run it, and every delivery takes several such steps."""
    query = sql_update(t.delivery).where(
        t.delivery.c.id == bindparam("this"),
        t.delivery.c.state.in_([str(state) for state in sources(target)]),
    )
    return query.where(t.delivery.c.lease_token == bindparam("token")) if held else query


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
