"""When to try again, and when to leave a channel alone for a while; pure, time and chance passed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
LONGEST_RETRY_AFTER = 3600.0


def pause(attempt: int, chance: float, retry_after: float | None = None) -> float:
    """Seconds until the next attempt: full jitter over a doubling ceiling; a far side's own wish is kept, clamped.

    Args:
        attempt: the number of the attempt that failed, from 1.
        chance: uniform in [0, 1).
        retry_after: seconds the far side asked for, or None.
    """
    if retry_after is not None:
        return min(max(retry_after, 0.0), LONGEST_RETRY_AFTER)
    doublings = min(attempt - 1, 10)  # more than reach the longest, and no power overflows
    ceiling = min(FIRST_PAUSE * 2.0**doublings, LONGEST_PAUSE)
    return 0.1 + chance * ceiling


@dataclass(slots=True)
class Breaker:
    """Opens after `limit` failures in a row, lets one call through after `rest` seconds, closes on a success.

    It rests for half of the ten seconds in which a correction must start, though all before it failed.
    Only what speaks of the far side as a whole counts: time-outs, refusals for now, broken connections.
    """

    limit: int = 5
    rest: float = 5.0
    failures: int = 0
    opened_at: datetime | None = None
    tried_at: datetime | None = None

    def allows(self, now: datetime) -> bool:
        """Whether a call may start now."""
        if self.opened_at is None:
            return True
        return now >= (self.tried_at or self.opened_at) + timedelta(seconds=self.rest)

    def allows_again_at(self) -> datetime | None:
        """When the next call may start, or None when any may."""
        if self.opened_at is None:
            return None
        return (self.tried_at or self.opened_at) + timedelta(seconds=self.rest)

    def shift(self, by: timedelta) -> None:
        """The wall clock jumped: the rest lasts as long as it would have."""
        self.opened_at = self.opened_at and self.opened_at + by
        self.tried_at = self.tried_at and self.tried_at + by

    def success(self) -> None:
        """The far side answered."""
        self.failures, self.opened_at, self.tried_at = 0, None, None

    def failure(self, now: datetime) -> None:
        """The far side did not answer, or refused for now."""
        self.failures += 1
        self.tried_at = now
        if self.failures >= self.limit and self.opened_at is None:
            self.opened_at = now

    def trip(self, now: datetime) -> None:
        """The far side takes nothing: known at once, without counting."""
        self.failures = max(self.failures, self.limit - 1)
        self.failure(now)
