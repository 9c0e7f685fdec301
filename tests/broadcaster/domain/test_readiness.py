"""One number says how ready everything is, and can be counted again by hand; what runs out is told before it has."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from broadcaster.domain.exchange import Remaining
from broadcaster.domain.readiness import (
    Check,
    Grade,
    Line,
    check_certificate,
    check_remaining,
    daily,
    score,
    ways_ready,
    worth,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
STOCKHOLM = ZoneInfo("Europe/Stockholm")
READY, WATCH, NOT_READY, UNASKED = Grade.READY, Grade.WATCH, Grade.NOT_READY, Grade.UNASKED


def line(*grades: Grade, what: str = "sms") -> Line:
    return Line(what, tuple(Check(grade, f"{grade}") for grade in grades))


@pytest.mark.parametrize(
    ("grades", "grade"),
    [
        ((READY,), READY),
        ((READY, WATCH), WATCH),
        ((WATCH, NOT_READY, READY), NOT_READY),
        ((UNASKED, READY), READY),
        ((UNASKED, WATCH), WATCH),
        ((UNASKED,), UNASKED),
        ((), UNASKED),
    ],
)
def test_a_line_is_as_ready_as_the_worst_that_could_be_asked(
    grades: tuple[Grade, ...], grade: Grade
) -> None:
    assert line(*grades).grade is grade


def test_what_is_wrong_is_told_the_worst_first() -> None:
    assert [check.grade for check in line(READY, WATCH, UNASKED, NOT_READY).wrong] == [
        NOT_READY,
        WATCH,
    ]


@pytest.mark.parametrize(
    ("grades", "per_cent"),
    [
        ([READY] * 5, 100),
        ([READY] * 4 + [NOT_READY], 80),
        ([READY] * 4 + [WATCH], 90),
        ([READY] * 4 + [WATCH, NOT_READY], 75),
        ([READY, READY, NOT_READY], 66),
        ([READY, UNASKED, UNASKED], 100),
        ([NOT_READY], 0),
        ([UNASKED], 0),
        ([READY] * 199 + [WATCH], 99),
    ],
)
def test_the_score_is_the_mean_of_what_could_be_asked_rounded_down(
    grades: list[Grade], per_cent: int
) -> None:
    assert score([line(grade) for grade in grades]) == per_cent
    worths = [counts for grade in grades if (counts := worth(grade)) is not None]
    assert per_cent == (int(100 * sum(worths) / len(worths)) if worths else 0)


def test_ways_that_share_a_domain_are_one_and_who_cannot_be_asked_counts_for_none() -> None:
    ways = {
        "page": frozenset({"ekbyn.example"}),
        "feed": frozenset({"ekbyn.example"}),
        "sms": frozenset({"46elks.com"}),
        "post": frozenset({"social.example"}),
        "hook": frozenset({"hook.example"}),
    }
    lines = [
        line(READY, what="page"),
        line(READY, what="feed"),
        line(WATCH, what="sms"),
        line(NOT_READY, what="post"),
        line(UNASKED, what="hook"),
        line(READY, what="staff"),
    ]
    assert ways_ready(ways, lines) == 2


# ------------------------------------------------------------------------------------------------------- what runs out
def credit(amount: float, least: float = 50) -> Remaining:
    return Remaining(what="credit", of="46elks", amount=amount, unit="SEK", least=least)


def token(**left: float) -> Remaining:
    return Remaining(what="token", of="social.example", ends_at=NOW + timedelta(**left))


@pytest.mark.parametrize(
    ("known", "grades"),
    [
        (credit(50), []),
        (credit(49.99), [WATCH]),
        (credit(0), [NOT_READY]),
        (credit(0.01, least=0), []),
        (Remaining(what="quota", of="ntfy.example", amount=0, least=9), [NOT_READY]),
        (Remaining(what="quota", of="ntfy.example", amount=8, least=9), [WATCH]),
        (token(days=14), []),
        (token(days=13, hours=23), [WATCH]),
        (token(days=3), [WATCH]),
        (token(days=2, hours=23), [NOT_READY]),
        (token(seconds=0), [NOT_READY]),
        (Remaining(what="token", of="social.example"), []),
    ],
)
def test_what_runs_out_is_told_before_it_has(known: Remaining, grades: list[Grade]) -> None:
    found = list(check_remaining([known], NOW))
    assert [one.grade for one in found] == grades
    assert all(one.runs_out and known.of in one.sentence.format(**one.values) for one in found)


@pytest.mark.parametrize(
    ("life", "left", "grades"),
    [
        (timedelta(days=90), timedelta(days=14), []),
        (timedelta(days=90), timedelta(days=13), [WATCH]),
        (timedelta(days=90), timedelta(days=2), [NOT_READY]),
        (timedelta(days=90), timedelta(0), [NOT_READY]),
        (timedelta(days=6), timedelta(days=2), []),
        (timedelta(days=6), timedelta(days=1), [WATCH]),
        (timedelta(days=6), timedelta(hours=12), [NOT_READY]),
    ],
)
def test_a_certificate_that_never_lasts_long_is_not_watched_all_its_life(
    life: timedelta, left: timedelta, grades: list[Grade]
) -> None:
    ends = NOW + left
    assert [
        one.grade for one in check_certificate("ekbyn.example", ends - life, ends, NOW)
    ] == grades


# --------------------------------------------------------------------------------------------------------- when it is
@pytest.mark.parametrize(
    ("now", "clock", "following"),
    [
        ("2026-11-23T06:29+00:00", "07:30", "2026-11-23T06:30+00:00"),
        ("2026-11-23T06:30+00:00", "07:30", "2026-11-24T06:30+00:00"),
        ("2026-03-28T06:30+00:00", "07:30", "2026-03-29T05:30+00:00"),  # summer time begins
        ("2026-10-24T05:30+00:00", "07:30", "2026-10-25T06:30+00:00"),  # and ends
        ("2026-03-28T12:00+00:00", "02:30", "2026-03-29T01:30+00:00"),  # there is no 02:30
        ("2026-10-24T12:00+00:00", "02:30", "2026-10-25T00:30+00:00"),  # there are two
        ("2026-10-25T00:30+00:00", "02:30", "2026-10-26T01:30+00:00"),  # the second is none
        ("2026-11-23T23:30+00:00", "00:15", "2026-11-24T23:15+00:00"),  # another date there
    ],
)
def test_it_is_that_time_once_on_each_date(now: str, clock: str, following: str) -> None:
    first, second = daily(datetime.fromisoformat(now), time.fromisoformat(clock), STOCKHOLM)
    assert first == datetime.fromisoformat(following)
    assert timedelta(hours=22) < second - first < timedelta(hours=26)
    assert daily(first, time.fromisoformat(clock), STOCKHOLM)[0] == second
