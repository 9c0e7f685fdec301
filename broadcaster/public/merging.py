"""One feed out of several that stand published: their newest entries, none twice, newest first.

What is merged is ours, checked by SHA-256: its text is escaped, so that an element's name between angle brackets can
only be an element. Entries go over byte for byte; only the head is written anew.
"""

import heapq
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from html import escape
from itertools import islice
from typing import Any, NamedTuple

ENTRIES = 50
"""So many entries a feed holds."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the merged feed says of itself; `own` is its address, `home` the page it belongs to."""

    title: str
    about: str
    author: str
    language: str
    own: str
    home: str


class Entry(NamedTuple):
    """One entry as it stands in a feed; `at` orders, `changed` is when it last changed."""

    id: bytes
    at: datetime
    changed: datetime
    body: Any


class Unmergeable(Exception):
    """A feed that stands published does not read as ours do."""


def merged(name: str, bodies: Sequence[bytes], head: Head) -> bytes:
    """Merge published feeds of the form with the file name `name`. Raises Unmergeable."""
    try:
        return _FORMS[name](bodies, head)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise Unmergeable(name) from error


def _newest(feeds: Iterable[Iterator[Entry]]) -> list[Entry]:
    """Each feed is newest first already, so few are looked at beyond those that are taken."""
    seen: set[bytes] = set()
    fresh = (
        entry
        for entry in heapq.merge(*feeds, key=lambda entry: entry.at, reverse=True)
        if entry.id not in seen and not seen.add(entry.id)  # type: ignore[func-returns-value]  # add says nothing
    )
    return list(islice(fresh, ENTRIES))


def _found(pattern: re.Pattern[bytes], within: bytes) -> bytes:
    found = pattern.search(within)
    if found is None:
        raise Unmergeable(pattern.pattern)
    return found[1]


# ------------------------------------------------------------------------------------------------------- RSS and Atom
_ROOT = re.compile(rb"(<\?xml[^>]*\?>\s*<(?:rss|feed)\b[^>]*>)")
_ATOM_ENTRY = re.compile(rb"<entry>.*?</entry>", re.DOTALL)
_ATOM_ID = re.compile(rb"<id>(.*?)</id>", re.DOTALL)
_PUBLISHED = re.compile(rb"<published>(.*?)</published>")
_UPDATED = re.compile(rb"<(?:atom:)?updated>(.*?)</")
_RSS_ITEM = re.compile(rb"<item>.*?</item>", re.DOTALL)
_GUID = re.compile(rb"<guid[^>]*>(.*?)</guid>", re.DOTALL)
_PUB_DATE = re.compile(rb"<pubDate>(.*?)</pubDate>")
_BUILT = re.compile(rb"<lastBuildDate>(.*?)</lastBuildDate>")


def _iso(said: bytes) -> datetime:
    return datetime.fromisoformat(said.decode())


def _mail(said: bytes) -> datetime:
    return parsedate_to_datetime(said.decode())


def _atom_entries(body: bytes) -> Iterator[Entry]:
    for match in _ATOM_ENTRY.finditer(body):
        told = match[0]
        at, changed = _iso(_found(_PUBLISHED, told)), _iso(_found(_UPDATED, told))
        yield Entry(_found(_ATOM_ID, told), at, changed, told)


def _rss_entries(body: bytes) -> Iterator[Entry]:
    for match in _RSS_ITEM.finditer(body):
        told = match[0]
        at, changed = _mail(_found(_PUB_DATE, told)), _iso(_found(_UPDATED, told))
        yield Entry(_found(_GUID, told), at, changed, told)


def _changed(entries: Sequence[Entry], heads: Iterable[datetime]) -> datetime:
    """When the newest change was; without entries what the feeds say, the oldest: it moves least."""
    return max((entry.changed for entry in entries), default=None) or min(heads)


def _atom(bodies: Sequence[bytes], head: Head) -> bytes:
    _are_whole(bodies, b"</feed>")
    entries = _newest(map(_atom_entries, bodies))
    at = _changed(entries, (_iso(_found(_UPDATED, body)) for body in bodies))
    own, home = escape(head.own), escape(head.home)
    top = (
        f"<id>{own}</id><title>{escape(head.title)}</title><subtitle>{escape(head.about)}</subtitle>"
        f"<updated>{at.isoformat(timespec='seconds')}</updated>"
        f"<author><name>{escape(head.author)}</name></author>"
        f'<link rel="self" type="application/atom+xml" href="{own}"/>'
        f'<link rel="alternate" type="text/html" href="{home}"/>'
    )
    return _xml(bodies, top, entries, b"</feed>")


