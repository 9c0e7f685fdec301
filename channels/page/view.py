"""What the templates arrange: an incident as its page says it, in one language, every time already in words.

Each incident is dated by its newest word, not by the moment of rendering: its page says the same however often it is
written, and "senast 19.00" means the date that stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, pairwise
from zoneinfo import ZoneInfo

from broadcaster.channel import ChannelContext, Kind
from broadcaster.domain.addresses import update_anchor
from broadcaster.domain.board import BoardIncident, BoardUpdate, IncidentLine
from broadcaster.domain.listed import sentences
from broadcaster.domain.wording import Wording, power_cuts, spoken
from channels.page.changes import Changes, households, leaves, put_right, told_over
from channels.page.marking import isolated, marked
from channels.page.summary import NEWEST, shortened, summary
from channels.page.tongue import direction_of, not_own, reads

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)  # for words without one


@dataclass(frozen=True, slots=True)
class Said:
    """Words of ours or of an operator; `language` is "" when it is the page's own."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time in words and, for machines, with its offset."""

    text: str
    iso: str


@dataclass(frozen=True, slots=True)
class EtrView:
    """That an estimate was replaced, in words, and the anchor of the update that says why."""

    text: str
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateView:
    """One line of an incident's timeline. `about` and `struck_by` are anchors on the same page, or "".

    `facts` still stand, also where the update was struck; `fallen` do not. `spoken` says which language `text` is in so far,
    "" where it is the page's own.
    """

    anchor: str
    kind: Kind
    clock: Stamp
    tag: str
    about: str
    text: Said | None
    spoken: str
    facts: tuple[Said, ...]
    fallen: tuple[Said, ...]
    struck: str
    struck_by: str

    @property
    def style(self) -> str:
        """How it stands out: "gone", "fix", "back" or not at all."""
        if self.struck:
            return "gone"
        fix = {Kind.CORRECTION: "fix", Kind.RETRACTION: "fix", Kind.RESTORED: "back"}
        return fix.get(self.kind, "news")


