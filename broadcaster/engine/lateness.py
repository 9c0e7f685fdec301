"""Whether delivery reports of one supplier come as they usually do; pure, time passed in.

A supplier that answers "taken" and brings nothing out is seen by this alone. Only who ever reported can be late, and only
against its own custom: some report within a second, some when the phone is switched on, some of half the letters.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SPAN = timedelta(seconds=30)
LEAST_PATIENCE = timedelta(minutes=1)
MOST_PATIENCE = timedelta(minutes=30)
_TIMES = 4.0  # its usual delay, until what has not come is late
_LEARN = 0.05
_NOT_AS_USUAL = 0.5
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Span:
    """Letters taken within one span of time, and how many of them were reported by now."""

    taken: int = 0
    reported: int = 0


@dataclass(frozen=True, slots=True)
class Lack:
    """Which share of `count` letters should have been reported and was not."""

    share: float
    count: int


class Lateness:
    """Of one supplier since the start of the program."""

    def __init__(self) -> None:
        self._spans: OrderedDict[int, _Span] = OrderedDict()
        self._delay: float | None = None  # seconds, as usual
        self._share: float | None = None  # of letters, as usual
        self._since = _BEGIN  # by the clock as it goes now

    def taken(self, count: int, now: datetime) -> None:
        """It accepted so many letters."""
        if count:
            self._spans.setdefault(_place(now), _Span()).taken += count

    def reported(self, taken_at: datetime, received_at: datetime) -> None:
        """A first report came about a letter. Nothing is learned from one that was taken by a clock that went otherwise."""
        if taken_at < self._since or taken_at > received_at + SPAN:
            return
        longest = MOST_PATIENCE.total_seconds() / _TIMES
        delay = min(longest, max(0.0, (received_at - taken_at).total_seconds()))
        self._delay = delay if self._delay is None else self._delay + _LEARN * (delay - self._delay)
        # What was counted as taken a moment after it was written down stands in the span behind.
        place = _place(taken_at)
        span = self._spans.get(place) or self._spans.get(place + 1)
        if span is not None:
            span.reported += 1

    def look(self, now: datetime) -> Lack | None:
        """What is lacking of the letters that should be reported by now; told once. None: nothing can be said."""
        patience = MOST_PATIENCE if self._delay is None else self._patience()
        due, last = _Span(), _place(now - patience) - 1
        while self._spans and (oldest := next(iter(self._spans))) <= last:
            span = self._spans.pop(oldest)
            due.taken += span.taken
            due.reported += min(span.taken, span.reported)
        if self._delay is None or not due.taken:
            return None
        return self._judge(due)

    def _judge(self, due: _Span) -> Lack | None:
        share = due.reported / due.taken
        if not self._share:
            self._share = share
            return None
        lacking = 1.0 - min(1.0, share / self._share)
        if lacking < _NOT_AS_USUAL:
            self._share += _LEARN * (share - self._share)
        return Lack(lacking, due.taken)

    def _patience(self) -> timedelta:
        usual = timedelta(seconds=_TIMES * (self._delay or 0.0))
        return min(MOST_PATIENCE, max(LEAST_PATIENCE, usual))

    def jumped(self, now: datetime) -> None:
        """The wall clock jumped and says `now`: of letters in flight nobody knows any more how long they take."""
        self._spans.clear()
        self._since = now


def _place(at: datetime) -> int:
    return int((at - _BEGIN) / SPAN)
