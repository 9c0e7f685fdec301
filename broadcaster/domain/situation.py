"""How an incident stands now, in the words of one language: what notices and scripts are made from.

Built from the public record, so that a sheet on a shop door says what the page says: the newest word that stands with all
its facts. Times are aware; `words` says them, written or spelled out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from broadcaster.domain.board import BoardIncident, BoardUpdate
from broadcaster.domain.incident import Kind
from broadcaster.domain.wording import Wording, spoken

W = TypeVar("W", bound=Wording)


@dataclass(frozen=True, slots=True)
class Own:
    """An operator's words, in `language`; `foreign` where that is not the language of what they stand in."""

    text: str
    language: str
    foreign: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who speaks: the organisation's name, its phone ("" without one), its default language, areas' keys → names."""

    name: str
    phone: str
    language: str
    areas: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation(Generic[W]):
    """One incident at `at` in `language`; `link` is its page, `over` says that nobody is concerned any more."""

    incident: BoardIncident
    words: W
    language: str
    at: datetime
    speaker: Speaker
    link: str

    # ------------------------------------------------------------------------------------------------- what holds
    @property
    def newest(self) -> BoardUpdate:
        """The newest word: it stands, for what strikes a word comes after it."""
        return self.incident.updates[0]

    @property
    def name(self) -> str:
        """The update's name, "A7-3"."""
        return f"{self.incident.id}-{self.newest.number}"

    @property
    def over(self) -> bool:
        """Whether nobody is concerned any more."""
        return not self.incident.is_open

    @property
    def to_come(self) -> bool:
        """Whether it is planned work that has not begun."""
        planned = self.incident.planned
        return not self.over and planned is not None and planned.start > self.at

    @property
    def promise(self) -> datetime | None:
        """When the next word comes; None when it is over or nothing is promised."""
        return self.incident.promise if self.incident.is_open else None

    @property
    def late(self) -> bool:
        """Whether that time has passed without a word."""
        return self.promise is not None and self.promise <= self.at

    # ------------------------------------------------------------------------------------------------- in words
    @property
    def mode(self) -> str:
        """The word that stands first in drill and demo, "" when live."""
        return self.words.mode_label(self.incident.mode)

    @property
    def is_power_cut(self) -> bool:
        """Whether the phrases about power fit."""
        return self.words.is_power_cut(self.incident.headline)

    @property
    def where(self) -> tuple[str, ...]:
        """The names of the areas concerned; of what is over, of those that were."""
        told = self.incident
        return self._names(told.areas or told.areas_stated or told.areas_ever)

    @property
    def title(self) -> str:
        """What has happened where, as the page is headed; of what is over, that it is."""
        words, headline = self.words, self.incident.headline
        _ = words.say
        title = words.title(headline, self.where, to_come=self.to_come)
        if self.incident.retracted:
            return _("What we said of this was wrong and does not hold: {title}", title=title)
        return words.restored_title(headline, self.where) if self.over else title

    @property
    def since(self) -> str:
        """Since when, or from when till when; "" when nobody said."""
        told, words = self.incident, self.words
        _ = words.say
        if told.retracted:
            return ""
        if self.to_come and told.planned:
            return _("Planned: {period}", period=words.planned_phrase(told.planned))
        began = told.since or (told.planned.start if told.planned else None)
        if self.over or began is None:
            return ""
        return _("Ongoing since {moment}", moment=words.time(began))

    @property
    def until(self) -> str:
        """The estimate; "" when there is none or it is over."""
        if self.over:
            return ""
        return self.words.etr_phrase(self.incident.etr, None, headline=self.incident.headline)

    @property
    def next_word(self) -> str:
        """When the next word comes; of one that is late, that it was promised and has not come; "" without any."""
        _ = self.words.say
        if self.late and self.promise:
            return _(
                "We promised the next word by {moment}. It has not come.",
                moment=self.words.time(self.promise),
            )
        return self.words.next_word_phrase(self.promise)

    @property
    def spared(self) -> str:
        """What the newest word says is over in part of the places; "" when it says nothing of the kind."""
        update, words = self.newest, self.words
        if self.over or not update.ended:
            return ""
        names = self._names(update.ended)
        if update.kind is Kind.RESTORED:
            return words.restored_title(self.incident.headline, names)
        return words.no_longer(update.kind, names)

    @property
    def puts_right(self) -> str:
        """That the newest word corrects or retracts an earlier one, and of when; else ""."""
        update = self.newest
        _ = self.words.say
        if self.incident.retracted:
            return ""  # the title says so
        if update.kind is Kind.CORRECTION and update.corrects_at:
            return _("This puts right what we said {time}.", time=self._told(update.corrects_at))
        if update.kind is Kind.RETRACTION and update.corrects_at:
            return _("What we said {time} was wrong.", time=self._told(update.corrects_at))
        return ""

    @property
    def text(self) -> Own | None:
        """The operator's words of the newest update, in this language if there are any in it."""
        said, language = spoken(self.newest.texts, self.language, self.speaker.language)
        return Own(said, language, foreign=language != self.language) if said else None

    @property
    def cause(self) -> Own | None:
        """Why, in the organisation's first language."""
        return None if self.over else self._own(self.incident.cause)

    @property
    def instruction(self) -> Own | None:
        """What to do, in the organisation's first language."""
        return None if self.over else self._own(self.incident.instruction)

    def foreign(self) -> Iterator[Own]:
        """The operator's words that exist in another language only."""
        yield from (own for own in (self.text, self.instruction, self.cause) if own and own.foreign)

    def _told(self, when: datetime) -> str:
        return self.words.time(when)

    def _own(self, text: str) -> Own | None:
        default = self.speaker.language
        return Own(text, default, foreign=default != self.language) if text else None

    def _names(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.speaker.areas.get(key, key) for key in keys)
