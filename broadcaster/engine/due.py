"""The clock hand: looks at the store when the next row is due. What is due, and whether, stands there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from broadcaster.engine.lane import Surroundings
from broadcaster.engine.ticking import Ticker
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

    def __init__(self, around: Surroundings, ticker: Ticker, acts: Mapping[str, Act]) -> None:
        self._around, self._ticker, self._acts = around, ticker, acts
        self._looking = self._again = False

    def look(self) -> None:
        """Look for due rows now; afterwards the hand is set to the next one."""
        if self._looking:
            self._again = True  # what is being looked at now may have been read before this came
        else:
            self._set(0)

    async def _turn(self) -> None:
        if self._looking:  # asked for twice before the first began
            self._again = True
            return
        self._looking, self._again = True, False
        next_at = None
        try:
            await self._claim()
            next_at = await asyncio.to_thread(self._around.store.read, dues.next_due_at)
        except StoreError as error:
            log.error("due rows cannot be read", reason=str(error))
        except Exception:
            # The hand must go on: it is looked again in a few seconds.
            log.exception("looking for due rows stumbled")
        finally:
            self._looking = False
        self._set(0 if self._again else self._wait(next_at))

    def _wait(self, next_at: datetime | None) -> float:
        """Seconds until the next look."""
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

    def _set(self, seconds: float) -> None:
        self._ticker.after("due", seconds, self._turn)
