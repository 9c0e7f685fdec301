"""What came in: stored raw by the listener, understood here, counted where it belongs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import structlog

from broadcaster.channel import CanReceive, Report
from broadcaster.engine.lane import Surroundings
from broadcaster.store import inbox, reports
from broadcaster.store.errors import StoreError

log = structlog.get_logger()
BATCH = 200
_CANNOT_BE_KEPT = "what it says cannot be written to the database"


@dataclass(frozen=True, slots=True)
class _Read:
    """One stored request and what it says; `found` is None when it cannot be read, and `why` says why."""

    row: inbox.InboundRow
    found: tuple[Report, ...] | None
    why: str


async def turn(around: Surroundings, adapters: Mapping[str, Any]) -> int:
    """Understand up to `BATCH` stored requests. Returns how many were taken."""
    now = around.clock()
    waiting = await asyncio.to_thread(
        around.store.read, lambda connection: inbox.waiting(connection, now)
    )
    if not waiting:
        return 0
    batch = [_understand(adapters.get(row.channel), row) for row in waiting]
    if not await _settled(around, batch):
        for read in batch:  # one of them cannot be written: it must hold up no other
            if not await _settled(around, [read]):
                why = partial(inbox.unreadable, inbound_id=read.row.id, why=_CANNOT_BE_KEPT)
                await asyncio.wrap_future(around.store.write(why))
    return len(waiting)


async def _settled(around: Surroundings, batch: Sequence[_Read]) -> bool:
    """Write down what these say. False when that cannot be done, though the store is well."""
    now = around.clock()
    said = [(read.row.channel, report) for read in batch for report in read.found or ()]

    def work(connection: Any) -> None:
        matched = iter(reports.match(connection, said))
        for read in batch:
            if read.found is None:
                inbox.unreadable(connection, read.row.id, read.why)
            elif all(list(islice(matched, len(read.found)))):
                inbox.done(connection, read.row.id)
            else:
                inbox.unmatched(connection, read.row.id, now)

    try:
        await asyncio.wrap_future(around.store.write(work))
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever one request does to the write, the others are told of in theirs
        reason = type(error).__name__  # its words may hold addresses
        log.warning("inbound requests cannot be written", count=len(batch), reason=reason)
        return False
    return True


def _understand(adapter: Any, row: inbox.InboundRow) -> _Read:
    if not isinstance(adapter, CanReceive):
        return _Read(row, None, "there is no channel of this name that takes reports")
    try:
        return _Read(row, adapter.receive(row.request), "")
    except Exception as error:  # noqa: BLE001 - what a stranger sent must hold up no other request, whatever it broke
        reason = type(error).__name__  # its words may hold what the stranger sent
        log.warning("an inbound request cannot be read", channel=row.channel, reason=reason)
        return _Read(row, None, str(error) or type(error).__name__)
