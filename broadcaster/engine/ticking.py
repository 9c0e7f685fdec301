"""The scheduler: APScheduler, which only wakes. What is due, and whether, stands in the store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler

Work = Callable[[], Awaitable[Any]]
_ANY_NUMBER = 1_000  # of runs that have ended and are not counted as ended yet: one too many would be left out for ever


class Ticker:
    """Starts work on the loop, at a steady pace or after a while; see `follow_clock` for a clock that is set."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(timezone="UTC")

    def start(self) -> None:
        """Begin; on the loop's thread, as everything here."""
        self._scheduler.start()

    def stop(self) -> None:
        """Start nothing more and cancel what runs. A second call does nothing."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def every(self, name: str, seconds: float, work: Work) -> None:
        """Do it at a steady pace; a turn that is still running is not started twice."""
        self._add(name, work, trigger="interval", seconds=seconds, max_instances=1)

    def after(self, name: str, seconds: float, work: Work) -> None:
        """Do it in so many seconds (0: now) instead of when it was to be done; it may be asked for while it runs.

        Should it never ask for itself again it comes again by itself.
        """
        when: dict[str, Any] = {"trigger": "interval", "seconds": seconds} if seconds else {}
        self._add(name, work, replace_existing=True, max_instances=_ANY_NUMBER, **when)

    def _add(self, name: str, work: Work, **when: Any) -> None:
        self._scheduler.add_job(
            _unless_stopped(work), id=name, coalesce=True, misfire_grace_time=None, **when
        )

    def follow_clock(self) -> None:
        """The wall clock was set, and APScheduler waits by it: each interval begins anew.

        Set back an hour, it would start nothing for that hour.
        """
        for job in self._scheduler.get_jobs():
            if interval := getattr(job.trigger, "interval_length", None):
                job.reschedule("interval", seconds=interval)


def _unless_stopped(work: Work) -> Work:
    """The scheduler's end cancels what runs; that is no error to be logged."""

    @wraps(work)
    async def turn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await work()

    return turn
