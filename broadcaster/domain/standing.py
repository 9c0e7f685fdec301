"""What stands of an incident: the newest word that was not taken back, without what it took over from one that was.

A word takes over what its operator left out from the word that stood when it was written. When that word is retracted,
what it gave goes with it, and what was said before it holds again, as though it had never been said. A correction takes
over from what it corrects in the same way, so a corrected word gives on what its correction says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from broadcaster.domain.incident import Audience, Kind, Update

_BLANK: dict[str, Any] = {
    "since": None,
    "etr": None,
    "planned": None,
    "affected": None,
    "cause": "",
    "instruction": "",
}
_NEVER_BLANK = ("severity", "headline", "areas")  # an incident without these would become another
_FACTS = (*_BLANK, *_NEVER_BLANK)


class Word(Protocol):
    """An update and how it came and went: `release_at` is None unless it was scheduled; see `UpdateRecord`."""

    @property
    def said(self) -> Update:
        """What it says."""

    @property
    def struck_by(self) -> int | None:
        """The number of the update that corrected or retracted it."""

    @property
    def release_at(self) -> datetime | None:
        """The time it was scheduled for."""


W = TypeVar("W", bound=Word)


def newest_standing(words: Iterable[W], audience: Audience = Audience.STAFF) -> W | None:
    """The word that went out last of those that stand for `audience`, or None; staff hear what the public hears, too."""
    heard = (word for word in _told(words) if _is_for(word, audience) and word.struck_by is None)
    return next(reversed(list(heard)), None)


def what_stands(
    words: Iterable[Word], audience: Audience, *, without: int | None = None
) -> Update | None:
    """The newest word that stands for `audience`, with the facts that stand; None when nothing does.

    Args:
        without: the number of a word that is about to be retracted.
    """
    return _Record(words, without).now(audience)


def says_what_was_taken_back(words: Iterable[Word], held: Word) -> bool:
    """Whether a scheduled word took over something that was corrected or retracted since it was written."""
    return _Record(words, None).is_outdated(held)


def _told(words: Iterable[W]) -> list[W]:
    """What was said of the situation, in the order it went out: by number, for clocks may be set back.

    A scheduled word comes after those that were written before it went out.
    """
    told = [w for w in words if w.said.released_at and w.said.kind is not Kind.RETRACTION]

    def place(word: Word) -> tuple[int, int, int]:
        number, out = word.said.number, word.said.released_at
        if word.release_at is None or out is None:
            return number, 0, number
        before = [w.said.number for w in told if w.release_at is None and w.said.accepted_at <= out]
        return max(before, default=0), 1, number

    return sorted(told, key=place)


def _is_for(word: Word, audience: Audience) -> bool:
    return audience is Audience.STAFF or word.said.audience is Audience.PUBLIC


def _is_before(word: Word, at: Word | None) -> bool:
    """Whether a released word was out when `at` was written (None: now)."""
    if at is None:
        return True
    out = word.said.released_at
    in_time = word.release_at is None or (out is not None and out <= at.said.accepted_at)
    return word.said.number < at.said.number and in_time


class _Record:
    """The words of one incident, and of every fact of each the word that said it first (`_sources`)."""

    def __init__(self, words: Iterable[Word], without: int | None) -> None:
        known = list(words)
        self._without = without
        self._released = {word.said.number: word for word in known if word.said.released_at}
        self._told = _told(known)
        self._places = {word.said.number: place for place, word in enumerate(self._told)}
        self._sources: dict[int, dict[str, Word]] = {}
        for word in sorted(self._told, key=lambda one: one.said.number):
            self._sources[word.said.number] = {name: self._source(word, name) for name in _FACTS}

    def now(self, audience: Audience) -> Update | None:
        newest = self._newest(audience, None)
        if newest is None:
            return None
        origins = {name: self._origin(name, audience, None) for name in _FACTS}
        facts = {name: getattr(word.said, name) for name, word in origins.items() if word}
        usual = _BLANK | {name: getattr(newest.said, name) for name in _NEVER_BLANK}
        areas = origins["areas"] or newest
        return replace(newest.said, **(usual | facts), ended=areas.said.ended)

    def is_outdated(self, held: Word) -> bool:
        audience = held.said.audience
        stands = self.now(audience)
        for name in _FACTS:
            fact, origin = getattr(held.said, name), self._origin(name, audience, held)
            if origin is None or getattr(origin.said, name) != fact:
                continue  # its operator said so himself
            still = stands is not None and getattr(stands, name) == fact
            if self._striker(origin, None) and not still:
                return True
        return False

    def _origin(self, name: str, audience: Audience, at: Word | None) -> Word | None:
        """The word that gave a fact as it stood when `at` was written; None when nothing gives it any more."""
        word = self._newest(audience, at)
        while word is not None:
            origin = self._sources[word.said.number][name]
            if not self._is_gone(origin, at):
                return origin
            word = self._newest(origin.said.audience, origin)
        return None

    def _source(self, word: Word, name: str) -> Word:
        origin = self._origin(name, word.said.audience, word)
        same = origin is not None and getattr(origin.said, name) == getattr(word.said, name)
        return origin if origin is not None and same else word

    def _newest(self, audience: Audience, at: Word | None) -> Word | None:
        end = self._places.get(at.said.number) if at is not None else None
        for word in reversed(self._told[:end]):
            struck = self._striker(word, at) or self._is_gone(word, at)
            if _is_for(word, audience) and _is_before(word, at) and not struck:
                return word
        return None

    def _striker(self, word: Word, at: Word | None) -> Word | None:
        """What had corrected or retracted a word when `at` was written."""
        striker = self._released.get(word.struck_by or 0)
        return striker if striker is not None and _is_before(striker, at) else None

    def _is_gone(self, word: Word, at: Word | None) -> bool:
        """Whether a word was retracted, or corrected by one that was."""
        if at is None and word.said.number == self._without:
            return True
        striker = self._striker(word, at)
        if striker is None:
            return False
        return striker.said.kind is Kind.RETRACTION or self._is_gone(striker, at)
