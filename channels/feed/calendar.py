"""A calendar of planned outages as phones follow it: iCalendar (RFC 5545), with the names and refresh of RFC 7986.

Times are in UTC: an outage is at the same moment for everybody, and a phone shows it by its own zone, also on the night
when clocks change. There is no METHOD: nobody is invited, the file says what stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from broadcaster.domain.markup import legible

NAME = "calendar.ics"
MEDIA_TYPE = "text/calendar; charset=utf-8"
_OCTETS = 75  # of a line, without its end (RFC 5545 §3.1)
_REFRESH = "PT30M"
# What some readers take for the end of a line, besides those that end one.
_NEW_LINE = re.compile("\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
# A calendar holds at least one component (RFC 5545 §3.6): without outages it is this one, which shows nothing.
_NOTHING = (
    "BEGIN:VTIMEZONE",
    "TZID:UTC",
    "BEGIN:STANDARD",
    "DTSTART:19700101T000000",
    "TZOFFSETFROM:+0000",
    "TZOFFSETTO:+0000",
    "END:STANDARD",
    "END:VTIMEZONE",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One planned outage. `uid` never changes; `sequence` and `changed` (aware) rise with every word about it."""

    uid: str
    sequence: int
    changed: datetime
    start: datetime
    end: datetime
    cancelled: bool
    summary: str
    location: str
    description: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """One calendar: what it is called and about, the page it belongs to, its own address."""

    name: str
    description: str
    home: str
    address: str
    events: tuple[Event, ...]


def written(calendar: Calendar) -> bytes:
    """Write the calendar. It changes only when an outage does, so that whoever has it gets 304."""
    return b"".join(map(_folded, _lines(calendar)))


def _lines(calendar: Calendar) -> Iterator[str]:
    name, about = _text(calendar.name), _text(calendar.description)
    yield from ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//crisis-broadcaster//feed//EN")
    yield f"NAME:{name}"
    yield f"X-WR-CALNAME:{name}"  # as it was called before RFC 7986, and is by most phones
    yield f"DESCRIPTION:{about}"
    yield f"X-WR-CALDESC:{about}"
    yield f"URL:{_uri(calendar.home)}"
    yield f"SOURCE;VALUE=URI:{_uri(calendar.address)}"
    yield f"REFRESH-INTERVAL;VALUE=DURATION:{_REFRESH}"
    yield f"X-PUBLISHED-TTL:{_REFRESH}"
    for event in calendar.events:
        yield from _event(event)
    if not calendar.events:
        yield from _NOTHING
    yield "END:VCALENDAR"


def _event(event: Event) -> Iterable[str]:
    return (
        "BEGIN:VEVENT",
        f"UID:{_text(event.uid)}",
        f"DTSTAMP:{_time(event.changed)}",
        f"LAST-MODIFIED:{_time(event.changed)}",
        f"SEQUENCE:{event.sequence}",
        f"DTSTART:{_time(event.start)}",
        f"DTEND:{_time(event.end)}",
        f"STATUS:{'CANCELLED' if event.cancelled else 'CONFIRMED'}",
        f"SUMMARY:{_text(event.summary)}",
        f"LOCATION:{_text(event.location)}",
        f"DESCRIPTION:{_text(event.description)}",
        f"URL:{_uri(event.url)}",
        "CLASS:PUBLIC",
        "TRANSP:TRANSPARENT",  # who has no power is not therefore busy
        "END:VEVENT",
    )


def _time(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(words: str) -> str:
    """Return the words as a value of type TEXT (RFC 5545 §3.3.11)."""
    plain = legible(_NEW_LINE.sub("\n", words))
    for letter in "\\;,":
        plain = plain.replace(letter, f"\\{letter}")
    return plain.replace("\n", "\\n")


def _uri(address: str) -> str:
    return "".join(letter for letter in address if letter.isprintable() and not letter.isspace())


def _folded(line: str) -> bytes:
    """Return the line with its end, broken so that no part has more than 75 octets and no letter is cut."""
    parts, room = [bytearray()], _OCTETS
    for letter in line:
        octets = letter.encode()
        if len(parts[-1]) + len(octets) > room:
            parts.append(bytearray())
            room = _OCTETS - 1  # a part that goes on begins with a space
        parts[-1] += octets
    return b"\r\n ".join(parts) + b"\r\n"
