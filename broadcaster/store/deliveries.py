"""Claiming deliveries and writing down what came of them.

Every change of state is one conditional update whose row count is checked: a row that moved on meanwhile stays as it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, exists, func, insert, or_, select, update as sql_update

from broadcaster.domain.exchange import Message
from broadcaster.domain.delivery import Outcome, Scope, Shape, State, StepKind, sources
from broadcaster.domain.incident import Kind, Revision, Severity
from broadcaster.store import tables as t
from broadcaster.store.accepting import incident_name

LEASE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step still to be done, with its message ready to be sent.

    `last` is the outcome of its last attempt when that is uncertain or unknown: then it is looked up before it is
    repeated. `skip` says that there is nothing to do (the post to amend or withdraw was never made).
    """

    id: int
    position: int
    kind: StepKind
    attempts: int
    first_tried_at: datetime | None
    uncertain: bool
    skip: bool
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A delivery this node may work on until its lease ends. Its state is `sending`, or `uncertain` to be looked up."""

    id: int
    update_id: int
    incident: str
    number: int
    channel: str
    shape: Shape
    state: State
    priority: int
    life_safety: bool
    not_after: datetime
    lease_token: str
    attempts: int
    expanded: bool
    steps: tuple[Step, ...]


def database_now(connection: Connection, now: datetime) -> datetime:
    """The database's own clock on PostgreSQL, where nodes may disagree about the time; `now` on SQLite."""
    if connection.dialect.name == "sqlite":
        return now
    return connection.execute(select(func.clock_timestamp())).scalar_one()


def heads(channel: str, at: datetime) -> Any:
    """Deliveries of a channel that may be claimed: due, released, and no earlier one of their incident is open."""
    mine, earlier = t.delivery, t.delivery.alias("earlier")
    blocked = exists().where(
        earlier.c.channel == channel,
        earlier.c.incident_id == mine.c.incident_id,
        earlier.c.released,
        or_(
            and_(earlier.c.number < mine.c.number, earlier.c.state.in_([State.WAITING, State.SENDING])),
            and_(earlier.c.number > mine.c.number, earlier.c.state == State.SENDING),
        ),
    )
    # Whom a fallback writes to is known only when the channel it stands in for has stopped.
    giving_over = exists().where(earlier.c.id == mine.c.fallback_for, earlier.c.state == State.SENDING)
    return (
        select(mine)
        .where(
            mine.c.channel == channel,
            mine.c.released,
            mine.c.state.in_([State.WAITING, State.UNCERTAIN]),
            mine.c.due_at <= at,
            or_(mine.c.lease_until.is_(None), mine.c.lease_until < at),
            ~blocked,
            ~giving_over,
        )
        .order_by(mine.c.priority, mine.c.due_at, mine.c.id)
    )


def claim(
    connection: Connection, channel: str, node: str, now: datetime, limit: int, urgent_only: bool = False
) -> tuple[Claim, ...]:
    """Claim up to `limit` heads of a channel; expired ones end here and are not returned.

    `urgent_only` leaves all but corrections and retractions. On PostgreSQL rows another node holds are passed over.
    """
    at = database_now(connection, now)
    query = heads(channel, at)
    if urgent_only:
        query = query.where(t.delivery.c.priority == 0)
    claimed = []
    for row in connection.execute(query.limit(limit).with_for_update(skip_locked=True)).all():
        if row.not_after <= now:
            end(connection, row.id, State.EXPIRED, now, "its time had passed before it could be sent")
            continue
        token = secrets.token_hex(8)
        state = State.SENDING if row.state == State.WAITING else State.UNCERTAIN
        connection.execute(
            sql_update(t.delivery)
            .where(t.delivery.c.id == row.id)
            .values(
                state=state,
                lease_node=node,
                lease_token=token,
                lease_until=at + LEASE,
                started_at=row.started_at or now,
                attempts=row.attempts + 1,
            )
        )
        claimed.append(_claim(connection, row, state, token))
    return tuple(claimed)


