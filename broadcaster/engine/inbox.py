"""What came in: stored raw by the listener, understood here, counted where it belongs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import structlog

from broadcaster.channel import CanReceive, Failure, Incoming, Report, Transient
from broadcaster.engine.lane import Lane, Surroundings
from broadcaster.engine.letters import LetterLane
from broadcaster.store import inbox, reports
from broadcaster.store.errors import StoreError

log = structlog.get_logger()
BATCH = 200
SECONDS = 10.0  # for a batch of one channel; a report takes microseconds
_CANNOT_BE_KEPT = "what it says cannot be written to the database"
_HANGS = "the channel's adapter hangs over it"


Hear = Callable[[str, Sequence[Incoming], int], Sequence[bool]]
"""What is done with what people wrote back on one channel, and how many of it at the most besides STOP. In a thread.

Returns of each whether it is done; raises StoreError to hear all of it again.
"""
WORDS = 50
"""So many words besides STOP are heard in a second: those behind them wait, and STOP waits for none."""


@dataclass(slots=True)
class Ear:
    """Who listens; `left` is how many words more are heard in this second."""

    hear: Hear
    left: int = WORDS


@dataclass(frozen=True, slots=True)
class _Read:
    """One stored request and what it says; `found` is None when it cannot be read, and `why` says why."""

    row: inbox.InboundRow
    found: tuple[Report, ...] | None
    why: str
    heard: tuple[Incoming, ...] = ()
    later: bool = False


async def turn(around: Surroundings, lanes: Mapping[str, Lane], ear: Ear | None = None) -> int:
    """Understand up to `BATCH` stored requests. Returns how many were taken."""
    now = around.clock()
    waiting = await asyncio.to_thread(
        around.store.read, lambda connection: inbox.waiting(connection, now)
    )
    if not waiting:
        return 0
    by_channel: dict[str, list[inbox.InboundRow]] = {}
    for row in waiting:
        by_channel.setdefault(row.channel, []).append(row)
    # Side by side, each in threads of its channel's own: an adapter that hangs over one holds up no other channel's.
    read = await asyncio.gather(
        *(_of_channel(lanes.get(name), rows) for name, rows in by_channel.items())
    )
    batch = [each for some in read for each in some]
    batch = await _listened(batch, ear)
    if batch and not await _settled(around, lanes, batch):
        for one in batch:  # one of them cannot be written: it must hold up no other
            if not await _settled(around, lanes, [one]):
                why = partial(inbox.unreadable, inbound_id=one.row.id, why=_CANNOT_BE_KEPT)
                await asyncio.wrap_future(around.store.write(why))
    return len(batch)


async def _listened(batch: Sequence[_Read], ear: Ear | None) -> list[_Read]:
    """Hand on what people wrote, before the requests are done: after a crash it is heard again rather than lost."""
    later: set[int] = set()
    for channel in dict.fromkeys(read.row.channel for read in batch if read.heard):
        mine = [
            (read, text) for read in batch if read.row.channel == channel for text in read.heard
        ]
        if ear is None:
            log.info("texts came that nobody listens for", channel=channel, count=len(mine))
            continue
        texts = [text for _, text in mine]
        done = await asyncio.to_thread(ear.hear, channel, texts, ear.left)
        ear.left -= sum(done)
        later |= {read.row.id for (read, _), is_done in zip(mine, done, strict=True) if not is_done}
    return [replace(read, later=read.row.id in later) for read in batch]


async def _settled(around: Surroundings, lanes: Mapping[str, Lane], batch: Sequence[_Read]) -> bool:
    """Write down what these say. False when that cannot be done, though the store is well."""
    now = around.clock()
    said = [(read.row.channel, report) for read in batch for report in read.found or ()]
    received = [read.row.request.received_at for read in batch for _ in read.found or ()]

    def work(connection: Any) -> list[reports.Unreported | None]:
        first = reports.unreported(connection, said)
        matched = iter(reports.match(connection, said))
        for read in batch:
            if read.found is None:
                inbox.unreadable(connection, read.row.id, read.why)
            elif read.later:
                inbox.later(connection, read.row.id, now)
            elif all(list(islice(matched, len(read.found)))):
                inbox.done(connection, read.row.id)
            else:
                inbox.unmatched(connection, read.row.id, now)
        return first

    try:
        first = await asyncio.wrap_future(around.store.write(work))
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever one request does to the write, the others are told of in theirs
        reason = type(error).__name__  # its words may hold addresses
        log.warning("inbound requests cannot be written", count=len(batch), reason=reason)
        return False
    for letter, received_at in zip(first, received, strict=True):
        lane = lanes.get(letter.channel) if letter is not None else None
        if letter is not None and isinstance(lane, LetterLane):
            lane.reported(letter.supplier, letter.taken_at, received_at)
    return True


async def _of_channel(lane: Lane | None, rows: Sequence[inbox.InboundRow]) -> list[_Read]:
    """What the requests of one channel say; where its adapter hangs, those up to the one it hangs over."""
    adapter = lane.adapter if lane is not None else None
    if lane is None or not isinstance(adapter, CanReceive):
        none = "there is no channel of this name that takes reports"
        return [_Read(row, None, none) for row in rows]
    try:
        return await _in_time(lane, rows)
    except Failure:
        log.warning("inbound requests are not understood in time", channel=lane.name)
    found: list[_Read] = []
    for row in rows:
        try:
            found += await _in_time(lane, [row])
        except Transient:  # its threads still hang over others: next time
            break
        except Failure:
            return [*found, _Read(row, None, _HANGS)]
    return found


async def _in_time(lane: Lane, rows: Sequence[inbox.InboundRow]) -> list[_Read]:
    def work() -> list[_Read]:
        return [_understand(lane.adapter, row) for row in rows]

    read: list[_Read] = await lane.looks.call(work, deadline=SECONDS)
    return read


def _understand(adapter: CanReceive, row: inbox.InboundRow) -> _Read:
    try:
        found = tuple(adapter.receive(row.request))
    except Failure:
        raise  # its process ended over this, or hangs
    except Exception as error:  # noqa: BLE001 - what a stranger sent must hold up no other request, whatever it broke
        reason = type(error).__name__  # its words may hold what the stranger sent
        log.warning("an inbound request cannot be read", channel=row.channel, reason=reason)
        return _Read(row, None, str(error) or type(error).__name__)
    reports = tuple(each for each in found if isinstance(each, Report))
    heard = tuple(each for each in found if isinstance(each, Incoming))
    if len(reports) + len(heard) < len(found):
        return _Read(row, None, "the channel's adapter makes no reports of it")
    return _Read(row, reports, "", heard)
