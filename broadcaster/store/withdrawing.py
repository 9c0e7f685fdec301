"""Posts that are taken away again: what is left of a delivery, and what is found after its text was retracted."""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, or_, select, update as sql_update

from broadcaster.domain.delivery import State, StepKind
from broadcaster.domain.incident import Kind
from broadcaster.store import tables as t
from broadcaster.store.accepting import new_key
from broadcaster.store.moving import move


def note_taken(connection: Connection, step_id: int) -> None:
    """A step that takes a post away was accepted: its target's delivery may be withdrawn as a whole now."""
    post = t.step.alias("post")
    delivery_id = connection.scalar(
        select(post.c.delivery_id)
        .join(t.step, t.step.c.target_step == post.c.id)
        .where(t.step.c.id == step_id)
    )
    if delivery_id is not None:
        note_withdrawn(connection, delivery_id)


def note_withdrawn(connection: Connection, delivery_id: int) -> None:
    """When posts of a delivery were taken away and none is left at the far side, the delivery is withdrawn."""
    taken = select(t.step.c.target_step).where(
        t.step.c.kind == StepKind.WITHDRAW,
        t.step.c.outcome == "accepted",
        t.step.c.target_step.is_not(None),
    )
    posts = select(func.count()).where(
        t.step.c.delivery_id == delivery_id,
        t.step.c.kind == StepKind.POST,
        t.step.c.outcome == "accepted",
    )
    if connection.scalar(posts) and not connection.scalar(posts.where(t.step.c.id.not_in(taken))):
        move(connection, delivery_id, State.WITHDRAWN)


def take_away_found(connection: Connection, delivery_id: int, step_id: int) -> bool:
    """A post of uncertain fate was found. When its text was retracted meanwhile, plan taking it away.

    The retraction itself went by this step, because there was nothing to take away yet. What of the text was still to
    be posted is not posted. False when it was not retracted: then there is nothing to do.
    """
    delivery = connection.execute(select(t.delivery).where(t.delivery.c.id == delivery_id)).one()
    retracted = connection.scalar(
        select(t.update.c.id)
        .where(
            t.update.c.incident_id == delivery.incident_id,
            t.update.c.number > delivery.number,
            t.update.c.kind == Kind.RETRACTION,
            t.update.c.released_at.is_not(None),
            or_(t.update.c.corrects == delivery.number, t.update.c.corrects_all),
        )
        .limit(1)
    )
    if retracted is None:
        return False
    connection.execute(
        sql_update(t.step)
        .where(t.step.c.delivery_id == delivery_id, t.step.c.outcome.is_(None))
        .values(outcome="skipped")
    )
    last = connection.scalar(
        select(func.max(t.step.c.position)).where(t.step.c.delivery_id == delivery_id)
    )
    connection.execute(
        insert(t.step).values(
            delivery_id=delivery_id,
            position=(last or 0) + 1,
            kind=StepKind.WITHDRAW,
            target_step=step_id,
            handle="",
            url="",
            key=new_key(),
            attempts=0,
        )
    )
    # It was stopped so that its text goes nowhere; what is left to do is to take it away.
    connection.execute(
        sql_update(t.delivery).where(t.delivery.c.id == delivery_id).values(stopped=False)
    )
    return True