def _claim(connection: Connection, row: Any, state: State, token: str) -> Claim:
    said = connection.execute(
        select(t.update.c.kind, t.update.c.severity, t.incident.c.staff)
        .join(t.incident, t.incident.c.id == t.update.c.incident_id)
        .where(t.update.c.id == row.update_id)
    ).one()
    incident = incident_name(row.incident_id, said.staff)
    rows = connection.execute(
        select(t.step, t.message.c.body, t.message.c.subject, t.message.c.payload, t.message.c.language)
        .outerjoin(t.message, t.message.c.id == t.step.c.message_id)
        .where(t.step.c.delivery_id == row.id, or_(t.step.c.outcome.is_(None), t.step.c.outcome == "uncertain"))
        .order_by(t.step.c.position)
    ).all()
    return Claim(
        id=row.id,
        update_id=row.update_id,
        incident=incident,
        number=row.number,
        channel=row.channel,
        shape=Shape(row.shape),
        state=state,
        priority=row.priority,
        life_safety=row.life_safety,
        not_after=row.not_after,
        lease_token=token,
        attempts=row.attempts + 1,
        expanded=row.expanded,
        steps=tuple(
            step(connection, found, row, incident, Kind(said.kind), Severity(said.severity)) for found in rows
        ),
    )


def step(connection: Connection, row: Any, delivery: Any, incident: str, kind: Kind, severity: Severity) -> Step:
    """One step with its message: what it answers and what it changes are looked up now, not when it was planned."""
    target = ""
    if row.target_step is not None:
        target = connection.scalar(select(t.step.c.handle).where(t.step.c.id == row.target_step)) or ""
    return Step(
        id=row.id,
        position=row.position,
        kind=StepKind(row.kind),
        attempts=row.attempts,
        first_tried_at=row.first_tried_at,
        uncertain=row.outcome == "uncertain" or _broken_off(connection, row.id),
        skip=row.target_step is not None and not target,
        message=Message(
            incident=incident,
            number=delivery.number,
            kind=kind,
            severity=severity,
            language=row.language or "",
            key=row.key,
            body=row.body or "",
            subject=row.subject or "",
            payload=row.payload or "",
            in_reply_to=_thread_end(connection, delivery, row),
            target=target,
        ),
    )


def _broken_off(connection: Connection, step_id: int) -> bool:
    """Whether the last attempt has no outcome: the process died while the call was under way."""
    last = connection.execute(
        select(t.attempt.c.ended_at).where(t.attempt.c.step_id == step_id).order_by(t.attempt.c.id.desc()).limit(1)
    ).first()
    return last is not None and last.ended_at is None


def _thread_end(connection: Connection, delivery: Any, row: Any) -> str:
    """The far side's handle of the newest post of this incident on this channel that still stands."""
    taken = select(t.step.c.target_step).where(t.step.c.kind == StepKind.WITHDRAW, t.step.c.outcome == "accepted")
    return (
        connection.scalar(
            select(t.step.c.handle)
            .join(t.delivery, t.delivery.c.id == t.step.c.delivery_id)
            .where(
                t.delivery.c.channel == delivery.channel,
                t.delivery.c.incident_id == delivery.incident_id,
                t.step.c.kind == StepKind.POST,
                t.step.c.outcome == "accepted",
                t.step.c.handle != "",
                t.step.c.id != row.id,
                t.step.c.id.not_in(taken.where(t.step.c.target_step.is_not(None))),
            )
            .order_by(t.step.c.id.desc())
            .limit(1)
        )
        or ""
    )


def begin_attempt(connection: Connection, claim: Claim, step: Step, node: str, now: datetime) -> int | None:
    """Write the attempt down before the call. None when the lease is lost or the text was stopped: do not call."""
    if not renew(connection, claim, now):
        return None
    connection.execute(
        sql_update(t.step)
        .where(t.step.c.id == step.id)
        .values(attempts=t.step.c.attempts + 1, first_tried_at=step.first_tried_at or now)
    )
    return _insert_attempt(connection, delivery_id=claim.id, step_id=step.id, node=node, started_at=now)


