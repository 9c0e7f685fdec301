"""What is accepted and waits for its time: seen, moved, taken back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from broadcaster.domain.incident import parse_name
from broadcaster.service.commands import Operator, Refused, Role, Why
from broadcaster.service.desk import Desk, permit, permit_areas
from broadcaster.service.finding import load_named
from broadcaster.service.notices import iso
from broadcaster.service.timing import PAST
from broadcaster.store import Connection, incidents, releasing
from broadcaster.store.incidents import IncidentRecord, UpdateRecord


def listing(desk: Desk, operator: Operator) -> dict[str, Any]:
    """Everything that waits, soonest first."""
    permit(operator, Role.VIEWER)
    return {"items": [_line(record, update) for record, update in desk.read(incidents.scheduled)]}


def change(desk: Desk, operator: Operator, name: str, at: datetime) -> dict[str, Any]:
    """Move an update to another time of the same day: its texts are rendered and say times without a date."""
    permit(operator, Role.AUTHOR)
    now, zone = desk.clock(), desk.configuration.zone

    def work(connection: Connection) -> dict[str, Any]:
        _, update = _waiting(connection, operator, name)
        _refuse_time(update, at, now, zone)
        if not releasing.reschedule(connection, update.id, at, now, operator.name):
            raise _not_waiting(update.said.name)
        return _line(*_found(connection, name))

    answer: dict[str, Any] = desk.write(work)
    return answer


def cancel(desk: Desk, operator: Operator, name: str) -> dict[str, Any]:
    """Take back what has not gone out."""
    permit(operator, Role.AUTHOR)
    now = desk.clock()

    def work(connection: Connection) -> dict[str, Any]:
        _, update = _waiting(connection, operator, name)
        if not releasing.cancel(connection, update.id, now, operator.name):
            raise _not_waiting(update.said.name)
        return _line(*_found(connection, name))

    answer: dict[str, Any] = desk.write(work)
    return answer


def _found(connection: Connection, name: str) -> tuple[IncidentRecord, UpdateRecord]:
    record = load_named(connection, name)
    number = parse_name(name)[1]
    update = record.numbered(number if number is not None else record.last_number)
    if update is None:
        raise Refused(
            "There is no update {incident}-{number}.",
            Why.NOT_FOUND,
            incident=record.name,
            number=number,
        )
    return record, update


def _waiting(
    connection: Connection, operator: Operator, name: str
) -> tuple[IncidentRecord, UpdateRecord]:
    record, update = _found(connection, name)
    permit_areas(operator, (*update.said.areas, *update.said.ended))
    if not update.hold:
        raise _not_waiting(update.said.name)
    return record, update


def _not_waiting(name: str) -> Refused:
    return Refused("{name} does not wait for a time (any more).", Why.CONFLICT, name=name)


def _refuse_time(update: UpdateRecord, at: datetime, now: datetime, zone: Any) -> None:
    said = update.said
    if at <= now:
        raise Refused(
            PAST,
            at="at",
            option="--at",
            time=at.astimezone(zone).isoformat(timespec="minutes"),
        )
    ends = [time for time in (said.promise, said.etr) if time is not None]
    if ends and at >= min(ends):
        raise Refused(
            "{name} promises something by {time}: cancel it and say it anew.",
            Why.CONFLICT,
            at="at",
            name=said.name,
            time=min(ends).astimezone(zone).isoformat(timespec="minutes"),
        )
    before = update.release_at or at
    other_day = before.astimezone(zone).date() != at.astimezone(zone).date()
    if other_day and (ends or said.since or said.planned):
        raise Refused(
            "{name} says times of its day: cancel it and say it anew for another day.",
            Why.CONFLICT,
            at="at",
            name=said.name,
        )


def _line(record: IncidentRecord, update: UpdateRecord) -> dict[str, Any]:
    said = update.said
    return {
        "name": said.name,
        "incident": record.name,
        "update": said.number,
        "mode": str(said.mode),
        "kind": str(said.kind),
        "headline": said.headline,
        "areas": list(said.areas),
        "ended": list(said.ended),
        "text": dict(said.texts),
        "author": said.author,
        "accepted_at": iso(said.accepted_at),
        "held": update.hold,
        "release_at": iso(update.release_at),
        "cancelled": update.cancelled_at is not None,
    }
