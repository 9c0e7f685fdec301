"""The wall clock, watched by the monotonic one: a jump is noticed at the next look at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from broadcaster.daemon import starting
from broadcaster.store.jumps import SLACK

log = structlog.get_logger()
TOLD_SECONDS = 3600.0
AT_ONCE = 0.5
Jumped = Callable[[datetime, timedelta], None]


class WallClock:
    """Call it for the time, aware UTC, from any thread.

    `on_jump(before, by)` is called when the clock went from `before` to `before + by` at once, before anybody gets the new
    time. A machine that slept jumps forward too: its monotonic clock stood still.

    Args:
        read: the wall clock.
        ticks: the monotonic clock, in seconds.
    """

    def __init__(
        self,
        read: Callable[[], datetime] = starting.now,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._ticks = read, ticks
        self._lock = threading.Lock()
        self._at, self._ticked = self._both()
        self._last: tuple[timedelta, float] | None = None
        self.on_jump: Jumped = lambda _before, _by: None

    def __call__(self) -> datetime:
        with self._lock:
            now, ticked = self._both()
            expected = self._at + timedelta(seconds=ticked - self._ticked)
            self._at, self._ticked = now, ticked
            if abs(now - expected) > SLACK:
                self._jumped(expected, now - expected)
            return now

    def _both(self) -> tuple[datetime, float]:
        """Both clocks at one instant: read anew when this process stood still between the two."""
        while True:
            ticked, now = self._ticks(), self._read()
            if self._ticks() - ticked < AT_ONCE:
                return now, ticked

    def _jumped(self, before: datetime, by: timedelta) -> None:
        self.note(by)
        self.on_jump(before, by)

    def note(self, by: timedelta) -> None:
        """The clock jumped, though perhaps while nobody looked."""
        self._last = (by, self._ticks())
        log.error("the clock of this machine jumped", seconds=round(by.total_seconds()))

    @property
    def jumped(self) -> timedelta | None:
        """How far the last jump of the past hour went, negative when the clock was set back."""
        last = self._last
        return last[0] if last and self._ticks() - last[1] < TOLD_SECONDS else None
