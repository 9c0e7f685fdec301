"""Times as people read them: local, and true however long the text stands.

No relative day words: a time on another date than the text's own carries weekday and date, one in another season the
year, one in the hour that the autumn change repeats its zone. The words come from a catalogue (English sentence →
translation), so that a language decides its own order and separators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

Phrases = Mapping[str, str]
Say = Callable[..., str]

_ANOTHER_SEASON = timedelta(days=183)


def say(phrases: Phrases, sentence: str, **values: object) -> str:
    """Say the English `sentence` in the language of `phrases`, its `{placeholders}` filled with `values`.

    Raises:
        KeyError: a placeholder has no value.
    """
    return phrases.get(sentence, sentence).format(**values)


def say_clock(when: datetime, *, zone: ZoneInfo, phrases: Phrases) -> str:
    """Say the time of day of the aware `when`: "15.50", in a repeated hour "02.30 CEST"."""
    _ = partial(say, phrases)
    local = when.astimezone(zone)
    clock = _("{hour}:{minute}", hour=f"{local.hour:02}", minute=f"{local.minute:02}")
    return f"{clock} {_zone_name(local)}" if _is_repeated(local) else clock


def say_time(when: datetime, *, near: datetime, zone: ZoneInfo, phrases: Phrases) -> str:
    """Say the aware `when` in a text dated `near`: "15.50", on another date "mån 23 nov 03.00"."""
    _ = partial(say, phrases)
    clock = say_clock(when, zone=zone, phrases=phrases)
    if when.astimezone(zone).date() == near.astimezone(zone).date():
        return _("{clock}", clock=clock)
    date = _date(_, when, near, zone, weekdays=_short_weekdays(_), months=_short_months(_))
    return _("{date} {clock}", date=date, clock=clock)


def say_month(when: datetime, *, zone: ZoneInfo, phrases: Phrases) -> str:
    """Say the month of the aware `when`: "november 2026"."""
    _ = partial(say, phrases)
    local = when.astimezone(zone)
    return _("{month} {year}", month=_months(_)[local.month - 1], year=local.year)


def say_date(when: datetime, *, near: datetime | None, zone: ZoneInfo, phrases: Phrases) -> str:
    """Say the date of the aware `when` in full: "söndag 22 november"; without `near` always with its year."""
    _ = partial(say, phrases)
    return _date(_, when, near, zone, weekdays=_weekdays(_), months=_months(_))


def say_moment(when: datetime, *, near: datetime | None, zone: ZoneInfo, phrases: Phrases) -> str:
    """Say the aware `when` with its date: "söndag 22 november 14.57"; without `near` always with its year."""
    date = say_date(when, near=near, zone=zone, phrases=phrases)
    clock = say_clock(when, zone=zone, phrases=phrases)
    return say(phrases, "{date} {clock}", date=date, clock=clock)


def day_names(when: datetime, *, zone: ZoneInfo, phrases: Phrases) -> tuple[str, int, str]:
    """Return the parts of the date of the aware `when`: ("söndag", 22, "november")."""
    _ = partial(say, phrases)
    local = when.astimezone(zone)
    return _weekdays(_)[local.weekday()], local.day, _months(_)[local.month - 1]


def _date(
    _: Say,
    when: datetime,
    near: datetime | None,
    zone: ZoneInfo,
    *,
    weekdays: tuple[str, ...],
    months: tuple[str, ...],
) -> str:
    local = when.astimezone(zone)
    weekday, month = weekdays[local.weekday()], months[local.month - 1]
    if near and abs(when - near) <= _ANOTHER_SEASON:
        return _("{weekday} {day} {month}", weekday=weekday, day=local.day, month=month)
    return _(
        "{weekday} {day} {month} {year}",
        weekday=weekday,
        day=local.day,
        month=month,
        year=local.year,
    )


def _is_repeated(local: datetime) -> bool:
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def _zone_name(local: datetime) -> str:
    """Its abbreviation, or its offset where the zone has none ("-03" says less than "UTC-03:00")."""
    name = local.tzname() or ""
    return name if name.isalpha() else f"UTC{local.isoformat()[-6:]}"


def _weekdays(_: Say) -> tuple[str, ...]:
    return (
        _("Monday"),
        _("Tuesday"),
        _("Wednesday"),
        _("Thursday"),
        _("Friday"),
        _("Saturday"),
        _("Sunday"),
    )


def _short_weekdays(_: Say) -> tuple[str, ...]:
    return (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))


def _months(_: Say) -> tuple[str, ...]:
    return (
        _("January"),
        _("February"),
        _("March"),
        _("April"),
        _("May"),
        _("June"),
        _("July"),
        _("August"),
        _("September"),
        _("October"),
        _("November"),
        _("December"),
    )


def _short_months(_: Say) -> tuple[str, ...]:
    return (
        _("Jan"),
        _("Feb"),
        _("Mar"),
        _("Apr"),
        _("May"),
        _("Jun"),
        _("Jul"),
        _("Aug"),
        _("Sep"),
        _("Oct"),
        _("Nov"),
        _("Dec"),
    )
