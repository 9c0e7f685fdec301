"""In which order rows are locked. On PostgreSQL two nodes that follow it wait for each other, and never in a circle.

    next_incident → incident → incident_update → revision → job → delivery → step

Jobs are taken the oldest first, deliveries the newest first: a retraction holds its own delivery when the ones it took
back are withdrawn. Rows made in the same write are free, and so is SKIP LOCKED, which waits for nobody.

* Whoever writes letters, or counts of a delivery, holds the letters' job before: letters need no locks of their own.
* Whoever ends or stops a delivery, and touches its jobs, holds the jobs before.
* A correction or retraction holds the deliveries of its incident before its update and the revision, for it has to know where
  the wrong text is. Whoever holds a revision and then wants deliveries wants those of an incident that it holds.

What is left of circles (a blast ended in the moment in which it gets its first jobs) PostgreSQL breaks up after a second,
and the write is made again. Everything here does nothing on SQLite, where one writes at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, select

from broadcaster.store import tables as t


def hold_incident(connection: Connection, incident_id: int) -> None:
    """Hold an incident, before all that is its."""
    _hold(connection, select(t.incident.c.id).where(t.incident.c.id == incident_id))


def hold_incident_of(connection: Connection, update_id: int) -> None:
    """Hold the incident of an update, before the update itself."""
    mine = select(t.update.c.incident_id).where(t.update.c.id == update_id).scalar_subquery()
    _hold(connection, select(t.incident.c.id).where(t.incident.c.id == mine))


def hold_jobs(connection: Connection, *which: Any) -> list[int]:
    """Hold these jobs, before any delivery; gives their ids, for meanwhile others may have become such jobs too."""
    mine = select(t.job.c.id).where(*which).order_by(t.job.c.id)
    return list(connection.scalars(mine.with_for_update()))


def hold_free_jobs(connection: Connection, delivery_ids: Sequence[int]) -> list[int]:
    """Hold all jobs of these deliveries; gives those of which nobody else holds a job, and waits for nobody."""
    mine = select(t.job.c.id, t.job.c.delivery_id).where(t.job.c.delivery_id.in_(delivery_ids))
    free = mine.order_by(t.job.c.id).with_for_update(skip_locked=True)
    held = {row.id for row in connection.execute(free)}
    taken = {row.delivery_id for row in connection.execute(mine) if row.id not in held}
    return [each for each in delivery_ids if each not in taken]


def hold_deliveries(connection: Connection, *which: Any) -> None:
    """Hold these deliveries until the end of the write that is about to change them."""
    _hold(connection, select(t.delivery.c.id).where(*which).order_by(t.delivery.c.id.desc()))


def _hold(connection: Connection, query: Select[Any]) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(query.with_for_update()).all()
