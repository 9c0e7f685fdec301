"""The clock hand: looks at the store when the next row is due. What is due, and whether, stands there.

All waiting is by the loop's monotonic clock: a wall clock that is set back or forward stalls nothing and floods nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn

import structlog

from broadcaster.engine.lane import Surroundings
from broadcaster.store import StoreError, dues
from broadcaster.store.dues import Due

log = structlog.get_logger()
Act = Callable[[Due], str]
SOONEST_LOOK = 0.2
LATEST_LOOK = 5.0


class DueClaimer:
    """Claims due rows and has each done by the act of its name.

    Args:
        acts: what to do for remind, due, grace, release, open and close; each runs in a thread and returns what came
            of it in a few words. They belong to the service; the composition root hands them in.
    """

    def __init__(self, around: Surroundings, acts: Mapping[str, Act]) -> None:
        self._around, self._acts = around, acts
        self._woken = asyncio.Event()

    def look(self) -> None:
        """Look for due rows now. Only from the loop's thread."""
        self._woken.set()

    async def run(self) -> NoReturn:
        """Claim and act until cancelled."""
        while True:
            self._woken.clear()  # what is written from here on may be missed by this turn: it sets it again
            wait = await self._turn()
            with contextlib.suppress(TimeoutError):
                # `wait_for` of Python 3.11 may swallow the cancellation.
                async with asyncio.timeout(wait):
                    await self._woken.wait()

    async def _turn(self) -> float:
        """Do what is due; the seconds until the next look."""
        next_at = None
        try:
            await self._claim()
            next_at = await asyncio.to_thread(self._around.store.read, dues.next_due_at)
        except StoreError as error:
            log.error("due rows cannot be read", reason=str(error))
        except Exception:
            # The hand must go on: it is looked again in a few seconds.
            log.exception("looking for due rows stumbled")
        return self._wait(next_at)

    def _wait(self, next_at: datetime | None) -> float:
        if next_at is None:
            return LATEST_LOOK
        seconds = (next_at - self._around.clock()).total_seconds()
        return min(max(seconds, SOONEST_LOOK), LATEST_LOOK)

    async def _claim(self) -> None:
        now = self._around.clock()
        for due in await asyncio.wrap_future(
            self._around.store.write(lambda connection: dues.claim(connection, now))
        ):
            await self._act(due)

    async def _act(self, due: Due) -> None:
        try:
            outcome = await asyncio.to_thread(self._acts[due.what], due)
        except Exception as error:
            log.exception("what was due could not be done", what=due.what, incident=due.incident_id)
            self._around.observe("due_failed", due.what, reason=str(error))
            return  # its lease runs out, and it is claimed again
        now = self._around.clock()
        await asyncio.wrap_future(
            self._around.store.write(lambda connection: dues.settle(connection, due, now, outcome))
        )


async def every(
    name: str, seconds: float, work: Callable[[], Awaitable[Any]], *, first: float | None = None
) -> NoReturn:
    """Housekeeping at a steady pace, the first time after `first` seconds, until cancelled; no turn starts before the last has ended."""
    await asyncio.sleep(seconds if first is None else first)
    while True:
        try:
            await work()
        except Exception:
            log.exception("housekeeping stumbled", what=name)
        await asyncio.sleep(seconds)
