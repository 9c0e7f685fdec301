"""Which supplier gets the next letters: left when it does badly, not for a stumble, and back by degrees; in virtual time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from broadcaster.engine.lateness import Lateness
from broadcaster.engine.suppliers import (
    DEAD,
    DWELL,
    LONGEST_REST,
    LOW,
    REFUSED_REST,
    REST,
    TRIED_WITH,
    Choice,
    Seen,
    Suppliers,
    Why,
    weight,
)

BEGIN = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TWO_HOURS = timedelta(hours=2)
JOB = 500
RUN_ENDS = 10
"""Failures in a row that end a run, as adapters do it."""

Fails = Callable[[datetime], float]


def always(share: float) -> Fails:
    return lambda _: share


@dataclass
class Play:
    """Letters on their way by suppliers whose share of failures changes with time; the clock is moved by the play.

    A job that is not through waits a little and goes on with the letters that are left, as the lane has it.
    """

    fails: dict[str, Fails]
    seed: int = 1
    every: timedelta = timedelta(seconds=20)
    size: int = JOB
    now: datetime = BEGIN
    changes: list[tuple[datetime, str]] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    taken: Counter[str] = field(default_factory=Counter)
    given: int = 0
    tries: list[tuple[datetime, Choice]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.suppliers = Suppliers([*self.fails])
        self.chance = random.Random(self.seed)

    def go_on(self, span: timedelta) -> None:
        """Let this pass, with a new job of letters every so often."""
        until, next_at = self.now + span, self.now
        while self.now < until:
            if self.now >= next_at:
                self.waiting.append(self.size)
                self.given += self.size
                next_at += self.every
            if self.waiting:
                self.waiting += [left] if (left := self._run(self.waiting.pop(0))) else []
            self.now += SECOND

    def _run(self, letters: int) -> int:
        """One job by whoever is chosen; gives how many letters are left of it."""
        self._settle()
        choice, began_at = self.suppliers.choose(self.now), self.now
        self.suppliers.begun(choice.supplier, self.now)
        self.tries.append((self.now, choice))
        share, taken, failed, in_a_row = self.fails[choice.supplier](self.now), 0, 0, 0
        most = min(letters, choice.most or letters)
        while taken + failed < most and in_a_row < RUN_ENDS:
            fails = self.chance.random() < share
            taken, failed = taken + (not fails), failed + fails
            in_a_row = in_a_row + 1 if fails else 0
        self.taken[choice.supplier] += taken
        self.now += timedelta(milliseconds=4 * (taken + failed))
        seen = Seen(taken, failed, dead=in_a_row == RUN_ENDS, because="busy")
        self.suppliers.ended(choice.supplier, seen, began_at, self.now)
        self._settle()
        return letters - taken

    def _settle(self) -> None:
        if change := self.suppliers.settle(self.now):
            self.changes.append((self.now, change.supplier))


def brown_out(seed: int) -> Fails:
    """Between 30 and 70 % fail, another share each minute."""
    shares = [random.Random(seed).uniform(0.3, 0.7) for _ in range(200)]
    return lambda now: shares[int((now - BEGIN) / timedelta(minutes=1)) % len(shares)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [JOB, 12, 1])
def test_in_two_hours_of_brown_out_the_first_is_left_once_and_no_letter_is_lost(
    seed: int, size: int
) -> None:
    play = Play({"a": brown_out(seed), "b": always(0.0)}, seed, size=size)
    play.go_on(TWO_HOURS)
    assert 1 <= len(play.changes) <= 3, play.changes
    assert play.suppliers.current == "b"
    left_at = play.changes[0][0]
    assert left_at - BEGIN < timedelta(minutes=5)
    play.every = TWO_HOURS
    play.go_on(timedelta(minutes=5))
    assert sum(play.taken.values()) + sum(play.waiting) == play.given
    assert not play.waiting


@pytest.mark.parametrize("seed", range(8))
def test_in_two_hours_of_brown_out_of_both_nothing_flaps_and_no_letter_is_lost(seed: int) -> None:
    play = Play({"a": brown_out(seed), "b": brown_out(seed + 100)}, seed)
    play.go_on(TWO_HOURS)
    assert len(play.changes) <= 6, play.changes
    assert sum(play.taken.values()) + sum(play.waiting) == play.given
    assert sum(play.waiting) < play.given / 10


@pytest.mark.parametrize("seed", range(4))
def test_a_supplier_that_dies_whenever_it_gets_all_is_come_back_to_ever_more_slowly(
    seed: int,
) -> None:
    play = Play({"a": lambda now: 0.0, "b": always(0.0)}, seed)
    # Well while it is given little: what makes naive fail-over flap for hours.
    play.fails["a"] = lambda _: 0.9 if play.suppliers.current == "a" else 0.0
    play.go_on(TWO_HOURS)
    assert len(play.changes) <= 8, play.changes


def test_when_the_first_is_well_again_it_comes_back_by_degrees() -> None:
    ill_until = BEGIN + timedelta(minutes=20)
    play = Play(
        {"a": lambda now: 1.0 if now < ill_until else 0.0, "b": always(0.0)}, every=3 * SECOND
    )
    play.go_on(timedelta(minutes=20))
    assert play.suppliers.current == "b"
    before = len(play.tries)
    play.go_on(timedelta(hours=1))
    assert play.suppliers.current == "a"
    back_at, name = play.changes[-1]
    assert (name, len(play.changes)) == ("a", 2)
    assert back_at > ill_until
    while_coming = [choice.supplier for at, choice in play.tries[before:] if at < back_at]
    tenth = len(while_coming) // 4
    first, last = Counter(while_coming[:tenth])["a"], Counter(while_coming[-tenth:])["a"]
    assert first < last, (first, last)
    assert first < tenth / 2


def test_a_dead_first_is_left_at_once_and_both_dead_are_tried_in_turn() -> None:
    suppliers = Suppliers(["a", "b"])
    suppliers.ended("a", Seen(0, 10, dead=True, because="down"), BEGIN, BEGIN)
    change = suppliers.settle(BEGIN)
    assert change is not None
    assert (change.supplier, change.left, change.because) == ("b", "a", "down")
    suppliers.ended("b", Seen(0, 10, dead=True, because="down"), BEGIN, BEGIN)
    assert suppliers.settle(BEGIN) is None
    tried, now = [], BEGIN
    for _ in range(6):
        now += SECOND
        choice = suppliers.choose(now)
        assert choice.why is Why.IN_TURN
        suppliers.begun(choice.supplier, now)
        tried.append(choice.supplier)
        suppliers.ended(choice.supplier, Seen(0, 10, dead=True), now, now)
        assert suppliers.settle(now) is None
    assert tried == ["a", "b"] * 3
    assert not suppliers.well(now)
    suppliers.ended("a", Seen(500, 0), now, now)
    suppliers.settle(now)
    assert suppliers.current == "a"


def test_what_one_of_two_dead_ones_refuses_goes_by_the_other_once_a_minute() -> None:
    suppliers = Suppliers(["a", "b"])
    for name in ("a", "b"):
        suppliers.begun(name, BEGIN)
        suppliers.ended(name, Seen(0, 10, dead=True), BEGIN, BEGIN)
        suppliers.settle(BEGIN)
    later = BEGIN + REST
    suppliers.begun("a", later)
    suppliers.ended("a", Seen(0, 10, dead=True), later, later)
    assert suppliers.takes_over("a", later)
    suppliers.begun("b", later)
    suppliers.ended("b", Seen(0, 10, dead=True), later, later)
    assert not suppliers.takes_over("b", later + SECOND)


def test_one_stumble_of_a_small_run_leaves_nobody_and_two_do() -> None:
    suppliers = Suppliers(["a", "b"])
    suppliers.ended("a", Seen(0, 1), BEGIN, BEGIN)
    assert suppliers.settle(BEGIN) is None
    suppliers.ended("a", Seen(0, 1), BEGIN, BEGIN)
    assert suppliers.settle(BEGIN) is not None


def test_one_that_does_badly_but_is_not_dead_is_left_once_in_ten_minutes() -> None:
    suppliers = Suppliers(["a", "b", "c"])
    suppliers.ended("a", Seen(250, 250), BEGIN, BEGIN)
    assert suppliers.settle(BEGIN)
    soon = BEGIN + DWELL / 2
    suppliers.ended("b", Seen(250, 250), soon, soon)
    assert suppliers.settle(soon) is None
    assert DEAD < suppliers.health("b", soon) < LOW
    assert suppliers.settle(BEGIN + DWELL)
    assert suppliers.current == "c"


def test_one_that_refuses_us_is_tried_again_with_one_job_after_an_hour_and_not_before() -> None:
    suppliers = Suppliers(["a", "b"])
    suppliers.ended("a", Seen(0, 1, dead=True), BEGIN, BEGIN)
    suppliers.refused("a", "wrong password", BEGIN)
    suppliers.settle(BEGIN)
    assert suppliers.choose(BEGIN + REFUSED_REST - SECOND) == Choice("b", Why.INSTEAD)
    assert suppliers.choose(BEGIN + REFUSED_REST) == Choice("a", Why.TRIAL, TRIED_WITH)
    assert suppliers.because("a") == "wrong password"
    assert not suppliers.refuse_all
    suppliers.refused("b", "wrong password", BEGIN)
    assert suppliers.refuse_all


def refused_and_dead(*, in_force: str = "b") -> Suppliers:
    """`a` refuses us and `b` does not answer; which is in force tells which of it was seen last. Both at `BEGIN`."""
    suppliers = Suppliers(["a", "b"])
    for name in ("a", "b") if in_force == "b" else ("b", "a"):
        suppliers.begun(name, BEGIN)
        suppliers.ended(name, Seen(0, 5, dead=True), BEGIN, BEGIN)
        if name == "a":
            suppliers.refused("a", "wrong password", BEGIN)
        suppliers.settle(BEGIN)
    assert suppliers.current == in_force
    return suppliers


def test_one_that_refused_us_and_was_mended_carries_all_soon_after_the_other_is_dead() -> None:
    suppliers, now = refused_and_dead(), BEGIN
    given: list[Choice] = []
    while suppliers.current == "b" and now < BEGIN + TWO_HOURS:
        now += 5 * SECOND
        choice = suppliers.choose(now)
        suppliers.begun(choice.supplier, now)
        given += [choice] if choice.supplier == "a" else []
        seen = Seen(TRIED_WITH, 0) if choice.supplier == "a" else Seen(0, 5, dead=True)
        suppliers.ended(choice.supplier, seen, now, now)
        suppliers.settle(now)
    assert given[0] == Choice("a", Why.IN_TURN, TRIED_WITH)
    assert suppliers.current == "a"
    assert now <= BEGIN + 2 * REST
    later = now + SECOND
    suppliers.ended("b", Seen(500, 0), later, later)
    suppliers.ended("a", Seen(0, 10, dead=True), later, later)
    suppliers.settle(later)
    later += 2 * REST
    assert suppliers.choose(later).supplier == "a", "what it refused once is forgotten"


@pytest.mark.parametrize("in_force", ["a", "b"])
def test_one_that_goes_on_refusing_us_beside_a_dead_one_is_asked_ever_more_rarely(
    in_force: str,
) -> None:
    suppliers, now, asked = refused_and_dead(in_force=in_force), BEGIN, []
    while now < BEGIN + TWO_HOURS:
        now += 5 * SECOND
        choice = suppliers.choose(now)
        suppliers.begun(choice.supplier, now)
        suppliers.ended(choice.supplier, Seen(0, 1, dead=True), now, now)
        if choice.supplier == "a":
            asked.append(now)
            assert choice.most == TRIED_WITH
            suppliers.refused("a", "wrong password", now)
        assert suppliers.settle(now) is None
    assert REST <= asked[0] - BEGIN <= REST + 5 * SECOND
    pauses = [after - before for before, after in pairwise(asked)]
    assert pauses == sorted(pauses)
    assert pauses[-1] >= LONGEST_REST
    # An account that locks after five wrong passwords within ten minutes is not locked by it.
    assert max(sum(at <= other < at + LONGEST_REST for other in asked) for at in asked) < 5


def test_one_that_refuses_us_is_left_alone_for_its_hour_while_another_takes_some_letters() -> None:
    suppliers, now, asked = Suppliers(["a", "b", "c"]), BEGIN, []
    suppliers.ended("a", Seen(0, 1, dead=True), BEGIN, BEGIN)
    suppliers.refused("a", "wrong password", BEGIN)
    suppliers.ended("c", Seen(250, 250), BEGIN, BEGIN)
    suppliers.settle(BEGIN)
    assert suppliers.current == "b"
    while now < BEGIN + REFUSED_REST + 10 * SECOND:
        choice = suppliers.choose(now)
        suppliers.begun(choice.supplier, now)
        asked += [now] if choice.supplier == "a" else []
        seen = Seen(250, 250) if choice.supplier == "c" else Seen(0, 5, dead=True)
        suppliers.ended(choice.supplier, seen, now, now)
        now += 5 * SECOND
    assert asked[0] == BEGIN + REFUSED_REST


def test_a_clock_that_jumps_brings_no_question_forward_to_one_that_refuses_us() -> None:
    suppliers = refused_and_dead()
    day = timedelta(days=1)
    suppliers.shift(day)
    assert suppliers.choose(BEGIN + day + REST - SECOND).supplier == "b"
    assert suppliers.choose(BEGIN + day + REST).supplier == "a"


def test_a_clock_that_jumps_shortens_no_rest() -> None:
    suppliers = Suppliers(["a", "b"])
    suppliers.ended("a", Seen(0, 10, dead=True), BEGIN, BEGIN)
    suppliers.settle(BEGIN)
    day = timedelta(days=1)
    suppliers.shift(day)
    assert suppliers.choose(BEGIN + day + REST - SECOND).supplier == "b"
    assert suppliers.choose(BEGIN + day + REST).why is Why.TRIAL


runs = st.lists(
    st.tuples(st.integers(0, 500), st.integers(0, 500), st.booleans(), st.integers(0, 900)),
    max_size=60,
)


@given(runs=runs, names=st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_whatever_happens_somebody_is_chosen_and_an_unbroken_one_is_not_left_early(
    runs: list[tuple[int, int, bool, int]], names: int
) -> None:
    suppliers, now = Suppliers([f"g{number}" for number in range(names)]), BEGIN
    changed_at: datetime | None = None
    for taken, failed, dead, wait in runs:
        now += timedelta(seconds=wait)
        for step in ("before", "after"):
            was, how = suppliers.current, suppliers.health(suppliers.current, now)
            change = suppliers.settle(now)
            if change is not None:
                assert change.left == was
                assert how < DEAD or changed_at is None or now - changed_at >= DWELL, step
                assert suppliers.health(change.supplier, now) >= LOW
                changed_at = now
            choice = suppliers.choose(now)
            assert choice == suppliers.choose(now)
            assert 0.0 <= suppliers.health(choice.supplier, now) <= 1.0
            if choice.why in (Why.FIRST, Why.INSTEAD):
                assert choice.supplier == suppliers.current
            if step == "before":
                suppliers.begun(choice.supplier, now)
                suppliers.ended(choice.supplier, Seen(taken, failed, dead=dead), now, now)


def test_many_letters_say_more_than_few() -> None:
    assert weight(1) == weight(2) < weight(10) < weight(500) <= 1.0


# ------------------------------------------------------------------------------------------------- reports that lack
def day_of(reports: Callable[[int], bool], spans: int = 40) -> list[float]:
    """100 letters a minute, reported five seconds later if `reports` says so of that minute; what was lacking, by minute."""
    late, lacking, now = Lateness(), [], BEGIN
    for minute in range(spans):
        now = BEGIN + timedelta(minutes=minute)
        late.taken(100, now)
        if reports(minute):
            for _ in range(90):
                late.reported(now, now + timedelta(seconds=5))
        found = late.look(now)
        if found is not None:
            lacking.append(found.share)
    return lacking


def test_reports_that_come_as_usual_are_not_late_though_some_never_come() -> None:
    assert set(day_of(lambda _: True)) == {0.0}


def test_reports_that_cease_are_late_and_no_longer_when_they_come_again() -> None:
    lacking = day_of(lambda minute: not 10 <= minute < 20)
    assert lacking.count(1.0) == 10
    assert lacking[-1] == 0.0


def test_a_supplier_that_never_reported_is_not_late() -> None:
    assert day_of(lambda _: False) == []


def test_a_supplier_whose_reports_cease_is_left_and_not_called_dead() -> None:
    suppliers = Suppliers(["a", "b"])
    suppliers.ended("a", Seen(500, 0), BEGIN, BEGIN)
    suppliers.reports_late("a", 1.0, 5, BEGIN)
    assert suppliers.settle(BEGIN) is None
    suppliers.reports_late("a", 1.0, 500, BEGIN)
    change = suppliers.settle(BEGIN)
    assert change is not None
    assert change.supplier == "b"
    assert "report" in change.because


JUMPS = [timedelta(hours=1), timedelta(hours=-1), timedelta(days=300), timedelta(days=-300)]


def usual(late: Lateness, now: datetime, delay: timedelta = 5 * SECOND) -> datetime:
    """100 letters a minute, all reported after this delay, and nothing lacks; gives the time after it."""
    for _ in range(20):
        late.taken(100, now)
        for _ in range(100):
            late.reported(now, now + delay)
        now += timedelta(minutes=1)
        found = late.look(now)
        assert found is None or found.share == 0.0
    return now


@pytest.mark.parametrize("by", JUMPS, ids=str)
def test_letters_in_flight_while_the_clock_jumps_lack_no_report(by: timedelta) -> None:
    late = Lateness()
    taken_at = usual(late, BEGIN)
    late.taken(100, taken_at)
    now = taken_at + SECOND + by
    late.jumped(now)
    for _ in range(100):
        late.reported(taken_at, now + 4 * SECOND)
    assert [late.look(now + minutes * timedelta(minutes=1)) for minutes in range(60)] == [None] * 60


@pytest.mark.parametrize("by", JUMPS, ids=str)
def test_reports_that_cease_after_a_jump_of_the_clock_are_late_as_soon_as_ever(
    by: timedelta,
) -> None:
    late = Lateness()
    taken_at = usual(late, BEGIN)
    late.taken(100, taken_at)
    now = taken_at + SECOND + by
    late.jumped(now)
    for _ in range(100):
        late.reported(taken_at, now + 4 * SECOND)  # one by each clock: it took no such time
    now += timedelta(minutes=1)
    late.taken(100, now)
    looks = [late.look(now + half * timedelta(seconds=30)) for half in range(6)]
    assert [(found.share, found.count) for found in looks if found is not None] == [(1.0, 100)]


@pytest.mark.parametrize("by", JUMPS, ids=str)
def test_a_jump_of_the_clock_does_not_make_slow_reports_late(by: timedelta) -> None:
    late = Lateness()
    taken_at = usual(late, BEGIN, timedelta(minutes=1))
    now = taken_at + SECOND + by
    late.jumped(now)
    for _ in range(100):
        late.reported(taken_at, now + timedelta(minutes=1))
    now += timedelta(minutes=1)
    late.taken(100, now)
    assert late.look(now + timedelta(minutes=3)) is None
