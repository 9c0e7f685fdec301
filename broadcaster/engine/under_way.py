"""What a run of letters knows of each job that is under way in it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from broadcaster.store import gone, letters, often
from broadcaster.store.addresses import AddressVault
from broadcaster.store.letters import Hold, Job, Sealed
from broadcaster.store.tallying import LetterRow

AGAIN = ("transient", "doubtful")  # the outcomes of a letter that is tried again


def manage_address(follow_url: str, vault: AddressVault, subscriber_id: int, import_id: int) -> str:
    """Where a subscriber, and nobody else, changes what he gets; "" where nobody can (`follow_url` is "")."""
    return follow_url and f"{follow_url}/mine/{vault.mark(subscriber_id, import_id)}"


@dataclass(slots=True, eq=False)
class UnderWay:
    """A job of which letters are on their way."""

    job: Job
    taken: int = 0
    """How many of its letters were made ready to be pulled."""
    noted: int = 0
    """How many have an outcome, written or about to be."""
    again: int = field(default=0)
    """How many of these are to be tried again."""
    resting: int = 0
    """How many of those may not go again yet."""
    rest: timedelta = timedelta.max
    """The shortest wait of these."""

    @property
    def left(self) -> bool:
        """Whether there are letters still to be made ready."""
        return self.taken < len(self.job.todo)

    @property
    def through(self) -> bool:
        """Whether every letter has its final outcome."""
        return self.noted == len(self.job.todo) and not self.again

    def take(self, most: int) -> tuple[int, ...]:
        """The positions to make ready next."""
        begin = self.taken
        self.taken = min(begin + most, len(self.job.todo))
        return self.job.todo[begin : self.taken]

    @property
    def only_rests(self) -> bool:
        """Whether nothing is left but letters that may not go again yet."""
        return self.noted == len(self.job.todo) and 0 < self.again == self.resting

    def leave(self, rest: timedelta) -> None:
        """One letter stays as it is, and may go again after this time."""
        self.noted += 1
        self.again += 1
        self.resting += 1
        self.rest = min(self.rest, rest)

    def note(self, position: int, outcome: str, handle: str, detail: str) -> LetterRow:
        """One outcome, as it is written down."""
        job = self.job
        self.noted += 1
        self.again += outcome in AGAIN
        who = job.subscribers[position]
        return LetterRow(job.id, position, job.delivery_id, who, outcome, handle, detail)


def hold(under_way: Sequence[UnderWay], now: datetime, connection: Any) -> tuple[float, bool]:
    """Whether the jobs are ours and to be sent, and when that was asked by our own clock."""
    asked_at = time.monotonic()
    holds = letters.hold_all(connection, [each.job for each in under_way], now)
    return asked_at, all(how is Hold.HELD for how in holds.values())


def abandon(under_way: Sequence[UnderWay], connection: Any) -> None:
    """Give up jobs whose calls hang."""
    for each in under_way:
        letters.abandon_job(connection, each.job)


@dataclass(frozen=True, slots=True)
class Block:
    """Letters that may be pulled: their watermark is durable, `known` are the addresses of those who still subscribe."""

    under_way: UnderWay
    positions: tuple[int, ...]
    known: Mapping[int, Sealed]
    too_often: frozenset[int] = frozenset()
    """Subscribers who had enough letters within the hour."""

    def left_out(self, who: int) -> str:
        """Why no letter goes to a subscriber; "": one goes."""
        sealed = self.known.get(who)
        if sealed is None:
            return "no longer a subscriber"
        if sealed.gone_before(self.under_way.job.said_at):
            return gone.REASON
        return often.REASON if who in self.too_often else ""


@dataclass(frozen=True, slots=True)
class Written:
    """What a write of a run found: when it was asked, whether every job is still ours and to be sent, what is ready.

    `following` is the job after the last, claimed; of its letters none may be pulled before it is known to be held.
    """

    asked_at: float
    held: bool
    block: Block | None
    following: UnderWay | None


Found = tuple[bool, Block | None, UnderWay | None]
"""Whether its job is held, the block that may be pulled now, and the job that follows, if there is one."""
