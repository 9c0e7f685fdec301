"""Decisions about who is told what by which channel; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from broadcaster.domain.delivery import Shape
from broadcaster.domain.incident import Audience, Kind, Severity

LONGEST_LIFE = timedelta(hours=12)
LIFE_PAST_PROMISE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Route:
    """Which channels carry what: this severity and above, in these areas (None: all)."""

    severity: Severity
    channels: tuple[str, ...]
    areas: frozenset[str] | None = None


def routed(routes: Iterable[Route], severity: Severity, areas: Iterable[str]) -> tuple[str, ...]:
    """The channels that carry an update of this severity about these areas, in the order the routes name them."""
    concerned = set(areas)
    return tuple(
        dict.fromkeys(
            channel
            for route in routes
            if severity.at_least(route.severity)
            and (route.areas is None or route.areas & concerned)
            for channel in route.channels
        )
    )


@dataclass(frozen=True, slots=True)
class Reach:
    """As much of an update as superseding asks for; `areas` are those it concerned or ended.

    `channels` are those it goes by; of one delivery its own, and those it stands in for.
    """

    kind: Kind
    audience: Audience
    severity: Severity
    areas: frozenset[str]
    channels: frozenset[str]


# A correction or retraction speaks of one statement; a holding message adds nothing to those before it.
_WHOLE_SITUATION = frozenset({Kind.REPORT, Kind.UPDATE, Kind.RESTORED})


def supersedes(new: Reach, old: Reach, shape: Shape) -> bool:
    """Whether what is still waiting of `old` need not go out once `new` is there."""
    if new.kind is Kind.HOLDING and shape is not Shape.LETTER:
        return _covers(new, old) and old.kind is Kind.HOLDING
    return new.kind in _WHOLE_SITUATION and _covers(new, old)


def _covers(new: Reach, old: Reach) -> bool:
    same_audience = new.audience is old.audience
    # An all-clear is mild by nature and still tells the whole situation.
    is_over = new.kind is Kind.RESTORED
    as_severe = is_over or new.severity.at_least(old.severity)
    # Whoever follows a channel by which the new word does not go would hear neither; of what is over nobody need hear.
    heard = is_over or not old.channels.isdisjoint(new.channels)
    return (
        same_audience
        and as_severe
        and heard
        and old.areas <= new.areas
        and old.kind not in (Kind.CORRECTION, Kind.RETRACTION)
    )


MISSED_AFTER = timedelta(minutes=1)
"""So long a word waits for its channel before its readers are told that they missed it."""


@dataclass(frozen=True, slots=True)
class Unheard:
    """A word that nobody has read on one channel; `waits`: there it will go out yet, unless it is superseded."""

    released_at: datetime
    reach: Reach
    shape: Shape
    waits: bool


def missed(unheard: Iterable[Unheard], new: Reach, now: datetime) -> tuple[datetime, ...]:
    """When those words were released that readers of their channel will never get, once `new` is there."""
    return tuple(
        word.released_at
        for word in unheard
        if now - word.released_at >= MISSED_AFTER
        # A post is read by all who follow; a letter was for readers in its areas.
        and (word.shape is not Shape.LETTER or not new.areas.isdisjoint(word.reach.areas))
        and (not word.waits or supersedes(new, word.reach, word.shape))
    )


def lifetime(now: datetime, promise: datetime | None, until: datetime | None) -> datetime:
    """When nothing of an update may leave any more: `until`, else two hours past the promise, at most twelve hours."""
    latest = now + LONGEST_LIFE
    wanted = until or (promise + LIFE_PAST_PROMISE if promise else latest)
    return min(wanted, latest)
