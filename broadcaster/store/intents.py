"""What the service asks the store to keep: plain values, decided elsewhere, written in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from broadcaster.domain.delivery import Shape, StepKind, Variant
from broadcaster.domain.incident import Update
from broadcaster.domain.redundancy import Quorum


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """One rendered text. (channel, language, variant, position) names it within its update."""

    channel: str
    language: str
    variant: Variant
    position: int
    body: str
    subject: str = ""
    payload: str = ""

    @property
    def place(self) -> tuple[str, str, Variant, int]:
        """What names it within its update."""
        return self.channel, self.language, self.variant, self.position


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStep:
    """One effect at the far side; `message` is the place of its text, `target_step` the step it amends or withdraws."""

    kind: StepKind
    message: tuple[str, str, Variant, int] | None = None
    target_step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAudience:
    """Who gets which variant: subscribers of `areas` (None: wherever), filtered by what they had before.

    `had` and `had_not` are update numbers of the same incident.
    """

    variant: Variant
    areas: tuple[str, ...] | None
    had: tuple[int, ...] = ()
    had_not: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """The duty to get the update out by one channel; `audiences` of a post are for letters that may stand in for it."""

    channel: str
    shape: Shape
    life_safety: bool
    fallback: tuple[str, ...] = ()
    steps: tuple[NewStep, ...] = ()
    audiences: tuple[NewAudience, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """The idempotency of one request: same body, same answer for seven days; another body is a conflict."""

    token_id: int
    method: str
    path: str
    key: str
    body_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Everything one accepted command writes.

    `incident_id` is None for a new incident; then `update.incident` holds the name the texts were rendered with, and
    the write is a `Conflict` when it was taken meanwhile. `hold` says why it is not released now ("" = released), and
    `release_at` when it will be. `follow_up` are the due rows it brings: what → when. `quorum` says what makes it out;
    None: nobody counts that.
    """

    incident_id: int | None
    update: Update
    texts_digest: str
    staff_log: bool = False
    corrects_all: bool = False
    quiet: bool = False
    hold: str = ""
    release_at: datetime | None = None
    messages: tuple[NewMessage, ...] = ()
    deliveries: tuple[NewDelivery, ...] = ()
    follow_up: Mapping[str, datetime] = field(default_factory=dict)
    once: Once | None = None
    quorum: Quorum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What was written; `delivery_ids` stand in the order in which the deliveries were planned."""

    update_id: int
    incident_id: int
    name: str
    number: int
    revision: str
    delivery_ids: tuple[int, ...] = ()