def _insert_attempt(connection: Connection, **row: Any) -> int:
    key = connection.execute(
        insert(t.attempt).values({"supplier": "", "detail": ""} | row)
    ).inserted_primary_key
    assert key is not None  # noqa: S101 - the table has one generated key
    return int(key[0])


def renew(connection: Connection, claim: Claim, now: datetime) -> bool:
    """Hold the lease for another while; False when it is lost, or when the text was stopped meanwhile."""
    at = database_now(connection, now)
    held = connection.execute(
        sql_update(t.delivery)
        .where(t.delivery.c.id == claim.id, t.delivery.c.lease_token == claim.lease_token, ~t.delivery.c.stopped)
        .values(lease_until=at + LEASE)
    )
    return held.rowcount == 1


def end_attempt(
    connection: Connection, attempt_id: int, now: datetime, outcome: Outcome, scope: Scope | None, detail: str
) -> None:
    """Write down what one attempt came to."""
    connection.execute(
        sql_update(t.attempt)
        .where(t.attempt.c.id == attempt_id)
        .values(ended_at=now, outcome=outcome, scope=scope, detail=detail)
    )


def end_step(connection: Connection, step_id: int, outcome: str, handle: str = "", url: str = "") -> None:
    """Write down what a step came to: accepted, failed, uncertain or skipped."""
    connection.execute(
        sql_update(t.step).where(t.step.c.id == step_id).values(outcome=outcome, handle=handle, url=url)
    )


def end_open_attempts(connection: Connection, step_id: int, now: datetime) -> None:
    """An attempt without an outcome was under way when the process died: it is uncertain."""
    connection.execute(
        sql_update(t.attempt)
        .where(t.attempt.c.step_id == step_id, t.attempt.c.ended_at.is_(None))
        .values(ended_at=now, outcome=Outcome.UNCERTAIN, detail="broken off")
    )


def reopen_step(connection: Connection, step_id: int) -> None:
    """A step that turned out not to have happened, or that may be repeated, is to be done again."""
    connection.execute(sql_update(t.step).where(t.step.c.id == step_id).values(outcome=None))


def move(
    connection: Connection, delivery_id: int, target: State, token: str | None = None, **values: Any
) -> bool:
    """Change a delivery's state if the table of transitions allows it from where it stands; False otherwise."""
    query = sql_update(t.delivery).where(
        t.delivery.c.id == delivery_id, t.delivery.c.state.in_([str(state) for state in sources(target)])
    )
    if token is not None:
        query = query.where(t.delivery.c.lease_token == token)
    return connection.execute(query.values(state=target, **values)).rowcount == 1


def end(connection: Connection, delivery_id: int, state: State, now: datetime, detail: str, url: str = "") -> bool:
    """Bring a delivery to an end and let go of its lease."""
    values: dict[str, Any] = {"ended_at": now, "detail": detail, "lease_until": None, "lease_token": None}
    if state is State.ACCEPTED:
        values |= {"accepted_at": now, "url": url}
    return move(connection, delivery_id, state, **values)


def put_back(
    connection: Connection,
    claim: Claim,
    now: datetime,
    due_at: datetime,
    detail: str,
    state: State = State.WAITING,
) -> bool:
    """Let a claimed delivery wait for another try (or, `uncertain`, for another look) at `due_at`."""
    values: dict[str, Any] = {"due_at": due_at, "detail": detail, "lease_until": None, "lease_token": None}
    if state is claim.state:
        changed = connection.execute(
            sql_update(t.delivery).where(t.delivery.c.id == claim.id, t.delivery.c.state == state).values(**values)
        ).rowcount
    else:
        changed = move(connection, claim.id, state, claim.lease_token, **values)
    if state is State.WAITING and _stopped(connection, claim.id):
        return end(connection, claim.id, State.WITHDRAWN, now, "corrected or retracted before it was accepted")
    return bool(changed)


