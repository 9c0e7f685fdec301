"""Times as an operator writes them, read in the organisation's zone: "14:57", "45m", "2027-11-23 03:00".

A wall-clock time that the zone has twice or not at all is refused with both readings, never guessed: in Stockholm
02:30 came twice on 2026-10-25 and does not come at all on 2027-03-28. What is read is always aware, in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from broadcaster.domain.localtime import say, say_date

Phrases = Mapping[str, str]

WITHIN = timedelta(hours=18)
"""How far a bare HH:MM may reach, in elapsed time: further off, the date is asked for."""
_LONGEST = timedelta(days=3660)

_CLOCK = re.compile(r"(?P<hour>[0-9]{1,2})[:.](?P<minute>[0-9]{2})")
_DATED = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[ T]"
    r"(?P<hour>[0-9]{1,2})[:.](?P<minute>[0-9]{2})(?P<second>:[0-9]{2}(?:\.[0-9]+)?)?"
    r" ?(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_SPAN = re.compile(r"(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,7})s)?")


class BadTime(ValueError):
    """What was written is no time, or not one time; the message is a sentence in the operator's language."""


class Unreadable(BadTime):
    """What was written is no time at all."""


def read_time(text: str, *, now: datetime, zone: ZoneInfo, phrases: Phrases) -> datetime:
    """Read a time to come: "14:57" (the next within 18 hours), "45m" (from `now`), "2027-11-23 03:00", ISO 8601.

    Raises:
        BadTime: it cannot be read, comes twice or never, or needs its date.
    """
    written = text.strip()
    span = read_span(written)
    if span is not None:
        return now.astimezone(UTC) + span
    return _read(written, now, zone, phrases, back=False)


def read_past_time(text: str, *, now: datetime, zone: ZoneInfo, phrases: Phrases) -> datetime:
    """Read a time that was: "14:05" is the last one within 18 hours; otherwise as `read_time`, without spans.

    Raises:
        BadTime: as for `read_time`.
    """
    return _read(text.strip(), now, zone, phrases, back=True)


def read_span(text: str) -> timedelta | None:
    """Read "45m", "2h", "1h30m", "90s" or "30d" (24 hours each); None for anything else."""
    match = _SPAN.fullmatch(text)
    if not text or match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return span if span <= _LONGEST else None


def _read(text: str, now: datetime, zone: ZoneInfo, phrases: Phrases, *, back: bool) -> datetime:
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        wall = _time(clock, text, phrases)
        return _nearest(wall, now.astimezone(UTC), zone, phrases, back=back)
    dated = _DATED.fullmatch(text)
    if dated is None:
        raise Unreadable(_unreadable(text, phrases))
    return _dated(dated, text, zone, phrases)


def _dated(match: re.Match[str], text: str, zone: ZoneInfo, phrases: Phrases) -> datetime:
    wall = _time(match, text, phrases)
    try:
        day = date.fromisoformat(match["date"])
        if not match["offset"]:
            return _only(datetime.combine(day, wall), zone, phrases)
        offset = match["offset"].replace("Z", "+00:00")
        return datetime.fromisoformat(f"{day}T{wall}{offset}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        if isinstance(error, BadTime):
            raise
        raise Unreadable(_unreadable(text, phrases)) from error


def _time(match: re.Match[str], text: str, phrases: Phrases) -> time:
    second = match.groupdict().get("second") or ":00"
    try:
        return time.fromisoformat(f"{match['hour']:0>2}:{match['minute']}{second[:3]}")
    except ValueError as error:
        raise Unreadable(_unreadable(text, phrases)) from error


def _nearest(
    wall: time, now: datetime, zone: ZoneInfo, phrases: Phrases, *, back: bool
) -> datetime:
    """The next (or last) time the clock shows `wall`, at most 18 elapsed hours away."""
    today = now.astimezone(zone).date()
    days = (0, -1) if back else (0, 1)
    walls = [datetime.combine(today + timedelta(days=day), wall) for day in days]
    for local in walls:
        away = [now - at if back else at - now for at in _readings(local, zone)]
        if any(_is_near(distance, back=back) for distance in away):
            return _only(local, zone, phrases)
    _ = partial(say, phrases)
    if back:
        example = next(local for local in walls if _readings(local, zone)[0] <= now)
        sentence = _(
            '{clock} was not within the last 18 hours. Write the date too, such as "{example}".',
            clock=f"{wall:%H:%M}",
            example=f"{example:%Y-%m-%d %H:%M}",
        )
    else:
        example = next(local for local in walls if _readings(local, zone)[0] > now)
        sentence = _(
            '{clock} does not come within 18 hours. Write the date too, such as "{example}".',
            clock=f"{wall:%H:%M}",
            example=f"{example:%Y-%m-%d %H:%M}",
        )
    raise BadTime(sentence)


def _is_near(distance: timedelta, *, back: bool) -> bool:
    """A time to come is later than now; a time that was may be now."""
    return (timedelta(0) <= distance if back else timedelta(0) < distance) and distance <= WITHIN


def _readings(local: datetime, zone: ZoneInfo) -> list[datetime]:
    """What a wall-clock time can mean, in UTC, earliest first; one reading where the zone has it once."""
    both = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(both)


def _only(local: datetime, zone: ZoneInfo, phrases: Phrases) -> datetime:
    """The one reading of a wall-clock time; refuses one that comes twice or never."""
    readings = _readings(local, zone)
    if len(readings) == 1:
        return readings[0]
    first, second = (reading.astimezone(zone) for reading in readings)
    _ = partial(say, phrases)
    values = {
        "clock": f"{local:%H:%M}",
        "date": say_date(readings[0], near=None, zone=zone, phrases=phrases),
        "first": _spelled(first),
        "second": _spelled(second),
    }
    if first.replace(tzinfo=None) == local:
        raise BadTime(
            _(
                "{clock} comes twice on {date}, when the clocks go back. Write {first} or {second}.",
                **values,
            )
        )
    raise BadTime(
        _(
            "{clock} does not exist on {date}, when the clocks go forward. Write {first} or {second}.",
            **values,
        )
    )


def _spelled(local: datetime) -> str:
    """A local time as it can be written again without doubt: 2026-10-25T02:30+02:00."""
    return local.isoformat(timespec="minutes")


def _unreadable(text: str, phrases: Phrases) -> str:
    _ = partial(say, phrases)
    return _(
        '"{text}" is not a time. Write 14:57, 45m or "2027-11-23 03:00".',
        text=text if len(text) <= 40 else f"{text[:40]}…",
    )
