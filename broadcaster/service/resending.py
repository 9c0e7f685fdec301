"""Once more, where it failed or where nobody knows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from broadcaster.domain.delivery import Shape, State
from broadcaster.domain.incident import Update
from broadcaster.domain.plan import LIFE_PAST_PROMISE, lifetime
from broadcaster.service.commands import Operator, Refused, Role, Why
from broadcaster.service.desk import Desk, permit, permit_areas
from broadcaster.service.status import delivery_answer
from broadcaster.store import Connection, incidents, outcomes, stopping

AGAIN = frozenset({State.FAILED, State.BOUNCED, State.UNCERTAIN})


def resend(desk: Desk, operator: Operator, delivery_id: int, language: str = "") -> dict[str, Any]:
    """Let a failed or uncertain delivery be tried again, as long as what it says still holds.

    Raises:
        Refused: there is nothing to send again, or it would be wrong by now.
    """
    permit(operator, Role.AUTHOR)
    now = desk.clock()

    def work(connection: Connection) -> dict[str, Any]:
        row = outcomes.one(connection, delivery_id)
        if row is None:
            raise Refused("There is no delivery {id}.", Why.NOT_FOUND, id=delivery_id)
        said = _still_said(connection, row)
        permit_areas(operator, (*said.areas, *said.ended))
        _refuse_underway(row, now)
        until = resent_until(now, said.promise)
        if not outcomes.resend(connection, delivery_id, now, until, operator.name):
            raise _not_failed(row)
        spoken = language or desk.configuration.languages[0]
        return delivery_answer(outcomes.one(connection, delivery_id), spoken)

    answer: dict[str, Any] = desk.write(work)
    return answer


def resent_until(now: datetime, promise: datetime | None) -> datetime:
    """Until when it may leave: as if said now, and two hours where its promise has passed."""
    if promise is not None and promise <= now:
        return now + LIFE_PAST_PROMISE
    return lifetime(now, promise, None)


def _still_said(connection: Connection, row: Any) -> Update:
    record = incidents.load(connection, row.incident_id)
    update = record.numbered(row.number) if record else None
    assert record is not None  # noqa: S101 - the delivery's foreign key says so
    assert update is not None  # noqa: S101 - as above
    if update.struck_by is not None:
        raise Refused(
            "{name} was corrected or retracted by {incident}-{by}: it is not sent again.",
            Why.CONFLICT,
            name=update.said.name,
            incident=record.name,
            by=update.struck_by,
        )
    newer = stopping.overtaken_by(
        connection, outcomes.update_row(connection, update.id), Shape(row.shape)
    )
    if newer is not None:
        raise Refused(
            "{name} is out of date: {incident}-{number} tells the whole situation. Nothing was sent.",
            Why.CONFLICT,
            name=update.said.name,
            incident=record.name,
            number=newer,
        )
    return update.said


def _refuse_underway(row: Any, now: datetime) -> None:
    looked_up = row.lease_until is not None and row.lease_until > now
    if State(row.state) not in AGAIN or (row.state == State.UNCERTAIN and looked_up):
        raise _not_failed(row)


def _not_failed(row: Any) -> Refused:
    return Refused(
        "{channel} is {state}: only what failed or is uncertain can be sent again.",
        Why.CONFLICT,
        channel=row.channel,
        state=row.state,
    )
