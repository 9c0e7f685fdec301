"""When a command that is tried again and again says so: not at every attempt, which would fill a log, and not never."""

from __future__ import annotations

from dataclasses import dataclass, field

AT_TERMINAL = 60.0
ELSEWHERE = 300.0
"""Seconds between two lines that say the same."""


@dataclass
class Patience:
    """What of a long trying is told: each cause once, and after `every` seconds of silence that it still goes on.

    Times are seconds of a clock that only goes forward.
    """

    began: float
    every: float
    _told: set[str] = field(default_factory=set)
    _spoke: float = 0.0

    def is_news(self, cause: str, at: float) -> bool:
        """Whether a failed attempt is told; it is then counted as told."""
        if cause in self._told and at - self._spoke < self.every:
            return False
        self._told.add(cause)
        self._spoke = at
        return True
