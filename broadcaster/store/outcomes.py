"""Reading what came of deliveries, and resending one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    union_all,
    update as sql_update,
)

from broadcaster.domain.delivery import Shape, State
from broadcaster.store import audit, fallbacks, quorums, tables as t
from broadcaster.store.claiming import database_now
from broadcaster.store.moving import move
from broadcaster.store.rowlocks import hold_deliveries, hold_incident, hold_jobs
from broadcaster.store.writer import wake

CLOSED_WITHIN = timedelta(days=1)  # no delivery lives longer than 12 h

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


def in_doubt(connection: Connection, incident_ids: Sequence[int], now: datetime) -> Sequence[Any]:
    """Deliveries of these incidents with letters in doubt that may go again as far as time goes, oldest first.

    Where life depends on it, none that another channel stands in for: that writes to whoever is in doubt.
    """
    d, other = t.delivery, t.delivery.alias("other")
    taken_over = exists().where(
        other.c.incident_id == d.c.incident_id, other.c.fallback_for == d.c.id
    )
    return connection.execute(
        select(d)
        .where(
            d.c.incident_id.in_(incident_ids),
            d.c.shape == Shape.LETTER,
            d.c.state.in_([State.ACCEPTED, State.UNCERTAIN]),
            d.c.uncertain > 0,
            ~d.c.stopped,
            d.c.not_after > now,
            ~and_(d.c.life_safety, taken_over),
        )
        .order_by(d.c.id)
    ).all()


def stood_in(connection: Connection, incident_id: int) -> frozenset[int]:
    """The deliveries of an incident that another channel stands in for."""
    d = t.delivery
    found = select(d.c.fallback_for).where(
        d.c.incident_id == incident_id, d.c.fallback_for.is_not(None)
    )
    return frozenset(connection.scalars(found))


def incidents_in_doubt(connection: Connection, now: datetime) -> list[int]:
    """The incidents, open or closed within a day, with letters in doubt that are in time; oldest first."""
    d, incident = t.delivery, t.incident
    recent = union_all(
        select(incident.c.id).where(incident.c.closed_at.is_(None), ~incident.c.staff),
        select(incident.c.id).where(incident.c.closed_at > now - CLOSED_WITHIN),
    )
    rows = connection.execute(
        select(d.c.incident_id)
        .distinct()
        .where(
            d.c.incident_id.in_(recent),
            d.c.state.in_([State.ACCEPTED, State.UNCERTAIN]),
            d.c.uncertain > 0,
            ~d.c.stopped,
            d.c.not_after > now,
        )
        .order_by(d.c.incident_id)
    )
    return [int(row.incident_id) for row in rows]


def reached_nobody(connection: Connection, incident_id: int, number: int) -> bool:
    """Whether every delivery of an update has ended and none brought it to anybody: refused, or nobody subscribes."""
    d = t.delivery
    missed = or_(
        d.c.state.in_([State.FAILED, State.BOUNCED, State.EXPIRED, State.WITHDRAWN]),
        and_(d.c.state == State.ACCEPTED, d.c.shape == Shape.LETTER, d.c.total == 0),
    )
    brings = select(d.c.id).where(d.c.incident_id == incident_id, d.c.number == number, ~missed)
    return connection.execute(brings.limit(1)).first() is None


def of_incident(connection: Connection, incident_id: int) -> Sequence[Any]:
    """Every delivery of an incident, oldest first."""
    return connection.execute(
        select(t.delivery).where(t.delivery.c.incident_id == incident_id).order_by(t.delivery.c.id)
    ).all()


def one(connection: Connection, delivery_id: int) -> Any:
    """One delivery, or None."""
    return connection.execute(select(t.delivery).where(t.delivery.c.id == delivery_id)).first()


def held(connection: Connection, delivery_id: int) -> Any:
    """One delivery, or None; its incident is held, so that a correction comes before this write or after it."""
    row = one(connection, delivery_id)
    if row is None:
        return None
    hold_incident(connection, row.incident_id)
    return one(connection, delivery_id)


def other_under_way(connection: Connection, delivery_id: int) -> str | None:
    """The channel by which a delivery that stands in for this one, or for which it stands in, is under way; or None.

    What stands in for this one on a stopped channel and has not begun is not: `resend` takes it back.
    """
    d = t.delivery
    idle = {row.id for row in fallbacks.idle(connection, delivery_id)}
    update_id = select(d.c.update_id).where(d.c.id == delivery_id).scalar_subquery()
    rows = connection.execute(
        select(d.c.id, d.c.channel, d.c.fallback_for, d.c.state).where(d.c.update_id == update_id)
    ).all()
    chain, size = {delivery_id}, 0
    while size < len(chain):
        size = len(chain)
        chain |= {row.fallback_for for row in rows if row.id in chain and row.fallback_for}
        chain |= {row.id for row in rows if row.fallback_for in chain}
    others = (row for row in rows if row.id in chain - idle - {delivery_id})
    moving = (State.WAITING, State.SENDING)
    return next((str(row.channel) for row in others if row.state in moving), None)


def resend(
    connection: Connection, delivery_id: int, now: datetime, not_after: datetime, actor: str
) -> bool:
    """Let a failed or uncertain delivery be tried once more, until `not_after`; of letters those that are not through.

    False when nothing of it failed or is uncertain, when others have brought all of that, or when it is just being
    looked for at the far side.
    """
    quorums.reopen(connection, delivery_id, not_after)
    if not _may_go_again(connection, delivery_id, now) or not move(
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
    letters = _letters_again(connection, delivery_id, now)
    tried = {"letters": letters} if letters else {}
    audit.note(connection, now, actor, "resend", str(delivery_id), **tried)
    fallbacks.take_back(connection, delivery_id, now, actor)
    wake(connection)
    return True


def _may_go_again(connection: Connection, delivery_id: int, now: datetime) -> bool:
    d, at = t.delivery, database_now(connection, now)
    hold_jobs(connection, t.job.c.delivery_id == delivery_id)
    hold_deliveries(connection, fallbacks.in_place_of(delivery_id))  # before its own: see rowlocks
    unclaimed = or_(d.c.lease_until.is_(None), d.c.lease_until <= at)
    again = select(d).where(
        d.c.id == delivery_id,
        ~d.c.stopped,
        or_(
            d.c.state.in_([State.FAILED, State.BOUNCED]),
            and_(d.c.state == State.UNCERTAIN, unclaimed),
            and_(d.c.state == State.ACCEPTED, d.c.not_after > now),
        ),
    )
    row = connection.execute(again.with_for_update()).first()
    if row is None or not has_left(connection, row):
        return False
    # What stands in is held by now: whose channel was resumed meanwhile goes out, and this must not beside it.
    return row.shape != Shape.LETTER or other_under_way(connection, delivery_id) is None


def has_left(connection: Connection, delivery: Any) -> bool:
    """Whether there is something of a delivery to send again; of letters those that others have not brought meanwhile."""
    if delivery.shape != Shape.LETTER:
        return bool(delivery.state != State.ACCEPTED)
    lacking = exists().where(t.letter.c.delivery_id == delivery.id, _lacks(delivery))
    unpulled = exists().where(t.job.c.delivery_id == delivery.id, _is_unpulled())
    return not delivery.expanded or bool(connection.scalar(select(or_(lacking, unpulled))))


def brought_by(connection: Connection, delivery_id: int) -> tuple[str, ...]:
    """The other channels by which readers of a delivery have the same update, or may have it."""
    mine, theirs = t.letter.alias("mine"), t.letter.alias("theirs")
    other = t.delivery.alias("other")
    found = (
        select(other.c.channel)
        .distinct()
        .join(t.delivery, t.delivery.c.update_id == other.c.update_id)
        .where(
            t.delivery.c.id == delivery_id,
            other.c.id != delivery_id,
            other.c.shape == Shape.LETTER,
            exists().where(
                mine.c.delivery_id == delivery_id,
                mine.c.outcome.in_(["failed", "uncertain"]),
                theirs.c.delivery_id == other.c.id,
                theirs.c.subscriber_id == mine.c.subscriber_id,
                theirs.c.outcome.in_(_HAD),
            ),
        )
        .order_by(other.c.channel)
    )
    return tuple(connection.scalars(found))


_HAD = ("accepted", "uncertain", "doubtful")


def _lacks(delivery: Any) -> ColumnElement[bool]:
    """Whether a letter is to go again: it failed or is in doubt, and its reader has none by a channel that stood in."""
    other, theirs = t.delivery.alias("other"), t.letter.alias("theirs")
    elsewhere = exists().where(
        other.c.update_id == delivery.update_id,
        other.c.id != delivery.id,
        theirs.c.delivery_id == other.c.id,
        theirs.c.subscriber_id == t.letter.c.subscriber_id,
        theirs.c.outcome.in_(_HAD),
    )
    return and_(t.letter.c.outcome.in_(["failed", "uncertain"]), ~elsewhere)


def _is_unpulled() -> ColumnElement[bool]:
    """Whether a job has letters that were never pulled, or are to go again."""
    through = (
        select(func.count())
        .select_from(t.letter)
        .where(t.letter.c.job_id == t.job.c.id, t.letter.c.outcome != "doubtful")
        .scalar_subquery()
    )
    return func.json_array_length(t.job.c.subscribers) > through


def _letters_again(connection: Connection, delivery_id: int, now: datetime) -> int:
    """Letters that failed, that nobody knows of, or that were never pulled are to be sent; the others are through.

    Returns how many of them had been tried.
    """
    mine = t.letter.c.delivery_id == delivery_id
    lacks = _lacks(one(connection, delivery_id))
    doubted = connection.execute(
        sql_update(t.letter)
        .where(mine, t.letter.c.outcome == "uncertain", lacks)
        .values(outcome="doubtful")
    )
    dropped = connection.execute(
        delete(t.letter).where(mine, t.letter.c.outcome == "failed", lacks)
    )
    # Letters never pulled were counted as skipped when the delivery ended; a row has only who was left out on purpose.
    came_to = {
        "failed": t.letter.c.outcome == "failed",
        "skipped": t.letter.c.outcome == "skipped",
        "bounced": t.letter.c.reported == "failed",
    }
    left = {
        name: select(func.count()).select_from(t.letter).where(mine, which).scalar_subquery()
        for name, which in came_to.items()
    }
    connection.execute(sql_update(t.delivery).where(t.delivery.c.id == delivery_id).values(left))
    connection.execute(
        sql_update(t.job)
        .where(t.job.c.delivery_id == delivery_id, _is_unpulled())
        .values(state="waiting", due_at=now, attempts=0, watermark=0)
    )
    return doubted.rowcount + dropped.rowcount
