"""What stands of an incident: the newest word that was not taken back, without what it took over from one that was.

A word takes over what its operator left out from the word that stood when it was written. When that word is retracted,
what it gave goes with it, and what was said before it holds again, as though it had never been said. A correction takes
over from what it corrects in the same way, so a corrected word gives on what its correction says.

The promise is another thing: what readers were told last of when the next word comes is the promise, also by a retraction.
What is retracted promises nothing any more, nor does what it had corrected: while a retraction is written, the promise that
was made before both stands again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


def newest_standing(
    words: Iterable[W], audience: Audience = Audience.STAFF, *, news: bool = False
) -> W | None:
    """The word that went out last of those that stand for `audience`, or None; staff hear what the public hears, too.

    Args:
        news: leave out what says only that there is none.
    """
    heard = (word for word in _told(words) if _is_for(word, audience) and word.struck_by is None)
    said = (word for word in heard if not (news and word.said.kind is Kind.HOLDING))
    return next(reversed(list(said)), None)


def what_stands(
    words: Iterable[Word], audience: Audience, *, without: int | None = None
) -> Update | None:
    """The newest word that stands for `audience`, with the facts and the promise that stand; None when nothing does.

    Args:
        without: the number of a word that is about to be retracted.
    """
    return _Record(words, without).now(audience)


def standing_words(words: Iterable[Word], audience: Audience) -> list[Update]:
    """Every word that stands for `audience`, in the order they went out, each with those of its facts that stand."""
    record = _Record(words, None)
    return [record.as_it_stands(word) for word in record.standing(audience)]


def areas_concerned(words: Iterable[W], audience: Audience) -> tuple[str, ...]:
    """Where it was by the words that stand for `audience`: where they say that it is, and where that it is over.

    An area that a word says it does not concern is not one of them, nor is one that only a retracted word named.
    """
    known = list(words)
    record = _Record(known, None)
    ever = {area for said in record.not_retracted(audience) for area in said.areas}
    named: list[str] = []
    for word in record.standing(audience):
        over = word.said.ended if tells_of_an_end(known, word) else ()
        named += (*record.as_it_stands(word).areas, *(area for area in over if area in ever))
    return tuple(dict.fromkeys(named))


def standing_promise(words: Iterable[Word], audience: Audience) -> datetime | None:
    """When the next word comes by what `audience` was told last; None when nothing stands."""
    stands = what_stands(words, audience)
    return stands.promise if stands else None


def estimate_of(said: Update) -> datetime | None:
    """The estimate as a reader meets it: what is over, and concerns no area any more, has none."""
    return said.etr if said.areas else None


def tells_of_an_end(words: Iterable[Word], word: Word) -> bool:
    """Whether a word tells that it is over, somewhere or everywhere: a restoration, or what corrects one."""
    known = {each.said.number: each.said for each in words}
    said: Update | None = word.said
    while said is not None and said.kind is Kind.CORRECTION:
        said = known.get(said.corrects or 0)
    return said is not None and said.kind is Kind.RESTORED


def says_what_was_taken_back(words: Iterable[Word], held: Word) -> bool:
    """Whether a scheduled word took over, or puts right, what was corrected or retracted since it was written."""
    return _Record(words, None).is_outdated(held)


def _told(words: Iterable[W]) -> list[W]:
    """What was said of the situation, in the order it went out."""
    return [word for word in went_out(words) if word.said.kind is not Kind.RETRACTION]


def went_out(words: Iterable[W]) -> list[W]:
    """What went out, in that order: by number, and a scheduled word after those that went out before it."""
    out = [(word, word.said.released_at) for word in words]
    at_once = [word for word, at in out if at is not None and word.release_at is None]

    def place(word: Word, at: datetime) -> tuple[int, int, datetime, int]:
        number = word.said.number
        if word.release_at is None:
            return number, 0, at, number
        before = [each.said.number for each in at_once if not _was_out(word, each)]
        # Two that went out in one moment went out by revision.
        return max(before, default=0), 1, at, word.said.revision.n if word.said.revision else number

    placed = [(place(word, at), word) for word, at in out if at is not None]
    return [word for _, word in sorted(placed, key=lambda each: each[0])]


def _was_out(scheduled: Word, at: Word) -> bool:
    """Whether a scheduled word was out when `at` was written: by revision where both have one, for clocks may be set back."""
    word, later = scheduled.said, at.said
    if word.revision and later.revision and at.release_at is None:
        return word.revision < later.revision
    return word.released_at is not None and word.released_at <= later.accepted_at


def _is_for(word: Word, audience: Audience) -> bool:
    return audience is Audience.STAFF or word.said.audience is Audience.PUBLIC


def _is_before(word: Word, at: Word | None) -> bool:
    """Whether a released word was out when `at` was written (None: now)."""
    if at is None:
        return True
    in_time = word.release_at is None or _was_out(word, at)
    return word.said.number < at.said.number and in_time


class _Record:
    """The words of one incident, what stood when each was written (`_before`), and who first said its facts (`_sources`)."""

    def __init__(self, words: Iterable[Word], without: int | None) -> None:
        self._without = without
        self._out = went_out(words)
        self._released = {word.said.number: word for word in self._out}
        self._told = [word for word in self._out if word.said.kind is not Kind.RETRACTION]
        self._places = {word.said.number: place for place, word in enumerate(self._told)}
        self._before: dict[int, Word | None] = {}
        self._sources: dict[int, dict[str, Word]] = {}
        self._is_whole = without is None and not any(word.struck_by for word in self._out)
        if not self._is_whole:
            self._trace()

    def _trace(self) -> None:
        for word in sorted(self._told, key=lambda one: one.said.number):
            number, before = word.said.number, self._newest(word.said.audience, word)
            self._before[number] = before
            self._sources[number] = {name: self._source(word, before, name) for name in _FACTS}

    def now(self, audience: Audience) -> Update | None:
        newest = self._newest(audience, None)
        if newest is None:
            return None
        heard = [w for w in self._out if _is_for(w, audience)]
        promises = [w.said.promise for w in heard if not self._is_gone(w, None)]
        return replace(self.as_it_stands(newest), promise=promises[-1])

    def standing(self, audience: Audience) -> list[Word]:
        """In the order they went out."""
        return [word for word in self._told if _is_for(word, audience) and self._stands(word, None)]

    def not_retracted(self, audience: Audience) -> Iterator[Update]:
        """What stands or was corrected, each with those of its facts that stand."""
        for word in self._told:
            if _is_for(word, audience) and not self._is_gone(word, None):
                yield self.as_it_stands(word)

    def as_it_stands(self, word: Word) -> Update:
        # Nearly always so, and a board asks this of a hundred incidents whenever one changes.
        if self._is_whole:
            return word.said
        origins = {name: self._origin(word, name, None) for name in _FACTS}
        facts = {name: getattr(origin.said, name) for name, origin in origins.items() if origin}
        usual = _BLANK | {name: getattr(word.said, name) for name in _NEVER_BLANK}
        stands = replace(word.said, **(usual | facts))
        came_back = set(stands.areas) - set(word.said.areas)
        return replace(stands, ended=tuple(a for a in word.said.ended if a not in came_back))

    def is_outdated(self, held: Word) -> bool:
        if self._is_whole:
            return False
        corrected = self._released.get(held.said.corrects or 0)
        if corrected is not None and self._striker(corrected, None) is not None:
            return True  # what it puts right was put right or taken back already: nobody could say it now
        audience = held.said.audience
        stands, before = self.now(audience), self._newest(audience, held)
        for name in _FACTS:
            fact, origin = getattr(held.said, name), self._origin(before, name, held)
            if origin is None or getattr(origin.said, name) != fact:
                continue  # its operator said so himself
            still = stands is not None and getattr(stands, name) == fact
            if self._striker(origin, None) and not still:
                return True
        return False

    def _origin(self, word: Word | None, name: str, at: Word | None) -> Word | None:
        """The word that gave a fact of `word` as it stood when `at` was written; None when nothing gives it any more."""
        while word is not None:
            origin = self._sources[word.said.number][name]
            if not self._is_gone(origin, at):
                return origin
            word = self._before[origin.said.number]
        return None

    def _source(self, word: Word, before: Word | None, name: str) -> Word:
        origin = self._origin(before, name, word)
        same = origin is not None and getattr(origin.said, name) == getattr(word.said, name)
        return origin if origin is not None and same else word

    def _newest(self, audience: Audience, at: Word | None) -> Word | None:
        end = self._places.get(at.said.number) if at is not None else None
        for word in reversed(self._told[:end]):
            if _is_for(word, audience) and _is_before(word, at) and self._stands(word, at):
                return word
        return None

    def _stands(self, word: Word, at: Word | None) -> bool:
        return self._striker(word, at) is None and not self._is_gone(word, at)

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
