"""Which words of an incident never reached a channel: it was away, and a later word takes their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, and_, exists, false, func, or_, select

from broadcaster.domain.delivery import Shape, State, StepKind
from broadcaster.domain.incident import Audience, Kind, Severity
from broadcaster.domain.plan import Reach, Unheard
from broadcaster.store import sent, tables as t

_GOT_NOWHERE = (State.WAITING, State.SUPERSEDED, State.EXPIRED, State.FAILED)
# They speak of one other word, which is told of by itself.
_OF_ANOTHER = (Kind.CORRECTION, Kind.RETRACTION)


def of_incident(connection: Connection, incident_id: int) -> Mapping[str, tuple[Unheard, ...]]:
    """By channel, the words that nobody has read there. Told by a stand-in is not told there, but not missed either."""
    rows = connection.execute(_deliveries(incident_id)).all()
    taken_over = {row.fallback_for for row in rows}
    newest: dict[str, int] = {}
    for row in rows:
        if row.read or row.state not in _GOT_NOWHERE or row.id in taken_over:
            newest[row.channel] = max(newest.get(row.channel, 0), row.number)
    unheard: dict[str, tuple[Unheard, ...]] = {}
    for row in rows:
        after = row.number > newest.get(row.channel, 0)
        if after and row.kind not in _OF_ANOTHER and not row.for_nobody:
            unheard[row.channel] = (*unheard.get(row.channel, ()), _unheard(row))
    return unheard


def _deliveries(incident_id: int) -> Any:
    """Those of channels that may lack a word, which most never do, and those that stand in for another."""
    d, u = t.delivery.c, t.update.c
    lacking = t.delivery.alias("lacking").c
    may_lack = select(lacking.channel).where(
        lacking.incident_id == incident_id, lacking.released, lacking.state.in_(_GOT_NOWHERE)
    )
    a_post = exists().where(
        t.step.c.delivery_id == d.id, t.step.c.kind == StepKind.POST, sent.may_be_read()
    )
    # The channel was there, and so was the time: nobody was left to write to, or all had had enough.
    for_nobody = and_(
        d.state == State.EXPIRED, d.expanded, d.skipped == d.total, d.ended_at < d.not_after
    )
    return (
        select(d.id, d.channel, d.number, d.shape, d.state, d.fallback_for)
        .add_columns(u.kind, u.audience, u.severity, u.areas, u.ended, u.released_at)
        .add_columns(or_(d.accepted + d.uncertain > 0, a_post).label("read"))
        .add_columns(func.coalesce(for_nobody, false()).label("for_nobody"))
        .join(t.update, u.id == d.update_id)
        .where(d.incident_id == incident_id, d.released, d.shape != Shape.BOARD)
        .where(or_(d.channel.in_(may_lack), d.fallback_for.is_not(None)))
        .order_by(d.id)
    )


def _unheard(row: Any) -> Unheard:
    reach = Reach(
        Kind(row.kind),
        Audience(row.audience),
        Severity(row.severity),
        frozenset((*row.areas, *row.ended)),
        frozenset({row.channel}),
    )
    return Unheard(row.released_at, reach, Shape(row.shape), row.state == State.WAITING)
