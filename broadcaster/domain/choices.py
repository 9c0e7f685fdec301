"""What a subscriber chose: about what, how grave, in which language, when not, and whether all at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from broadcaster.domain.incident import Severity

OVERRIDES = Severity.SEVERE
"""This severity and above goes out at once, whatever hours are quiet and whoever wants a summary."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of the local day in which nothing comes: from `start` up to `end`, past midnight where `end` is earlier."""

    start: time
    end: time

    def holds(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether it is quiet at the aware time `at`: by the clock on the wall, also on the days when that is set."""
        now = at.astimezone(zone).time()
        if self.start <= self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What one subscriber wants by one channel. What concerns everyone is always included.

    `summary`: the local time at which all of a day comes as one letter, None: each word as it is said.
    """

    areas: tuple[str, ...]
    language: str
    least: Severity = Severity.MINOR
    quiet: Quiet | None = None
    summary: time | None = None


def next_time(wall: time, after: datetime, zone: ZoneInfo) -> datetime:
    """The next moment (UTC offset of `zone`) strictly after `after` at which the clock on the wall shows `wall`.

    Where the clock is set forward past it, as much later as the clock is set forward; where it shows it twice, the first.
    """
    day = after.astimezone(zone).date()
    while True:
        moment = datetime.combine(day, wall, tzinfo=zone)
        there = moment.astimezone(ZoneInfo("UTC")).astimezone(zone)
        if there > after:
            return there
        day += timedelta(days=1)
