"""Where a text has been: what a correction or retraction has to follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, exists, or_, select

from broadcaster.domain.delivery import Outcome, Shape, State, StepKind
from broadcaster.domain.incident import Kind
from broadcaster.store import rowlocks, tables as t
from broadcaster.store.claiming import is_taken_away

# Built once: it is asked after every post, and to build it takes longer than to run it.
_POSTS = (
    select(t.step.c.handle, t.step.c.url, is_taken_away(t.step).label("taken_away"))
    .where(
        t.step.c.delivery_id == bindparam("delivery"),
        t.step.c.kind == StepKind.POST,
        t.step.c.outcome == "accepted",
    )
    .order_by(t.step.c.position)
)


@dataclass(frozen=True, slots=True)
class SentSteps:
    """`channels` were to carry the wrong texts, `steps` are the posts of them that may be read: step id and language."""

    channels: tuple[str, ...] = ()
    steps: Mapping[str, tuple[tuple[int, str], ...]] = field(default_factory=dict)

    def posts(self, channel: str) -> tuple[tuple[int, str], ...]:
        """The posts that are to be changed or taken away, in order: step id and language."""
        return self.steps.get(channel, ())


def of_updates(connection: Connection, incident_id: int, numbers: Sequence[int]) -> SentSteps:
    """Where these updates of an incident have been, or may have been."""
    deliveries = connection.execute(
        select(t.delivery.c.id, t.delivery.c.channel)
        .where(
            t.delivery.c.incident_id == incident_id,
            t.delivery.c.number.in_(numbers),
            t.delivery.c.released,
        )
        .order_by(t.delivery.c.id)
    ).all()
    steps: dict[str, tuple[tuple[int, str], ...]] = {}
    for row in connection.execute(
        select(t.step.c.id, t.delivery.c.channel, t.message.c.language)
        .join(t.message, t.message.c.id == t.step.c.message_id)
        .join(t.delivery, t.delivery.c.id == t.step.c.delivery_id)
        .where(
            t.delivery.c.id.in_([each.id for each in deliveries]),
            t.step.c.kind == StepKind.POST,
            may_be_read(),
        )
        .order_by(t.step.c.id)
    ).all():
        steps[row.channel] = (*steps.get(row.channel, ()), (row.id, row.language))
    return SentSteps(tuple(dict.fromkeys(row.channel for row in deliveries)), steps)


def told_by(
    connection: Connection, incident_id: int, numbers: Sequence[int]
) -> Sequence[tuple[str, int]]:
    """By which channel which of these updates may have told readers that something goes on.

    Letters about an end go to where it ended, and tell the others nothing; those of a stand-in are the first channel's.
    """
    d, words = t.delivery.c, t.update.c
    found = connection.execute(
        select(d.channel, d.number)
        .join(t.update, words.id == d.update_id)
        .where(d.incident_id == incident_id, d.number.in_(numbers))
        .where(d.released, or_(d.fallback_for.is_(None), d.shape != Shape.LETTER))
        .where(or_(d.started_at.is_not(None), d.state.not_in([State.WITHDRAWN, State.EXPIRED])))
        .where(or_(d.shape != Shape.LETTER, words.kind != Kind.RESTORED))
        .order_by(d.id)
    )
    return [(row.channel, row.number) for row in found]


def may_be_read() -> Any:
    """Whether a post may stand at the far side: not where it certainly was refused, nor where nothing was tried yet."""
    in_doubt = exists().where(
        t.attempt.c.delivery_id == t.step.c.delivery_id,
        t.attempt.c.step_id == t.step.c.id,
        # Without an outcome: it was under way when its node died or lost its lease.
        or_(t.attempt.c.outcome.is_(None), t.attempt.c.outcome == Outcome.UNCERTAIN),
    )
    under_way = t.delivery.c.state.in_([State.SENDING, State.UNCERTAIN])
    return or_(
        t.step.c.outcome.in_(["accepted", "uncertain"]),
        t.step.c.outcome.is_(None) & or_(under_way, in_doubt),
    )


def hold_posts(connection: Connection, incident_id: int) -> None:
    """Let no post of an incident begin before this write ends: what `of_updates` says is then true until it does."""
    rowlocks.hold_incident(connection, incident_id)
    # All that this write may stop later, in one go: a post of them first and the rest after would break the order.
    rowlocks.hold_deliveries(
        connection, t.delivery.c.incident_id == incident_id, t.delivery.c.shape != Shape.BOARD
    )


@dataclass(frozen=True, slots=True)
class Posted:
    """A post of a delivery that the far side accepted."""

    handle: str
    url: str
    taken_away: bool


def posts(connection: Connection, delivery_id: int) -> Sequence[Posted]:
    """A delivery's accepted posts, in order: the first is what a person is shown of it."""
    rows = connection.execute(_POSTS, {"delivery": delivery_id})
    return [Posted(row.handle, row.url, bool(row.taken_away)) for row in rows]
