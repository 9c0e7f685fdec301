"""Whether everything would work if the storm came now, as a grade for each channel and one number; pure.

The number can be counted again by hand: every channel is a line and the machine is one. A ready line is worth 1, one to
be watched ½, one that is not ready 0; what cannot be asked is not counted. The score is their mean in per cent, rounded
down, so that 100 means that nothing at all is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from broadcaster.domain.exchange import Remaining
from broadcaster.domain.redundancy import independent

SOON = timedelta(days=14)
TOO_SOON = timedelta(days=3)
_OF_A_LIFE = (
    10  # a certificate for a week is renewed within days: a tenth of its life is soon for it
)
_DAY = timedelta(days=1)
_HALVES = 2

LITTLE_CREDIT = "{of}: {amount} {unit} left, less than {least}: fill it up."
NO_CREDIT = "{of}: no credit is left: fill it up."
LITTLE_QUOTA = "{of}: {amount} left of what it may send, less than {least}."
NO_QUOTA = "{of}: it may send no more for now."
ACCESS_ENDS = "{of}: the token ends soon (days left: {days}): have another made."
ACCESS_ENDED = "{of}: the token has ended: have another made."
CERTIFICATE_ENDS = "The certificate of {of} ends soon (days left: {days}): renew it."
CERTIFICATE_ENDED = "The certificate of {of} has ended: renew it."


class Grade(StrEnum):
    """Ready, to be watched (it works now and soon may not), not ready, or nobody can be asked."""

    READY = "ready"
    WATCH = "watch"
    NOT_READY = "not_ready"
    UNASKED = "unasked"


_WORTH = {Grade.NOT_READY: 0, Grade.WATCH: 1, Grade.READY: 2}
"""In halves, the worst first."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `sentence` is English with placeholders for `values` and says what to do.

    `runs_out`: it works still, and will not when what it tells of is used up or over.
    """

    grade: Grade
    sentence: str
    values: Mapping[str, object] = field(default_factory=dict)
    runs_out: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A channel, or the machine: `what` names it. It is as ready as the worst of what was looked at."""

    what: str
    checks: tuple[Check, ...]

    @property
    def grade(self) -> Grade:
        """The worst that could be asked; UNASKED when nothing could."""
        asked = [check.grade for check in self.checks if check.grade in _WORTH]
        return min(asked, key=lambda grade: _WORTH[grade], default=Grade.UNASKED)

    @property
    def wrong(self) -> tuple[Check, ...]:
        """What is not as it should be, the worst first."""
        found = (one for one in self.checks if one.grade in (Grade.NOT_READY, Grade.WATCH))
        return tuple(sorted(found, key=lambda one: _WORTH[one.grade]))


def worth(grade: Grade) -> float | None:
    """What a line counts: 1, ½ or 0; None when it is not counted."""
    return _WORTH[grade] / _HALVES if grade in _WORTH else None


def score(lines: Iterable[Line]) -> int:
    """Per cent, rounded down; 0 when nothing could be asked, for then nothing is known to be ready."""
    counted = [_WORTH[line.grade] for line in lines if line.grade in _WORTH]
    return 100 * sum(counted) // (_HALVES * len(counted)) if counted else 0


def ways_ready(ways: Mapping[str, frozenset[str]], lines: Iterable[Line]) -> int:
    """How many independent ways are ready, or to be watched; what cannot be asked is counted with neither.

    Args:
        ways: the failure domains of each channel that residents read.
    """
    works = {line.what for line in lines if line.grade in (Grade.READY, Grade.WATCH)}
    return independent(domains for channel, domains in ways.items() if channel in works)


# ------------------------------------------------------------------------------------------------------- what runs out
def check_remaining(known: Iterable[Remaining], now: datetime) -> Iterator[Check]:
    """What is nearly used up or over, of what a probe told; nothing of what is plentiful."""
    for one in known:
        if one.amount is not None:
            yield from _amount(one)
        if one.ends_at is not None:
            certificate = one.what == "certificate"
            yield from _end(
                one.of,
                one.ends_at - now,
                SOON,
                TOO_SOON,
                CERTIFICATE_ENDS if certificate else ACCESS_ENDS,
                CERTIFICATE_ENDED if certificate else ACCESS_ENDED,
            )


def _amount(one: Remaining) -> Iterator[Check]:
    values = {"of": one.of, "amount": one.amount, "unit": one.unit, "least": one.least}
    credit = one.what == "credit"
    if one.amount is not None and one.amount <= 0:
        yield Check(Grade.NOT_READY, NO_CREDIT if credit else NO_QUOTA, values, runs_out=True)
    elif one.amount is not None and one.amount < one.least:
        yield Check(Grade.WATCH, LITTLE_CREDIT if credit else LITTLE_QUOTA, values, runs_out=True)


def check_certificate(
    host: str, begins_at: datetime, ends_at: datetime, now: datetime
) -> Iterator[Check]:
    """Whether it ends within two weeks (to be watched) or three days (not ready); sooner where it never lasts long."""
    tenth = (ends_at - begins_at) / _OF_A_LIFE
    soon, too_soon = min(SOON, 2 * tenth), min(TOO_SOON, tenth)
    yield from _end(host, ends_at - now, soon, too_soon, CERTIFICATE_ENDS, CERTIFICATE_ENDED)


def _end(
    of: str, left: timedelta, soon: timedelta, too_soon: timedelta, ends: str, ended: str
) -> Iterator[Check]:
    if left <= timedelta():
        yield Check(Grade.NOT_READY, ended, {"of": of}, runs_out=True)
    elif left < soon:
        grade = Grade.NOT_READY if left < too_soon else Grade.WATCH
        yield Check(grade, ends, {"of": of, "days": left // _DAY}, runs_out=True)


# --------------------------------------------------------------------------------------------------------- when it is
def daily(now: datetime, clock: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The next two moments after `now` at which it is `clock` in `zone`, in UTC.

    One on each date: an hour that comes twice is taken the first time, one that is left out as if it were not.
    """
    today = now.astimezone(zone).date()
    days = (datetime.combine(today + number * _DAY, clock, zone) for number in range(4))
    first, second, *_ = (at for at in (day.astimezone(UTC) for day in days) if at > now)
    return first, second
