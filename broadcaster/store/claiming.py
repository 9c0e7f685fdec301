"""Claiming deliveries: which may go now, and what each of their steps will say, looked up as late as possible."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    ScalarSelect,
    Select,
    String,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    update as sql_update,
)

from broadcaster.domain.delivery import Shape, State, StepKind
from broadcaster.domain.exchange import Message
from broadcaster.domain.incident import Kind, Severity
from broadcaster.store import tables as t
from broadcaster.store.accepting import incident_name

LEASE = timedelta(seconds=15)
# Half of the ten seconds in which a correction starts; what it stops is drained meanwhile.
LOOK = timedelta(seconds=5)
# So long a word waits for what becomes of an earlier post in doubt, each time that it is due.
DOUBT = timedelta(seconds=10)


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
    """A delivery this node may work on until its lease ends. Its state is `sending`, or `uncertain` to be looked up.

    `stopped`: its text was corrected or retracted, and no call of it may begin any more.
    """

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
    stopped: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Up to `most` heads of a channel.

    `urgent_only` leaves all but corrections and retractions; without `look_first` these wait for no look at a post in doubt.
    """

    channel: str
    most: int
    urgent_only: bool = False
    look_first: bool = True


_NOW = select(func.clock_timestamp())


def database_now(connection: Connection, now: datetime) -> datetime:
    """The database's own clock on PostgreSQL, where nodes may disagree about the time; `now` on SQLite."""
    if connection.dialect.name == "sqlite":
        return now
    at: datetime = connection.execute(_NOW).scalar_one()
    return at


@functools.cache
def _heads(urgent_only: bool) -> Select[Any]:
    """Deliveries of :channel that may be claimed: due, released, it is open, and no earlier one of their incident is.

    Made once: to put it together costs more than to run it. `:at` is when it is asked, `:look` and `:doubt` so much
    before it, `:soon` a while after.
    """
    channel = bindparam("channel", type_=String)
    times = ("at", "look", "doubt", "soon", "now")
    at, look, doubt, soon, now = (bindparam(name, type_=t.UtcTime) for name in times)
    mine, earlier = t.delivery, t.delivery.alias("earlier")
    blocked = exists().where(
        earlier.c.channel == channel,
        earlier.c.incident_id == mine.c.incident_id,
        earlier.c.released,
        or_(
            # What was accepted and is sent again goes to those who lack it, and holds nobody else up.
            and_(
                earlier.c.number < mine.c.number,
                earlier.c.state.in_([State.WAITING, State.SENDING]),
                earlier.c.accepted_at.is_(None),
            ),
            and_(earlier.c.number > mine.c.number, earlier.c.state == State.SENDING),
            # The same update, come back after another channel had taken it over.
            and_(
                earlier.c.number == mine.c.number,
                earlier.c.id < mine.c.id,
                earlier.c.state == State.SENDING,
            ),
            # A post that may have gone is looked for before the next goes, or it might be posted after it. It holds
            # the next up for one look, and for more while that is but seconds due; and a correction or retraction for
            # a few seconds of one look.
            and_(
                earlier.c.number < mine.c.number,
                earlier.c.state == State.UNCERTAIN,
                earlier.c.shape == Shape.POST,
                ~earlier.c.stopped,
                or_(
                    and_(earlier.c.due_at <= at, or_(mine.c.priority > 0, earlier.c.due_at > look)),
                    and_(
                        mine.c.priority > 0,
                        mine.c.state == State.WAITING,
                        mine.c.due_at > doubt,
                        earlier.c.due_at < soon,
                    ),
                ),
            ),
        ),
    )
    # Whom a fallback writes to is known only when the channel it stands in for has stopped; and whom a correction
    # does, when those that stood in for its channel have, whose letters are on their way.
    giving_over = exists().where(
        or_(
            earlier.c.id == mine.c.fallback_for,
            and_(
                mine.c.shape == Shape.LETTER,
                mine.c.priority == 0,
                earlier.c.incident_id == mine.c.incident_id,
                earlier.c.number < mine.c.number,
                earlier.c.shape == Shape.LETTER,
                earlier.c.fallback_for.is_not(None),
                earlier.c.stopped,
            ),
        ),
        earlier.c.state == State.SENDING,
        t.is_open(earlier),
    )
    closed = exists().where(
        t.channel_state.c.channel == channel,
        or_(t.channel_state.c.parked_at.is_not(None), t.channel_state.c.paused_at.is_not(None)),
    )
    query = (
        select(mine, t.update.c.kind, t.update.c.severity, t.incident.c.staff)
        .join(t.update, t.update.c.id == mine.c.update_id)
        .join(t.incident, t.incident.c.id == mine.c.incident_id)
        .where(
            mine.c.channel == channel,
            ~closed,
            mine.c.released,
            mine.c.state.in_([State.WAITING, State.UNCERTAIN]),
            t.is_open(mine),
            mine.c.due_at <= at,
            or_(mine.c.lease_until.is_(None), mine.c.lease_until < at),
            ~blocked,
            ~giving_over,
            mine.c.not_after > now,
        )
        .order_by(mine.c.priority, mine.c.due_at, mine.c.id)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True, of=mine)
    )
    return query.where(mine.c.priority == 0) if urgent_only else query


