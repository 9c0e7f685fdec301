"""What a lane knows of its channel beside what it carries: of reports, of probes, and of what is seen from outside.

Other threads read it while the lane goes on: what they read is replaced as a whole, never changed in place.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Deaf:
    """Delivery reports cannot be collected: since when (UTC), and why."""

    since: datetime
    because: str

    def shifted(self, by: timedelta) -> Deaf:
        """The same after the wall clock jumped."""
        return replace(self, since=self.since + by)


@dataclass(slots=True)
class Probing:
    """How a channel is asked whether it would work, and what counts more than the answer.

    `asked_at`: when it was asked last; `hastened`: when the pause began that its answer has ended already; `due_at`: when it is asked again, None before the first probe. `doubted`: its last probe was not good. `unkept`: the
    store did not take what that said. `worked_at`: when something was accepted last.
    """

    asked_at: datetime | None = None
    hastened: datetime | None = None
    due_at: datetime | None = None
    doubted: bool = False
    unkept: bool = False
    worked_at: datetime | None = None

    def accepted(self, now: datetime) -> bool:
        """Something was accepted; whether that outdoes a probe that was not good."""
        self.worked_at = now
        outdone, self.doubted = self.doubted, False
        return outdone

    def worked_since(self, began: datetime) -> bool:
        """Whether something was accepted after a probe began."""
        return self.worked_at is not None and self.worked_at > began

    def shift(self, by: timedelta) -> None:
        """The wall clock jumped."""
        self.asked_at = self.asked_at and self.asked_at + by
        self.hastened = self.hastened and self.hastened + by
        self.due_at = self.due_at and self.due_at + by
        self.worked_at = self.worked_at and self.worked_at + by


@dataclass(frozen=True, slots=True)
class Unseen:
    """What was accepted and is not seen from outside: since when (by `time.monotonic`), and what is seen instead.

    `differs`: something else than what was sent stands there.
    """

    since: float
    because: str
    differs: bool


@dataclass(slots=True)
class Sight:
    """What of a channel is seen from outside.

    `unseen`: by delivery, 0 for a board's newest revision. `seen_at`: when something was seen last, by
    `time.monotonic`. `looked_for`: the delivery of a post that was looked for last, apart from the looks just after it
    was accepted.
    """

    unseen: Mapping[int, Unseen] = field(default_factory=dict)
    seen_at: float = float("-inf")
    looked_for: int = 0

    def note(self, which: AbstractSet[int], because: str, *, differs: bool) -> None:
        """These are not seen."""
        now, known = time.monotonic(), self.unseen
        since = {key: known[key].since if key in known else now for key in which}
        self.unseen = {**known, **{key: Unseen(since[key], because, differs) for key in which}}

    def forget(self, which: AbstractSet[int]) -> None:
        """These are seen, or nobody looks for them any more."""
        self.unseen = {key: one for key, one in self.unseen.items() if key not in which}
