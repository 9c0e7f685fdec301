"""The history checker: judges a run by two things only, what clients were told and what far ends received.

It never looks into our store. ::

    problems = judge(told, arrived, readers=numbers(120), flagged={"i1u1": 3})
    assert problems == []

What cannot be judged from outside is not judged. These are all the excuses:

* A text may stay away where the client was told so (``flagged``); where a later word corrected or retracted it before the
  client had seen it out; and where a later, at least as severe word of the same incident tells the whole situation: that
  one must have come instead. Areas are not known here, so a run that is to show loss says nothing as severe as what it
  said before. A retraction is owed to nobody but those who had the wrong text.
* A text may come again where it was in flight when the life that sent it crashed (``crashes``, ``in_flight``).
* A text may come `TRAVEL_SECONDS` after its time, `STOP_SECONDS` after the first word that took it back.
* A text nobody was told of may come where it was asked for (``ordered``).
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from broadcaster.domain.incident import Severity
from broadcaster.testing.servers import Effect

LABEL = re.compile(r"i\d+u\d+")
STOP_SECONDS = 2.0
"""I7: a text that was taken back may start to leave so long after the client was told."""
TRAVEL_SECONDS = 1.0
"""What left just before its time was over may be noted by the far end so much later."""


class Rule(StrEnum):
    """What a history can break; the last three are for what is published (`broadcaster.testing.published`)."""

    LOST = "lost"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out of order"
    AFTER_EXPIRY = "after expiry"
    AFTER_RETRACTION = "after retraction"
    NEVER_SAID = "never said"
    TORN = "torn"
    BACKWARDS = "backwards"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer a client got: ``label`` was accepted as this incident and number.

    ``corrects`` is the label of what it corrects or retracts. ``at`` and ``not_after`` are epoch seconds, the latter as
    the answer told it; 0 is unknown, and then not judged. ``was_out`` says that the client had seen every delivery of what
    this corrects accepted before it said so.
    """

    label: str
    incident: str
    number: int
    kind: str
    severity: str
    corrects: str
    at: float
    not_after: float = 0.0
    was_out: bool = False


@dataclass(frozen=True, slots=True)
class Arrived:
    """One text that reached somebody: ``to`` is a number or an address, or "" where all see it; ``at`` is epoch seconds.

    Each ``channel`` is judged by itself.
    """

    label: str
    to: str
    at: float
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A rule that a history broke; ``to`` is one reader it was broken for."""

    rule: Rule
    label: str
    to: str
    words: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.words}"


def arrivals(effects: Iterable[Effect], kind: str, channel: str = "") -> list[Arrived]:
    """What effects of one kind show, in the order they came. A text without a label is not the client's."""
    found = []
    for effect in effects:
        label = LABEL.search(effect.text)
        if effect.kind == kind and label:
            to = effect.to if kind == "sms" else ""
            found.append(Arrived(label[0], to, effect.at.timestamp(), channel))
    return found


def judge(
    told: Sequence[Told],
    arrived: Iterable[Arrived],
    *,
    readers: Iterable[str] = ("",),
    flagged: Mapping[str, int] | None = None,
    in_flight: int = 0,
    crashes: Sequence[float] | None = None,
    ordered: Iterable[str] = (),
    channels: Iterable[str] = (),
    travel: float = TRAVEL_SECONDS,
) -> list[Problem]:
    """Every rule that a history breaks; none when it is as it should be.

    Args:
        told: the answers of all clients.
        arrived: what the far ends received; every channel in it is judged by itself, and one that received nothing
            is judged when it is among ``channels`` or the whole list is empty.
        readers: who ought to get what was accepted.
        flagged: how many readers of a label the client was told to be uncertain about, or not to have reached.
        in_flight: how many copies may be one too many: of each crash where ``crashes`` are given, else in all.
        crashes: when something crashed, in epoch seconds. A text then comes twice only with one of them in between.
        ordered: labels that a client asked for and may have got no answer to.
        channels: which channels every word goes out by.
        travel: seconds that the far end may note later what left in time.
    """
    came = sorted(arrived, key=lambda one: one.at)
    by_channel: dict[str, list[Arrived]] = {name: [] for name in channels}
    for one in came:
        by_channel.setdefault(one.channel, []).append(one)
    history = _History(told, flagged or {}, tuple(readers))
    problems: list[Problem] = []
    for mine in list(by_channel.values()) or [[]]:
        problems += history.lost(mine)
        problems += history.out_of_order(mine)
        problems += history.too_late(mine, travel)
        problems += _beyond(mine, in_flight, crashes)
    problems += history.never_said(came, ordered)
    return problems