@dataclass(frozen=True, slots=True, kw_only=True)
class DayView:
    """The updates of one date; `date` is "" when it is the one that stands at the top of the incident."""

    date: str
    updates: tuple[UpdateView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """An incident in words. `state` is open, planned, restored or retracted; "" stands for what is not known."""

    id: str
    slug: str
    state: str
    status: str
    mode_label: str
    title: Said
    updated: Stamp
    power: bool
    began: str
    reported: str
    areas: tuple[str, ...]
    affected: str
    etr: str
    etr_withdrawn: bool
    etr_history: tuple[EtrView, ...]
    promise: str
    promise_moment: str
    late: bool
    summary: str
    cause: Said | None
    instruction: Said | None
    days: tuple[DayView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineView:
    """An incident in one line of a list."""

    slug: str
    state: str
    status: str
    title: Said
    mode_label: str


class Teller:
    """Turns what is on the board into views in one `language`, for a configuration `context`."""

    def __init__(self, context: ChannelContext, language: str) -> None:
        self.language = language
        self.default = context.organisation.languages[0]
        self.phrases = marked(
            context.phrases.get(language, {}), context.foreign.get(language, {}), language
        )
        self.is_turned = direction_of(language) == "rtl"
        self.zone = ZoneInfo(context.organisation.timezone)
        self._areas = {area.key: area.name for area in context.areas_in(language)}
        self._power_cuts = power_cuts(context.phrases.values())

    def wording(self, near: datetime) -> Wording:
        """Return the words of a text dated `near`."""
        return Wording(self.phrases, self.zone, near, self._power_cuts)

    def names(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """Return the areas' names; an area that has left the configuration keeps its key."""
        return tuple(self._areas.get(key, key) for key in keys)

    def place(self, keys: tuple[str, ...]) -> str:
        """Say the areas' names, as a headline does."""
        return self.wording(_ANY_TIME).place(self.names(keys))

    def stamp(self, when: datetime, text: str) -> Stamp:
        """Join a time in words with the same for machines."""
        return Stamp(text, when.astimezone(self.zone).isoformat(timespec="minutes"))

    def line(self, line: IncidentLine, *, at: datetime) -> LineView:
        """Tell an incident in one line that can be read in years; `at` decides whether planned work has begun."""
        words = self.wording(line.opened_at)
        _ = words.say
        if line.retracted:
            state, status = "retracted", _("Retracted, it was not so")
        elif line.closed_at is None and line.planned and line.planned.start > at:
            period = words.planned_phrase(line.planned)
            state, status = "planned", _("Planned: {period}", period=period)
        elif line.closed_at is None:
            state, status = (
                "open",
                _("Not over, first word {moment}", moment=words.dated(line.opened_at)),
            )
        else:
            label = words.restored_label(line.headline)
            state = "restored"
            status = _("{label} {moment}", label=label, moment=words.dated(line.closed_at))
        return LineView(
            slug=line.slug,
            state=state,
            status=status,
            title=self._title(
                words, line.headline, line.areas_ever, to_come=_is_to_come(words, line, state)
            ),
            mode_label=words.mode_label(line.mode),
        )

    def going_on(self, incident: BoardIncident, *, at: datetime) -> LineView:
        """Tell an open incident in one line."""
        words = self.wording(incident.updates[0].at)
        state, status = self._status(words, incident, at)
        to_come = _is_to_come(words, incident, state)
        return LineView(
            slug=incident.slug,
            state=state,
            status=status,
            title=self._title(words, incident.headline, incident.areas, to_come=to_come),
            mode_label=words.mode_label(incident.mode),
        )

    def line_of_left(self, incident: BoardIncident, area: str) -> LineView | None:
        """Tell of an incident that goes on elsewhere how it ended in an `area`; None where it never was there."""
        others = {update.number: update for update in incident.updates}
        word = leaves(area, incident, others)
        if word is None:
            return None
        words = self.wording(word.at)
        _ = words.say
        moment = words.dated(word.at)
        label = _("No longer affected")
        if area in told_over(word, others):
            label = words.restored_label(incident.headline)
        return LineView(
            slug=incident.slug,
            state="restored",
            status=_("{label} {moment}", label=label, moment=moment),
            title=self._title(words, incident.headline, (area,), to_come=False),
            mode_label=words.mode_label(incident.mode),
        )

    def incident(self, incident: BoardIncident, *, at: datetime) -> IncidentView:
        """Tell an incident whole; `at` decides whether its promise is late and a planned cut has begun."""
        words = self.wording(incident.updates[0].at)
        promise = incident.promise if incident.is_open else None
        began = _began(incident)
        state, status = self._status(words, incident, at)
        areas = incident.areas or incident.areas_stated or incident.areas_ever
        named = self.names(areas)
        return IncidentView(
            id=incident.id,
            slug=incident.slug,
            state=state,
            status=status,
            mode_label=words.mode_label(incident.mode),
            title=self._title(
                words, incident.headline, areas, to_come=_is_to_come(words, incident, state)
            ),
            updated=self.stamp(words.near, words.moment(words.near)),
            power=words.is_power_cut(incident.headline),
            began=words.dated(began) if began and state == "restored" else "",
            reported=words.dated(incident.opened_at) if not began and state == "restored" else "",
            areas=tuple(map(isolated, named)) if self.is_turned else named,
            affected=households(words, incident.affected),
            etr=words.time(incident.etr) if incident.etr else "",
            etr_withdrawn=incident.etr is None
            and any(update.etr for update in incident.updates_since_opened),
            etr_history=self._etr_history(words, incident),
            promise=words.time(promise) if promise else "",
            promise_moment=words.moment(promise) if promise else "",
            late=promise is not None and promise <= at,
            summary=summary(words, incident, status, self._newest_words(incident), at),
            cause=self._own(words, incident.cause),
            instruction=self._own(words, incident.instruction),
            days=tuple(self._days(words, incident)),
        )

    # ----------------------------------------------------------------------------------------------- the incident
    def _title(
        self, words: Wording, headline: str, areas: tuple[str, ...], *, to_come: bool
    ) -> Said:
        title = words.title(headline, self.names(areas), to_come=to_come)
        return Said(title, "" if words.is_power_cut(headline) else self._foreign(self.default))

    def _own(self, words: Wording, text: str) -> Said | None:
        """Return what is listed in this language, else words kept in one language only: the organisation's first."""
        if text in sentences():
            return Said(words.own(text))
        return Said(text, self._foreign(self.default)) if text else None

    def _foreign(self, language: str) -> str:
        """A language, "" where who reads this page reads it, too: easy Swedish is Swedish."""
        return "" if reads(self.language, language) else language

    def _status(self, words: Wording, incident: BoardIncident, at: datetime) -> tuple[str, str]:
        _ = words.say
        if incident.retracted:
            return "retracted", _("Retracted: nothing of this holds")
        if incident.closed_at is not None:
            label = words.restored_label(incident.headline)
            moment = words.dated(incident.closed_at)
            return "restored", _("{label} {moment}", label=label, moment=moment)
        if incident.planned is not None and incident.planned.start > at:
            period = words.planned_phrase(incident.planned)
            return "planned", _("Planned: {period}", period=period)
        began = _began(incident)
        if began is None:  # when we were told is not when it began
            return "open", _("Reported {moment}", moment=words.moment(incident.opened_at))
        return "open", _("Ongoing since {moment}", moment=words.moment(began))

    def _etr_history(self, words: Wording, incident: BoardIncident) -> tuple[EtrView, ...]:
        """Return the estimates that no longer hold, newest first."""
        _ = words.say
        changes = sorted(incident.etr_history, key=lambda change: change.at, reverse=True)
        return tuple(
            EtrView(
                _(
                    "changed {time}, was {etr}",
                    time=words.time(newer.at),
                    etr=words.time(older.etr),
                ),
                update_anchor(incident.slug, newer.number),
            )
            for newer, older in pairwise(changes)
            if older.etr
        )

    # ----------------------------------------------------------------------------------------------- the timeline
    def _days(self, words: Wording, incident: BoardIncident) -> Iterator[DayView]:
        today = words.near.astimezone(self.zone).date()
        for day, updates in groupby(incident.updates, lambda u: u.at.astimezone(self.zone).date()):
            held = tuple(updates)
            yield DayView(
                date="" if day == today else words.date(held[0].at),
                updates=tuple(self._update(update, incident) for update in held),
            )

    def _update(self, update: BoardUpdate, incident: BoardIncident) -> UpdateView:
        words = self.wording(update.at)
        struck = update.struck
        numbers = {other.number for other in incident.updates}
        changes = self._changes(words, update, incident)
        facts: dict[bool, list[Said]] = {True: [], False: []}
        for fact in changes.facts():
            language = self._foreign(self.default) if fact.own else ""
            facts[fact.stands and not incident.retracted].append(Said(fact.text, language))
        tag = self._tag(words, update, incident.headline, new_etr=changes.estimates_anew)
        says_nothing = changes.silent and not any(facts.values())
        if struck and (says_nothing or update.kind is Kind.RESTORED):
            stands = changes.is_still_over and not incident.retracted
            facts[stands].insert(0, Said(tag))
        return UpdateView(
            anchor=update_anchor(incident.slug, update.number),
            kind=update.kind,
            clock=self.stamp(update.at, words.clock(update.at)),
            tag=tag,
            about=(
                update_anchor(incident.slug, update.corrects)
                if update.corrects and update.corrects in numbers
                else ""
            ),
            text=self._text(update.texts),
            spoken=not_own(
                words, update, self.language, self.default, newest=update is incident.updates[0]
            ),
            facts=tuple(facts[True]),
            fallen=tuple(facts[False]),
            struck=words.struck_label(struck.kind, struck.at) if struck else "",
            struck_by=update_anchor(incident.slug, struck.by)
            if struck and struck.by in numbers
            else "",
        )

    def _newest_words(self, incident: BoardIncident) -> str:
        """Return the newest words of an operator in this language, short; "" when there are none in it."""
        said, language = spoken(incident.updates[0].texts, self.language, self.default)
        return shortened(said, NEWEST) if language == self.language else ""

    def _text(self, texts: Mapping[str, str]) -> Said | None:
        """Return the operator's words in this language, else in another that says which it is."""
        text, language = spoken(texts, self.language, self.default)
        return Said(text, self._foreign(language)) if text else None

    def _tag(self, words: Wording, update: BoardUpdate, headline: str, *, new_etr: bool) -> str:
        if update.kind is Kind.RESTORED:
            return words.restored_title(headline, self.names(update.ended))
        return words.tag(
            update.kind, headline=headline, corrects_at=update.corrects_at, new_etr=new_etr
        )

    def _changes(self, words: Wording, update: BoardUpdate, incident: BoardIncident) -> Changes:
        """Set the update beside its neighbours in the timeline."""
        others = {other.number: other for other in incident.updates}
        older = [other for other in incident.updates if other.revision < update.revision]
        said, language = spoken(update.texts, self.language, self.default)
        return Changes(
            words=words,
            headline=incident.headline,
            names=self.names,
            text=said if reads(self.language, language) else "",
            silent=not said,
            update=update,
            before=older[0] if older else None,
            by=put_right(update, others),
            over=told_over(update, others),
        )


def _is_to_come(words: Wording, told: BoardIncident | IncidentLine, state: str) -> bool:
    """Whether it is headed as planned work: what was retracted before it began still is."""
    return state == "planned" or (state == "retracted" and words.to_come(told.planned))


def _began(incident: BoardIncident) -> datetime | None:
    """When it began, None when nobody said: planned work without another beginning, when it was planned to."""
    planned = incident.planned.start if incident.planned else None
    return incident.since or planned
