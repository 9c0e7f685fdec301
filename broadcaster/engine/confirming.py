"""Seeing from outside that what was accepted is there: soon after it, and again until it is seen or nobody asks any more.

What is still to be seen stands in the store (accepted, not confirmed), so a restart forgets none of it. A board is looked
at for ever, for what lies between it and its readers may show them an older one at any time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial

import structlog

from broadcaster.channel import (
    CanConfirm,
    Failure,
    Message,
    Outcome,
    Receipt,
    Revision,
    Scope,
    Shape,
)
from broadcaster.engine.lane import Lane
from broadcaster.store import Connection, StoreError, boards, confirming, deliveries

log = structlog.get_logger()
PAUSES = (0.0, 0.5, 2.0, 5.0)
EVERY = 15.0  # seconds between two looks for what is not seen yet
BOARD_EVERY = 60.0  # and at a board that was seen
LOOKED_FOR = timedelta(hours=1)  # so long after it was accepted
MOST = 5  # posts of one channel in one look: far sides count what they are asked
NOT_THERE = "It was accepted and is not there."
_BOARD = 0  # under which a board's newest revision is noted; deliveries are numbered from 1

Said = Sequence[tuple[Receipt, Message | None]]


def can_be_seen(lane: Lane) -> bool:
    """Whether this channel is looked at from outside at all."""
    return bool(lane.adapter.settings.confirm) and isinstance(lane.adapter, CanConfirm)


async def soon(lane: Lane, delivery_ids: Sequence[int], said: Said) -> None:
    """Look a few times just after it was accepted. It may be slow: run it aside, it holds no turn of the lane."""
    await _a_few_times(lambda: _look(lane, delivery_ids, said))


async def post(lane: Lane, delivery_id: int) -> None:
    """As `soon`: see each post of a delivery, in the words it was sent with."""
    if can_be_seen(lane):
        await _a_few_times(lambda: _look_at_post(lane, delivery_id))


async def _a_few_times(look: Callable[[], Awaitable[bool]]) -> None:
    for wait in PAUSES:
        await asyncio.sleep(wait)
        if await look():
            return


async def again(lane: Lane) -> None:
    """Every quarter of a minute: ask for what is not seen yet."""
    if not can_be_seen(lane):
        return
    try:
        await (_board(lane) if lane.adapter.shape is Shape.BOARD else _posts(lane))
    except StoreError as error:
        log.error("what is to be seen cannot be looked up", channel=lane.name, reason=str(error))


async def _posts(lane: Lane) -> None:
    after = lane.around.clock() - LOOKED_FOR
    ids = await lane.read(partial(confirming.unseen_posts, channel=lane.name, after=after))
    lane.sight.forget(set(lane.sight.unseen) - set(ids))
    for delivery_id in _next(lane, ids):
        lane.sight.looked_for = delivery_id
        await _look_at_post(lane, delivery_id)


def _next(lane: Lane, ids: Sequence[int]) -> Sequence[int]:
    """Whose turn it is: from the newest to the oldest, on from where the last look ended, and round again."""
    newest_first = sorted(ids, reverse=True)
    older = [each for each in newest_first if each < lane.sight.looked_for]
    return (older + newest_first[: len(ids) - len(older)])[:MOST]


async def _look_at_post(lane: Lane, delivery_id: int) -> bool:
    """Look once for what a delivery says by now: later words may have changed it since the last look."""
    return await _look(lane, [delivery_id], await _said(lane, delivery_id))


async def _board(lane: Lane) -> None:
    fresh = time.monotonic() - lane.sight.seen_at < BOARD_EVERY
    if fresh and not lane.sight.unseen:
        return
    after = lane.around.clock() - LOOKED_FOR

    def read(connection: Connection) -> tuple[Sequence[int], Revision]:
        ids = confirming.unseen(connection, lane.name, after)
        return ids, boards.newest_revision(connection)

    ids, newest = await lane.read(read)
    if lane.shown == newest:  # else that is what is wrong, and told as such
        await _look(lane, ids, [(Receipt(handle=str(newest)), None)])


async def _said(lane: Lane, delivery_id: int) -> Said:
    return await lane.read(lambda connection: confirming.said(connection, delivery_id))


async def _look(lane: Lane, delivery_ids: Sequence[int], said: Said) -> bool:
    """Look once; whether no more looks are needed. What is there is confirmed, what is not is noted."""
    if not said:  # a later word has changed all of it, or taken it away: nobody saw it, nobody can
        lane.sight.forget(_noted(lane, delivery_ids))
        return True
    try:
        seen = [await _sees(lane, receipt, message) for receipt, message in said]
        because, differs = ("" if all(seen) else NOT_THERE), False
    except Failure as failure:
        if failure.outcome is Outcome.PERMANENT and failure.scope is Scope.CHANNEL:
            log.info("cannot be seen from outside", channel=lane.name, reason=failure.sentence)
            lane.sight.forget(_noted(lane, delivery_ids))
            return True
        because, differs = failure.sentence, failure.outcome is Outcome.PERMANENT
    if lane.stopping:
        return True  # its connections may have been closed under it
    if because and await _is_overtaken(lane, delivery_ids, said):
        return False
    if because:
        log.info("not confirmed", channel=lane.name, reason=because)
        lane.sight.note(_noted(lane, delivery_ids), because, differs=differs)
        return False
    lane.sight.seen_at = time.monotonic()
    if delivery_ids:
        await lane.write(lambda connection: deliveries.confirm(connection, delivery_ids))
    lane.sight.forget(_noted(lane, delivery_ids))
    return True


async def _is_overtaken(lane: Lane, delivery_ids: Sequence[int], said: Said) -> bool:
    """Whether a later word came while it was looked for: then what stands there may be that one's."""
    if lane.adapter.shape is Shape.BOARD:
        return False
    return any([await _said(lane, each) != said for each in delivery_ids])


async def _sees(lane: Lane, receipt: Receipt, message: Message | None) -> bool:
    attempt = lane.attempt(1, lane.later(60))
    seen: bool = await lane.looks.call(
        lane.adapter.confirm, receipt, attempt, message, deadline=attempt.deadline, gives=bool
    )
    return seen


# ---------------------------------------------------------------------------------------------- what is known of it
def _noted(lane: Lane, delivery_ids: Sequence[int]) -> set[int]:
    return {_BOARD} if lane.adapter.shape is Shape.BOARD else set(delivery_ids)