def claim(
    connection: Connection,
    *,
    channel: str,
    node: str,
    now: datetime,
    limit: int,
    urgent_only: bool = False,
    look_first: bool = True,
) -> tuple[Claim, ...]:
    """Claim up to `limit` heads of a channel; see `Wanted` and `claim_all`."""
    wanted = Wanted(channel=channel, most=limit, urgent_only=urgent_only, look_first=look_first)
    return claim_all(connection, (wanted,), node=node, now=now)


def claim_all(
    connection: Connection, wanted: Sequence[Wanted], *, node: str, now: datetime
) -> tuple[Claim, ...]:
    """Claim heads of several channels, of each as many as are wanted of it.

    What is past its time is left to `deliveries.expire`. On PostgreSQL rows another node holds are passed over.
    """
    at = database_now(connection, now)
    rows = list(_free(connection, wanted, at, now))
    if not rows:
        return ()
    taken = [
        {
            "this": row.id,
            "state": _claimed_state(row),
            "lease_node": node,
            "lease_token": secrets.token_hex(8),
            "lease_until": at + LEASE,
            "started_at": row.started_at or now,
            "attempts": row.attempts + 1,
        }
        for row in rows
    ]
    connection.execute(_TAKEN, taken)
    steps = _steps(connection, {row.id: row for row in rows})
    return tuple(
        _claim(row, each["lease_token"], steps.get(row.id, ()))
        for row, each in zip(rows, taken, strict=True)
    )


_TAKEN = sql_update(t.delivery).where(t.delivery.c.id == bindparam("this"))


def _free(
    connection: Connection, wanted: Sequence[Wanted], at: datetime, now: datetime
) -> Iterator[Any]:
    """The rows that may be claimed. A channel has a query of its own: none fills the places of another."""
    sending = set[int]()
    for each in wanted:
        asked = {
            "channel": each.channel,
            "at": at,
            "look": at - LOOK if each.look_first else at,
            "doubt": at - DOUBT,
            "soon": at + DOUBT,
            "now": now,
            "most": each.most,
        }
        for row in connection.execute(_heads(each.urgent_only), asked).all():
            # What it stands in for begins in this very write (see `giving_over`), or it was asked for twice.
            if not sending & {row.id, row.fallback_for}:
                sending.add(row.id)
                yield row


def _claimed_state(row: Any) -> State:
    return State.SENDING if row.state == State.WAITING else State.UNCERTAIN


def _claim(row: Any, token: str, steps: Sequence[Step]) -> Claim:
    return Claim(
        id=row.id,
        update_id=row.update_id,
        incident=incident_name(row.incident_id, row.staff),
        number=row.number,
        channel=row.channel,
        shape=Shape(row.shape),
        state=_claimed_state(row),
        priority=row.priority,
        life_safety=row.life_safety,
        not_after=row.not_after,
        lease_token=token,
        attempts=row.attempts + 1,
        expanded=row.expanded,
        stopped=row.stopped,
        steps=tuple(steps),
    )


