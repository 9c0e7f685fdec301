"""What happens when something is due: the promise is kept or its breach recorded, planned work opens and closes itself.

Each act takes one claimed due row and returns what came of it in a few words, for the row and the audit trail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from broadcaster.domain.incident import Audience, Kind, Planned
from broadcaster.domain.plan import LIFE_PAST_PROMISE
from broadcaster.domain.standing import (
    says_what_was_taken_back,
    standing_promise,
    went_out,
    what_stands,
)
from broadcaster.domain.wording import Wording
from broadcaster.locale import phrases
from broadcaster.service import summaries
from broadcaster.service.commands import Command, Operator, Refused, Role
from broadcaster.service.desk import Desk
from broadcaster.service.notifying import tell_staff
from broadcaster.service.own_words import our_own
from broadcaster.service.saying import say
from broadcaster.store import Connection, audit, incidents, releasing
from broadcaster.store.dues import Due
from broadcaster.store.incidents import IncidentRecord, UpdateRecord

CLOCK = Operator(name="clock", role=Role.ADMIN)
WORK_BEGINS = "The planned work has begun."
WORK_ENDS = "The planned work is finished."
NOT_CLOSED = (
    "{incident}: the planned work was to end at {time}, and nothing could be said then. "
    "Say how it stands: broadcaster restored {incident}, or broadcaster update {incident}"
)
TOO_LATE = "{name} WAS NOT SENT at its time, and now it is too late. Write it anew: broadcaster update {incident}"
NOT_SENT = "{name} WAS NOT SENT at its time: it says what was taken back since. Write it anew: broadcaster update {incident}"


def acts(desk: Desk) -> Mapping[str, Callable[[Due], str]]:
    """What to do for each kind of due row."""
    return {
        "remind": lambda due: _remind(desk, due),
        "due": lambda due: _overdue(desk, due),
        "grace": lambda due: _grace(desk, due),
        "release": lambda due: _release(desk, due),
        "open": lambda due: _planned(desk, due, Kind.UPDATE, WORK_BEGINS),
        "close": lambda due: _planned(desk, due, Kind.RESTORED, WORK_ENDS),
        **summaries.acts(desk),
    }


def _load(desk: Desk, due: Due) -> IncidentRecord:
    record: IncidentRecord | None = desk.read(
        lambda connection: incidents.load(connection, due.incident_id)
    )
    if record is None:
        raise LookupError(f"due row of an incident that is not there: {due.incident_id}")
    return record


def _promise(record: IncidentRecord, due: Due) -> datetime | None:
    """The promise that a row is about; None when a later word answered it, also one that went out just now."""
    told = [word for word in went_out(record.updates) if word.said.audience is Audience.PUBLIC]
    if record.closed_at is not None or not told or told[-1].id != due.update_id:
        return None
    return standing_promise(record.updates, Audience.PUBLIC)


def _clock(desk: Desk, when: datetime) -> str:
    configuration = desk.configuration
    words = Wording(phrases(configuration.languages[0]), configuration.zone, desk.clock())
    return words.time(when)


def _remind(desk: Desk, due: Due) -> str:
    record = _load(desk, due)
    promise = _promise(record, due)
    if promise is None:
        return "no promise stands"
    sentence = (
        "{incident}: the next word is promised by {time}. Write it: broadcaster update {incident}"
    )
    tell_staff(
        desk,
        sentence,
        f"remind {record.name} {promise:%Y%m%d%H%M}",
        incident=record.name,
        time=_clock(desk, promise),
    )
    return "staff reminded"


def _overdue(desk: Desk, due: Due) -> str:
    record = _load(desk, due)
    promise = _promise(record, due)
    if promise is None:
        return "no promise stands"
    return _broken(desk, record, promise)


def _broken(desk: Desk, record: IncidentRecord, promise: datetime) -> str:
    _record_breach(desk, record, promise)
    sentence = "{incident}: the word promised by {time} HAS NOT COME. Write it now: broadcaster update {incident}"
    tell_staff(
        desk,
        sentence,
        f"overdue {record.name} {promise:%Y%m%d%H%M}",
        incident=record.name,
        time=_clock(desk, promise),
    )
    return "promise broken, staff told"


def _record_breach(desk: Desk, record: IncidentRecord, promise: datetime) -> None:
    now = desk.clock()

    def work(connection: Connection) -> None:
        audit.note(
            connection, now, CLOCK.name, "promise broken", record.name, promised=promise.isoformat()
        )

    desk.write(work)


def _grace(desk: Desk, due: Due) -> str:
    """The honest holding message, where the rule allows it: nothing new, and when the next word comes."""
    record = _load(desk, due)
    promise = _promise(record, due)
    if promise is None:
        return "no promise stands"
    if desk.clock() >= promise + LIFE_PAST_PROMISE:
        # Whoever was away so long knows nothing of how it stands, and may not say that work goes on.
        return _broken(desk, record, promise)
    # When the daemon was away, remind and due collapsed into this one: the breach is still a breach.
    _record_breach(desk, record, promise)
    rule = desk.configuration.settings.follow_up
    if rule is None or not rule.holding:
        return "promise broken, no holding message is configured"
    try:
        answer = say(
            desk,
            CLOCK,
            Command(kind=Kind.HOLDING, incident=record.name, expected=record.last_number),
        )
    except Refused as refused:
        return f"no holding message: {refused}"
    return f"holding message {answer['incident']}-{answer['update']}"


def _release(desk: Desk, due: Due) -> str:
    """What waited goes out, unless it says what was taken back since: its text is approved and cannot be changed."""
    now, update_id = desk.clock(), due.update_id
    assert update_id is not None  # noqa: S101 - a release row always names its update

    def work(connection: Connection) -> tuple[str, UpdateRecord | None]:
        record = incidents.load(connection, due.incident_id)
        words = record.updates if record else ()
        held = next((one for one in words if one.id == update_id and one.hold), None)
        if held is not None and (says_what_was_taken_back(words, held) or _is_too_late(held, now)):
            return "", held
        return releasing.release_held(connection, update_id, now), None

    outcome, stale = desk.write(work)
    if stale is not None:
        # Staff first: once it is cancelled, nobody comes back to tell them.
        sentence = TOO_LATE if _is_too_late(stale, now) else NOT_SENT
        name, incident = stale.said.name, stale.said.incident
        tell_staff(desk, sentence, f"not sent {name}", name=name, incident=incident)
        desk.write(lambda connection: releasing.cancel(connection, update_id, now, CLOCK.name))
        return "not sent, staff told"
    return str(outcome)


def _is_too_late(held: UpdateRecord, now: datetime) -> bool:
    due = held.release_at is None or held.release_at <= now
    return due and held.said.not_after <= now


def _planned(desk: Desk, due: Due, kind: Kind, sentence: str) -> str:
    record = _load(desk, due)
    stands = what_stands(record.updates, Audience.PUBLIC)
    if stands is None or record.closed_at is not None or stands.planned is None:
        return "nothing planned stands"
    planned = stands.planned
    wanted = planned.start if kind is Kind.UPDATE else planned.end
    if wanted > desk.clock():
        return "the plan was changed"
    if desk.clock() >= planned.end + LIFE_PAST_PROMISE:
        # Nobody knows any more how it ended.
        once = f"not closed {record.name} {planned.end:%Y%m%d%H%M}"
        tell_staff(desk, NOT_CLOSED, once, incident=record.name, time=_clock(desk, planned.end))
        return "too late to be said, staff told"
    if kind is Kind.UPDATE and _has_begun(record, planned):
        return "said already"  # the daemon died, or was slow, before it had noted so
    languages = desk.configuration.languages
    texts = {tag: said for tag, said in our_own(sentence, languages).items() if tag in languages}
    is_to_end = kind is Kind.UPDATE and planned.end > desk.clock()
    command = Command(
        kind=kind,
        incident=record.name,
        texts=texts,
        etr=planned.end if is_to_end else None,
        expected=record.last_number,  # another machine may be at it, where this one stood still
    )
    answer: dict[str, Any] = say(desk, CLOCK, command)
    return f"{kind} {answer['incident']}-{answer['update']}"


def _has_begun(record: IncidentRecord, planned: Planned) -> bool:
    return any(
        update.said.kind is Kind.UPDATE
        and update.said.author == CLOCK.name
        and update.said.planned == planned
        for update in record.updates
    )
