"""Quiet hours and summaries go by the clock on the wall, also in the nights in which that is set."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from broadcaster.domain.choices import OVERRIDES, Choices, Quiet, gravest, next_time, told_at
from broadcaster.domain.incident import Severity

ZONE = ZoneInfo("Europe/Stockholm")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NIGHT = Quiet(time(22), time(6, 30))
BACK = datetime(2026, 10, 25, tzinfo=UTC)  # 03.00 becomes 02.00 at 01:00 UTC
FORTH = datetime(2027, 3, 28, tzinfo=UTC)  # 02.00 becomes 03.00 at 01:00 UTC
PLAIN = datetime(2026, 11, 24, tzinfo=UTC)
# Any minute from noon before a night to noon after it.
MOMENTS = st.builds(
    lambda day, minutes: day + timedelta(minutes=minutes),
    st.sampled_from([BACK, FORTH, PLAIN]),
    st.integers(-12 * 60, 12 * 60),
)
WALLS = st.builds(lambda minute: time(minute // 60, minute % 60), st.integers(0, 24 * 60 - 1))
# Most of what can go wrong happens between two and three.
SMALL_HOURS = st.builds(lambda minute: time(1 + minute // 60, minute % 60), st.integers(0, 179))
TIMES = st.one_of(WALLS, SMALL_HOURS)


def minute_of_day(at: datetime) -> int:
    """By the offset of the zone alone, as the reference counts."""
    offset = ZONE.utcoffset(at.astimezone(ZONE))
    assert offset is not None
    shown = at.astimezone(UTC) + offset
    return shown.hour * 60 + shown.minute


def minutes(wall: time) -> int:
    return wall.hour * 60 + wall.minute


@functools.lru_cache
def faces(start: time, end: time) -> frozenset[int]:
    """The minutes that one meets who walks from `start` until `end` on the face of a clock."""
    face, met = minutes(start), set[int]()
    while face != minutes(end):
        met.add(face)
        face = (face + 1) % (24 * 60)
    return frozenset(met)


TWICE = 2  # the hour that autumn repeats


def is_quiet(quiet: Quiet, at: datetime) -> bool:
    return minute_of_day(at) in faces(quiet.start, quiet.end)


def walked(at: datetime, met: Callable[[datetime], bool]) -> datetime:
    """Minute by minute from the one after `at`, to the first at which `met`."""
    while True:
        at += MINUTE
        if met(at):
            return at


@settings(deadline=None)
@given(TIMES, TIMES, MOMENTS)
def test_it_is_quiet_while_the_clock_on_the_wall_is_between_the_two(
    start: time, end: time, at: datetime
) -> None:
    quiet = Quiet(start, end)
    assert quiet.holds(at, ZONE) == is_quiet(quiet, at)


@settings(deadline=None)
@given(TIMES, TIMES, MOMENTS)
def test_quiet_is_over_in_the_first_minute_that_is_not_quiet(
    start: time, end: time, at: datetime
) -> None:
    """Where the clock is set back before a beginning that has just been, the minutes in between are no end."""
    quiet = Quiet(start, end)
    if is_quiet(quiet, at) and start.hour != TWICE:
        assert quiet.over(at, ZONE) == walked(at, lambda later: not is_quiet(quiet, later))


@settings(deadline=None)
@given(TIMES, MOMENTS)
def test_the_next_time_is_the_first_minute_at_which_the_clock_shows_it(
    wall: time, at: datetime
) -> None:
    found = next_time(wall, at, ZONE)
    shown = walked(at, lambda later: minute_of_day(later) == minutes(wall))
    missing = FORTH + HOUR + timedelta(minutes=minutes(wall) - 120)
    if 120 <= minutes(wall) < 180 and at < missing < shown:
        shown = missing  # as much later as the clock is set forward
        assert minute_of_day(found) == minutes(wall) + 60
    assert found == shown
    assert found > at


@pytest.mark.parametrize(
    ("at", "end", "over"),
    [
        # The hour that comes twice: quiet until half past two ends at the first, and of the second at the second.
        (datetime(2026, 10, 25, 0, 10, tzinfo=UTC), time(2, 30), (0, 30)),
        (datetime(2026, 10, 25, 1, 10, tzinfo=UTC), time(2, 30), (1, 30)),
        # The hour that is missing: at three, which is when it is no longer before half past two.
        (datetime(2027, 3, 28, 0, 40, tzinfo=UTC), time(2, 30), (1, 0)),
        (datetime(2027, 3, 28, 0, 40, tzinfo=UTC), time(3, 30), (1, 30)),
    ],
)
def test_nights_in_which_the_clock_is_set(at: datetime, end: time, over: tuple[int, int]) -> None:
    expected = at.replace(hour=over[0], minute=over[1])
    assert Quiet(time(22), end).over(at, ZONE) == expected


def wants(**chosen: object) -> Choices:
    return Choices(areas=("norra-ekbyn",), language="sv", **chosen)  # type: ignore[arg-type]  # as the test names them


CHOICES = st.builds(
    lambda least, quiet, summary: wants(least=least, quiet=quiet, summary=summary),
    st.sampled_from(Severity),
    st.one_of(st.none(), st.builds(Quiet, TIMES, TIMES)),
    st.one_of(st.none(), TIMES),
)


@settings(deadline=None)
@given(CHOICES, st.sampled_from(Severity), MOMENTS, st.booleans())
def test_what_is_severe_is_told_at_once_whatever_was_chosen(
    choices: Choices, severity: Severity, at: datetime, rights: bool
) -> None:
    told = told_at(choices, severity, at, ZONE, rights=rights)
    if severity.at_least(OVERRIDES):
        assert told == at


@settings(deadline=None)
@given(CHOICES, st.sampled_from(Severity), MOMENTS)
def test_who_read_a_wrong_text_is_put_right_and_never_later_than_quiet_is_over(
    choices: Choices, severity: Severity, at: datetime
) -> None:
    told = told_at(choices, severity, at, ZONE, rights=True)
    assert told is not None
    quiet = choices.quiet
    held = quiet is not None and is_quiet(quiet, at) and not severity.at_least(OVERRIDES)
    assert told == (quiet.over(at, ZONE) if held and quiet else at)


@settings(deadline=None)
@given(CHOICES, st.sampled_from(Severity), MOMENTS, st.booleans())
def test_nobody_is_told_in_quiet_hours_of_what_is_not_severe(
    choices: Choices, severity: Severity, at: datetime, rights: bool
) -> None:
    told = told_at(choices, severity, at, ZONE, rights=rights)
    if told is not None and choices.quiet and not severity.at_least(OVERRIDES):
        assert not is_quiet(choices.quiet, told)


@settings(deadline=None)
@given(CHOICES, st.sampled_from(Severity), MOMENTS)
def test_what_is_milder_than_he_wants_to_hear_of_is_news_to_nobody(
    choices: Choices, severity: Severity, at: datetime
) -> None:
    told = told_at(choices, severity, at, ZONE)
    mild = severity.rank < choices.least.rank and not severity.at_least(OVERRIDES)
    assert (told is None) == mild


def test_who_wants_a_summary_is_told_at_its_time_and_not_while_it_is_quiet() -> None:
    at = PLAIN.replace(hour=13)
    evening = told_at(wants(summary=time(18)), Severity.MODERATE, at, ZONE)
    assert evening == PLAIN.replace(hour=17)
    late = told_at(wants(summary=time(23), quiet=NIGHT), Severity.MODERATE, at, ZONE)
    assert late == PLAIN.replace(day=25, hour=5, minute=30)


def test_a_false_alarm_that_woke_people_is_as_severe_as_the_alarm() -> None:
    assert gravest(Severity.MINOR, [Severity.SEVERE, Severity.MODERATE]) is Severity.SEVERE
    assert gravest(Severity.MODERATE, []) is Severity.MODERATE
