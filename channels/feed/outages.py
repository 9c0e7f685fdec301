"""Which planned outages a calendar holds, and what it says of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from broadcaster.channel import Board
from broadcaster.domain.board import BoardUpdate, Entry, IncidentLine
from broadcaster.domain.incident import Planned
from broadcaster.domain.markup import legible
from channels.feed.calendar import Event
from channels.feed.items import Teller

MOST = 200
"""Outages in one calendar: those that come soonest."""
_EPOCH = 1_000  # numbers set aside for each epoch: what was said after a restored backup counts on above all before


class Outage(NamedTuple):
    """A planned outage as far as the board tells of it: `words` are those about the calendar's areas, newest first.

    `areas` are those concerned now, () when it is over; `expected` is the estimate, if there is one.
    """

    line: IncidentLine
    words: tuple[BoardUpdate, ...]
    areas: tuple[str, ...]
    expected: datetime | None


def outages(board: Board, key: str) -> list[Outage]:
    """Return the planned outages of the area `key` ("" for all): all that stand, and what the newest entries tell of."""
    found = {outage.line.id: outage for outage in _told(board, key)}
    for incident in board.open:
        words = tuple(word for word in incident.updates if not key or key in _touched(word))
        if words and incident.planned:
            found[incident.id] = Outage(incident.line, words, incident.areas, incident.etr)
    return list(found.values())


def _told(board: Board, key: str) -> Iterator[Outage]:
    words: dict[str, list[BoardUpdate]] = {}
    lines: dict[str, IncidentLine] = {}
    for entry in board.feeds.get(key, ()):
        if entry.incident.planned:
            lines[entry.incident.id] = entry.incident
            words.setdefault(entry.incident.id, []).append(entry.update)
    for name, line in lines.items():
        yield Outage(line, tuple(words[name]), (), None)


def events(board: Board, key: str, teller: Teller, world: str) -> tuple[Event, ...]:
    """Tell the planned outages of an area ("" for all), by their start; `world` makes their names ours in the whole world."""
    standing = sorted(outages(board, key), key=lambda each: _order(each.line.planned, each))
    told = [_event(outage, outage.line.planned, key, teller, world) for outage in standing[:MOST]]
    return tuple(sorted(told, key=lambda event: (event.start, event.uid)))


def _order(planned: Planned | None, outage: Outage) -> tuple[bool, float, str]:
    """What stands first and soonest; what is over or cancelled after it, newest first."""
    start = planned.start.timestamp() if planned else 0.0
    return not outage.areas, start if outage.areas else -start, outage.line.id


def _event(outage: Outage, planned: Planned | None, key: str, teller: Teller, world: str) -> Event:
    assert planned is not None  # noqa: S101 - for the type checker: `outages` returns no others
    line, newest = outage.line, outage.words[0]
    end = _end(outage, planned, key)
    names = teller.names(outage.areas or line.areas_ever)
    words = teller.wording(planned.start)
    title = teller.wording(newest.at).title(line.headline, names, to_come=True)
    if end is None:
        title = words.say("Cancelled: {title}", title=title)
    mode = words.mode_label(line.mode)
    item = teller.told(Entry(line, newest))
    return Event(
        uid=f"{line.slug}@{world}",
        sequence=max(map(_count, outage.words)),
        changed=max(max(word.at, word.changed_at) for word in outage.words),
        start=planned.start,
        end=end or planned.end,
        cancelled=end is None,
        summary=legible(f"{mode}: {title}" if mode else title),
        location=words.listing(names),
        description=item.text,
        url=item.id.partition("#")[0],
    )


def _end(outage: Outage, planned: Planned, key: str) -> datetime | None:
    """Return when it ends, or ended; None when there is no outage (here): it was called off, or never meant here."""
    if outage.line.retracted or (key and key not in outage.line.areas_ever):
        return None
    over = outage.line.closed_at
    if key and key not in outage.areas:
        ended = [word.at for word in outage.words if key in word.ended and not word.struck]
        over = ended[0] if ended else over
        if over is None:
            return None
    if over is None:
        later = outage.expected
        return later if later and later > planned.start else planned.end
    minute = over.replace(second=0, microsecond=0)
    return minute if minute > planned.start else None


def _count(word: BoardUpdate) -> int:
    """How much had been said when this word, or what struck it, was: a number that never falls."""
    number = max(word.number, word.struck.by if word.struck else 0)
    return number - 1 + _EPOCH * (word.revision.epoch - 1)


def _touched(word: BoardUpdate) -> tuple[str, ...]:
    return (*word.areas, *word.ended)
