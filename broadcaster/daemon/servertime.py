"""The database's time, carried on by our own ticks: machines over one PostgreSQL agree on it, whatever their clocks say."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from broadcaster.daemon import starting
from broadcaster.store import Store, claiming


def _ticks() -> float:
    """Seconds that also go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ServerTime:
    """Call it for the time, aware UTC, from any thread; `look` now and then, for two machines' seconds differ a little.

    What is due, expires or is promised is written by one machine and read by another: a clock ten minutes ahead would
    hold everything up by ten minutes, for leases and pauses are compared with the database's clock.

    Raises StoreError when it is made and the database is out of reach; later it goes on without.
    """

    def __init__(self, store: Store, ticks: Callable[[], float] = _ticks) -> None:
        self._store, self._ticks = store, ticks
        self._known = self._asked()[:2]

    def __call__(self) -> datetime:
        at, ticked = self._known
        return at + timedelta(seconds=self._ticks() - ticked)

    def look(self) -> None:
        """Ask again; what an answer may be off by, for it travels too, changes nothing. Raises StoreError."""
        at, ticked, travelled = self._asked()
        before, since = self._known
        expected = before + timedelta(seconds=ticked - since)
        if abs(at - expected) > timedelta(seconds=travelled):
            self._known = at, ticked

    def _asked(self) -> tuple[datetime, float, float]:
        """The time, the ticks at that time, and how many seconds the answer took."""
        asked = self._ticks()
        at = self._store.read(lambda connection: claiming.database_now(connection, starting.now()))
        answered = self._ticks()
        return at, (asked + answered) / 2, answered - asked

    @property
    def ahead(self) -> timedelta:
        """How far the clock of this machine is ahead of the database's; negative when it is behind."""
        return starting.now() - self()