def _rss(bodies: Sequence[bytes], head: Head) -> bytes:
    _are_whole(bodies, b"</rss>")
    entries = _newest(map(_rss_entries, bodies))
    at = _changed(entries, (_mail(_found(_BUILT, body)) for body in bodies))
    own, home = escape(head.own), escape(head.home)
    top = (
        f"<channel><title>{escape(head.title)}</title><link>{home}</link>"
        f"<description>{escape(head.about)}</description><language>{escape(head.language)}</language>"
        f"<lastBuildDate>{format_datetime(at)}</lastBuildDate><ttl>5</ttl>"
        f'<atom:link rel="self" type="application/rss+xml" href="{own}"/>'
    )
    return _xml(bodies, top, entries, b"</channel></rss>")


def _are_whole(bodies: Sequence[bytes], end: bytes) -> None:
    """One that is cut would only seem to say nothing."""
    if not all(_ROOT.match(body) and body.rstrip().endswith(end) for body in bodies):
        raise Unmergeable(end.decode())


def _xml(bodies: Sequence[bytes], top: str, entries: Sequence[Entry], end: bytes) -> bytes:
    """The root stands as it was: it explains the names that the entries use."""
    root = _found(_ROOT, bodies[0])
    return b"".join((root, top.encode(), *(entry.body for entry in entries), end))


# ---------------------------------------------------------------------------------------------------------- JSON Feed
def _json_entries(feed: Mapping[str, Any]) -> Iterator[Entry]:
    for item in feed["items"]:
        at, changed = (datetime.fromisoformat(item[f"date_{n}"]) for n in ("published", "modified"))
        yield Entry(item["id"].encode(), at, changed, item)


def _json(bodies: Sequence[bytes], head: Head) -> bytes:
    feeds = [json.loads(body) for body in bodies]
    told = {
        "version": feeds[0]["version"],
        "title": head.title,
        "description": head.about,
        "home_page_url": head.home,
        "feed_url": head.own,
        "language": head.language,
        "authors": [{"name": head.author}],
        "items": [entry.body for entry in _newest(map(_json_entries, feeds))],
    }
    return json.dumps(told, ensure_ascii=False, indent=1).encode()


# ----------------------------------------------------------------------------------------------------------- calendar
_PART = re.compile(rb"BEGIN:(VEVENT|VTIMEZONE)\r\n.*?END:\1\r\n", re.DOTALL)
_NAMES = re.compile(
    rb"\r\n(?:X-WR-CALNAME|NAME|URL|SOURCE|X-WR-CALDESC|DESCRIPTION)[:;][^\r]*(?:\r\n[ \t][^\r]*)*"
)
_FOLD = re.compile(rb"\r\n[ \t]")
_MARK = re.compile(rb"\r\n(?:UID|TZID)[^:\r]*:([^\r]*)")


def _calendar(bodies: Sequence[bytes], head: Head) -> bytes:
    """Planned work in the areas: whole calendars are small, so all of it."""
    parts: dict[tuple[bytes, bytes], bytes] = {}
    for body in bodies:
        for match in _PART.finditer(body):
            mark = _found(_MARK, _FOLD.sub(b"", match[0]))
            parts.setdefault((match[1], mark), match[0])
    zones = [part for (kind, _), part in parts.items() if kind == b"VTIMEZONE"]
    events = [part for (kind, _), part in parts.items() if kind == b"VEVENT"]
    for body in bodies:
        if not (body.startswith(b"BEGIN:VCALENDAR\r\n") and body.endswith(b"END:VCALENDAR\r\n")):
            raise Unmergeable("VCALENDAR")
    first = bodies[0]
    start = _PART.search(first)
    top = first[: start.start()] if start else first.removesuffix(b"END:VCALENDAR\r\n")
    top = _NAMES.sub(b"", top)
    named = "".join(_folded(f"{key}:{_text(head.title)}") for key in ("NAME", "X-WR-CALNAME"))
    return b"".join((top, named.encode(), *zones, *events, b"END:VCALENDAR\r\n"))


def _text(said: str) -> str:
    return re.sub(r"([\\;,])", r"\\\1", said)


def _folded(line: str) -> str:
    """Fold a line at 75 octets at most, between letters (RFC 5545 §3.1)."""
    lines, length = [""], 0
    for letter in line:
        size = len(letter.encode())
        if length + size > 74:
            lines.append("")
            length = 0
        lines[-1] += letter
        length += size
    return "\r\n ".join(lines) + "\r\n"


_FORMS: Mapping[str, Callable[[Sequence[bytes], Head], bytes]] = {
    "feed.atom": _atom,
    "feed.rss": _rss,
    "feed.json": _json,
    "calendar.ics": _calendar,
}
