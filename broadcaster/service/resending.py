"""Once more, where it failed or where nobody knows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from broadcaster.domain.delivery import Shape, State, may_go_again
from broadcaster.domain.incident import Update
from broadcaster.domain.plan import LIFE_PAST_PROMISE, lifetime
from broadcaster.service.commands import Operator, Refused, Role, Why
from broadcaster.service.desk import Desk, permit, permit_areas
from broadcaster.service.status import delivery_answers
from broadcaster.store import Connection, correcting, incidents, outcomes, stopping


def resend(desk: Desk, operator: Operator, delivery_id: int, language: str = "") -> dict[str, Any]:
    """Let a failed or uncertain delivery be tried again, as long as what it says still holds.

    Of letters only those go again that failed or are in doubt, also where the delivery as a whole is accepted.

    Raises:
        Refused: there is nothing to send again, or it would be wrong by now.
    """
    permit(operator, Role.AUTHOR)
    now = desk.clock()

    def work(connection: Connection) -> dict[str, Any]:
        row = _held(connection, delivery_id)
        said = _still_said(connection, row)
        permit_areas(operator, (*said.areas, *said.ended))
        _refuse_underway(row, said, now)
        _refuse_late_letters(row, said.incident, now)
        _refuse_stood_in(connection, row)
        # What most have had keeps the time it had: the operator may have set it.
        accepted = row.state == State.ACCEPTED
        until = row.not_after if accepted else resent_until(now, said.promise)
        if not outcomes.resend(connection, delivery_id, now, until, operator.name):
            _refuse_stood_in(connection, row)  # its channel may have been resumed just now
            raise _nothing_left(connection, row, said.name)
        spoken = language or desk.configuration.languages[0]
        again, configured = [outcomes.one(connection, delivery_id)], desk.configuration.adapters
        took = correcting.of_deliveries(connection, [delivery_id])
        return delivery_answers(connection, row.incident_id, again, spoken, configured, took)[0]

    answer: dict[str, Any] = desk.write(work)
    return answer


def resent_until(now: datetime, promise: datetime | None) -> datetime:
    """Until when it may leave: as if said now, and two hours where its promise has passed."""
    if promise is not None and promise <= now:
        return now + LIFE_PAST_PROMISE
    return lifetime(now, promise, None)


def _held(connection: Connection, delivery_id: int) -> Any:
    row = outcomes.held(connection, delivery_id)
    if row is None:
        raise Refused("There is no delivery {id}.", Why.NOT_FOUND, id=delivery_id)
    return row


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
    newer = stopping.overtaken_by(connection, outcomes.update_row(connection, update.id), row)
    if newer is not None:
        raise Refused(
            "{name} is out of date: {incident}-{number} tells the whole situation. Nothing was sent.",
            Why.CONFLICT,
            name=update.said.name,
            incident=record.name,
            number=newer,
        )
    return update.said


def _refuse_underway(row: Any, said: Update, now: datetime) -> None:
    looked_up = row.lease_until is not None and row.lease_until > now
    again = may_go_again(row.state, row.failed, row.uncertain)
    if again and row.stopped:
        raise Refused(
            "{channel} was stopped while it carried {name}, because it was emptied or others carry the rest. "
            "Nothing was sent now. What became of it: broadcaster status {incident}",
            Why.CONFLICT,
            channel=row.channel,
            name=said.name,
            incident=said.incident,
        )
    if not again or (row.state == State.UNCERTAIN and looked_up):
        raise _not_failed(row)


def _refuse_late_letters(row: Any, incident: str, now: datetime) -> None:
    """Most have had it for hours: what is to reach the rest now is how it stands now."""
    if row.state == State.ACCEPTED and row.not_after <= now:
        raise Refused(
            "The time in which {incident}-{number} could go out is over: it is not sent again. "
            'Say how it stands now: broadcaster update {incident} "…"',
            Why.CONFLICT,
            incident=incident,
            number=row.number,
        )


def _refuse_stood_in(connection: Connection, row: Any) -> None:
    other = outcomes.other_under_way(connection, row.id)
    if row.shape == Shape.LETTER and other is not None:
        raise Refused(
            "{other} is just carrying the same update: wait until it is through, then look again.",
            Why.CONFLICT,
            other=other,
            channel=row.channel,
        )


def _nothing_left(connection: Connection, row: Any, name: str) -> Refused:
    others = outcomes.brought_by(connection, row.id)
    if not others:
        return _not_failed(row)
    return Refused(
        "Whoever lacked {name} by {channel} has it by {others}, or may have it: nothing is left to send again.",
        Why.CONFLICT,
        name=name,
        channel=row.channel,
        others=", ".join(others),
    )


def _not_failed(row: Any) -> Refused:
    return Refused(
        "{channel} is {state}: only what failed or is uncertain can be sent again.",
        Why.CONFLICT,
        channel=row.channel,
        state=row.state,
    )
