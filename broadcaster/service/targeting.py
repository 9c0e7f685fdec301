"""Which update a correction or a retraction is about, and what of it cannot be taken back. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from broadcaster.domain.incident import Kind
from broadcaster.domain.standing import newest_standing, went_out
from broadcaster.service.commands import Command, Refused, Why
from broadcaster.store.incidents import IncidentRecord, UpdateRecord

TYPED_TWICE_WITHIN = timedelta(minutes=10)
NOT_OUT_YET = (
    "{name} has not gone out yet. To send it at another time: broadcaster scheduled change {name} --at TIME. "
    "To take it back: broadcaster scheduled cancel {name}. Nothing was sent."
)


def target_of(
    command: Command, record: IncidentRecord | None, now: datetime
) -> UpdateRecord | None:
    """The update that a correction or retraction is about; None for another kind, and for the whole incident.

    Raises:
        Refused: there is none, or it cannot be put right in this way; the sentence tells what can be done.
    """
    if command.kind not in (Kind.CORRECTION, Kind.RETRACTION):
        return None
    if command.whole:
        need_standing(record)
        return None
    assert record is not None  # noqa: S101 - the caller loads the incident of such a command
    if command.number is not None:
        return _numbered(record, command.number)
    # Whoever names no update means what was said, not that there was nothing new since.
    target = newest_standing(record.updates, news=True) or newest_standing(record.updates)
    if target is None:
        raise nothing_stands(record)
    if command.kind is Kind.RETRACTION:
        _refuse_typed_twice(record, target, now)
    return target


def nothing_stands(record: IncidentRecord | None) -> Refused:
    """Why nothing can be said to go on from or to take back: it has not gone out yet, or all of it was taken back."""
    waiting = next((word for word in record.updates if _waits(word)), None) if record else None
    if waiting is not None:
        return Refused(NOT_OUT_YET, Why.CONFLICT, name=waiting.said.name)
    return Refused(
        "Nothing of {incident} stands any more. If there is something to say after all: "
        "broadcaster update {incident} --area KEY. Nothing was sent.",
        Why.CONFLICT,
        incident=record.name if record else "",
    )


def need_standing(record: IncidentRecord | None) -> None:
    """Refuse to go on from an incident, or to take it back, of which no word stands."""
    if record is not None and newest_standing(record.updates) is None:
        raise nothing_stands(record)


def _waits(word: UpdateRecord) -> bool:
    return word.said.released_at is None and word.cancelled_at is None


def _refuse_typed_twice(record: IncidentRecord, target: UpdateRecord, now: datetime) -> None:
    """Who saw no answer retracts again: the second must not take back what nobody meant."""
    said = [word.said for word in went_out(record.updates) if word.said.kind is not Kind.HOLDING]
    last = said[-1]
    out_at = last.released_at
    if last.kind is not Kind.RETRACTION or out_at is None or now - out_at >= TYPED_TWICE_WITHIN:
        return
    raise Refused(
        "{gone} was retracted {time}. To take back {name} as well: broadcaster retract {name}. Nothing was sent.",
        Why.CONFLICT,
        gone=f"{record.name}-{last.corrects}" if last.corrects else record.name,
        time=out_at.isoformat(timespec="minutes"),
        name=target.said.name,
    )


def _numbered(record: IncidentRecord, number: int) -> UpdateRecord:
    target = record.numbered(number)
    if target is None:
        raise Refused(
            "There is no update {incident}-{number}.",
            Why.NOT_FOUND,
            incident=record.name,
            number=number,
        )
    if target.said.released_at is None:
        raise Refused(NOT_OUT_YET, Why.CONFLICT, name=target.said.name)
    if target.said.kind is Kind.RETRACTION:
        raise Refused(
            "{name} is a retraction: say anew what is true: broadcaster update {incident}. Nothing was sent.",
            Why.CONFLICT,
            name=target.said.name,
            incident=record.name,
        )
    if target.struck_by is not None:
        raise Refused(
            "{incident}-{number} was already corrected or retracted by {incident}-{by}.",
            Why.CONFLICT,
            incident=record.name,
            number=number,
            by=target.struck_by,
        )
    return target
