"""What may have gone: a post is looked for before a later word of its incident goes out, letters hold none up for long."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    func,
    or_,
    select,
    update as sql_update,
)

from broadcaster.domain.delivery import Outcome, Shape, State
from broadcaster.domain.incident import Kind
from broadcaster.store import tables as t
from broadcaster.store.rowlocks import hold_deliveries

AT_ONCE = 2
"""Doubts after which the next try follows like any other; after one more it rests (see `engine.repeats`)."""


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


def times(connection: Connection, step_id: int) -> int:
    """How many tries of a step may have gone: those that certainly brought nothing out are none of them."""
    attempt = t.attempt.c
    in_doubt = or_(attempt.outcome.is_(None), attempt.outcome == Outcome.UNCERTAIN)
    mine = select(func.count()).select_from(t.attempt).where(attempt.step_id == step_id, in_doubt)
    return connection.scalar(mine) or 0


def gives_way(connection: Connection, delivery: Any, now: datetime, at: datetime) -> bool:
    """Whether a delivery of letters has come to its end because a later word of its incident waits behind it.

    That is so once nothing is left of it but letters that may have gone and were tried often enough to rest now: the later
    word makes a repeat needless. Where most are in doubt it is the gateway that is silent, and hardly anybody may have had it:
    then only a later word that says something new, to everybody this one was for, makes it needless. `at` is the
    database's time.
    """
    if delivery.accepted_at is not None or not delivery.expanded:
        return False
    later, letter = t.delivery.alias("later"), t.letter.c
    u = t.update.c
    about = select(u.kind, u.areas, u.ended)
    waiting = about.join(later, later.c.update_id == u.id).where(
        later.c.channel == delivery.channel,
        later.c.incident_id == delivery.incident_id,
        later.c.number > delivery.number,
        later.c.state == State.WAITING,
        later.c.released,
        later.c.due_at <= at,
        later.c.not_after > now,
    )
    words = connection.execute(waiting).all()
    if not words:
        return False
    # Who was never written to, or surely not reached, is still to be: then there are fewer letters than readers.
    tried = (
        select(func.count())
        .select_from(t.letter)
        .where(letter.job_id == t.job.c.id, letter.outcome != "transient")
        .scalar_subquery()
    )
    goes_on = or_(
        t.job.c.state != "waiting",
        t.job.c.attempts <= AT_ONCE,
        func.json_array_length(t.job.c.subscribers) > tried,
    )
    its_jobs = select(t.job.c.id).where(t.job.c.delivery_id == delivery.id, t.job_is_open, goes_on)
    if connection.execute(its_jobs.limit(1)).first() is not None:
        return False
    if delivery.accepted > delivery.uncertain:
        return True
    mine = connection.execute(about.where(u.id == delivery.update_id)).one()
    told = {*mine.areas, *mine.ended}
    return any(w.kind != Kind.HOLDING and told <= {*w.areas, *w.ended} for w in words)
