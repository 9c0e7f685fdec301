"""The facts of an update as phrases: what it is called, since when, until when, when the next word comes.

Messages, page and feeds take their words from here, so that one fact reads the same wherever it is met. A power cut,
which is what most incidents are, has phrases of its own; any other hazard is told by its headline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from broadcaster.domain.delivery import Variant
from broadcaster.domain.incident import Kind, Mode, Planned
from broadcaster.domain.listed import sentences
from broadcaster.domain.localtime import (
    Phrases,
    say,
    say_clock,
    say_date,
    say_moment,
    say_month,
    say_time,
)

_NAMED_AREAS = 3  # more than these make a headline that nobody reads to its end
_NAMED_TIMES = 3


def power_cuts(languages: Iterable[Phrases]) -> frozenset[str]:
    """Return what a power cut is called by default in each of these languages, in lower case."""
    return frozenset({"", *(known.get("Power cut", "Power cut").casefold() for known in languages)})


def spoken(texts: Mapping[str, str], *languages: str) -> tuple[str, str]:
    """Return the text in the first of `languages` that there is one in, else in any, and its language; ("", "") if none.

    Where there is none in a variant ("sv-simple"), the one in its language is taken.
    """
    nearest = (tag for language in languages for tag in (language, language.partition("-")[0]))
    for language in (*nearest, *texts):
        if texts.get(language):
            return texts[language], language
    return "", ""


def is_easy(language: str) -> bool:
    """Return whether a tag names the easy variant of a language ("sv-simple", by the registry of BCP 47)."""
    return language.endswith("-simple")


@dataclass(frozen=True)
class Wording:
    """One text's language (`phrases`), the zone of its times, and the aware time it is dated (`near`).

    `power_cuts` is how a power cut is headed in the organisation's other languages: a headline is kept in one only.
    """

    phrases: Phrases
    zone: ZoneInfo
    near: datetime
    power_cuts: frozenset[str] = frozenset({""})

    def say(self, sentence: str, **values: object) -> str:
        """Say the English `sentence` in this language; a placeholder without a value raises KeyError."""
        return say(self.phrases, sentence, **values)

    # ------------------------------------------------------------------------------------------------------- times
    def clock(self, when: datetime) -> str:
        """Say "15.50"."""
        return say_clock(when, zone=self.zone, phrases=self.phrases)

    def time(self, when: datetime) -> str:
        """Say "15.50", or "mån 23 nov 03.00" when the text bears another date."""
        return say_time(when, near=self.near, zone=self.zone, phrases=self.phrases)

    def date(self, when: datetime) -> str:
        """Say "söndag 22 november"."""
        return say_date(when, near=self.near, zone=self.zone, phrases=self.phrases)

    def moment(self, when: datetime) -> str:
        """Say "söndag 22 november 14.57"."""
        return say_moment(when, near=self.near, zone=self.zone, phrases=self.phrases)

    def dated(self, when: datetime) -> str:
        """Say "söndag 22 november 2026 14.57", for what will be read in years."""
        return say_moment(when, near=None, zone=self.zone, phrases=self.phrases)

    def month(self, when: datetime) -> str:
        """Say "november 2026"."""
        return say_month(when, zone=self.zone, phrases=self.phrases)

    # ------------------------------------------------------------------------------------------------ what and where
    def mode_label(self, mode: Mode) -> str:
        """Return the word that stands first in drill and demo ("ÖVNING", "DEMO"), "" when live."""
        _ = self.say
        return {Mode.LIVE: "", Mode.DRILL: _("DRILL"), Mode.DEMO: _("DEMO")}[mode]

    def is_power_cut(self, headline: str) -> bool:
        """Whether the phrases about power fit: there is no headline, or it is the default one."""
        _ = self.say
        return headline.casefold() in {*self.power_cuts, "power cut", _("Power cut").casefold()}

    def hazard(self, headline: str, *, to_come: bool = False) -> str:
        """Return the headline, "Strömavbrott" when it is the default, "Planerat strömavbrott" when it is `to_come`."""
        _ = self.say
        if not self.is_power_cut(headline):
            return headline
        return _("Planned power cut") if to_come else _("Power cut")

    def listing(self, names: Sequence[str]) -> str:
        """Join names: "Norra Ekbyn, Västerby och Sjövik"."""
        _ = self.say
        if len(names) < 2:
            return "".join(names)
        return _("{first} and {last}", first=", ".join(names[:-1]), last=names[-1])

    def place(self, names: Sequence[str]) -> str:
        """Join names for a headline: the many beyond the first are counted."""
        _ = self.say
        if len(names) <= _NAMED_AREAS:
            return self.listing(names)
        return _("{first} and {count} other areas", first=names[0], count=len(names) - 1)

    def title(self, headline: str, names: Sequence[str], *, to_come: bool = False) -> str:
        """Say what has happened where: "Strömavbrott i Norra Ekbyn"."""
        _ = self.say
        hazard, place = self.hazard(headline, to_come=to_come), self.place(names)
        if not place or place.casefold() in hazard.casefold():
            return hazard
        if self.is_power_cut(headline):
            return _("{hazard} in {place}", hazard=hazard, place=place)
        return f"{hazard} · {place}"  # the operator's own headline may end in a place already

    def restored_title(self, headline: str, names: Sequence[str]) -> str:
        """Say what is over where: "Strömmen är åter i Norra Ekbyn", "Avhjälpt: Vattenläcka · Centrum"."""
        _ = self.say
        label = self.restored_label(headline)
        if not self.is_power_cut(headline):
            return f"{label}: {self.title(headline, names)}"
        return _("{hazard} in {place}", hazard=label, place=self.place(names)) if names else label

    def still_affected(self, names: Sequence[str]) -> str:
        """Say "Fortfarande berört: Södra Ekbyn"; "" when nothing is."""
        _ = self.say
        return _("Still affected: {place}", place=self.listing(names)) if names else ""

    def no_longer(self, kind: Kind, names: Sequence[str]) -> str:
        """Say "Berörs inte längre: Ekbyns centrum", of what is retracted "Gäller inte: Ekbyns centrum"; "" of nothing."""
        _ = self.say
        if not names:
            return ""
        if kind is Kind.RETRACTION:  # it never was affected
            return _("Does not apply to: {place}", place=self.listing(names))
        return _("No longer affected: {place}", place=self.listing(names))

    # ------------------------------------------------------------------------------------------------- what it is
    def label(
        self,
        kind: Kind,
        *,
        headline: str,
        corrects_at: datetime | None = None,
        began_at: datetime | None = None,
        variant: Variant = Variant.NEWS,
        to_come: bool = False,
    ) -> str:
        """Name an update where it stands alone, as the first words of a message.

        `corrects_at` is when the update that it corrects or retracts was released (None: the whole incident),
        `began_at` when the first word of the whole incident was.
        """
        _ = self.say
        if kind is Kind.NOTICE:
            return _("Notice to staff")
        if kind is Kind.RESTORED:
            return self.restored_label(headline)
        if variant is Variant.ALL_CLEAR:
            return _("No longer affected")
        if kind in {Kind.CORRECTION, Kind.RETRACTION}:
            return self.corrected_label(kind, corrects_at, began_at)
        return self.hazard(headline, to_come=to_come)

    def tag(
        self,
        kind: Kind,
        *,
        headline: str,
        corrects_at: datetime | None = None,
        new_etr: bool = False,
    ) -> str:
        """Name an update among its incident's others: "Första besked", "Ny bedömning", "Rättelse av 14.40"."""
        _ = self.say
        if kind is Kind.REPORT:
            return _("First word")
        if kind is Kind.UPDATE:
            return _("New estimate") if new_etr else _("Update")
        if kind is Kind.HOLDING:
            return _("Nothing new")
        return self.label(kind, headline=headline, corrects_at=corrects_at)

    def restored_label(self, headline: str) -> str:
        """Say "Strömmen är åter", of another hazard "Avhjälpt"."""
        _ = self.say
        return _("The power is back") if self.is_power_cut(headline) else _("Resolved")

    def corrected_label(
        self, kind: Kind, corrects_at: datetime | None, began_at: datetime | None = None
    ) -> str:
        """Name a correction or retraction by the time of what it is about: "Rättelse av 14.40"."""
        _ = self.say
        if corrects_at is None and kind is Kind.RETRACTION and began_at is not None:
            return _("All since {time} retracted", time=self.time(began_at))
        if corrects_at is None:
            return _("Retraction of all we wrote") if kind is Kind.RETRACTION else _("Correction")
        time = self.time(corrects_at)
        if kind is Kind.RETRACTION:
            return _("Retraction of {time}", time=time)
        return _("Correction of {time}", time=time)

    def struck_label(self, kind: Kind, at: datetime) -> str:
        """Say that a text no longer stands: "Rättat 14.52" or "Återtaget 14.52"."""
        _ = self.say
        if kind is Kind.RETRACTION:
            return _("Retracted {time}", time=self.time(at))
        return _("Corrected {time}", time=self.time(at))

    # ------------------------------------------------------------------------------------------------------- facts
    def own(self, text: str) -> str:
        """Say a cause or advice that is listed in this language; an operator's own words stay as they are."""
        return self.say(text) if text in sentences() else text

    def since_phrase(self, since: datetime | None) -> str:
        """Say "sedan 14.05"; "" when not known."""
        _ = self.say
        return _("since {time}", time=self.time(since)) if since else ""

    def to_come(self, planned: Planned | None) -> bool:
        """Whether planned work begins after this text is dated."""
        return planned is not None and planned.start > self.near

    def when_phrase(self, since: datetime | None, planned: Planned | None, *, headline: str) -> str:
        """Say "sedan 14.05"; of planned work that is to come, from when till when; "" when neither is known."""
        _ = self.say
        if planned is None or not self.to_come(planned):
            return self.since_phrase(since or (planned.start if planned else None))
        period = self.planned_phrase(planned)
        return period if self.is_power_cut(headline) else _("planned {period}", period=period)

    def planned_work(self, planned: Planned | None, *, headline: str) -> str:
        """Say "Planerat strömavbrott söndag 22 november 14.00 till 16.00"; "" when nothing is to come."""
        if not self.to_come(planned):
            return ""
        when = self.when_phrase(None, planned, headline=headline)
        return f"{self.hazard(headline, to_come=True)} {when}"

    def planned_phrase(self, planned: Planned) -> str:
        """Say "söndag 22 november 14.00 till 16.00"."""
        _ = self.say
        end = say_time(planned.end, near=planned.start, zone=self.zone, phrases=self.phrases)
        return _("{start} to {end}", start=self.moment(planned.start), end=end)

    def etr_phrase(self, etr: datetime | None, before: datetime | None, *, headline: str) -> str:
        """Say the estimated time of restoration, and what it was `before` where it has changed; "" when never said."""
        _ = self.say
        if etr is None:
            return (
                _("The estimate {time} no longer holds", time=self.time(before)) if before else ""
            )
        time = self.time(etr)
        said = self.time(before) if before and before != etr else ""
        if self.is_power_cut(headline):
            if said:
                return _("Most have power by {time}, not {before}", time=time, before=said)
            return _("Most have power by {time}", time=time)
        if said:
            return _("Expected to be resolved by {time}, not {before}", time=time, before=said)
        return _("Expected to be resolved by {time}", time=time)

    def missed(self, times: Sequence[datetime]) -> str:
        """Say "Tidigare besked som inte nådde hit: 14.20 och 14.50" of words released at `times`; "" when there are none."""
        _ = self.say
        if not times:
            return ""
        if len(times) > _NAMED_TIMES:
            said = _("{count} since {time}", count=len(times), time=self.time(min(times)))
        else:
            said = self.listing([self.time(when) for when in times])
        return _("Earlier words that did not reach here: {times}", times=said)

    def next_word_phrase(self, promise: datetime | None) -> str:
        """Say "Nästa besked senast 15.50"; "" when none is promised."""
        _ = self.say
        return _("Next word by {time}", time=self.time(promise)) if promise else ""
