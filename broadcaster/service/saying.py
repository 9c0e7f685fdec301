"""Report, update, correct, retract, holding, restored: one way in, one transaction, one answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from broadcaster.domain.incident import Audience, Kind, Update
from broadcaster.domain.standing import estimate_of, tells_of_an_end, went_out, what_stands
from broadcaster.service import answering
from broadcaster.service.commands import Command, Operator, Refused, Role, Why
from broadcaster.service.consequences import already_open, consequences
from broadcaster.service.desk import Configuration, Desk, permit, permit_areas
from broadcaster.service.drafting import Draft, digest, draft
from broadcaster.service.finding import load_named
from broadcaster.service.notices import Saying
from broadcaster.service.planning import Plan, plan
from broadcaster.service.preceding import CORRECTING, Preceding, preceding_of
from broadcaster.service.redundancy import quorum
from broadcaster.service.stops import stop_answer, stops_of
from broadcaster.store import Conflict, Connection, accepting, channels, incidents, once
from broadcaster.store.accepting import incident_name, next_incident_id
from broadcaster.store.channels import ChannelState
from broadcaster.store.incidents import IncidentRecord
from broadcaster.store.intents import Acceptance
from broadcaster.store.writer import Rank

SAME_WITHIN = timedelta(minutes=10)
_OTHERS = 20  # that are told of: whoever sees so many knows
_PLANS = 6  # somebody else may say something between reading and writing


def say(desk: Desk, operator: Operator, command: Command) -> dict[str, Any]:
    """Accept a command durably and, unless it is scheduled, release it. Returns the answer as JSON values.

    Raises:
        Refused: nothing was stored and nothing sent.
        StoreError: the store could not take it; nothing was stored.
        OtherBody: the idempotency key came before with another body.
    """
    permit(operator, Role.AUTHOR)
    for left in reversed(range(_PLANS)):
        try:
            return _say_once(desk, operator, command, last=not left)
        except Conflict:
            continue
    raise Refused(
        "Several people speak about this at once. Look at it, then say it again.", Why.CONFLICT
    )


def _say_once(desk: Desk, operator: Operator, command: Command, *, last: bool) -> dict[str, Any]:
    prepared = prepare(desk, operator, command)
    now, update = prepared.now, prepared.drafted.update
    if prepared.plan is not None:
        prepared.plan.refuse_what_cannot_be_said()
    acceptance = _acceptance(command, prepared)
    told = consequences(
        command, prepared.record, prepared.drafted, prepared.plan, prepared.configuration
    )
    adapters = prepared.configuration.adapters
    told |= {"already_open": prepared.already_open, "stopped": prepared.stopped}

    def work(connection: Connection) -> tuple[dict[str, Any], bool]:
        if command.once is not None:
            known = once.recall(connection, command.once)
            if known is not None:
                return dict(known[1]), False
        _refuse_repetition(connection, command, update, now)
        preceding = preceding_of(connection, prepared.record, prepared.drafted, hold=True)
        if not last and prepared.preceding != preceding:
            raise Conflict("What is put right has gone further meanwhile.")
        accepted = accepting.accept(connection, acceptance, now)
        answer = answering.answer(acceptance, accepted, now, prepared.stopped, adapters) | told
        if command.once is not None:
            once.remember(connection, command.once, 201, answer, now)
        return answer, True

    rank = Rank.RETRACT if update.kind in CORRECTING else Rank.ACCEPT
    answer, _ = desk.write(work, rank)
    return dict(answer)


class Prepared:
    """A command read against the present: what it would become."""

    def __init__(
        self,
        now: datetime,
        configuration: Configuration,
        record: IncidentRecord | None,
        drafted: Draft,
        laid_out: Plan,
        preceding: Preceding,
        already_open: dict[str, list[str]],
        stopped: dict[str, Any],
    ) -> None:
        self.now, self.configuration, self.record = now, configuration, record
        self.drafted, self.plan, self.preceding = drafted, laid_out, preceding
        self.already_open, self.stopped = already_open, stopped


def prepare(desk: Desk, operator: Operator, command: Command) -> Prepared:
    """Draft and render a command without storing anything; the same for a preview and for saying it."""
    now, configuration = desk.clock(), desk.configuration

    def look(connection: Connection) -> Any:
        record = _record(connection, command)
        name = record.name if record else incident_name(next_incident_id(connection), staff=False)
        return record, name, channels.states(connection)

    record, name, states = desk.read(look)
    _refuse_stale(command, record)
    drafted = draft(command, record, name, configuration.settings, now, operator.name)
    drafted = _naming_what_it_leaves(drafted, configuration)
    permit_areas(operator, _touched(drafted, record))
    preceding, others = desk.read(
        lambda connection: (
            preceding_of(connection, record, drafted),
            _others(connection, drafted.update),
        )
    )
    saying = _saying(drafted, configuration, command, record)
    limits = {key: state.limits for key, state in states.items()}
    laid_out = plan(command, drafted, saying, configuration, limits, preceding)
    return Prepared(
        now,
        configuration,
        record,
        drafted,
        laid_out,
        preceding,
        already_open(drafted.update, others),
        _stopped(laid_out, states, configuration),
    )


def _stopped(
    laid_out: Plan, states: Mapping[str, ChannelState], configuration: Configuration
) -> dict[str, Any]:
    """How those of its channels are stopped that are."""
    carrying = [delivery.channel for delivery in laid_out.deliveries]
    stops = stops_of(carrying, states, configuration.adapters)
    return {name: stop_answer(stop, configuration.languages[0]) for name, stop in stops.items()}


def _record(connection: Connection, command: Command) -> IncidentRecord | None:
    if command.incident is None:
        return None
    return load_named(connection, command.incident)


def _others(connection: Connection, update: Update) -> list[IncidentRecord]:
    """What is open already where something new is reported, newest first."""
    if update.kind is not Kind.REPORT:
        return []
    return incidents.open_in(connection, update.areas, _OTHERS)


def _refuse_stale(command: Command, record: IncidentRecord | None) -> None:
    if record is None or command.kind is Kind.RETRACTION or command.expected is None:
        return
    if command.expected != record.last_number:
        newest = record.updates[-1].said
        raise Refused(
            "{incident} has gone on: {name} by {author} came meanwhile. Look at it, then say it again.",
            Why.STALE,
            incident=record.name,
            name=newest.name,
            author=newest.author,
        )


def _touched(drafted: Draft, record: IncidentRecord | None) -> tuple[str, ...]:
    update = drafted.update
    target = drafted.target.said if drafted.target else None
    corrected = (*target.areas, *target.ended) if target else ()
    last = record.updates[-1].said if record and record.updates else None
    # Where it is over, it is opened again where it was: that counts as much as where it still is.
    before = [said.areas or said.ended for said in (last, drafted.base) if said]
    return tuple(dict.fromkeys((*update.areas, *update.ended, *corrected, *sum(before, ()))))


def _naming_what_it_leaves(drafted: Draft, configuration: Configuration) -> Draft:
    """A retraction also names the areas that only the wrong text was about; nobody is written to for their sake."""
    update, target = drafted.update, drafted.target
    if update.kind is not Kind.RETRACTION or target is None or update.ended:
        return drafted
    known = configuration.settings.areas
    left = tuple(key for key in target.said.areas if key in known and key not in update.areas)
    return replace(drafted, update=replace(update, ended=left))


def _saying(
    drafted: Draft, configuration: Configuration, command: Command, record: IncidentRecord | None
) -> Saying:
    target = drafted.target
    before = what_stands(record.updates, drafted.update.audience) if record else None
    at = command.at or drafted.update.accepted_at
    return Saying(
        update=replace(drafted.update, released_at=at),
        configuration=configuration,
        corrects_at=target.said.released_at if target and not command.whole else None,
        began_at=_began(record) if command.whole else None,
        etr_before=_estimate_before(drafted, before),
        planned_before=before.planned if before else None,
        restores=_restores(drafted, record),
        over=drafted.base is not None and not drafted.update.areas,
        on_page=_is_on_page(drafted.update, record),
    )


def _began(record: IncidentRecord | None) -> datetime | None:
    """When the first word of an incident went out."""
    words = went_out(record.updates) if record else []
    return words[0].said.released_at if words else None


def _estimate_before(drafted: Draft, before: Update | None) -> datetime | None:
    """What the estimate is told to be instead of: a retraction goes on from what stood before the wrong word was said."""
    known = before if drafted.update.kind is Kind.RETRACTION else drafted.base
    return estimate_of(known) if known else None


def _is_on_page(update: Update, record: IncidentRecord | None) -> bool:
    """Whether there is a public page of the incident when this is read; what only staff know has none."""
    said = record.updates if record else ()
    return update.audience is Audience.PUBLIC or any(word.said.revision for word in said)


def _restores(drafted: Draft, record: IncidentRecord | None) -> bool:
    """Whether what is put right told that it is over, and it still is."""
    target = drafted.target
    if record is None or target is None or drafted.update.kind is not Kind.CORRECTION:
        return False
    return bool(drafted.update.ended) and tells_of_an_end(record.updates, target)


def _acceptance(command: Command, prepared: Prepared) -> Acceptance:
    drafted, update = prepared.drafted, prepared.drafted.update
    return Acceptance(
        incident_id=prepared.record.id if prepared.record else None,
        update=update,
        texts_digest=digest(update),
        corrects_all=drafted.whole,
        quiet=command.quiet,
        hold="scheduled" if command.at else "",
        release_at=command.at,
        messages=tuple(prepared.plan.messages),
        deliveries=tuple(prepared.plan.deliveries),
        follow_up=follow_up(update, prepared.configuration, _is_planned_anew(command, prepared)),
        once=command.once,
        quorum=quorum(prepared.configuration, prepared.plan.deliveries),
    )


def _is_planned_anew(command: Command, prepared: Prepared) -> bool:
    """Also what is taken back may bring another plan: the one that stood before."""
    update, record = prepared.drafted.update, prepared.record
    if command.planned is not None or record is None or update.kind not in CORRECTING:
        return command.planned is not None
    before = what_stands(record.updates, update.audience)
    reopened = before is not None and not before.areas and bool(update.areas)
    return reopened or (before is not None and before.planned != update.planned)


def follow_up(
    update: Update, configuration: Configuration, planned_anew: bool = False
) -> dict[str, datetime]:
    """When staff is reminded, when the word is due, when the honest holding message goes out, when planned work turns."""
    if update.audience is not Audience.PUBLIC or update.kind is Kind.NOTICE:
        return {}
    times: dict[str, datetime] = {}
    if update.planned and planned_anew and update.planned.end > update.accepted_at:
        times |= {"open": update.planned.start, "close": update.planned.end}
    rule = configuration.settings.follow_up
    if update.promise is not None:
        remind, grace = (rule.remind, rule.grace) if rule else (600.0, 300.0)
        times |= {
            "remind": update.promise - timedelta(seconds=remind),
            "due": update.promise,
            "grace": update.promise + timedelta(seconds=grace),
        }
    return times


def _refuse_repetition(
    connection: Connection, command: Command, update: Update, now: datetime
) -> None:
    if command.kind is not Kind.REPORT:
        return
    same = incidents.find_same(connection, digest(update), now, SAME_WITHIN)
    if same is not None:
        raise Refused(
            "The same text for the same area was accepted as {name} less than ten minutes ago. Nothing was sent "
            "again. To add to it: broadcaster update {incident}",
            Why.CONFLICT,
            name=same,
            incident=same.partition("-")[0],
        )
