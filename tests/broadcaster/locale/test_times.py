"""Times in every language, beside the Unicode CLDR's own: weekday and date on another date, the zone in a repeated hour."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from babel.dates import format_date, format_skeleton
from hypothesis import given, settings, strategies as st

from broadcaster.domain.wording import Wording
from broadcaster.locale import languages, residents

ZONES = (ZoneInfo("Europe/Stockholm"), ZoneInfo("Europe/Oslo"), ZoneInfo("Europe/Helsinki"))
NEAR = datetime(2026, 10, 24, 12, tzinfo=UTC)
TAGS = languages()
# Where we write a date otherwise than the CLDR does: no comma after the weekday, and in English the day first without one.
WHOLE = {"en": "EEEE d MMMM", "nb": "EEEE d. MMMM", "nn": "EEEE d. MMMM", "sv": "EEEE d MMMM"}
CLOCK = {"en": "{:%H:%M}", "nb": "kl. {:%H.%M}", "nn": "kl. {:%H.%M}", "sv": "{:%H.%M}"}
START = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = st.integers(0, 2 * 365 * 1440).map(lambda minutes: START + timedelta(minutes=minutes))


def words(tag: str, near: datetime = NEAR, zone: ZoneInfo = ZONES[0]) -> Wording:
    return Wording(residents(tag, "sv").phrases, zone, near)


@pytest.mark.parametrize("tag", sorted(WHOLE))
@given(when=TIMES)
@settings(max_examples=100, deadline=None)
def test_a_date_is_written_as_the_cldr_writes_its_words(tag: str, when: datetime) -> None:
    local = when.astimezone(ZONES[0])
    assert words(tag, when).date(when) == format_date(local, WHOLE[tag], locale=tag)


@pytest.mark.parametrize("tag", sorted(WHOLE))
def test_short_days_and_months_are_those_of_the_cldr(tag: str) -> None:
    said = words(tag)
    for month in range(1, 13):
        when = datetime(2026, month, 10 + month, 9, tzinfo=UTC)
        near = when + timedelta(days=3)
        local = when.astimezone(ZONES[0])
        day = format_skeleton("E", local, locale=tag)
        short = format_date(local, "MMM", locale=tag)
        told = words(tag, near).time(when)
        assert told.startswith(day.rstrip(".")), (tag, told, day)
        assert short.rstrip(".") in told, (tag, told, short)
    assert said.time(NEAR) == f"{NEAR.astimezone(ZONES[0]):%H{'.' if tag != 'en' else ':'}%M}"


@pytest.mark.parametrize("tag", TAGS)
@given(when=TIMES, zone=st.sampled_from(ZONES))
@settings(max_examples=100, deadline=None)
def test_a_time_on_another_date_carries_weekday_and_date(
    tag: str, when: datetime, zone: ZoneInfo
) -> None:
    said, local = words(tag, zone=zone), when.astimezone(zone)
    told = said.time(when)
    if local.date() == NEAR.astimezone(zone).date():
        assert told.endswith(said.clock(when))
        assert str(local.day) not in told.replace(said.clock(when), "")
        return
    name = residents(tag, "sv").phrases.get(f"{local:%a}", f"{local:%a}")
    assert told.startswith(name)
    assert f" {local.day}" in told
    assert told.endswith(said.clock(when))
    far = abs(when - NEAR) > timedelta(days=183)
    assert (str(local.year) in told) == far


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_the_hour_that_autumn_repeats_names_its_zone_in_every_language(
    tag: str, zone: ZoneInfo
) -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02.30 in Stockholm, and 03.30 in Helsinki
    said = words(tag, zone=zone)
    told = [said.time(first + timedelta(hours=hours)) for hours in range(-1, 3)]
    summer, winter = ("EEST", "EET") if "Helsinki" in str(zone) else ("CEST", "CET")
    assert [summer in told[1], winter in told[2].split()] == [True, True]
    assert told[1].replace(summer, "") == told[2].replace(winter, "")
    assert not any(name in told[place].split() for place in (0, 3) for name in (summer, winter))


@pytest.mark.parametrize("tag", sorted(CLOCK))
def test_a_moment_reads_as_people_write_it(tag: str) -> None:
    when = datetime(2026, 11, 23, 2, tzinfo=UTC)
    local = when.astimezone(ZONES[0])
    assert words(tag).moment(when).endswith(f" {CLOCK[tag].format(local)}")
    assert date(2026, 11, 23) == local.date()


def test_a_time_in_each_language_by_hand() -> None:
    when = datetime(2026, 11, 23, 2, tzinfo=UTC)
    assert {tag: words(tag).time(when) for tag in TAGS} == {
        "en": "Mon 23 Nov 03:00",
        "nb": "man. 23. nov. kl. 03.00",
        "nn": "mån. 23. nov. kl. 03.00",
        "sv": "mån 23 nov 03.00",
        "sv-simple": "måndag 23 november klockan 03.00",
    }
