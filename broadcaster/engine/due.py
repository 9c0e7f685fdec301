"""The clock hand: APScheduler wakes the claimer at the next due time. What is due, and whether, stands in the store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

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

    def __init__(
        self, around: Surroundings, scheduler: AsyncIOScheduler, acts: Mapping[str, Act]
    ) -> None:
        self._around, self._scheduler, self._acts = around, scheduler, acts
        self._looking = self._again = False

    def look(self) -> None:
        """Look for due rows now; afterwards the scheduler is set to the next one."""
        if self._looking:
            self._again = True  # what is being looked at now may have been read before this came
        else:
            self._set(0)

    async def _turn(self) -> None:
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
        """Turn in so many seconds; should a turn ever fail to set the next one, it comes again by itself."""
        when: dict[str, Any] = {"trigger": "interval", "seconds": seconds} if seconds else {}
        self._scheduler.add_job(
            unless_stopped(self._turn),
            id="due",
            replace_existing=True,
            misfire_grace_time=None,
            max_instances=2,  # a turn sets the next one before it has quite ended
            **when,
        )


def unless_stopped(work: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[None]]:
    """The scheduler's end cancels what runs; that is no error to be logged."""

    @wraps(work)
    async def turn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await work()

    return turn


def every(
    scheduler: AsyncIOScheduler, name: str, seconds: float, work: Callable[[], Awaitable[Any]]
) -> None:
    """Housekeeping at a steady pace; a turn that is still running is not started twice."""
    scheduler.add_job(
        unless_stopped(work),
        "interval",
        id=name,
        seconds=seconds,
        max_instances=1,
        coalesce=True,
        misfire_grace_time=None,
    )
