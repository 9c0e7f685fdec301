"""The judge itself is judged: it must name exactly what is wrong with a doctored history, and nothing in a good one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, strategies as st

from broadcaster.testing.history import Arrived, Problem, Rule, Told, judge

READERS = ["+46701740605", "+46701740606"]
TOLD = [
    Told("i1u1", "A1", 1, "report", "severe", "", 100.0, 700.0),
    Told("i1u2", "A1", 2, "update", "moderate", "", 110.0, 710.0),
    Told("i1u3", "A1", 3, "retraction", "moderate", "i1u2", 120.0, 720.0),
    Told("i1u4", "A1", 4, "update", "minor", "", 130.0, 730.0),
    Told("i1u5", "A1", 5, "correction", "minor", "i1u4", 140.0, 740.0),
    Told("i2u1", "A2", 1, "report", "minor", "", 150.0, 750.0),
    Told("i2u2", "A2", 2, "update", "minor", "", 160.0, 760.0),
]
GOOD = [Arrived(word.label, to, word.at + 1.0, "sms") for word in TOLD for to in READERS]


def without(*gone: int) -> list[Arrived]:
    return [one for place, one in enumerate(GOOD) if place not in gone]


def with_one(place: int, **changes: Any) -> list[Arrived]:
    return [replace(one, **changes) if at == place else one for at, one in enumerate(GOOD)]


def rules(arrived: Sequence[Arrived], **rest: Any) -> list[tuple[Rule, str, str]]:
    found = judge(TOLD, arrived, readers=READERS, **rest)
    return [(problem.rule, problem.label, problem.to) for problem in found]


def test_a_good_history_has_no_problem() -> None:
    assert rules(GOOD) == []


@pytest.mark.parametrize(
    ("arrived", "expected"),
    [
        (without(0), (Rule.LOST, "i1u1", READERS[0])),
        (without(9), (Rule.LOST, "i1u5", READERS[1])),
        (without(5), (Rule.LOST, "i1u3", READERS[1])),
        ([*GOOD, replace(GOOD[1], at=300.0)], (Rule.DUPLICATE, "i1u1", READERS[1])),
        (with_one(0, at=112.0), (Rule.OUT_OF_ORDER, "i1u1", READERS[0])),
        (with_one(12, at=762.0), (Rule.AFTER_EXPIRY, "i2u2", READERS[0])),
        (
            [*GOOD, Arrived("i9u9", READERS[0], 200.0, "sms")],
            (Rule.NEVER_SAID, "i9u9", READERS[0]),
        ),
    ],
)
def test_each_wrong_is_named(arrived: list[Arrived], expected: tuple[Rule, str, str]) -> None:
    assert rules(arrived) == [expected]


def test_a_text_for_one_that_reaches_another_is_named_for_both() -> None:
    assert rules(with_one(8, to="stranger")) == [
        (Rule.LOST, "i1u5", READERS[0]),
        (Rule.NEVER_SAID, "i1u5", "stranger"),
    ]


def test_a_text_that_leaves_after_it_was_taken_back_is_named() -> None:
    late = [*without(2), replace(GOOD[2], at=122.5)]
    assert (Rule.AFTER_RETRACTION, "i1u2", READERS[0]) in rules(late)
    in_time = [*without(2, 3, 4, 5), *(replace(one, at=121.9) for one in (GOOD[2], GOOD[3]))]
    later = [replace(one, at=123.0) for one in (GOOD[4], GOOD[5])]
    assert rules([*in_time, *later]) == []


def test_what_was_taken_back_or_told_later_as_well_need_not_come() -> None:
    assert rules(without(2, 3, 4, 5)) == []  # the wrong word and with it its retraction
    assert rules(without(10, 11)) == []  # i2u2 says it too
    assert [found[:2] for found in rules(without(12, 13))] == [(Rule.LOST, "i2u2")]


def test_a_copy_is_excused_where_it_may_have_been_in_flight_and_nowhere_else() -> None:
    twice = sorted([*GOOD, replace(GOOD[0], at=105.0), replace(GOOD[1], at=106.0)], key=by_time)
    assert rules(twice, in_flight=2) == []
    assert [found[0] for found in rules(twice, in_flight=1)] == [Rule.DUPLICATE]
    assert rules(twice, in_flight=2, crashes=[103.0]) == []
    assert rules(twice, in_flight=1, crashes=[100.5, 102.0]) == []
    assert [found[0] for found in rules(twice, in_flight=1, crashes=[103.0])] == [Rule.DUPLICATE]
    assert [found[0] for found in rules(twice, in_flight=9, crashes=[107.0])] == [
        Rule.DUPLICATE,
        Rule.DUPLICATE,
    ]


def test_a_copy_is_excused_by_the_crash_it_was_in_flight_at_and_by_no_later_one() -> None:
    twice = sorted([*GOOD, replace(GOOD[0], at=105.0)], key=by_time)
    assert rules(twice, in_flight=1, crashes=[102.0, 104.0]) == []
    assert rules(twice, in_flight=1, crashes=[99.0, 104.0]) == []
    later = sorted([*GOOD, replace(GOOD[0], at=102.5), replace(GOOD[0], at=105.0)], key=by_time)
    assert rules(later, in_flight=1, crashes=[102.0, 104.0]) == []
    both = sorted([*twice, replace(GOOD[1], at=105.0)], key=by_time)
    assert [found[0] for found in rules(both, in_flight=1, crashes=[102.0, 104.0])] == [
        Rule.DUPLICATE
    ]


def test_what_the_client_saw_out_before_it_was_corrected_must_have_come() -> None:
    told = [replace(one, was_out=one.label == "i1u5") for one in TOLD]
    assert rules(without(6)) == []
    (problem,) = judge(told, without(6), readers=READERS)
    assert (problem.rule, problem.label, problem.to) == (Rule.LOST, "i1u4", READERS[0])


def test_a_text_is_late_by_the_first_word_that_took_it_back() -> None:
    again = Told("i1u6", "A1", 6, "retraction", "minor", "i1u2", 170.0, 770.0)
    came = [*GOOD, *(Arrived("i1u6", to, 171.0, "sms") for to in READERS)]
    late = [replace(one, at=165.0) if one is GOOD[2] else one for one in came]
    found = [one.rule for one in judge([*TOLD, again], late, readers=READERS)]
    assert Rule.AFTER_RETRACTION in found


def test_a_channel_that_got_nothing_is_judged_where_it_is_named() -> None:
    posts = [Arrived(word.label, "", word.at + 1.0, "social") for word in TOLD]
    assert judge(TOLD, posts) == []
    silent = judge(TOLD, posts, channels=("social", "hook"))
    assert [one.label for one in silent] == ["i1u1", "i1u5", "i2u2"]


def test_each_channel_is_judged_by_itself() -> None:
    posts = [Arrived(word.label, "", word.at + 1.0, "social") for word in TOLD]
    both = [*posts, *(replace(one, to="", channel="hook") for one in GOOD[::2])]
    assert judge(TOLD, both) == []
    (problem,) = judge(TOLD, both[1:])
    assert (problem.rule, problem.label) == (Rule.LOST, "i1u1")
    assert [one.rule for one in judge(TOLD, [])].count(Rule.LOST) == 3


def by_time(one: Arrived) -> float:
    return one.at


# ------------------------------------------------------------------------------------ whatever the run, whatever the wrong
KINDS = st.lists(st.sampled_from(["update", "correction", "retraction"]), max_size=5)


@st.composite
def correct_runs(draw: st.DrawFn) -> tuple[list[Told], list[Arrived], list[str]]:
    """What a run without faults looks like: each word comes to each reader, before the next is said."""
    readers = draw(st.sampled_from([[""], READERS, [f"+4670174{n:04d}" for n in range(7)]]))
    told: list[Told] = []
    for name in range(1, draw(st.integers(1, 3)) + 1):
        words: list[Told] = []
        for number, kind in enumerate(["report", *draw(KINDS)], start=1):
            standing = [w.label for w in words if w.label not in {one.corrects for one in words}]
            wrong = standing[-1] if kind in ("correction", "retraction") and standing else ""
            kind = kind if wrong or number == 1 else "update"  # noqa: PLW2901 - nothing is left to put right
            at = 1000.0 * name + 20.0 * number
            severity = ["extreme", "severe", "moderate", "minor"][min(number - 1, 3)]
            label = f"i{name}u{number}"
            words.append(Told(label, f"A{name}", number, kind, severity, wrong, at, at + 900.0))
        told += words
    delays = st.floats(0.01, 9.0)
    came = [Arrived(word.label, to, word.at + draw(delays), "c") for word in told for to in readers]
    return told, came, readers


def dropped(came: list[Arrived], place: int) -> list[Arrived]:
    return came[:place] + came[place + 1 :]


def doubled(came: list[Arrived], place: int) -> list[Arrived]:
    return [*came, replace(came[place], at=came[place].at + 0.5)]


def delayed(came: list[Arrived], place: int) -> list[Arrived]:
    return [*dropped(came, place), replace(came[place], at=came[place].at + 950.0)]


def swapped(came: list[Arrived], place: int) -> list[Arrived]:
    """It changes places with what came next to the same reader of the same incident."""
    mine, incident = came[place], came[place].label.partition("u")[0]
    rest = [
        n
        for n in range(place + 1, len(came))
        if (came[n].to, came[n].label.partition("u")[0]) == (mine.to, incident)
    ]
    assume(rest)
    other = came[rest[0]]
    changed = list(came)
    changed[place], changed[rest[0]] = replace(mine, at=other.at), replace(other, at=mine.at)
    return changed


@given(correct_runs())
def test_a_correct_run_is_never_blamed(
    run: tuple[list[Told], list[Arrived], list[str]],
) -> None:
    told, came, readers = run
    assert judge(told, came, readers=readers) == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (dropped, {Rule.LOST}),
        (doubled, {Rule.DUPLICATE}),
        (swapped, {Rule.OUT_OF_ORDER}),
        (delayed, {Rule.AFTER_EXPIRY}),
    ],
)
@given(data=st.data())
def test_one_wrong_in_a_correct_run_is_always_caught_and_named(
    wrong: Callable[[list[Arrived], int], list[Arrived]], named: set[Rule], data: st.DataObject
) -> None:
    told, came, readers = data.draw(correct_runs())
    place = data.draw(st.integers(0, len(came) - 1))
    label = came[place].label
    if wrong is dropped:
        assume(must_come(told, label))
    found: list[Problem] = judge(told, wrong(came, place), readers=readers)
    assert (label, named) in [(problem.label, {problem.rule}) for problem in found]


def must_come(told: list[Told], label: str) -> bool:
    """Not taken back, and not said as well by a later word of the same severity: then it may stay away."""
    mine = next(one for one in told if one.label == label)
    if label in {one.corrects for one in told}:
        return False
    later = [w for w in told if w.incident == mine.incident and w.number > mine.number]
    also = any(w.kind == "update" and w.severity == mine.severity for w in later)
    return mine.kind in ("correction", "retraction") or not also
