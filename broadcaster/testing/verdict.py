"""Judges a history of crashes by two things only: what clients were told, and what far ends received."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from broadcaster.testing.crashing import Told
from broadcaster.testing.servers import Effect

LABEL = re.compile(r"i\d+u\d+")
STOP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Arrived:
    """One text that reached somebody: ``to`` is a phone number, or "" where all see it; ``at`` is epoch seconds."""

    label: str
    to: str
    at: float


def arrivals(effects: Iterable[Effect], kind: str) -> list[Arrived]:
    """What effects of one kind show, in the order they came. A text without a label is not the client's."""
    found = []
    for effect in effects:
        label = LABEL.search(effect.text)
        if effect.kind == kind and label:
            to = effect.to if kind == "sms" else ""
            found.append(Arrived(label[0], to, effect.at.timestamp()))
    return found


def _put_right(told: Iterable[Told]) -> dict[str, float]:
    """The labels that a later word took back, and when the client was told that it did."""
    return {later.corrects: later.at for later in told if later.corrects}


def lost(
    told: Sequence[Told],
    arrived: Iterable[Arrived],
    readers: Iterable[str] = ("",),
    flagged: Mapping[str, int] | None = None,
) -> list[str]:
    """Accepted texts that somebody never got, though no later word took them back.

    ``flagged`` says how many readers of a label the client was told to be uncertain about.
    """
    got = {(one.label, one.to) for one in arrived}
    taken_back = _put_right(told)
    readers = list(readers)
    problems = []
    for one in told:
        if one.label in taken_back or one.kind == "retraction":
            continue
        missing = [to for to in readers if (one.label, to) not in got]
        allowed = (flagged or {}).get(one.label, 0)
        if len(missing) > allowed:
            problems.append(
                f"{one.label} never came to {len(missing)} of {len(readers)}, {allowed} were flagged"
            )
    return problems


def not_followed(
    told: Sequence[Told], arrived: Sequence[Arrived], flagged: Mapping[str, int] | None = None
) -> list[str]:
    """Readers of a wrong text that never got the word that took it back."""
    got = {(one.label, one.to) for one in arrived}
    problems = []
    for later in told:
        readers = {one.to for one in arrived if one.label == later.corrects}
        missing = [to for to in readers if (later.label, to) not in got]
        if len(missing) > (flagged or {}).get(later.label, 0):
            problems.append(
                f"{later.label} never came to {len(missing)} of {len(readers)} who had {later.corrects}"
            )
    return problems


def duplicates(arrived: Iterable[Arrived]) -> dict[str, int]:
    """How often too often each label came, summed over its readers; only labels that did."""
    often = Counter((one.label, one.to) for one in arrived)
    twice: Counter[str] = Counter()
    for (label, _), times in often.items():
        twice[label] += times - 1
    return {label: times for label, times in twice.items() if times}


def out_of_order(told: Iterable[Told], arrived: Iterable[Arrived]) -> list[str]:
    """Texts that first came to a reader after a later one of the same incident had."""
    place = {one.label: (one.incident, one.number) for one in told}
    newest: dict[tuple[str, str], int] = {}
    seen: set[tuple[str, str]] = set()
    problems = []
    for one in arrived:
        if one.label not in place or (one.label, one.to) in seen:
            continue
        seen.add((one.label, one.to))
        incident, number = place[one.label]
        if number < newest.get((incident, one.to), 0):
            problems.append(f"{one.label} came to {one.to or 'all'} after a later one")
        newest[(incident, one.to)] = max(number, newest.get((incident, one.to), 0))
    return problems


def after_taken_back(told: Iterable[Told], arrived: Iterable[Arrived]) -> list[str]:
    """Texts that still left more than two seconds after the client was told that they are taken back."""
    taken_back = _put_right(told)
    return [
        f"{one.label} came {one.at - taken_back[one.label]:.1f} s after it was taken back"
        for one in arrived
        if one.label in taken_back and one.at > taken_back[one.label] + STOP_SECONDS
    ]


def never_accepted(
    told: Iterable[Told], arrived: Iterable[Arrived], orders: Iterable[str]
) -> set[str]:
    """Labels that arrived though nobody ordered them."""
    return {one.label for one in arrived} - {one.label for one in told} - set(orders)