class _History:
    """What was told, looked at from every side that the rules ask for."""

    def __init__(
        self, told: Sequence[Told], flagged: Mapping[str, int], readers: tuple[str, ...]
    ) -> None:
        self._told, self._flagged, self._readers = told, flagged, readers
        self._known = {one.label: one for one in told}
        self._taken_back: dict[str, Told] = {}
        for later in sorted((one for one in told if one.corrects), key=lambda one: one.at):
            self._taken_back.setdefault(later.corrects, later)

    def lost(self, came: Sequence[Arrived]) -> Iterator[Problem]:
        """What somebody never got, though the client was told nothing of it and no later word makes it needless."""
        got: defaultdict[str, set[str]] = defaultdict(set)
        for one in came:
            got[one.label].add(one.to)
        for word in self._told:
            missing = [to for to in self._owed(word, got) if to not in got[word.label]]
            allowed = self._flagged.get(word.label, 0)
            if len(missing) > allowed:
                words = f"{word.label} never came to {len(missing)} readers, {allowed} were flagged"
                yield Problem(Rule.LOST, word.label, missing[0], words)

    def _owed(self, word: Told, got: Mapping[str, set[str]]) -> Iterable[str]:
        had_the_wrong_one = got.get(word.corrects, set()) if word.corrects else set()
        taken_back = self._taken_back.get(word.label)
        if taken_back is not None and not taken_back.was_out:
            return ()
        if word.kind == "retraction":
            return sorted(had_the_wrong_one)
        if any(_tells_it_too(later, word) for later in self._told):
            return ()
        return dict.fromkeys((*self._readers, *sorted(had_the_wrong_one)))

    def out_of_order(self, came: Iterable[Arrived]) -> Iterator[Problem]:
        """Texts that first came to a reader after a later one of the same incident had."""
        newest: dict[tuple[str, str], int] = {}
        seen: set[tuple[str, str]] = set()
        for one in came:
            word = self._known.get(one.label)
            if word is None or (one.label, one.to) in seen:
                continue
            seen.add((one.label, one.to))
            before = newest.get((word.incident, one.to), 0)
            if word.number < before:
                words = f"{one.label} came to {one.to or 'all'} after number {before}"
                yield Problem(Rule.OUT_OF_ORDER, one.label, one.to, words)
            newest[word.incident, one.to] = max(word.number, before)

    def too_late(self, came: Iterable[Arrived], travel: float) -> Iterator[Problem]:
        """Texts that still left after their time, or more than two seconds after they were taken back."""
        for one in came:
            word, taken_back = self._known.get(one.label), self._taken_back.get(one.label)
            if word and word.not_after and one.at > word.not_after + travel:
                words = f"{one.label} came {one.at - word.not_after:.1f} s after its time was over"
                yield Problem(Rule.AFTER_EXPIRY, one.label, one.to, words)
            if taken_back and one.at > taken_back.at + STOP_SECONDS:
                words = f"{one.label} came {one.at - taken_back.at:.1f} s after {taken_back.label} took it back"
                yield Problem(Rule.AFTER_RETRACTION, one.label, one.to, words)

    def never_said(self, came: Iterable[Arrived], ordered: Iterable[str]) -> Iterator[Problem]:
        """Texts that nobody asked for, or that came to somebody who reads nothing of ours."""
        known, readers = {*self._known, *ordered}, frozenset(self._readers)
        for one in came:
            if one.to not in readers:
                words = f"{one.label} came to {one.to or 'all'}, who is no reader"
                yield Problem(Rule.NEVER_SAID, one.label, one.to, words)
            if one.label not in known:
                known.add(one.label)
                yield Problem(
                    Rule.NEVER_SAID, one.label, one.to, f"{one.label} came and was never said"
                )


def _tells_it_too(later: Told, word: Told) -> bool:
    """Whether a later word of the incident may go out in the place of this one."""
    mild = Severity(later.severity).rank < Severity(word.severity).rank
    return (
        later.incident == word.incident
        and later.number > word.number
        and (later.kind == "restored" or (later.kind == "update" and not mild))
        and word.kind not in ("correction", "retraction")
    )


def duplicates(came: Iterable[Arrived]) -> Counter[str]:
    """How often too often each label came, summed over its readers; only labels that did."""
    often = Counter((one.label, one.to) for one in came)
    twice: Counter[str] = Counter()
    for (label, _), times in often.items():
        twice[label] += times - 1
    return +twice


def _beyond(
    came: Iterable[Arrived], in_flight: int = 0, crashes: Sequence[float] | None = None
) -> Iterator[Problem]:
    """Copies beyond what may have been in flight; ``came`` is of one channel, in the order of time."""
    extra = list(_copies(came))
    excused = (
        set(range(in_flight)) if crashes is None else _explained(extra, in_flight, sorted(crashes))
    )
    for number, (first, again) in enumerate(extra):
        if number not in excused:
            after = again.at - first.at
            words = f"{again.label} came to {again.to or 'all'} again after {after:.1f} s"
            yield Problem(Rule.DUPLICATE, again.label, again.to, words)


def _copies(came: Iterable[Arrived]) -> Iterator[tuple[Arrived, Arrived]]:
    """Each copy with the one before it."""
    last: dict[tuple[str, str], Arrived] = {}
    for one in came:
        before = last.get((one.label, one.to))
        if before is not None:
            yield before, one
        last[one.label, one.to] = one


def _explained(
    extra: Sequence[tuple[Arrived, Arrived]], in_flight: int, crashes: Sequence[float]
) -> set[int]:
    """Which copies a crash explains, each crash no more than were in flight: those that came soonest first.

    It is the crash that ended the life in which the text came first; of a later one it was in no doubt.
    """
    found: set[int] = set()
    for before, at in itertools.pairwise((0.0, *crashes)):
        between = (
            n
            for n, (first, again) in enumerate(extra)
            if before < first.at <= at + TRAVEL_SECONDS and at <= again.at
        )
        found.update([n for n in between if n not in found][:in_flight])
    return found
