"""Reading what came of deliveries, and resending one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, or_, select, update as sql_update

from broadcaster.domain.delivery import State
from broadcaster.store import audit, tables as t
from broadcaster.store.claiming import database_now
from broadcaster.store.moving import move
from broadcaster.store.rowlocks import hold_jobs
from broadcaster.store.writer import wake

_OF_UPDATE = (
    select(t.delivery)
    .where(t.delivery.c.update_id == bindparam("update_id"))
    .order_by(t.delivery.c.id)
)


def update_row(connection: Connection, update_id: int) -> Any:
    """The row of an update."""
    return connection.execute(select(t.update).where(t.update.c.id == update_id)).one()


def of_update(connection: Connection, update_id: int) -> Sequence[Any]:
    """The deliveries of one update, in the order they were planned."""
    return connection.execute(_OF_UPDATE, {"update_id": update_id}).all()


def of_incident(connection: Connection, incident_id: int) -> Sequence[Any]:
    """Every delivery of an incident, oldest first."""
    return connection.execute(
        select(t.delivery).where(t.delivery.c.incident_id == incident_id).order_by(t.delivery.c.id)
    ).all()


def one(connection: Connection, delivery_id: int) -> Any:
    """One delivery, or None."""
    return connection.execute(select(t.delivery).where(t.delivery.c.id == delivery_id)).first()


def resend(
    connection: Connection, delivery_id: int, now: datetime, not_after: datetime, actor: str
) -> bool:
    """Let a failed or uncertain delivery be tried once more, until `not_after`.

    False when it is neither, or when it is just being looked for at the far side.
    """
    if not _may_go_again(connection, delivery_id, database_now(connection, now)) or not move(
        connection,
        delivery_id,
        State.WAITING,
        due_at=now,
        not_after=not_after,
        attempts=0,
        ended_at=None,
    ):
        return False
    connection.execute(
        sql_update(t.step)
        .where(t.step.c.delivery_id == delivery_id, t.step.c.outcome.in_(["failed", "uncertain"]))
        .values(outcome=None, attempts=0, first_tried_at=None, reply_to=None)
    )
    _letters_again(connection, delivery_id, now)
    audit.note(connection, now, actor, "resend", str(delivery_id))
    wake(connection)
    return True


def _may_go_again(connection: Connection, delivery_id: int, at: datetime) -> bool:
    d = t.delivery
    hold_jobs(connection, t.job.c.delivery_id == delivery_id)
    unclaimed = or_(d.c.lease_until.is_(None), d.c.lease_until <= at)
    again = select(d.c.id).where(
        d.c.id == delivery_id,
        ~d.c.stopped,
        or_(
            d.c.state.in_([State.FAILED, State.BOUNCED]),
            and_(d.c.state == State.UNCERTAIN, unclaimed),
        ),
    )
    return connection.scalar(again.with_for_update()) is not None


def _letters_again(connection: Connection, delivery_id: int, now: datetime) -> None:
    """Letters that failed, that nobody knows of, or that were never pulled are to be sent; the others are through."""
    mine = t.letter.c.delivery_id == delivery_id
    connection.execute(delete(t.letter).where(mine, t.letter.c.outcome == "failed"))
    connection.execute(
        sql_update(t.letter)
        .where(mine, t.letter.c.outcome == "uncertain")
        .values(outcome="doubtful")
    )
    # Letters never pulled were counted as skipped when the delivery ended; a row has only who was left out on purpose.
    skipped = connection.scalar(
        select(func.count()).select_from(t.letter).where(mine, t.letter.c.outcome == "skipped")
    )
    connection.execute(
        sql_update(t.delivery)
        .where(t.delivery.c.id == delivery_id)
        .values(failed=0, skipped=skipped)
    )
    through = (
        select(func.count())
        .select_from(t.letter)
        .where(t.letter.c.job_id == t.job.c.id, t.letter.c.outcome != "doubtful")
        .scalar_subquery()
    )
    connection.execute(
        sql_update(t.job)
        .where(
            t.job.c.delivery_id == delivery_id,
            func.json_array_length(t.job.c.subscribers) > through,
        )
        .values(state="waiting", due_at=now, attempts=0, watermark=0)
    )
