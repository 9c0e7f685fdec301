"""The states of a delivery and the outcomes of an attempt: one table, enforced again in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where the duty to get one update out by one channel stands."""

    WAITING = "waiting"
    SENDING = "sending"
    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    BOUNCED = "bounced"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


FINAL = frozenset(
    {
        State.ACCEPTED,
        State.CONFIRMED,
        State.BOUNCED,
        State.FAILED,
        State.SUPERSEDED,
        State.EXPIRED,
        State.WITHDRAWN,
    }
)

# To waiting from failed, bounced or accepted goes `resend` alone (accepted: for the letters of it that failed or are in
# doubt); `accepted|confirmed → withdrawn` only after the far side withdrew it.
TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.WAITING: frozenset({State.SENDING, State.SUPERSEDED, State.EXPIRED, State.WITHDRAWN}),
    State.SENDING: frozenset({State.WAITING, State.ACCEPTED, State.UNCERTAIN, State.FAILED}),
    State.UNCERTAIN: frozenset({State.ACCEPTED, State.WAITING, State.FAILED, State.EXPIRED}),
    State.ACCEPTED: frozenset({State.WAITING, State.CONFIRMED, State.BOUNCED, State.WITHDRAWN}),
    State.CONFIRMED: frozenset({State.WITHDRAWN}),
    # To accepted: a delivery report says that a letter arrived after all.
    State.FAILED: frozenset({State.WAITING, State.ACCEPTED}),
    State.BOUNCED: frozenset({State.WAITING, State.ACCEPTED}),
    State.SUPERSEDED: frozenset(),
    State.EXPIRED: frozenset({State.ACCEPTED}),
    State.WITHDRAWN: frozenset(),
}


AGAIN = frozenset({State.FAILED, State.BOUNCED, State.UNCERTAIN})


def may_go_again(state: str, failed: int, uncertain: int) -> bool:
    """Whether `resend` takes a delivery: it failed or is in doubt, as a whole or in some of its letters."""
    return state in AGAIN or (state == State.ACCEPTED and failed + uncertain > 0)


def sources(target: State) -> frozenset[State]:
    """The states from which `target` may be entered: the guard of the conditional update in SQL."""
    return frozenset(state for state, targets in TRANSITIONS.items() if target in targets)


class Outcome(StrEnum):
    """What one attempt came to: the far side accepted, refused for now, refused for good, or it may have gone."""

    ACCEPTED = "accepted"
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    UNCERTAIN = "uncertain"


class Scope(StrEnum):
    """What a failure is about: one address, this message, or the channel as a whole (which parks it)."""

    ADDRESS = "address"
    MESSAGE = "message"
    CHANNEL = "channel"


class Shape(StrEnum):
    """The three natures of a channel."""

    BOARD = "board"
    POST = "post"
    LETTER = "letter"


class StepKind(StrEnum):
    """What one step of a delivery does at the far side; each is exactly one effect there."""

    SHOW = "show"
    POST = "post"
    AMEND = "amend"
    WITHDRAW = "withdraw"
    SEND = "send"


class Variant(StrEnum):
    """Which reading of an update a rendered message is: for most, for those who had the wrong text, for those out of it, or in place of a wrong post."""

    NEWS = "news"
    CORRECTION = "correction"
    ALL_CLEAR = "all_clear"
    AMENDED = "amended"


@dataclass(frozen=True, slots=True)
class Counts:
    """How the letters of one delivery stand; all are numbers of addresses."""

    total: int = 0
    accepted: int = 0
    confirmed: int = 0
    failed: int = 0
    uncertain: int = 0
    skipped: int = 0

    @property
    def final(self) -> bool:
        """Whether every letter has an outcome (a confirmed letter is also counted as accepted)."""
        return self.accepted + self.failed + self.uncertain + self.skipped >= self.total
