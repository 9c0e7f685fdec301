"""A clock that stands still until it is told to go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
"""A Sunday in Sweden's winter time, 13.00 there."""


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
