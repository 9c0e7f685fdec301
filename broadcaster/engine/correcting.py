"""Measures how long a channel took to put right what was wrong there."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from broadcaster.engine.lane import Lane
from broadcaster.store import StoreError, correcting

log = structlog.get_logger()


async def measure(lane: Lane, delivery_ids: Sequence[int]) -> None:
    """Observe how long each of these took that carries a correction. Run it aside: nothing waits for it."""
    try:
        found = await lane.read(lambda c: correcting.of_deliveries(c, delivery_ids))
    except StoreError as error:
        log.error("a correction could not be measured", channel=lane.name, reason=str(error))
        return
    for one in found.values():
        if one.seconds is not None:
            lane.around.observe("corrected", lane.name, seconds=one.seconds)
            log.info("corrected", channel=lane.name, seconds=one.seconds, wrong_for=one.wrong_for)
