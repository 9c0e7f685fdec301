"""Which languages a channel speaks in about an incident: a thread that was begun is gone on with."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, and_, or_, select

from broadcaster.domain.delivery import State, StepKind
from broadcaster.store import tables as t

_UNDER_WAY = (State.WAITING, State.SENDING, State.UNCERTAIN)


def of_incident(connection: Connection, incident_id: int) -> Mapping[str, frozenset[str]]:
    """By channel, the languages in which it has posts of the incident, or may yet get one."""
    threads: dict[str, frozenset[str]] = {}
    for row in connection.execute(
        select(t.delivery.c.channel, t.message.c.language)
        .join(t.step, t.step.c.delivery_id == t.delivery.c.id)
        .join(t.message, t.message.c.id == t.step.c.message_id)
        .where(
            t.delivery.c.incident_id == incident_id,
            t.delivery.c.released,
            t.step.c.kind == StepKind.POST,
            or_(
                t.step.c.outcome.in_(["accepted", "uncertain"]),
                and_(t.step.c.outcome.is_(None), t.delivery.c.state.in_(_UNDER_WAY)),
            ),
        )
        .distinct()
    ):
        threads[row.channel] = threads.get(row.channel, frozenset()) | {row.language}
    return threads
