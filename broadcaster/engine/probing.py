"""Probes: asking a channel whether it would work now, and keeping what it said."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from broadcaster.channel import CanProbe, Failure, Probe
from broadcaster.engine.lane import Lane
from broadcaster.store import StoreError, channels

log = structlog.get_logger()
DEADLINE = 20.0
AFTER_A_BAD_ONE = (
    300.0  # seconds, at most: who has mended it need not wait for a quarter of an hour
)


WHILE_IT_RESTS = timedelta(seconds=30)
"""A far side that took nothing is asked so often: what waits there goes out when it answers, not at the end of a long pause."""


def is_due(lane: Lane, now: datetime) -> bool:
    """Whether a channel is to be asked now. While something goes out on it that tells more: then a turn is left out."""
    if lane.probing.due_at is None or lane.probing.asked_at is None:
        return True
    if lane.breaker.opened_at is not None and now >= lane.probing.asked_at + WHILE_IT_RESTS:
        return True
    patience = lane.around.probe_every() if lane.busy else 0.0
    return now >= lane.probing.due_at + timedelta(seconds=patience)


def _set_next(lane: Lane, *, good: bool) -> None:
    """Not all at the same moment, and no two nodes in step."""
    every = lane.around.probe_every()
    span = every if good else min(every, AFTER_A_BAD_ONE)
    lane.probing.due_at = lane.later(span * (0.9 + 0.2 * lane.chance()))


async def probe(lane: Lane) -> Probe | None:
    """Probe one channel; None when it cannot be asked. A failed probe is kept as what is to be mended."""
    if not isinstance(lane.adapter, CanProbe):
        return None
    began = lane.probing.asked_at = lane.around.clock()
    doubted, opened_at = lane.probing.doubted, lane.breaker.opened_at
    _set_next(lane, good=True)  # while it is under way nobody begins another
    attempt = lane.attempt(1, lane.later(DEADLINE))
    try:
        said: Probe = await lane.looks.call(
            lane.adapter.probe, attempt, deadline=min(DEADLINE, attempt.deadline), gives=Probe
        )
    except Failure as failure:
        said = Probe(good=False, sentence=failure.sentence)
    _set_next(lane, good=said.good)
    if lane.stopping:
        return said  # its connections may have been closed under it: that says nothing about the channel
    if not said.good and lane.probing.worked_since(began):
        return said  # something was accepted meanwhile: it is asked again soon
    now = lane.around.clock()
    # Tried once: whoever asked waits for what the far side said, and a store that takes nothing is told of as that.
    try:
        await asyncio.wrap_future(
            lane.around.store.write(
                lambda connection: channels.record_probe(connection, lane.name, now, said)
            )
        )
        lane.probing.unkept, lane.probing.doubted = False, not said.good
    except StoreError as error:
        lane.probing.unkept = True
        log.error("a probe could not be kept", channel=lane.name, reason=str(error))
    if said.good and (doubted or opened_at not in (None, lane.probing.hastened)):
        lane.probing.hastened = opened_at
        lane.try_what_rests()
    lane.around.observe("probe", lane.name, good=said.good, sentence=said.sentence)
    return said
