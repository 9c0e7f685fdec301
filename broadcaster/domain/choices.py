"""What a subscriber chose: about what, how grave, in which language, when not, and whether all at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from broadcaster.domain.incident import Severity

OVERRIDES = Severity.SEVERE
"""This severity and above goes out at once, whatever hours are quiet and whoever wants a summary."""
_MINUTE = timedelta(minutes=1)


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

    def over(self, at: datetime, zone: ZoneInfo) -> datetime:
        """The first moment (in UTC) after `at` that is not quiet; `at` is. Where the clock is set past `end`, it is that one.

        Where it is set back to before `start`, quiet goes on: nobody is woken for the minutes that come again.
        """
        over = next_time(self.end, at, zone)
        while (before := over - _MINUTE) > at.astimezone(UTC) and not self.holds(before, zone):
            over = before
        return over


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


def told_at(
    choices: Choices, severity: Severity, at: datetime, zone: ZoneInfo, *, rights: bool = False
) -> datetime | None:
    """When a word said `at` that time reaches a subscriber: at once (`at`), later and then in a summary, or never (None).

    | the word | quiet | wants a summary | else |
    |---|---|---|---|
    | severe or worse | at once | at once | at once |
    | milder, puts right or ends what a letter told him (`rights`) | when quiet is over | at once | at once |
    | milder than what he wants to hear of | never | never | never |
    | any other | when quiet is over | at the time of his summary, and not before quiet is over | at once |

    Who has read a wrong text is put right though he would not have been told of anything as mild: by then he was. At night
    that waits for the morning, where it is not severe: nobody is woken for what he cannot act on. How severe it is goes by
    what was put right as much as by the word that does it; see `gravest`.
    """
    if severity.at_least(OVERRIDES):
        return at
    if not rights and not severity.at_least(choices.least):
        return None
    when = at
    if choices.summary is not None and not rights:
        when = next_time(choices.summary, at, zone)
    if choices.quiet is not None and choices.quiet.holds(when, zone):
        return choices.quiet.over(when, zone)
    return when


def heard_from(least: Severity) -> Severity:
    """From which severity on somebody hears who chose `least`: what overrides reaches everybody."""
    return min(least, OVERRIDES, key=lambda each: each.rank)


def gravest(severity: Severity, told: Iterable[Severity]) -> Severity:
    """How severe a word is that puts these right: a false alarm that woke people is taken back at once."""
    return max((severity, *told), key=lambda each: each.rank)


def next_time(wall: time, after: datetime, zone: ZoneInfo) -> datetime:
    """The next moment (in UTC) strictly after `after` at which the clock on the wall shows `wall`.

    Where the clock is set forward past it, as much later as the clock is set forward. Where it shows it twice: the first,
    and the second for whoever asks between the two.
    """
    # All in UTC: of two times of one zone Python compares what the clock shows, and takes the hour that comes twice for one.
    after = after.astimezone(UTC)
    day = after.astimezone(zone).date()
    while True:
        shown = datetime.combine(day, wall, tzinfo=zone)
        first, second = shown.astimezone(UTC), shown.replace(fold=1).astimezone(UTC)
        if first > after:
            return first
        # Of an hour that is missing the second reading is before the first.
        if second > after and second > first:
            return second
        day += timedelta(days=1)
