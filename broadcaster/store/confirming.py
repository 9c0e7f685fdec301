"""What was accepted and not yet seen, and what it should say there: to be compared with what is seen from outside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, exists, func, or_, select

from broadcaster.domain.delivery import Outcome, State, StepKind
from broadcaster.domain.exchange import Message, Receipt
from broadcaster.domain.incident import Kind, Severity
from broadcaster.store import tables as t
from broadcaster.store.accepting import incident_name

_MOST = 200
_ORIGINAL = func.coalesce(t.step.c.target_step, t.step.c.id)
_LATER = t.step.alias("later")
_COMES = t.delivery.alias("comes")
_TRY = t.attempt.alias("try")
_IN_DOUBT = exists().where(
    _TRY.c.step_id == _LATER.c.id,
    or_(_TRY.c.outcome.is_(None), _TRY.c.outcome == Outcome.UNCERTAIN),
)
# Whatever has changed or removed the post, or may at any moment: what it says is no more this delivery's. Not what was
# refused, or given up before anything came of it: then it says what it said.
_IS_CHANGED = exists().where(
    _LATER.c.target_step == _ORIGINAL,
    _LATER.c.id > t.step.c.id,
    _COMES.c.id == _LATER.c.delivery_id,
    or_(
        _LATER.c.outcome.in_(["accepted", "uncertain"]),
        and_(_LATER.c.outcome.is_(None), or_(t.is_open(_COMES), _IN_DOUBT)),
    ),
)
_STANDS = (
    t.step.c.kind.in_([StepKind.POST, StepKind.AMEND]),
    t.step.c.outcome == "accepted",
    t.step.c.handle != "",
    ~_IS_CHANGED,
)
_SAID = (
    select(
        t.step.c.handle,
        t.step.c.url,
        t.step.c.key,
        t.step.c.reply_to,
        t.step.c.target_step,
        *(t.message.c[name] for name in ("language", "body", "subject", "payload")),
        *(t.update.c[name] for name in ("number", "kind", "severity")),
        t.incident.c.id.label("incident_id"),
        t.incident.c.staff,
    )
    .join(t.message, t.message.c.id == t.step.c.message_id)
    .join(t.update, t.update.c.id == t.message.c.update_id)
    .join(t.incident, t.incident.c.id == t.update.c.incident_id)
    .where(t.step.c.delivery_id == bindparam("delivery"), *_STANDS)
    .order_by(t.step.c.position)
)

_UNSEEN = (
    select(t.delivery.c.id)
    .where(
        t.delivery.c.channel == bindparam("channel"),
        t.delivery.c.state == State.ACCEPTED,
        t.delivery.c.accepted_at.is_not(None),  # in the words of the index
        t.delivery.c.accepted_at > bindparam("after", type_=t.UtcTime),
    )
    .order_by(t.delivery.c.accepted_at.desc(), t.delivery.c.id.desc())
    .limit(_MOST)
)
_UNSEEN_POSTS = _UNSEEN.where(exists().where(t.step.c.delivery_id == t.delivery.c.id, *_STANDS))


def unseen(connection: Connection, channel: str, after: datetime) -> Sequence[int]:
    """The deliveries of a channel that were accepted after `after` and are not confirmed, newest first; 200 at most."""
    return list(connection.scalars(_UNSEEN, {"channel": channel, "after": after}))


def unseen_posts(connection: Connection, channel: str, after: datetime) -> Sequence[int]:
    """As `unseen`, but only those that have something to be seen: a post that no later word changes."""
    return list(connection.scalars(_UNSEEN_POSTS, {"channel": channel, "after": after}))


def said(connection: Connection, delivery_id: int) -> Sequence[tuple[Receipt, Message]]:
    """Each post that a delivery made or changed and that no later word changes, with what it was sent with."""
    return [
        (
            Receipt(handle=row.handle, url=row.url),
            Message(
                incident=incident_name(row.incident_id, row.staff),
                number=row.number,
                kind=Kind(row.kind),
                severity=Severity(row.severity),
                language=row.language,
                key=row.key,
                body=row.body,
                subject=row.subject,
                payload=row.payload,
                in_reply_to=row.reply_to or "",
                target=row.handle if row.target_step is not None else "",
            ),
        )
        for row in connection.execute(_SAID, {"delivery": delivery_id})
    ]
