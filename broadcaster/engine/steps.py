"""What is written of a post's steps: before the call that it begins, after it what it came to, and after the last the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from broadcaster.channel import Receipt
from broadcaster.domain.delivery import Outcome, State, StepKind
from broadcaster.store import Connection, claiming, deliveries, moving, sent, withdrawing
from broadcaster.store.claiming import Claim, Step


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that is written down; `asked_at` is when that was asked, by our own clock."""

    attempt_id: int
    asked_at: float


class Taking:
    """A write that claims heads of a channel and begins what goes out at once: its call waits for no other write."""

    def __init__(
        self,
        channel: str,
        node: str,
        clock: Callable[[], datetime],
        most: int,
        *,
        urgent_only: bool,
        look_first: bool = True,
    ) -> None:
        self._channel, self._node, self._clock, self._now = channel, node, clock, clock()
        self._most, self._urgent_only, self._look_first = most, urgent_only, look_first
        self._taken: list[tuple[Claim, Begun | None]] = []

    def __call__(self, connection: Connection) -> list[tuple[Claim, Begun | None]]:
        """Claims, each with the attempt of its first step where that is begun."""
        # It may have waited long for its turn: leases begin now.
        before, self._now = self._now, self._clock()
        # It is run again when nobody knows whether the last time was kept: nothing of that was called, nor will be.
        for claim, begun in self._taken:
            _let_go(connection, claim, begun, self._now)
        self._taken = []
        if self._now < before:
            return []  # the clock has gone back since, and every pause with it: by the old time they seem to be over
        claims = claiming.claim(
            connection,
            channel=self._channel,
            node=self._node,
            now=self._now,
            limit=self._most,
            urgent_only=self._urgent_only,
            look_first=self._look_first,
        )
        self._taken = [
            (claim, _begin_first(connection, claim, self._node, self._now)) for claim in claims
        ]
        return self._taken


def _let_go(connection: Connection, claim: Claim, begun: Begun | None, now: datetime) -> None:
    try:
        deliveries.require_lease(connection, claim)
    except deliveries.LeaseLost:
        return  # it was not kept
    give_back(connection, claim, begun, now)


def give_back(connection: Connection, claim: Claim, begun: Begun | None, now: datetime) -> None:
    """Let a claim wait again of which nothing was called."""
    if begun is not None:
        deliveries.end_attempt(connection, begun.attempt_id, now, Outcome.TRANSIENT, None, "")
    waits = State.UNCERTAIN if claim.state is State.UNCERTAIN else State.WAITING
    deliveries.put_back(connection, claim, now, now, "", waits)


def _begin_first(connection: Connection, claim: Claim, node: str, now: datetime) -> Begun | None:
    """None when something else is to be done or found out before."""
    first = claim.steps[0] if claim.steps else None
    if claim.state is State.UNCERTAIN or first is None or first.skip or first.uncertain:
        return None
    return begin(connection, claim, first, node, now)


def begin(
    connection: Connection, claim: Claim, step: Step, node: str, now: datetime
) -> Begun | None:
    """Write an attempt down; None when it may not be made."""
    asked_at = time.monotonic()
    attempt_id = deliveries.begin_attempt(connection, claim, step, node, now)
    return None if attempt_id is None else Begun(attempt_id, asked_at)


def done(
    connection: Connection,
    claim: Claim,
    step: Step,
    begun: Begun | None,
    receipt: Receipt,
    now: datetime,
    detail: str,
) -> Receipt | None:
    """Write down that a step was accepted or, without an attempt, skipped. After the last the delivery ends: see `end`."""
    if begun is None:
        deliveries.end_step(connection, step.id, "skipped")
    else:
        _accepted(connection, step, begun, receipt, now)
    return end(connection, claim, now, detail) if step is claim.steps[-1] else None


def _accepted(
    connection: Connection, step: Step, begun: Begun, receipt: Receipt, now: datetime
) -> None:
    attempt_id, handle = begun.attempt_id, receipt.handle or step.message.target
    deliveries.end_attempt(connection, attempt_id, now, Outcome.ACCEPTED, None, receipt.detail)
    deliveries.end_step(connection, step.id, "accepted", handle, receipt.url)
    if step.kind is StepKind.WITHDRAW:
        withdrawing.note_taken(connection, step.id)


def end(connection: Connection, claim: Claim, now: datetime, detail: str) -> Receipt:
    """End a delivery whose steps are done. Returns what a person is shown of it."""
    # That is the first post, though it was made in an earlier claim; what was changed is not it.
    posts = sent.posts(connection, claim.id)
    handle, url = (posts[0].handle, posts[0].url) if posts else ("", "")
    moving.end(connection, claim.id, State.ACCEPTED, now, detail, url)
    withdrawing.note_withdrawn(connection, claim.id, posts)
    return Receipt(handle=handle, url=url, detail=detail)
