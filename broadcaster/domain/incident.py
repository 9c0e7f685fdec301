"""Incidents and their updates: the words of the field as types.

Every time is an aware `datetime` in UTC; it becomes local only where it is said to a person.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Mode(StrEnum):
    """Which world a configuration speaks to; drill and demo never reach the public by accident."""

    LIVE = "live"
    DRILL = "drill"
    DEMO = "demo"


class Audience(StrEnum):
    """Who an update is for."""

    PUBLIC = "public"
    STAFF = "staff"


class Severity(StrEnum):
    """Severity in the words of CAP 1.2, mildest first."""

    MINOR = "minor"
    MODERATE = "moderate"
    SEVERE = "severe"
    EXTREME = "extreme"

    @property
    def rank(self) -> int:
        """0 for minor up to 3 for extreme."""
        return list(Severity).index(self)

    def at_least(self, other: Severity) -> bool:
        """Whether this severity is as high as `other`, or higher."""
        return self.rank >= other.rank


class Kind(StrEnum):
    """What an update does. `notice` is for staff only and is never shown on a board."""

    REPORT = "report"
    UPDATE = "update"
    CORRECTION = "correction"
    RETRACTION = "retraction"
    HOLDING = "holding"
    RESTORED = "restored"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True, order=True)
class Revision:
    """A public revision: commit-ordered and gapless within an epoch; a restored backup raises the epoch."""

    epoch: int
    n: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.n}"

    @classmethod
    def parse(cls, text: str) -> Revision:
        """Read "1.17"; raises ValueError for anything else."""
        epoch, _, n = text.partition(".")
        return cls(int(epoch), int(n))


@dataclass(frozen=True, slots=True)
class Planned:
    """A planned outage: it opens at `start` and closes at `end` by itself."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One immutable statement about an incident, with the whole situation as it stands after it.

    `areas` are the keys of the areas the incident concerns after this update, `ended` those it ceased to concern by
    it. What an operator leaves out is inherited from the newest standing update before the row is written, so each
    update can be read alone. `texts` holds the operator's own words by language tag; a missing language is missing,
    never copied. `corrects` is the number of the update that this one corrects or retracts (None: none, or all).
    """

    incident: str
    number: int
    kind: Kind
    audience: Audience
    severity: Severity
    mode: Mode
    areas: tuple[str, ...]
    ended: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    headline: str = ""
    since: datetime | None = None
    etr: datetime | None = None
    promise: datetime | None = None
    planned: Planned | None = None
    affected: int | None = None
    cause: str = ""
    instruction: str = ""
    corrects: int | None = None
    author: str = ""
    accepted_at: datetime
    released_at: datetime | None = None
    not_after: datetime
    revision: Revision | None = None

    @property
    def name(self) -> str:
        """The update's public name, "A7-2"."""
        return f"{self.incident}-{self.number}"


_NAME = re.compile(r"(?P<incident>[A-Z]+[0-9]+)(?:-(?P<number>[0-9]+))?", re.IGNORECASE)


def parse_name(text: str) -> tuple[str, int | None]:
    """Read "A7" as ("A7", None) and "a7-2" as ("A7", 2).

    Raises:
        ValueError: it is neither; the message is a sentence for the operator.
    """
    match = _NAME.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f'"{text}" is not the name of an incident: write A7, or A7-2 for one update.'
        )
    number = match["number"]
    return match["incident"].upper(), int(number) if number else None
