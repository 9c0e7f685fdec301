"""A time is said so that it is still true when the text has grown old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from broadcaster.domain.localtime import say_clock, say_date, say_moment, say_month, say_time
from broadcaster.locale import phrases

STOCKHOLM = ZoneInfo("Europe/Stockholm")
SV, EN = phrases("sv"), phrases("en")
NOW = datetime(2026, 11, 22, 13, 12, tzinfo=UTC)  # Sunday 14.12 in Stockholm


def at(day: int, hour: int, minute: int = 0, *, month: int = 11, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=STOCKHOLM)


def test_the_same_date_needs_only_the_clock() -> None:
    assert say_time(at(22, 15, 50), near=NOW, zone=STOCKHOLM, phrases=SV) == "15.50"
    assert say_time(at(22, 5, 5), near=NOW, zone=STOCKHOLM, phrases=EN) == "05:05"


def test_another_date_is_named_never_called_tomorrow() -> None:
    assert say_time(at(23, 3), near=NOW, zone=STOCKHOLM, phrases=SV) == "mån 23 nov 03.00"
    assert say_time(at(21, 3), near=NOW, zone=STOCKHOLM, phrases=EN) == "Sat 21 Nov 03:00"


def test_the_date_is_the_local_one_not_that_of_utc() -> None:
    late = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)  # 00.30 on Monday in Stockholm
    assert say_time(late, near=NOW, zone=STOCKHOLM, phrases=SV) == "mån 23 nov 00.30"


def test_the_full_moment_always_carries_its_date() -> None:
    said = say_moment(at(22, 14, 57), near=NOW, zone=STOCKHOLM, phrases=SV)
    assert said == "söndag 22 november 14.57"
    said = say_moment(at(1, 8, month=5, year=2027), near=NOW, zone=STOCKHOLM, phrases=EN)
    assert said == "Saturday 1 May 08:00"
    assert say_date(at(22, 1), near=NOW, zone=STOCKHOLM, phrases=SV) == "söndag 22 november"


def test_what_will_be_read_in_years_carries_its_year() -> None:
    said = say_moment(at(22, 14, 57), near=None, zone=STOCKHOLM, phrases=SV)
    assert said == "söndag 22 november 2026 14.57"
    assert say_month(at(22, 14), zone=STOCKHOLM, phrases=EN) == "November 2026"


@pytest.mark.parametrize("day", range(7))
def test_every_weekday_and_month_has_its_name(day: int) -> None:
    when = at(16 + day, 12)
    short = say_time(when, near=at(1, 12), zone=STOCKHOLM, phrases=SV).split()[0]
    assert say_moment(when, near=NOW, zone=STOCKHOLM, phrases=SV).startswith(short)
    assert short == ("mån", "tis", "ons", "tors", "fre", "lör", "sön")[day]


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (at(23, 3, year=2027), "tis 23 nov 2027 03.00"),
        (at(23, 3, month=4, year=2027), "fre 23 apr 03.00"),
        (at(20, 3, month=4), "mån 20 apr 2026 03.00"),
    ],
)
def test_the_year_is_said_when_it_could_be_mistaken(when: datetime, said: str) -> None:
    assert say_time(when, near=NOW, zone=STOCKHOLM, phrases=SV) == said


def test_the_repeated_hour_of_autumn_says_which_of_the_two_it_is() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    second, after = first + timedelta(hours=1), first + timedelta(hours=2)
    spoken = [say_clock(t, zone=STOCKHOLM, phrases=SV) for t in (first, second, after)]
    assert spoken == ["02.30 CEST", "02.30 CET", "03.30"]


def test_a_zone_without_abbreviations_says_its_offset() -> None:
    sao_paulo = ZoneInfo("America/Sao_Paulo")
    first = datetime(2018, 2, 18, 1, 30, tzinfo=UTC)
    assert say_clock(first, zone=sao_paulo, phrases=EN) == "23:30 UTC-02:00"
    assert say_clock(first + timedelta(hours=1), zone=sao_paulo, phrases=EN) == "23:30 UTC-03:00"


@given(st.integers(0, 366 * 24 * 60 - 1))
def test_two_moments_an_hour_apart_are_never_said_alike(minute: int) -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    later = when + timedelta(hours=1)
    here, there = (say_time(t, near=when, zone=STOCKHOLM, phrases=SV) for t in (when, later))
    assert here != there
