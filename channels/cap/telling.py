"""An update as a CAP message: what kind of message it is, what it replaces, and what it says in each language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from broadcaster.channel import ChannelContext, Kind, Mode, Severity
from broadcaster.domain.addresses import incident_path, language_folder
from broadcaster.domain.board import BoardArea, BoardIncident, BoardUpdate, IncidentLine
from broadcaster.domain.listed import sentences
from broadcaster.domain.markup import legible
from broadcaster.domain.wording import Wording, power_cuts

AnIncident = BoardIncident | IncidentLine

LONGEST_HEADLINE = 160
"""Characters; CAP 1.2 §3.2.2 asks that short displays can show it whole."""
_SURE_TO_FIT = LONGEST_HEADLINE - 20  # with the word for a drill before it
_STANDS = timedelta(hours=2)  # after the promised next word, and after the end
_STANDS_UNPROMISED = timedelta(hours=12)
_REFERENCED = 100  # earlier messages named; what is older was named by these


class Situation(Enum):
    """What a message is about: responseType, urgency, certainty; severity where it is not the incident's."""

    GOING_ON = ("Monitor", "Expected", "Observed", "")
    GRAVE = ("Monitor", "Immediate", "Observed", "")
    TO_COME = ("Prepare", "Future", "Likely", "")
    OVER = ("AllClear", "Past", "Observed", "Minor")
    CANCELLED = ("None", "Past", "Unlikely", "Minor")
    STRUCK = ("None", "Past", "Unknown", "Unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the message says in one language."""

    language: str
    event: str
    headline: str
    description: str
    instruction: str
    web: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One CAP message. `references` name what it replaces, oldest first; times are aware, in the organisation's zone."""

    path: str
    identifier: str
    sender: str
    sent: datetime
    status: str
    kind: str
    incident: str
    references: tuple[str, ...]
    situation: Situation
    severity: str
    is_power_cut: bool
    onset: datetime | None
    expires: datetime
    told: tuple[Told, ...]
    areas: tuple[BoardArea, ...]


def stamp(when: datetime) -> str:
    """Write a time as CAP wants it: with an offset, never "Z", without fractions; UTC is "-00:00" (CAP 1.2 §3.3.2)."""
    text = when.isoformat(timespec="seconds")
    return f"{text[:-6]}-00:00" if text.endswith("+00:00") else text


def is_cancelled(update: BoardUpdate) -> bool:
    """Whether nothing of the incident stands after it: all was retracted, or the only word there was."""
    nothing_left = not update.areas and bool(update.ended)
    return update.kind is Kind.RETRACTION and (update.corrects is None or nothing_left)


def expiry(update: BoardUpdate) -> datetime:
    """Return until when a message holds: planned work until its end, else a while after the next word was promised.

    A reader that hears nothing more must not show it for ever.
    """
    if not update.areas or is_cancelled(update) or update.struck:
        return update.at + _STANDS
    if update.planned and update.planned.end > update.at:
        return update.planned.end
    if update.promise and update.promise > update.at:
        return update.promise + _STANDS
    return update.at + _STANDS_UNPROMISED


class Teller:
    """Tells updates as CAP messages in every language of the organisation, from `sender`."""

    def __init__(self, context: ChannelContext, sender: str) -> None:
        organisation = context.organisation
        self._context = context
        self._sender = sender
        self._zone = ZoneInfo(organisation.timezone)
        self._areas = {area.key: area for area in context.areas}
        # What nobody has translated is left out, never said in another language's name.
        self._told_in = (
            tuple(tag for tag in organisation.languages if not context.foreign.get(tag))
            or organisation.languages[:1]
        )
        self._power_cuts = power_cuts(context.phrases.values())

    def alerts(self, incident: BoardIncident) -> Iterator[Alert]:
        """Tell every update of an incident, oldest first."""
        before: list[BoardUpdate] = []
        for update in reversed(incident.updates):
            yield self.alert(incident, update, before)
            # What was cancelled needs to be replaced no more.
            before = [] if is_cancelled(update) else [*before, update][-_REFERENCED:]

    def alert(
        self, incident: AnIncident, update: BoardUpdate, before: Sequence[BoardUpdate] = ()
    ) -> Alert:
        """Tell one update; `before` are those it replaces, oldest first."""
        situation = _situation(incident, update)
        replaces = tuple(self._reference(incident, each) for each in before)
        kind = "Alert"
        if replaces:
            kind = "Cancel" if is_cancelled(update) else "Update"
        began = update.since or (update.planned.start if update.planned else None)
        languages = self._context.organisation.languages
        return Alert(
            path=path_of(incident, update),
            identifier=self._identifier(incident, update),
            sender=self._sender,
            sent=self._local(update.at),
            status=_STATUS[incident.mode],
            kind=kind,
            incident=incident.id,
            references=replaces,
            situation=situation,
            severity=situation.value[3] or incident.severity.value.capitalize(),
            is_power_cut=self._wording(update, languages[0]).is_power_cut(incident.headline),
            onset=self._local(began) if began else None,
            expires=self._local(expiry(update)),
            told=tuple(self._told(incident, update, language) for language in self._told_in),
            areas=tuple(self._area(key) for key in _concerned(incident, update)),
        )

    # -------------------------------------------------------------------------------------------------------- identity
    def _identifier(self, incident: AnIncident, update: BoardUpdate) -> str:
        return f"{self._sender}-{incident.id}-{update.number}-{update.revision}"

    def _reference(self, incident: AnIncident, update: BoardUpdate) -> str:
        sent = stamp(self._local(update.at))
        return f"{self._sender},{self._identifier(incident, update)},{sent}"

    def _local(self, when: datetime) -> datetime:
        return when.astimezone(self._zone)

    def _area(self, key: str) -> BoardArea:
        return self._areas.get(key) or BoardArea(key, key)

    # -------------------------------------------------------------------------------------------------------- in words
    def _wording(self, update: BoardUpdate, language: str) -> Wording:
        phrases = self._context.phrases.get(language, {})
        return Wording(phrases, self._zone, update.at, self._power_cuts)

    def _names(self, language: str, keys: Sequence[str]) -> tuple[str, ...]:
        return tuple(self._area(key).called(language) for key in keys)

    def _own(self, words: Wording, fact: str, language: str) -> str:
        """A cause or advice: what is listed in every language, other words in their own alone."""
        first = self._context.organisation.languages[0]
        return words.own(fact) if language == first or fact in sentences() else ""

    def _told(self, incident: AnIncident, update: BoardUpdate, language: str) -> Told:
        words, languages = self._wording(update, language), self._context.organisation.languages
        title = legible(self._title(words, incident, update, language))
        mode = words.mode_label(incident.mode)
        warned = words.say("{mode}: nothing of this has happened.", mode=mode) if mode else ""
        said = self._struck(words, incident, update) if update.struck else ()
        said = said or self._said(words, incident, update, language)
        own_words = not update.struck and bool(update.areas)
        folder = language_folder(languages, language)
        return Told(
            language=language,
            event=legible(words.hazard(incident.headline, to_come=words.to_come(update.planned))),
            headline=_cut(f"{mode}: {title}" if mode else title),
            # What is too long for the headline is not lost: the description begins with it.
            description="\n\n".join(
                legible(text).strip()
                for text in (warned, title if len(title) > _SURE_TO_FIT else "", *said)
                if text.strip()
            )
            or title,
            instruction=legible(self._own(words, update.instruction, language))
            if own_words
            else "",
            web=f"{self._context.public_url}/{folder}{incident_path(incident.slug)}",
        )

    def _title(
        self, words: Wording, incident: AnIncident, update: BoardUpdate, language: str
    ) -> str:
        what = self._what(words, incident, update, language)
        if update.struck:
            return f"{words.struck_label(update.struck.kind, update.struck.at)}: {what}"
        if update.kind in (Kind.REPORT, Kind.RESTORED):
            return what
        new_etr = update.etr not in (None, update.etr_before)
        tag = words.tag(
            update.kind,
            headline=incident.headline,
            corrects_at=update.corrects_at,
            new_etr=new_etr,
        )
        return f"{tag}: {what}"

    def _what(
        self, words: Wording, incident: AnIncident, update: BoardUpdate, language: str
    ) -> str:
        """Say what is where. The message holds where it goes on, so that stands before where it is over."""
        headline, names = incident.headline, self._names(language, _concerned(incident, update))
        over = ""
        if update.kind is Kind.RESTORED:
            over = words.restored_title(headline, self._names(language, update.ended))
            if not update.areas:
                return over
        to_come = words.to_come(update.planned)
        what = words.title(headline, names, to_come=to_come)
        when = words.when_phrase(None, update.planned, headline=headline) if to_come else ""
        what = f"{what}, {when}" if when else what
        return f"{what} · {over}" if over else what

    def _struck(self, words: Wording, incident: AnIncident, update: BoardUpdate) -> tuple[str, ...]:
        """What was taken back is told to nobody anew, not even by a board that was away while it stood."""
        struck = update.struck
        if struck is None:
            return ()
        label = words.struck_label(struck.kind, struck.at)
        name = f"{incident.id}-{struck.by}"
        return (words.say("{label}, see {name}.", label=label, name=name),)

    def _said(
        self, words: Wording, incident: AnIncident, update: BoardUpdate, language: str
    ) -> tuple[str, ...]:
        """The operator's words where there are any in this language, never in another's place; then each fact in ours."""
        _, headline = words.say, incident.headline
        text = update.texts.get(language, "")
        next_word = words.next_word_phrase(update.promise)
        if is_cancelled(update):
            return (text,)
        if update.kind is Kind.RESTORED:
            label, place = (
                words.restored_label(headline),
                words.listing(self._names(language, update.ended)),
            )
            over = _("{label}: {place}", label=label, place=place) if place else ""
            return (
                text,
                over,
                words.still_affected(self._names(language, update.areas)),
                next_word,
            )
        where = ""
        if update.areas:
            place = words.listing(self._names(language, update.areas))
            when = words.when_phrase(update.since, update.planned, headline="")
            where = _("Where: {place}", place=f"{place}, {when}" if when else place)
        cause = self._own(words, update.cause, language)
        return (
            text,
            words.no_longer(update.kind, self._names(language, update.ended)),
            where,
            words.etr_phrase(update.etr, update.etr_before, headline=headline),
            cause,
            next_word,
        )


_STATUS = {Mode.LIVE: "Actual", Mode.DRILL: "Exercise", Mode.DEMO: "Test"}


def path_of(incident: AnIncident, update: BoardUpdate) -> str:
    """Where an update's document stands: the revision is part of it, for a restored backup may give a number again."""
    return f"cap/{incident.slug}/{incident.slug}-{update.number}-{update.revision}.xml"


def _situation(incident: AnIncident, update: BoardUpdate) -> Situation:
    if update.struck:
        return Situation.STRUCK
    if is_cancelled(update):
        return Situation.CANCELLED
    if not update.areas:
        return Situation.OVER
    if update.planned and update.planned.start > update.at:
        return Situation.TO_COME
    return Situation.GRAVE if incident.severity.at_least(Severity.SEVERE) else Situation.GOING_ON


def _concerned(incident: AnIncident, update: BoardUpdate) -> tuple[str, ...]:
    """Where the message holds: where it is, or where it was when it is over."""
    return update.areas or update.ended or incident.areas_ever


def _cut(headline: str) -> str:
    if len(headline) <= LONGEST_HEADLINE:
        return headline
    return f"{headline[: LONGEST_HEADLINE - 1].rstrip()}…"
