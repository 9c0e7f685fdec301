"""What a delivery's posts should say at the far side, so that they can be compared with what is seen there."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, exists, func, select

from broadcaster.domain.delivery import StepKind
from broadcaster.domain.exchange import Message, Receipt
from broadcaster.domain.incident import Kind, Severity
from broadcaster.store import tables as t
from broadcaster.store.accepting import incident_name

_ORIGINAL = func.coalesce(t.step.c.target_step, t.step.c.id)
_LATER = t.step.alias("later")
# Whatever comes to change or remove the post: from then on what it says is no more this delivery's.
_IS_CHANGED = exists().where(_LATER.c.target_step == _ORIGINAL, _LATER.c.id > t.step.c.id)
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
    .where(
        t.step.c.delivery_id == bindparam("delivery"),
        t.step.c.kind.in_([StepKind.POST, StepKind.AMEND]),
        t.step.c.outcome == "accepted",
        t.step.c.handle != "",
        ~_IS_CHANGED,
    )
    .order_by(t.step.c.position)
)


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
