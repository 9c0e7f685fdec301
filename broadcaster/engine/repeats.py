"""How often a letter or post in doubt may go again: nobody's telephone rings for the same words over and over.

Where life depends on it, one that may have gone is sent again. A gateway that sends and never answers would make that
the same text every few minutes until its time is over (a price that could not be worked out after each sending once
brought seven people 3,987 of them). So the third is the last that follows at once; then it rests, and never more than
six go to one person in an hour.

Of letters it is counted in the process: after a restart it begins anew. What a crash left in doubt counts from its next try.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from broadcaster.store.doubt import AT_ONCE

FIRST_REST = timedelta(minutes=5)
REST = timedelta(minutes=20)
FORGET = timedelta(hours=13)  # no delivery lives so long


def rest_after(doubts: int) -> timedelta:
    """How long what was left in doubt so often has to wait at least before it may go again."""
    if doubts <= AT_ONCE:
        return timedelta()
    return FIRST_REST if doubts == AT_ONCE + 1 else REST


@dataclass(slots=True)
class _Doubts:
    last: datetime
    by_position: dict[int, tuple[int, datetime]] = field(default_factory=dict)


class Repeats:
    """Of each letter of a channel that was left in doubt here: how often, and when last. Used by the lane and by its run."""

    def __init__(self) -> None:
        self._jobs: dict[int, _Doubts] = {}
        self._mine = threading.Lock()

    def note(self, job_id: int, position: int, now: datetime) -> None:
        """A letter may have gone."""
        with self._mine:
            job = self._jobs.get(job_id)
            if job is None:
                old = [each for each, job in self._jobs.items() if now - job.last > FORGET]
                for each in old:
                    del self._jobs[each]
                job = self._jobs[job_id] = _Doubts(now)
            job.last = now
            doubts, _ = job.by_position.get(position, (0, now))
            job.by_position[position] = doubts + 1, now

    def rest(self, job_id: int, position: int, now: datetime) -> timedelta:
        """How long a letter has to wait before it may go again; nothing for one that is not in doubt."""
        with self._mine:
            job = self._jobs.get(job_id)
            doubts, last = job.by_position.get(position, (0, now)) if job else (0, now)
        return max(last + rest_after(doubts) - now, timedelta())

    def fewest(self, job_id: int, positions: Iterable[int]) -> int:
        """How often all of these letters of a job were left in doubt at least; of none, 0."""
        with self._mine:
            job = self._jobs.get(job_id)
            known = job.by_position if job else {}
            return min((known[each][0] if each in known else 0 for each in positions), default=0)

    def end(self, job_id: int) -> None:
        """A job has come to its end."""
        with self._mine:
            self._jobs.pop(job_id, None)

    def shift(self, by: timedelta) -> None:
        """The wall clock jumped: what rests rests as long as it would have."""
        with self._mine:
            for job in self._jobs.values():
                job.last += by
                job.by_position = {
                    position: (doubts, last + by)
                    for position, (doubts, last) in job.by_position.items()
                }
