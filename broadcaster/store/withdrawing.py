"""Posts that are taken away again: what is left of a delivery, and what is found after its text was retracted."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, select, update as sql_update

from broadcaster.domain.delivery import State, StepKind
from broadcaster.domain.incident import Kind
from broadcaster.store import sent, tables as t
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
        note_withdrawn(connection, delivery_id, sent.posts(connection, delivery_id))


def note_withdrawn(connection: Connection, delivery_id: int, posts: Sequence[sent.Posted]) -> None:
    """When posts of a delivery were taken away and none is left at the far side, the delivery is withdrawn."""
    if posts and all(post.taken_away for post in posts):
        move(connection, delivery_id, State.WITHDRAWN)


def take_away_found(connection: Connection, delivery_id: int, step_id: int) -> bool:
    """A post of uncertain fate was found. When its text was retracted meanwhile, plan taking it away.

    The retraction itself went by this step, because there was nothing to take away yet. What of the text was still to
    be posted is not posted. False when it was not retracted: then there is nothing to do.
    """
    delivery = connection.execute(select(t.delivery).where(t.delivery.c.id == delivery_id)).one()
    if not _is_retracted(connection, delivery.incident_id, delivery.number):
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


def _is_retracted(connection: Connection, incident_id: int, number: int) -> bool:
    """Whether a word was retracted, or a correction of it: a retracted correction took what it corrected with it."""
    gone = {number}
    for later in connection.execute(
        select(t.update.c.number, t.update.c.kind, t.update.c.corrects, t.update.c.corrects_all)
        .where(
            t.update.c.incident_id == incident_id,
            t.update.c.number > number,
            t.update.c.kind.in_([Kind.CORRECTION, Kind.RETRACTION]),
            t.update.c.released_at.is_not(None),
        )
        .order_by(t.update.c.number)
    ):
        if later.corrects_all or later.corrects in gone:
            if later.kind == Kind.RETRACTION:
                return True
            gone.add(later.number)
    return False
