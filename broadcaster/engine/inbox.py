"""What came in: stored raw by the listener, understood here, counted where it belongs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from broadcaster.channel import CanReceive, Report
from broadcaster.engine.lane import Surroundings
from broadcaster.store import inbox, reports

log = structlog.get_logger()
BATCH = 200


async def turn(around: Surroundings, adapters: Mapping[str, Any]) -> int:
    """Understand up to `BATCH` stored requests. Returns how many were taken."""
    now = around.clock()
    waiting = await asyncio.to_thread(
        around.store.read, lambda connection: inbox.waiting(connection, now)
    )
    if not waiting:
        return 0
    understood = [(row, *_understand(adapters.get(row.channel), row)) for row in waiting]

    def work(connection: Any) -> None:
        for row, found, why in understood:
            if found is None:
                inbox.unreadable(connection, row.id, why)
            elif _matched(connection, row.channel, found):
                inbox.done(connection, row.id)
            else:
                inbox.unmatched(connection, row.id, now)

    await asyncio.wrap_future(around.store.write(work))
    return len(waiting)


def _understand(adapter: Any, row: inbox.InboundRow) -> tuple[tuple[Report, ...] | None, str]:
    if not isinstance(adapter, CanReceive):
        return None, "there is no channel of this name that takes reports"
    try:
        return adapter.receive(row.request), ""
    except ValueError as error:
        log.warning("an inbound request cannot be read", channel=row.channel, reason=str(error))
        return None, str(error)


def _matched(connection: Any, channel: str, found: tuple[Report, ...]) -> bool:
    """Note every report; whether each had its letter. One that is early must not keep the others from being noted."""
    return not [report for report in found if not reports.match(connection, channel, report)]
