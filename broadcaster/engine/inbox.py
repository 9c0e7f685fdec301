"""What came in: stored raw by the listener, understood here, counted where it belongs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import islice
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

    said = [(row.channel, report) for row, found, _ in understood for report in found or ()]

    def work(connection: Any) -> None:
        matched = iter(reports.match(connection, said))
        for row, found, why in understood:
            if found is None:
                inbox.unreadable(connection, row.id, why)
            elif all(list(islice(matched, len(found)))):
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
