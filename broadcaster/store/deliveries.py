"""Claiming deliveries and writing down what came of them.

Every change of state is one conditional update whose row count is checked: a row that moved on meanwhile stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update as sql_update,
)

from broadcaster.domain.delivery import Outcome, Scope, State
from broadcaster.domain.incident import Revision
from broadcaster.store import doubt, tables as t
from broadcaster.store.claiming import LEASE, Claim, Step, database_now
from broadcaster.store.moving import end, move, stop_begun
from broadcaster.store.rowlocks import hold_deliveries, hold_jobs
from broadcaster.store.tallying import DOUBT

# Built once: to build a statement takes longer than to run it, and every attempt needs all of these.
_THIS_DELIVERY = t.delivery.c.id == bindparam("this")
_HELD = t.delivery.c.lease_token == bindparam("token")
_THIS_STEP = sql_update(t.step).where(t.step.c.id == bindparam("this"))
_TRIED = _THIS_STEP.values(attempts=t.step.c.attempts + 1)
_NEW_ATTEMPTS = insert(t.attempt).returning(t.attempt.c.id, sort_by_parameter_order=True)
_THIS_ATTEMPT = sql_update(t.attempt).where(t.attempt.c.id == bindparam("this"))
_RENEWED = sql_update(t.delivery).where(_THIS_DELIVERY, _HELD, ~t.delivery.c.stopped)
_LOCKED_TOKEN = select(t.delivery.c.lease_token).where(_THIS_DELIVERY).with_for_update()
_PUT_BACK = sql_update(t.delivery).where(
    _THIS_DELIVERY, _HELD, t.delivery.c.state == bindparam("claimed")
)
_STOPPED = select(t.delivery.c.stopped).where(_THIS_DELIVERY)
_BEHIND = t.delivery.alias("behind")
_CORRECTION_BEHIND = select(
    exists().where(
        _THIS_DELIVERY,
        _BEHIND.c.channel == t.delivery.c.channel,
        _BEHIND.c.incident_id == t.delivery.c.incident_id,
        _BEHIND.c.number > t.delivery.c.number,
        _BEHIND.c.priority == 0,
        _BEHIND.c.state == State.WAITING,
        _BEHIND.c.released,
    )
)
_NEXT_DUE = select(func.min(t.delivery.c.due_at)).where(
    t.delivery.c.channel == bindparam("channel"),
    t.delivery.c.released,
    t.delivery.c.state.in_([State.WAITING, State.UNCERTAIN]),
    t.is_open(),
)


def begin_attempt(
    connection: Connection, claim: Claim, step: Step, node: str, now: datetime
) -> int | None:
    """Write the attempt down before the call. None when the lease is lost or the text was stopped: do not call."""
    if not renew(connection, claim, now):
        return None
    return begin_attempts(connection, [(claim, step)], node, now)[0]


def begin_attempts(
    connection: Connection, tries: Sequence[tuple[Claim, Step]], node: str, now: datetime
) -> list[int]:
    """Write attempts down whose leases are held until this write ends; gives their ids in the order of `tries`."""
    tried = [
        {
            "this": step.id,
            "first_tried_at": step.first_tried_at or now,
            "reply_to": step.message.in_reply_to,
        }
        for _, step in tries
    ]
    connection.execute(_TRIED, tried)
    new = {"node": node, "started_at": now, "supplier": "", "detail": ""}
    attempts = [new | {"delivery_id": claim.id, "step_id": step.id} for claim, step in tries]
    return list(connection.scalars(_NEW_ATTEMPTS, attempts))


def renew(connection: Connection, claim: Claim, now: datetime) -> bool:
    """Hold the lease for another while; False when it is lost, or when the text was stopped meanwhile."""
    until = database_now(connection, now) + LEASE
    mine = {"this": claim.id, "token": claim.lease_token}
    return connection.execute(_RENEWED, mine | {"lease_until": until}).rowcount == 1


class LeaseLost(Exception):
    """Another node has the delivery by now: what it writes counts, and nothing of ours is kept."""


def require_lease(connection: Connection, claim: Claim) -> None:
    """Hold the row of a claim for this transaction. Raises LeaseLost when it is not ours any more."""
    if connection.scalar(_LOCKED_TOKEN, {"this": claim.id}) != claim.lease_token:
        raise LeaseLost(f"delivery {claim.id}")


def end_attempt(
    connection: Connection,
    attempt_id: int,
    now: datetime,
    outcome: Outcome,
    scope: Scope | None,
    detail: str,
) -> None:
    """Write down what one attempt came to."""
    came_to = {"ended_at": now, "outcome": outcome, "scope": scope, "detail": detail}
    connection.execute(_THIS_ATTEMPT, came_to | {"this": attempt_id})


def end_step(
    connection: Connection, step_id: int, outcome: str, handle: str = "", url: str = ""
) -> None:
    """Write down what a step came to: accepted, failed, uncertain or skipped."""
    came_to = {"outcome": outcome, "handle": handle, "url": url}
    connection.execute(_THIS_STEP, came_to | {"this": step_id})


def answer_anew(connection: Connection, step_id: int) -> None:
    """A post that certainly was not made answers the end of its thread as that stands when it is tried again."""
    connection.execute(sql_update(t.step).where(t.step.c.id == step_id).values(reply_to=None))


def answer_none(connection: Connection, step_id: int) -> None:
    """What a post was to answer is no more: it stands alone when it is tried again."""
    connection.execute(sql_update(t.step).where(t.step.c.id == step_id).values(reply_to=""))


def refusal(connection: Connection, delivery_id: int) -> str | None:
    """What the far side said to the first step of a delivery that it refused; None: it refused none."""
    said = connection.execute(
        select(t.attempt.c.detail)
        .join(t.step, t.step.c.id == t.attempt.c.step_id)
        .where(t.step.c.delivery_id == delivery_id, t.step.c.outcome == "failed")
        .order_by(t.step.c.position, t.attempt.c.id.desc())
        .limit(1)
    )
    return said.scalar()


def end_open_attempts(connection: Connection, step_id: int, now: datetime) -> None:
    """An attempt without an outcome was under way when the process died: it is uncertain."""
    connection.execute(
        sql_update(t.attempt)
        .where(t.attempt.c.step_id == step_id, t.attempt.c.ended_at.is_(None))
        .values(ended_at=now, outcome=Outcome.UNCERTAIN, detail="broken off")
    )


def reopen_step(connection: Connection, step_id: int) -> None:
    """A step that turned out not to have happened, or that may be repeated, is to be done again."""
    connection.execute(_THIS_STEP, {"this": step_id, "outcome": None})


def correction_waits_behind(connection: Connection, claim: Claim) -> bool:
    """Whether a correction or retraction may go out only after this one."""
    return bool(connection.scalar(_CORRECTION_BEHIND, {"this": claim.id}))


def put_back(
    connection: Connection,
    claim: Claim,
    now: datetime,
    due_at: datetime,
    detail: str,
    state: State = State.WAITING,
    *,
    wished: bool = False,
) -> bool:
    """Let a claimed delivery wait for another try (or, `uncertain`, for another look) at `due_at`.

    `wished` says that the far side asked for nothing before: then no word that comes behind it makes it try sooner.
    """
    values: dict[str, Any] = {
        "due_at": due_at,
        "wished": wished,
        "detail": detail,
        "lease_until": None,
        "lease_token": None,
    }
    if state is claim.state:
        mine = {"this": claim.id, "token": claim.lease_token, "claimed": state}
        changed = bool(connection.execute(_PUT_BACK, mine | values).rowcount)
    else:
        changed = move(connection, claim.id, state, claim.lease_token, **values)
    if state is State.WAITING:
        doubt.look_before(connection, claim.id, due_at)
    if state is State.WAITING and _stopped(connection, claim.id):
        return end(
            connection,
            claim.id,
            State.WITHDRAWN,
            now,
            "corrected or retracted before it was accepted",
        )
    return changed


def _stopped(connection: Connection, delivery_id: int) -> bool:
    return bool(connection.scalar(_STOPPED, {"this": delivery_id}))


def take_back_own(connection: Connection, node: str, now: datetime) -> int:
    """At start: what this node was doing when it died can be claimed again at once. Returns how many."""
    mine = and_(t.delivery.c.lease_node == node, t.is_open())
    sending = (t.job.c.lease_node == node, t.job.c.state == "sending", t.job_is_open)
    held = hold_jobs(connection, *sending)
    connection.execute(
        sql_update(t.job).where(t.job.c.id.in_(held), *sending).values(lease_until=now)
    )
    hold_deliveries(connection, mine)
    connection.execute(
        sql_update(t.delivery)
        .where(mine, t.delivery.c.state == State.UNCERTAIN)
        .values(lease_until=None, lease_token=None)
    )
    # A post in doubt holds up what comes behind it for the time of one look: that begins now, not when we died.
    connection.execute(
        sql_update(t.delivery)
        .where(mine, t.delivery.c.state == State.UNCERTAIN, t.delivery.c.due_at < now)
        .values(due_at=now)
    )
    taken = connection.execute(
        sql_update(t.delivery)
        .where(mine, t.delivery.c.state == State.SENDING)
        .values(state=State.WAITING, lease_until=None, lease_token=None, due_at=now)
    )
    return taken.rowcount


def take_back_orphans(connection: Connection, now: datetime) -> int:
    """What a node held whose lease has run out waits again. Returns how many."""
    orphaned = and_(
        t.is_open(),
        t.delivery.c.state == State.SENDING,
        t.delivery.c.lease_until < database_now(connection, now),
    )
    hold_deliveries(connection, orphaned)
    freed = connection.execute(
        sql_update(t.delivery)
        .where(orphaned)
        .values(state=State.WAITING, lease_until=None, lease_token=None, due_at=now)
    )
    return freed.rowcount


def expire(connection: Connection, now: datetime) -> int:
    """End what waited past its time. Returns how many."""
    past = (
        t.is_open(),
        t.delivery.c.released,
        t.delivery.c.not_after <= now,
        or_(t.delivery.c.lease_until.is_(None), t.delivery.c.lease_until < now),
    )
    hold_deliveries(connection, *past, t.delivery.c.state.in_([State.WAITING, State.UNCERTAIN]))
    ended = stop_begun(connection, *past, stopped=False)
    for state, detail in (
        (State.WAITING, "its time had passed before it could be sent"),
        (State.UNCERTAIN, DOUBT),
    ):
        ended += connection.execute(
            sql_update(t.delivery)
            .where(*past, t.delivery.c.state == state)
            .values(state=State.EXPIRED, ended_at=now, detail=detail)
        ).rowcount
    return ended


def next_due_at(connection: Connection, channel: str) -> datetime | None:
    """When the next delivery of a channel can be tried, or None."""
    at: datetime | None = connection.scalar(_NEXT_DUE, {"channel": channel})
    return at


def accept_boards(
    connection: Connection, channel: str, revision: Revision, now: datetime, detail: str, url: str
) -> Sequence[int]:
    """A board shows this revision: every update up to it is accepted. Returns the deliveries that changed."""
    epoch, n = revision.epoch, revision.n
    shown = select(t.update.c.id).where(
        or_(
            t.update.c.rev_epoch < epoch, and_(t.update.c.rev_epoch == epoch, t.update.c.rev_n <= n)
        )
    )
    rows = list(
        connection.execute(
            select(t.delivery.c.id, t.delivery.c.attempts)
            .where(
                t.delivery.c.channel == channel,
                t.delivery.c.state.in_([State.WAITING, State.SENDING]),
                t.is_open(),
                t.delivery.c.released,
                t.delivery.c.update_id.in_(shown),
            )
            .order_by(t.delivery.c.id.desc())
        )
    )
    for row in rows:
        move(connection, row.id, State.SENDING, started_at=now, attempts=row.attempts + 1)
        end(connection, row.id, State.ACCEPTED, now, detail, url)
    return [row.id for row in rows]


def confirm(connection: Connection, delivery_ids: Sequence[int]) -> None:
    """What was accepted has been seen from outside."""
    hold_deliveries(connection, t.delivery.c.id.in_(delivery_ids))
    for delivery_id in delivery_ids:
        move(connection, delivery_id, State.CONFIRMED)


def note_detail(connection: Connection, channel: str, detail: str) -> None:
    """Say on what waits on a channel why it waits."""
    waiting = and_(
        t.delivery.c.channel == channel,
        t.delivery.c.state == State.WAITING,
        t.is_open(),
        t.delivery.c.released,
    )
    hold_deliveries(connection, waiting)
    connection.execute(
        sql_update(t.delivery)
        .where(waiting)
        .values(detail=detail, attempts=t.delivery.c.attempts + 1)
    )
