"""Posts in doubt: they may have been made, and are looked for before a later word of their incident goes out."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, select, update as sql_update

from broadcaster.domain.delivery import Shape, State
from broadcaster.store import tables as t
from broadcaster.store.rowlocks import hold_deliveries


def rests(until: datetime) -> ColumnElement[bool]:
    """Whether a delivery is a post in doubt that is looked for only after `until`, though the far side did not ask for that.

    What no look can settle is left until its time is over, and is none of them.
    """
    return and_(
        t.delivery.c.state == State.UNCERTAIN,
        t.delivery.c.shape == Shape.POST,
        t.delivery.c.due_at > until,
        t.delivery.c.due_at < t.delivery.c.not_after,
        ~t.delivery.c.wished,
    )


def look_before(connection: Connection, delivery_id: int, due_at: datetime) -> None:
    """Look for earlier posts of its incident by its channel when a delivery is tried again: it is to overtake none."""
    mine = t.delivery.alias("mine")
    found = connection.execute(
        select(mine.c.channel, mine.c.incident_id, mine.c.number).where(mine.c.id == delivery_id)
    ).one()
    doubtful = (
        t.delivery.c.channel == found.channel,
        t.delivery.c.incident_id == found.incident_id,
        t.delivery.c.number < found.number,
        t.delivery.c.id < delivery_id,  # its own row is held: see rowlocks
        rests(due_at),
    )
    hold_deliveries(connection, *doubtful)
    connection.execute(sql_update(t.delivery).where(*doubtful).values(due_at=due_at))
