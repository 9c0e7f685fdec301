"""Clocks that tests move: one that stands still in this process, and the wall clock of daemons under libfaketime."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from broadcaster.testing.peers import PEERS

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
"""A Sunday in Sweden's winter time, 13.00 there."""

# With the monotonic clock left alone libfaketime 0.9.10 breaks `time.sleep` (its issue 426); waiting for an event works.
_SLEEP = "import threading, time\ntime.sleep = lambda seconds: threading.Event().wait(seconds) and None\n"


class Clock:
    """Call it for the time, as the daemon calls the real one."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **spans: float) -> datetime:
        """Let time pass: `pass_by(minutes=45)`; the arguments are those of `timedelta`. Returns the new time."""
        self.now += timedelta(**spans)
        return self.now


class FakedTime:
    """The wall clock of every process that is started with `environment`; their monotonic clocks go on as they are.

    Needs the peer `faketime`. Call it for the time such a process sees.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "faketime"
        self._folder.mkdir()
        (self._folder / "sitecustomize.py").write_text(_SLEEP)
        self._stamp = self._folder / "offset"
        self.shift = timedelta()
        self.jump()

    @property
    def environment(self) -> Mapping[str, str]:
        """What to add to the environment of a process."""
        return {
            "LD_PRELOAD": str(PEERS["faketime"].path("libfaketime")),
            "FAKETIME_TIMESTAMP_FILE": str(self._stamp),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": str(self._folder),
        }

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.shift

    def jump(self, **spans: float) -> None:
        """Set the clock: `jump(hours=-1)`. Every process sees it at its next look."""
        self.shift += timedelta(**spans)
        fresh = self._stamp.with_suffix(".new")
        fresh.write_text(f"{self.shift.total_seconds():+.3f}\n")
        fresh.replace(self._stamp)
