"""Where a text has been: what a correction or retraction has to follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, or_, select

from broadcaster.domain.delivery import Shape, State, StepKind
from broadcaster.store import rowlocks, tables as t

_WENT = frozenset({State.SENDING, State.UNCERTAIN, State.ACCEPTED, State.CONFIRMED, State.BOUNCED})


@dataclass(frozen=True, slots=True)
class SentSteps:
    """`went` are the channels that may have the wrong texts, `steps` the posts of them there: step id and language."""

    channels: tuple[str, ...] = ()
    went: frozenset[str] = frozenset()
    steps: Mapping[str, tuple[tuple[int, str], ...]] = field(default_factory=dict)

    def posts(self, channel: str) -> tuple[tuple[int, str], ...]:
        """The posts that are to be changed or taken away, in order: step id and language."""
        return self.steps.get(channel, ())


def of_updates(connection: Connection, incident_id: int, numbers: Sequence[int]) -> SentSteps:
    """Where these updates of an incident have been, or may have been."""
    deliveries = connection.execute(
        select(
            t.delivery.c.id,
            t.delivery.c.channel,
            t.delivery.c.state,
            t.delivery.c.attempts,
            t.delivery.c.accepted,
        )
        .where(
            t.delivery.c.incident_id == incident_id,
            t.delivery.c.number.in_(numbers),
            t.delivery.c.released,
        )
        .order_by(t.delivery.c.id)
    ).all()
    went = {
        row.id: row.channel
        for row in deliveries
        if row.state in _WENT or row.attempts or row.accepted
    }
    steps: dict[str, tuple[tuple[int, str], ...]] = {}
    for row in connection.execute(
        select(t.step.c.id, t.step.c.delivery_id, t.message.c.language)
        .join(t.message, t.message.c.id == t.step.c.message_id)
        .where(
            t.step.c.delivery_id.in_(went),
            t.step.c.kind == StepKind.POST,
            or_(t.step.c.outcome.is_(None), t.step.c.outcome.in_(["accepted", "uncertain"])),
        )
        .order_by(t.step.c.id)
    ).all():
        channel = went[row.delivery_id]
        steps[channel] = (*steps.get(channel, ()), (row.id, row.language))
    return SentSteps(
        tuple(dict.fromkeys(row.channel for row in deliveries)), frozenset(went.values()), steps
    )


def hold_posts(connection: Connection, incident_id: int, numbers: Sequence[int]) -> None:
    """Let no post of these updates begin before this write ends: what `of_updates` says is then true until it does."""
    rowlocks.hold_incident(connection, incident_id)
    rowlocks.hold_deliveries(
        connection,
        t.delivery.c.incident_id == incident_id,
        t.delivery.c.number.in_(numbers),
        t.delivery.c.shape == Shape.POST,
    )


def first_post(connection: Connection, delivery_id: int) -> tuple[str, str]:
    """Handle and address of a delivery's first post, which is what a person is shown of it; "" where there is none."""
    posted = connection.execute(
        select(t.step.c.handle, t.step.c.url)
        .where(
            t.step.c.delivery_id == delivery_id,
            t.step.c.kind == StepKind.POST,
            t.step.c.outcome == "accepted",
        )
        .order_by(t.step.c.position)
        .limit(1)
    ).first()
    return (posted.handle, posted.url) if posted else ("", "")
