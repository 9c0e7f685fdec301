"""Seeing from outside that what was accepted is there: soon after it, and again until it is seen or nobody asks any more.

What is still to be seen stands in the store (accepted, not confirmed), so a restart forgets none of it. A board is looked
at for ever, for what lies between it and its readers may show them an older one at any time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
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
from broadcaster.engine.lane import Lane, Unseen
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
    for wait in PAUSES:
        await asyncio.sleep(wait)
        if await _look(lane, delivery_ids, said):
            return


async def post(lane: Lane, delivery_id: int) -> None:
    """See each post of a delivery, in the words it was sent with."""
    if can_be_seen(lane):
        await soon(lane, [delivery_id], await _said(lane, delivery_id))


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
    ids = await lane.read(partial(confirming.unseen, channel=lane.name, after=after))
    _forget(lane, set(lane.unseen) - set(ids))
    for delivery_id in ids[:MOST]:
        said = await _said(lane, delivery_id)
        if said:
            await _look(lane, [delivery_id], said)
        else:  # a later word has changed all of it, or taken it away
            _forget(lane, {delivery_id})


async def _board(lane: Lane) -> None:
    fresh = time.monotonic() - lane.seen_at < BOARD_EVERY
    if fresh and not lane.unseen:
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
    try:
        seen = [await _sees(lane, receipt, message) for receipt, message in said]
        because, differs = ("" if all(seen) else NOT_THERE), False
    except Failure as failure:
        if failure.outcome is Outcome.PERMANENT and failure.scope is Scope.CHANNEL:
            log.info("cannot be seen from outside", channel=lane.name, reason=failure.sentence)
            _forget(lane, _noted(lane, delivery_ids))
            return True
        because, differs = failure.sentence, failure.outcome is Outcome.PERMANENT
    if lane.stopping:
        return True  # its connections may have been closed under it
    if because:
        log.info("not confirmed", channel=lane.name, reason=because)
        _note(lane, _noted(lane, delivery_ids), because, differs=differs)
        return False
    lane.seen_at = time.monotonic()
    if delivery_ids:
        await lane.write(lambda connection: deliveries.confirm(connection, delivery_ids))
    _forget(lane, _noted(lane, delivery_ids))
    return True


async def _sees(lane: Lane, receipt: Receipt, message: Message | None) -> bool:
    attempt = lane.attempt(1, lane.later(60))
    seen: bool = await lane.looks.call(
        lane.adapter.confirm, receipt, attempt, message, deadline=attempt.deadline, gives=bool
    )
    return seen


# ---------------------------------------------------------------------------------------------- what is known of it
def _noted(lane: Lane, delivery_ids: Sequence[int]) -> set[int]:
    return {_BOARD} if lane.adapter.shape is Shape.BOARD else set(delivery_ids)


def _note(lane: Lane, which: set[int], because: str, *, differs: bool) -> None:
    now = time.monotonic()
    since = {key: lane.unseen[key].since if key in lane.unseen else now for key in which}
    # A new mapping: the watch looks through the old one from a thread of its own.
    lane.unseen = dict(lane.unseen) | {key: Unseen(since[key], because, differs) for key in which}


def _forget(lane: Lane, which: set[int]) -> None:
    lane.unseen = {key: one for key, one in lane.unseen.items() if key not in which}
