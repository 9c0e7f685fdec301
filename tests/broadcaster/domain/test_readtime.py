"""What an operator writes for a time is read as he means it, or refused with what he may mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from broadcaster.domain.readtime import (
    WITHIN,
    BadTime,
    Unreadable,
    read_past_time,
    read_span,
    read_time,
)

STOCKHOLM = ZoneInfo("Europe/Stockholm")
ZONES = [
    ZoneInfo(name)
    for name in (
        "Europe/Stockholm",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Kiritimati",
        "Africa/Casablanca",
        "Asia/Kolkata",
        "UTC",
    )
]
NOW = datetime(2026, 11, 22, 14, 12, 6, tzinfo=STOCKHOLM)


def ahead(text: str, now: datetime = NOW, zone: ZoneInfo = STOCKHOLM) -> datetime:
    return read_time(text, now=now, zone=zone, phrases={})


def past(text: str, now: datetime = NOW, zone: ZoneInfo = STOCKHOLM) -> datetime:
    return read_past_time(text, now=now, zone=zone, phrases={})


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("14:57", "2026-11-22T14:57"),
        ("14.57", "2026-11-22T14:57"),
        ("7:05", "2026-11-23T07:05"),
        ("03:00", "2026-11-23T03:00"),
        ("2026-11-23 03:00", "2026-11-23T03:00"),
        ("2026-11-23T03:00", "2026-11-23T03:00"),
        ("2026-11-23T03:00:30", "2026-11-23T03:00:30"),
        ("2026-11-23T03:00+02:00", "2026-11-23T02:00"),
        ("2026-11-23T03:00Z", "2026-11-23T04:00"),
        (" 45m ", "2026-11-22T14:57:06"),
        ("2h", "2026-11-22T16:12:06"),
        ("1h30m", "2026-11-22T15:42:06"),
        ("90s", "2026-11-22T14:13:36"),
    ],
)
def test_a_time_to_come_is_read(text: str, local: str) -> None:
    read = ahead(text)
    assert read == datetime.fromisoformat(local).replace(tzinfo=STOCKHOLM)
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "local"),
    [("14:05", "2026-11-22T14:05"), ("14:12", "2026-11-22T14:12"), ("23:50", "2026-11-21T23:50")],
)
def test_since_is_the_last_such_time(text: str, local: str) -> None:
    assert past(text) == datetime.fromisoformat(local).replace(tzinfo=STOCKHOLM)


def test_a_clock_time_more_than_18_hours_away_needs_its_date() -> None:
    with pytest.raises(BadTime, match=r'14:12 does not come.*"2026-11-23 14:12"'):
        ahead("14:12")
    with pytest.raises(BadTime, match=r'15:00 was not within.*"2026-11-21 15:00"'):
        past("15:00")


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "25:00", "24:00", "14:60", "45", "45 m", "-45m", "14:57:00", "١٤:٥٧"),
        *("2026-02-30 10:00", "2026-11-23", "22/11 14:00", "2026-11-23T03:00+25:00"),
        *("99999999m", "0001-01-01 00:00", "9999-12-31T23:59-12:00"),
    ],
)
def test_what_is_no_time_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(Unreadable, match="Write 14:57, 45m or"):
        ahead(text)
    with pytest.raises(Unreadable):
        past(text)


@pytest.mark.parametrize("text", ["2026-10-25 02:30", "2026-10-25T02:00", "2026-10-25 02.59"])
def test_a_time_that_comes_twice_is_refused_with_both_readings(text: str) -> None:
    with pytest.raises(BadTime, match=r"comes twice") as refused:
        ahead(text)
    clock = text[-5:].replace(".", ":")
    assert f"2026-10-25T{clock}+02:00 or 2026-10-25T{clock}+01:00" in str(refused.value)


def test_a_time_that_never_comes_is_refused_with_both_readings() -> None:
    with pytest.raises(BadTime, match="does not exist") as refused:
        ahead("2027-03-28 02:30")
    assert "2027-03-28T01:30+01:00 or 2027-03-28T03:30+02:00" in str(refused.value)


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ("2026-10-24T22:00+02:00", "comes twice"),
        ("2026-10-25T02:15+02:00", "comes twice"),
        ("2026-10-25T02:45+02:00", "comes twice"),
        ("2027-03-27T23:00+01:00", "does not exist"),
        ("2027-03-28T01:45+01:00", "does not exist"),
    ],
)
def test_a_bare_clock_time_in_the_night_of_the_change_is_not_guessed(now: str, reason: str) -> None:
    with pytest.raises(BadTime, match=reason):
        ahead("02:30", datetime.fromisoformat(now))


def test_an_offset_settles_what_the_clock_leaves_open() -> None:
    assert ahead("2026-10-25T02:30+02:00") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert ahead("2026-10-25T02:30+01:00") == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_eighteen_hours_are_elapsed_hours_also_when_the_clocks_go_back() -> None:
    before = datetime(2026, 10, 24, 20, 0, tzinfo=STOCKHOLM)
    assert ahead("13:00", before) - before == timedelta(hours=18)
    with pytest.raises(BadTime, match="does not come within 18 hours"):
        ahead("13:01", before)


def test_a_long_refused_time_is_cut_visibly() -> None:
    with pytest.raises(Unreadable, match=r'"x{40}…" is not a time'):
        ahead("x" * 41, NOW)


def test_the_refusal_is_in_the_operators_language() -> None:
    swedish = {'"{text}" is not a time. Write 14:57, 45m or "2027-11-23 03:00".': "{text}? Nej."}
    with pytest.raises(BadTime, match="soon\\? Nej"):
        read_time("soon", now=NOW, zone=STOCKHOLM, phrases=swedish)


SECONDS = st.integers(1_577_836_800, 2_051_222_400)  # 2020 to 2035
NIGHT_OF_THE_CHANGE = st.integers(1_792_879_200, 1_792_965_600)  # around 2026-10-25 01:00 UTC
instants = (SECONDS | NIGHT_OF_THE_CHANGE).map(lambda second: datetime.fromtimestamp(second, UTC))


@given(instants, st.sampled_from(ZONES))
def test_a_local_time_with_its_offset_comes_back_as_it_was(at: datetime, zone: ZoneInfo) -> None:
    written = at.astimezone(zone).isoformat(timespec="minutes")
    assert ahead(written, zone=zone) == at.replace(second=0, microsecond=0)


@given(instants, st.sampled_from(ZONES))
def test_a_local_time_is_read_back_exactly_when_the_zone_has_it_once(
    at: datetime, zone: ZoneInfo
) -> None:
    at = at.replace(second=0, microsecond=0)
    local = at.astimezone(zone)
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    try:
        read = ahead(f"{local:%Y-%m-%d %H:%M}", zone=zone)
    except BadTime:
        assert twice
    else:
        assert not twice
        assert read == at


@given(instants, st.integers(0, 23), st.integers(0, 59), st.sampled_from(ZONES))
def test_a_clock_time_is_the_first_such_within_18_hours_or_refused(
    now: datetime, hour: int, minute: int, zone: ZoneInfo
) -> None:
    try:
        read = ahead(f"{hour:02}:{minute:02}", now, zone)
    except BadTime:
        return
    assert timedelta(0) < read - now <= WITHIN
    local = read.astimezone(zone)
    assert (local.hour, local.minute) == (hour, minute)
    steps = range(1, int((read - now) / timedelta(minutes=1)))
    earlier = ((now + timedelta(minutes=step)).astimezone(zone) for step in steps)
    assert all((one.hour, one.minute) != (hour, minute) for one in earlier)


@given(instants, st.integers(0, 23), st.integers(0, 59), st.sampled_from(ZONES))
def test_a_past_clock_time_is_the_last_such_within_18_hours_or_refused(
    now: datetime, hour: int, minute: int, zone: ZoneInfo
) -> None:
    try:
        read = past(f"{hour:02}:{minute:02}", now, zone)
    except BadTime:
        return
    assert timedelta(0) <= now - read <= WITHIN
    local = read.astimezone(zone)
    assert (local.hour, local.minute) == (hour, minute)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_a_span_is_the_sum_of_its_parts(days: int, hours: int, minutes: int, seconds: int) -> None:
    whole = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    assert read_span(f"{days}d{hours}h{minutes}m{seconds}s") == whole
