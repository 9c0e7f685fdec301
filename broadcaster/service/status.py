"""What is known of incidents and deliveries, as the JSON that the API, the command line and scripts read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from broadcaster.channel import medium_of
from broadcaster.domain.delivery import Shape, State, may_go_again
from broadcaster.domain.incident import Audience, Kind, Revision, Update
from broadcaster.domain.standing import areas_concerned, estimate_of, went_out, what_stands
from broadcaster.locale.retelling import retell
from broadcaster.registry import Adapter
from broadcaster.service.advising import Advice, advice
from broadcaster.service.commands import Operator, Refused, Role
from broadcaster.service.correcting import all_took, corrected
from broadcaster.service.desk import Desk, permit
from broadcaster.service.finding import load_named
from broadcaster.service.notices import iso
from broadcaster.service.redundancy import out_answer
from broadcaster.service.stops import WAITS, Stop, stop_answer, stops_of
from broadcaster.store import Connection, channels, incidents, outcomes, quorums, stopping
from broadcaster.store.correcting import Took, by_delivery
from broadcaster.store.holding_up import HeldUp, held_up
from broadcaster.store.incidents import IncidentRecord, UpdateRecord

_NOT_HELD_UP = HeldUp()
COUNTS = ("total", "accepted", "confirmed", "failed", "bounced", "uncertain", "skipped")


def delivery_answer(
    row: Any,
    language: str,
    stop: Stop | None,
    took: Took | None,
    *,
    taken_over: bool,
    medium: str,
    held: HeldUp = _NOT_HELD_UP,
) -> dict[str, Any]:
    """One delivery, its `detail` in `language`; `counts` is null for boards and posts.

    Args:
        stop: how its channel is stopped, if it is; told while something of the delivery waits for that.
        took: how long it took, where it carries a correction to where the wrong text was.
        taken_over: whether another channel stands in for it.
        medium: of letters what their addresses are, "sms" or "email"; else "".
        held: what holds it up.
    """
    due_at = row.due_at if row.state == State.WAITING else held.due_at
    return {
        "id": row.id,
        "update": row.number,
        "channel": row.channel,
        "shape": row.shape,
        "medium": medium,
        "state": row.state,
        "attempts": row.attempts,
        "detail": retell(language, row.detail or held.because),
        "behind": held.behind,
        "stop": stop_answer(stop, language) if row.state in WAITS else None,
        "given_up": bool(row.stopped and row.shape == Shape.LETTER and not taken_over),
        "url": row.url,
        "due_at": iso(due_at),
        "not_after": iso(row.not_after),
        "started_at": iso(row.started_at),
        "accepted_at": iso(row.accepted_at),
        "ended_at": iso(row.ended_at),
        "time_to_correct": took.seconds if took else None,
        "wrong_for": took.wrong_for if took else None,
        "counts": {name: getattr(row, name) for name in COUNTS}
        if row.shape == Shape.LETTER
        else None,
    }


def medium(adapter: Adapter | None) -> str:
    """What the addresses of a letter channel are, "sms" or "email"; of another, and of one that is gone, ""."""
    return medium_of(adapter) if adapter is not None and adapter.shape is Shape.LETTER else ""


def show(desk: Desk, operator: Operator, name: str, language: str = "") -> dict[str, Any]:
    """One incident with its updates, the deliveries of the one that went out last, and what is to be done now.

    Args:
        language: of the details; "" is the organisation's first.
    """
    permit(operator, Role.VIEWER)
    spoken = language or desk.configuration.languages[0]
    configured = desk.configuration.adapters

    def look(connection: Connection) -> dict[str, Any]:
        record = load_named(connection, name)
        return incident_answer(connection, record, desk.clock(), spoken, configured)

    answer: dict[str, Any] = desk.read(look)
    return answer


def incident_answer(
    connection: Connection,
    record: IncidentRecord,
    now: datetime,
    language: str,
    configured: Mapping[str, Adapter],
) -> dict[str, Any]:
    """One incident as JSON."""
    stands = _standing(record)
    shown = _shown(record)
    rows = outcomes.of_update(connection, shown.id)
    word = _newest_word(record)
    took = all_took(connection, record)
    mine = by_delivery(took.get(shown.said.number, ()))
    return line_answer(record, now) | {
        "revision": str(word.revision or ""),
        "accepted_at": iso(word.accepted_at),
        "since": iso(stands.since) if stands else None,
        "affected": stands.affected if stands else None,
        "cause": stands.cause if stands else "",
        "instruction": stands.instruction if stands else "",
        "updates": [
            update_line(update) | {"corrected": corrected(took.get(update.said.number))}
            for update in record.updates
        ],
        "deliveries": delivery_answers(connection, record.id, rows, language, configured, mine),
        "out": out_answer(shown, map(quorums.arrival, rows), now),
        "advice": _advice(connection, record, rows, now),
    }


def delivery_answers(
    connection: Connection,
    incident_id: int,
    rows: Sequence[Any],
    language: str,
    configured: Mapping[str, Adapter],
    took: Mapping[int, Took],
) -> list[dict[str, Any]]:
    """Deliveries of one incident, with how the channels are stopped on which they wait, and how long corrections took."""
    stood_in = outcomes.stood_in(connection, incident_id)
    states = channels.states(connection)
    stops = stops_of({row.channel for row in rows}, states, configured)
    held = held_up(connection, rows)
    return [
        delivery_answer(
            row,
            language,
            stops.get(row.channel),
            took.get(row.id),
            taken_over=row.id in stood_in,
            medium=medium(configured.get(row.channel)),
            held=held.get(row.id, _NOT_HELD_UP),
        )
        for row in rows
    ]


def letters_in_doubt(connection: Connection, now: datetime) -> Iterator[Advice]:
    """What to do about letters in doubt that no later word makes needless, as `show` says it of each incident."""
    for incident_id in outcomes.incidents_in_doubt(connection, now):
        record = incidents.load(connection, incident_id)
        if record is None:
            continue
        shown = outcomes.of_update(connection, _shown(record).id)
        for one in _advice(connection, record, shown, now):
            if one["values"].get("uncertain"):
                yield one


def _shown(record: IncidentRecord) -> UpdateRecord:
    """The update whose deliveries are shown: the one that went out last."""
    return next(reversed(went_out(record.updates)), record.updates[-1])


def _advice(
    connection: Connection, record: IncidentRecord, shown: Sequence[Any], now: datetime
) -> list[Advice]:
    """What is to be done about what is shown, and about letters in doubt of updates before it."""
    ids = {row.id for row in shown}
    behind = [row for row in _in_doubt(connection, [record], now) if row.id not in ids]
    stood_in = outcomes.stood_in(connection, record.id)
    rows = [row for row in (*behind, *shown) if not _brought(connection, row, stood_in)]
    return list(advice(record.name, rows, channels.states(connection), stood_in, now))


def _brought(connection: Connection, row: Any, stood_in: Collection[int]) -> bool:
    """Whether others have brought all that failed or is in doubt of it, so that `resend` would refuse it."""
    shared = row.fallback_for is not None or row.id in stood_in
    tried = row.shape == Shape.LETTER and may_go_again(row.state, row.failed, row.uncertain)
    if not (shared and tried) or outcomes.has_left(connection, row):
        return False
    return bool(outcomes.brought_by(connection, row.id))


def _in_doubt(
    connection: Connection, records: Sequence[IncidentRecord], now: datetime
) -> Iterator[Any]:
    """Deliveries with letters in doubt whose word still stands, and that nothing told later makes needless."""
    struck = {
        (record.id, update.said.number)
        for record in records
        for update in record.updates
        if update.struck_by is not None
    }
    for row in outcomes.in_doubt(connection, [record.id for record in records], now):
        update = outcomes.update_row(connection, row.update_id)
        needless = stopping.overtaken_by(connection, update, row) is not None
        if (row.incident_id, row.number) not in struck and not needless:
            yield row


def line_answer(record: IncidentRecord, now: datetime) -> dict[str, Any]:
    """One incident as a line of a list; `release_at` is when the first of it goes out, where nothing has yet."""
    waits = _unsaid(record)
    stands = _standing(record)
    said = stands or (waits.said if waits else _never_said(record))
    named = said or _told_before(record)
    is_open = record.closed_at is None
    return {
        "incident": record.name,
        "mode": str(record.mode),
        "headline": named.headline if named else "",
        "severity": str(said.severity) if said else "",
        "audience": str(named.audience) if named else "",
        "areas": list(said.areas) if said and is_open else [],
        "ended": [] if is_open else _areas_of_old(record),
        "end": "" if is_open else _end(record, stands),
        "opened_at": iso(record.opened_at),
        "closed_at": iso(record.closed_at),
        "update": record.last_number,
        "etr": iso(estimate_of(said)) if said else None,
        "promise": iso(said.promise) if said and is_open else None,
        "overdue": bool(said and is_open and said.promise and said.promise < now),
        "planned": span(named) if named else None,
        "release_at": iso(waits.release_at) if waits else None,
    }


def _standing(record: IncidentRecord) -> Update | None:
    """What stands for the public, of what only staff know for staff."""
    public = what_stands(record.updates, Audience.PUBLIC)
    return public or what_stands(record.updates, Audience.STAFF)


def _newest_word(record: IncidentRecord) -> Update:
    """What the public was told last, by revision; of what it was told nothing of, what was accepted last."""
    public = [update.said for update in record.updates if update.said.revision]
    return max(
        public, key=lambda said: said.revision or Revision(0, 0), default=record.updates[-1].said
    )


def _unsaid(record: IncidentRecord) -> UpdateRecord | None:
    """What waits to be the first word of an incident, or None when something of it has been said."""
    if any(update.said.released_at for update in record.updates):
        return None
    return next((update for update in record.updates if update.hold), None)


def _never_said(record: IncidentRecord) -> Update | None:
    """What was to be said of an incident of which everything was cancelled before it went out, else None."""
    return record.updates[-1].said if all(one.cancelled_at for one in record.updates) else None


def _told_before(record: IncidentRecord) -> Update | None:
    """What was said last of an incident of which everything was taken back: what it was called."""
    told = [word.said for word in went_out(record.updates) if word.said.kind is not Kind.RETRACTION]
    return told[-1] if told else None


def _areas_of_old(record: IncidentRecord) -> list[str]:
    """The areas that an incident concerned: by what stands, else by what was taken back or cancelled."""
    told = went_out(record.updates) or record.updates
    ever = dict.fromkeys(area for word in told for area in word.said.areas)
    return list(areas_concerned(record.updates, Audience.STAFF) or ever)


def _end(record: IncidentRecord, stands: Update | None) -> str:
    """How it ended."""
    if stands is not None:
        return "restored"
    return "cancelled" if _never_said(record) else "retracted"


def span(said: Update) -> dict[str, str | None] | None:
    """When planned work begins and ends."""
    planned = said.planned
    return {"start": iso(planned.start), "end": iso(planned.end)} if planned else None


def update_line(record: UpdateRecord) -> dict[str, Any]:
    """One update of an incident."""
    said = record.said
    return {
        "update": said.number,
        "kind": str(said.kind),
        "audience": str(said.audience),
        "text": dict(said.texts),
        "at": iso(said.released_at or said.accepted_at),
        "author": said.author,
        "areas": list(said.areas),
        "ended": list(said.ended),
        "etr": iso(estimate_of(said)),
        "promise": iso(said.promise),
        "corrects": said.corrects,
        "struck_by": record.struck_by,
        "held": record.hold,
        "release_at": iso(record.release_at),
        "cancelled": record.cancelled_at is not None,
        "revision": str(said.revision or ""),
    }


def listing(
    desk: Desk, operator: Operator, *, only_open: bool, limit: int, cursor: str
) -> dict[str, Any]:
    """Incidents, newest first, by cursor."""
    permit(operator, Role.VIEWER)
    if cursor and not cursor.isdecimal():
        raise Refused(
            "The cursor is not one that was given out: begin again without it.", at="cursor"
        )
    before = int(cursor) if cursor else None

    now = desk.clock()

    def look(connection: Connection) -> tuple[list[IncidentRecord], Counter[int], Outs, Waiting]:
        page = incidents.page(connection, before=before, limit=limit, only_open=only_open)
        outs = _outs(connection, page, now)
        doubts: Counter[int] = Counter()
        for row in _in_doubt(connection, page, now):
            doubts[row.incident_id] += row.uncertain
        return page, doubts, outs, _stopped(connection, desk.configuration.adapters)

    found, doubts, outs, waiting = desk.read(look)
    return {
        "items": [
            line_answer(record, now)
            | {
                "in_doubt": doubts[record.id],
                "out": outs[record.id],
                "stopped": waiting.get(record.name, {}),
            }
            for record in found
        ],
        "next": str(found[-1].id) if len(found) == limit else "",
    }


Outs = dict[int, dict[str, Any] | None]
Waiting = Mapping[str, Mapping[str, str]]
"""By incident the channels on which something of it waits, each with how it is stopped."""


def _stopped(connection: Connection, configured: Container[str]) -> Waiting:
    waiting = channels.waiting(connection, begun=True)
    found: dict[str, dict[str, str]] = {}
    for channel, stop in stops_of(waiting, channels.states(connection), configured).items():
        for update in waiting[channel]:
            found.setdefault(update.partition("-")[0], {})[channel] = stop.state
    return found


def _outs(connection: Connection, page: Sequence[IncidentRecord], now: datetime) -> Outs:
    """By how many ways what went out last of each incident is out, or what it lacks."""
    shown = {record.id: _shown(record) for record in page}
    known = quorums.arrivals(connection, [update.id for update in shown.values()])
    return {key: out_answer(update, known[update.id], now) for key, update in shown.items()}


def all_deliveries(desk: Desk, operator: Operator, name: str, language: str = "") -> dict[str, Any]:
    """Every delivery of an incident, oldest first; `language` as for `show`."""
    permit(operator, Role.VIEWER)
    spoken = language or desk.configuration.languages[0]
    configured = desk.configuration.adapters

    def look(connection: Connection) -> dict[str, Any]:
        record = load_named(connection, name)
        rows = outcomes.of_incident(connection, record.id)
        found = by_delivery(one for each in all_took(connection, record).values() for one in each)
        answers = delivery_answers(connection, record.id, rows, spoken, configured, found)
        return {"items": answers}

    answer: dict[str, Any] = desk.read(look)
    return answer
