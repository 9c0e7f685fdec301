"""What an operator asks for, who he is, and how he is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from broadcaster.domain.incident import Audience, Kind, Planned, Severity
from broadcaster.domain.role import Role
from broadcaster.store.intents import Once

__all__ = ["Command", "Operator", "Refused", "Role", "Why"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """The person behind a token that ends at `expires_at`. `areas` are the keys he may speak about; empty means all."""

    name: str
    role: Role
    token_id: int = 0
    areas: tuple[str, ...] = ()
    expires_at: datetime | None = None


class Why(StrEnum):
    """Why something is refused, for the status of an answer."""

    INVALID = "invalid"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    STALE = "stale"


class Refused(Exception):
    """Nothing was stored and nothing sent. `sentence` is English with placeholders, so that it can be translated."""

    def __init__(
        self, sentence: str, why: Why = Why.INVALID, *, at: str = "", **values: object
    ) -> None:
        super().__init__(sentence.format(**values))
        self.sentence = sentence
        self.values = values
        self.why = why
        self.at = at


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One thing to say, with absolute aware times.

    `number` is the update meant by a correction or retraction (None: the newest standing one), `whole` the whole
    incident. `texts` are by language tag; "" is the organisation's first language. `drop_etr` says that the estimate is
    withdrawn. `only` restricts to these channels. `expected` is the number the operator last saw (If-Match).
    """

    kind: Kind
    incident: str | None = None
    number: int | None = None
    whole: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)
    area: tuple[str, ...] = ()
    without_area: tuple[str, ...] = ()
    since: datetime | None = None
    etr: datetime | None = None
    drop_etr: bool = False
    next: datetime | None = None
    at: datetime | None = None
    until: datetime | None = None
    planned: Planned | None = None
    severity: Severity | None = None
    affected: int | None = None
    cause: str | None = None
    instruction: str | None = None
    headline: str | None = None
    audience: Audience | None = None
    only: tuple[str, ...] = ()
    quiet: bool = False
    plain: bool = False
    expected: int | None = None
    once: Once | None = None