def _stopped(connection: Connection, delivery_id: int) -> bool:
    return bool(connection.scalar(select(t.delivery.c.stopped).where(t.delivery.c.id == delivery_id)))


def take_back_own(connection: Connection, node: str, now: datetime) -> int:
    """At start: what this node was doing when it died can be claimed again at once. Returns how many."""
    uncertain = connection.execute(
        sql_update(t.delivery)
        .where(t.delivery.c.lease_node == node, t.delivery.c.state.in_([State.SENDING, State.UNCERTAIN]))
        .values(lease_until=None, lease_token=None, due_at=now)
    )
    connection.execute(
        sql_update(t.delivery)
        .where(t.delivery.c.lease_node == node, t.delivery.c.state == State.SENDING)
        .values(state=State.WAITING)
    )
    connection.execute(
        sql_update(t.job).where(t.job.c.lease_node == node, t.job.c.state == "sending").values(lease_until=now)
    )
    return uncertain.rowcount


def take_back_orphans(connection: Connection, now: datetime) -> int:
    """What a node held whose lease has run out waits again. Returns how many."""
    at = database_now(connection, now)
    freed = connection.execute(
        sql_update(t.delivery)
        .where(t.delivery.c.state == State.SENDING, t.delivery.c.lease_until < at)
        .values(state=State.WAITING, lease_until=None, lease_token=None, due_at=now)
    )
    return freed.rowcount


def expire(connection: Connection, now: datetime) -> int:
    """End what waited past its time. Returns how many."""
    expired = connection.execute(
        sql_update(t.delivery)
        .where(
            t.delivery.c.state.in_([State.WAITING, State.UNCERTAIN]),
            t.delivery.c.released,
            t.delivery.c.not_after <= now,
            or_(t.delivery.c.lease_until.is_(None), t.delivery.c.lease_until < now),
        )
        .values(state=State.EXPIRED, ended_at=now, detail="its time had passed before it could be sent")
    )
    return expired.rowcount


def next_due_at(connection: Connection, channel: str) -> datetime | None:
    """When the next delivery of a channel can be tried, or None."""
    return connection.scalar(
        select(func.min(t.delivery.c.due_at)).where(
            t.delivery.c.channel == channel,
            t.delivery.c.released,
            t.delivery.c.state.in_([State.WAITING, State.UNCERTAIN]),
        )
    )


def accept_boards(
    connection: Connection, channel: str, revision: Revision, now: datetime, detail: str, url: str
) -> Sequence[int]:
    """A board shows this revision: every update up to it is accepted. Returns the deliveries that changed."""
    epoch, n = revision.epoch, revision.n
    shown = select(t.update.c.id).where(
        or_(t.update.c.rev_epoch < epoch, and_(t.update.c.rev_epoch == epoch, t.update.c.rev_n <= n))
    )
    ids = list(
        connection.scalars(
            select(t.delivery.c.id).where(
                t.delivery.c.channel == channel,
                t.delivery.c.state.in_([State.WAITING, State.SENDING]),
                t.delivery.c.released,
                t.delivery.c.update_id.in_(shown),
            )
        )
    )
    for delivery_id in ids:
        move(connection, delivery_id, State.SENDING, started_at=now, attempts=t.delivery.c.attempts + 1)
        end(connection, delivery_id, State.ACCEPTED, now, detail, url)
    return ids


def confirm(connection: Connection, delivery_ids: Sequence[int]) -> None:
    """What was accepted has been seen from outside."""
    for delivery_id in delivery_ids:
        move(connection, delivery_id, State.CONFIRMED)


def note_detail(connection: Connection, channel: str, detail: str) -> None:
    """Say on what waits on a channel why it waits."""
    connection.execute(
        sql_update(t.delivery)
        .where(t.delivery.c.channel == channel, t.delivery.c.state == State.WAITING, t.delivery.c.released)
        .values(detail=detail, attempts=t.delivery.c.attempts + 1)
    )
