"""Numbers and times are written as they are read aloud, so that nobody works anything out before a microphone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from broadcaster.domain.aloud import Aloud, numerals
from broadcaster.domain.incident import Planned
from broadcaster.locale import phrases

ZONE = ZoneInfo("Europe/Stockholm")
NEAR = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)


def words(language: str) -> Aloud:
    known = phrases(language) if language in {"sv", "en"} else {}
    return Aloud(known, ZONE, NEAR, numbers=numerals(language))


def at(hour: int, minute: int = 0, day: int = 22) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("when", "sv", "en", "nb", "nn"),
    [
        (
            at(19),
            "klockan nitton",
            "seven o'clock in the evening",
            "klokka nitten",
            "klokka nitten",
        ),
        (
            at(14, 5),
            "klockan fjorton noll fem",
            "two oh five in the afternoon",
            "klokka fjorten null fem",
            "klokka fjorten null fem",
        ),
        (
            at(1, 1),
            "klockan ett noll ett på natten",
            "one oh one at night",
            "klokka ett null ett om natten",
            "klokka eitt null eitt om natta",
        ),
        (
            at(0, 30),
            "klockan noll noll trettio på natten",
            "twelve thirty at night",
            "klokka null null tretti om natten",
            "klokka null null tretti om natta",
        ),
        (at(12), "klockan tolv", "twelve o'clock in the afternoon", "klokka tolv", "klokka tolv"),
        (
            at(9, 21),
            "klockan nio tjugoett på morgonen",
            "nine twenty-one in the morning",
            "klokka ni tjueen om morgenen",
            "klokka ni tjueein om morgonen",
        ),
    ],
)
def test_a_time_of_day_is_said_so_that_it_can_be_only_one(
    when: datetime, sv: str, en: str, nb: str, nn: str
) -> None:
    said = [words(tag).clock(when) for tag in ("sv", "en", "nb", "nn")]
    assert said == [sv, en, nb, nn]


def test_every_minute_of_the_day_is_said_differently() -> None:
    for language in ("sv", "en", "nb", "nn"):
        told = {
            words(language).clock(at(hour, minute)) for hour in range(24) for minute in range(60)
        }
        assert len(told) == 24 * 60, language


def test_another_date_is_said_with_weekday_and_day() -> None:
    morning = at(3, day=23)
    assert words("sv").time(morning) == "måndag den tjugotredje november klockan tre på natten"
    assert words("en").time(morning) == (
        "Monday the twenty-third of November, three o'clock at night"
    )


def test_planned_work_is_said_from_when_till_when() -> None:
    told = words("sv").planned_phrase(Planned(at(23, day=22), at(3, day=23)))
    assert told == (
        "söndag den tjugoandra november klockan tjugotre "
        "till måndag den tjugotredje november klockan tre på natten"
    )


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert words("sv").clock(first) == "klockan två trettio på natten CEST"
    assert words("sv").clock(second) == "klockan två trettio på natten CET"


@pytest.mark.parametrize(
    ("number", "sv", "en", "nb"),
    [
        (0, "noll", "zero", "null"),
        (19, "nitton", "nineteen", "nitten"),
        (430, "fyra hundra trettio", "four hundred and thirty", "fire hundre og tretti"),
        (1_200, "ett tusen två hundra", "one thousand two hundred", "ett tusen to hundre"),
        (2_005, "två tusen fem", "two thousand and five", "to tusen og fem"),
        (999_999, None, None, None),
        (1_000_000, "1000000", "1000000", "1000000"),
    ],
)
def test_a_number_is_said_in_words(
    number: int, sv: str | None, en: str | None, nb: str | None
) -> None:
    for language, said in (("sv", sv), ("en", en), ("nb", nb)):
        told = words(language).count(number)
        assert told == said or (said is None and not any(map(str.isdigit, told)))


def test_every_day_of_a_month_has_its_ordinal() -> None:
    december = [datetime(2026, 12, day, 12, tzinfo=UTC) for day in range(1, 32)]
    for language in ("sv", "en", "nb", "nn"):
        told = [words(language).date(when) for when in december]
        assert len(set(told)) == 31
        assert not any(letter.isdigit() for said in told for letter in said)
    assert words("sv").date(december[30]) == "torsdag den trettioförsta december"
    assert words("en").date(december[29]) == "Wednesday the thirtieth of December"


def test_a_phone_number_is_said_digit_by_digit_with_its_pauses() -> None:
    assert words("sv").phone("0123-456 78") == "noll ett två tre, fyra fem sex, sju åtta"
    assert words("en").phone("+46 70") == "plus, four six, seven zero"


def test_a_language_without_words_here_keeps_its_figures() -> None:
    told = words("fi")
    assert told.numbers is None
    assert told.clock(at(19)) == "19:00"
    assert told.count(430) == "430"
    assert told.phone("0123-456 78") == "0123-456 78"
