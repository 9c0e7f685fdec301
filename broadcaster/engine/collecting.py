"""Reports that an adapter is told of by a way of its own: fetched without end, kept raw, understood as all others are."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import structlog

from broadcaster.channel import CanCollect, Failure, InboundRequest
from broadcaster.engine.calls import Slots
from broadcaster.engine.known import Deaf
from broadcaster.engine.lane import Lane
from broadcaster.store import StoreError, inbox

log = structlog.get_logger()
BREATH = 0.05  # an adapter waits for reports itself; one that does not is not asked without a pause
PAUSE = 5.0  # after a failure


async def collect(lane: Lane) -> None:
    """Until the lane ends. Only what is durable is answered for at the far side: what a crash lost is told again."""
    if not isinstance(lane.adapter, CanCollect):
        return
    slots = Slots(lane.name, 1)
    try:
        await _without_end(lane, lane.adapter, slots)
    finally:
        slots.close()


async def _without_end(lane: Lane, adapter: CanCollect, slots: Slots) -> None:
    kept: tuple[str, ...] = ()
    well = True
    while not lane.stopping:
        attempt = lane.attempt(1, lane.later(3600.0))
        try:
            came: tuple[InboundRequest, ...] = await slots.call(
                adapter.collect, kept, attempt, deadline=attempt.deadline, gives=tuple
            )
            if came:
                await lane.write(partial(_keep, channel=lane.name, came=came))
            kept, well = tuple(each.path for each in came), True
            lane.deaf = None
        except Failure as failure:
            if well:
                reason = failure.reply or failure.sentence
                log.warning("reports cannot be collected", channel=lane.name, reason=reason)
            _deaf(lane, failure.sentence)
            well = False  # what was kept is told again: nobody knows whether it was heard
        except StoreError:
            raise
        except Exception:
            if well:  # an adapter's own mistake is logged once, with where, until it is well again
                log.exception("reports cannot be collected", channel=lane.name)
            _deaf(lane, "its adapter fails: the log says how.")
            kept, well = (), False
        if not (kept and well):
            await asyncio.sleep(BREATH if well else PAUSE)


def _deaf(lane: Lane, because: str) -> None:
    since = lane.deaf.since if lane.deaf else lane.around.clock()
    lane.deaf = Deaf(since, because)


def _keep(connection: Any, channel: str, came: tuple[InboundRequest, ...]) -> None:
    for request in came:
        inbox.keep(connection, channel, request)
