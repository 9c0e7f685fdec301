"""Why a channel fails, as its far side said it. From any thread."""

from __future__ import annotations

from broadcaster.engine.lane import Lane
from broadcaster.engine.letters import LetterLane


def why_it_fails(lane: Lane) -> str:
    """What the last call of a channel met; "" of one whose last call did not fail."""
    if not lane.breaker.failures:
        return ""
    if isinstance(lane, LetterLane):
        # What was said of its supplier tells more than that this takes no letter.
        return lane.suppliers.because(lane.suppliers.current) or lane.broken_because
    return lane.broken_because