def _steps(connection: Connection, claimed: Mapping[int, Any]) -> dict[int, list[Step]]:
    """What is to be done for each of these deliveries, in order."""
    found: dict[int, list[Step]] = {}
    for row in connection.execute(_to_do(), {"deliveries": list(claimed)}).all():
        step = _step(connection, row, claimed[row.delivery_id])
        found.setdefault(row.delivery_id, []).append(step)
    return found


def _step(connection: Connection, row: Any, delivery: Any) -> Step:
    """One step with its message: what it answers and what it changes are looked up now, not when it was planned."""
    target = ""
    if row.target_step is not None:
        target = connection.scalar(_HANDLE, {"step": row.target_step}) or ""
    return Step(
        id=row.id,
        position=row.position,
        kind=StepKind(row.kind),
        attempts=row.attempts,
        first_tried_at=row.first_tried_at,
        uncertain=row.outcome == "uncertain" or bool(row.broken_off),
        skip=row.target_step is not None and not target,
        message=Message(
            incident=incident_name(delivery.incident_id, delivery.staff),
            number=delivery.number,
            kind=Kind(delivery.kind),
            severity=Severity(delivery.severity),
            language=row.language or "",
            key=row.key,
            body=row.body or "",
            subject=row.subject or "",
            payload=row.payload or "",
            in_reply_to=row.answers or "",
            target=target,
        ),
    )


_HANDLE = select(t.step.c.handle).where(t.step.c.id == bindparam("step"))


@functools.cache
def _to_do() -> Select[Any]:
    """The steps of :deliveries that are not done, in order, with what they say.

    `broken_off`: the last attempt has no outcome, for the process died while the call was under way. `answers` is what
    was answered when it was tried before, else the end of its thread as that stands now.
    """
    broken_off = (
        select(t.attempt.c.ended_at.is_(None))
        .where(t.attempt.c.step_id == t.step.c.id)
        .order_by(t.attempt.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    mine = t.delivery.alias("mine")
    answers = func.coalesce(t.step.c.reply_to, _thread_end(mine))
    said = t.message.c.body, t.message.c.subject, t.message.c.payload, t.message.c.language
    return (
        select(t.step, *said, broken_off.label("broken_off"), answers.label("answers"))
        .join(mine, mine.c.id == t.step.c.delivery_id)
        .outerjoin(t.message, t.message.c.id == t.step.c.message_id)
        .where(
            t.step.c.delivery_id.in_(bindparam("deliveries", expanding=True)),
            or_(t.step.c.outcome.is_(None), t.step.c.outcome == "uncertain"),
        )
        .order_by(t.step.c.delivery_id, t.step.c.position)
    )


def _thread_end(mine: FromClause) -> ScalarSelect[Any]:
    """The handle of the newest other post of the incident by the channel, in the language of a step, that still stands."""
    post, words = t.step.alias("post"), t.message.alias("words")
    return (
        select(post.c.handle)
        .join(t.delivery, t.delivery.c.id == post.c.delivery_id)
        .join(words, words.c.id == post.c.message_id)
        .where(
            words.c.language == t.message.c.language,
            t.delivery.c.channel == mine.c.channel,
            t.delivery.c.incident_id == mine.c.incident_id,
            post.c.kind == StepKind.POST,
            post.c.outcome == "accepted",
            post.c.handle != "",
            post.c.id != t.step.c.id,
            ~is_taken_away(post),
        )
        # Plus nothing: SQLite would rather walk through every step there is than sort these few.
        .order_by((post.c.id + 0).desc())
        .limit(1)
        .correlate(t.step, t.message, mine)
        .scalar_subquery()
    )


def is_taken_away(post: FromClause) -> ColumnElement[bool]:
    """Whether a post was taken away at the far side."""
    taking = t.step.alias("taking")
    return exists().where(
        taking.c.target_step == post.c.id,
        taking.c.kind == StepKind.WITHDRAW,
        taking.c.outcome == "accepted",
    )
