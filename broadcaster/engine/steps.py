"""What is written of a post's steps: before the call that it begins, after it what it came to, and after the last the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from broadcaster.channel import Receipt
from broadcaster.domain.delivery import Outcome, State, StepKind
from broadcaster.store import Connection, claiming, deliveries, jumps, moving, sent, withdrawing
from broadcaster.store.claiming import Claim, Step, Wanted


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that is written down; `asked_at` is when that was asked, by our own clock."""

    attempt_id: int
    asked_at: float


Taken = list[tuple[Claim, Begun | None]]


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
        self.wanted = Wanted(
            channel=channel, most=most, urgent_only=urgent_only, look_first=look_first
        )
        self.node, self.clock = node, clock
        self._now, self._asked_at = clock(), time.monotonic()
        self._taken: Taken = []

    def __call__(self, connection: Connection) -> Taken:
        """Claims, each with the attempt of its first step where that is begun."""
        return take(connection, [self])[0]

    def still_goes(self, connection: Connection, now: datetime) -> bool:
        """Whether it may be made at `now`."""
        before, asked_at = self._now, self._asked_at
        self._now, self._asked_at = now, time.monotonic()
        # It is run again when nobody knows whether the last time was kept: nothing of that was called, nor will be.
        for claim, begun in self._taken:
            _let_go(connection, claim, begun, now)
        self._taken = []
        # When the clock was set since, pauses may not have followed it yet: they seem to be over. The jump wakes the lane.
        passed = timedelta(seconds=self._asked_at - asked_at)
        return abs(now - before - passed) <= jumps.SLACK

    def keep(self, taken: Taken) -> Taken:
        """What it claimed, to be let go if it is run again."""
        self._taken = taken
        return taken


def take(connection: Connection, takings: Sequence[Taking]) -> list[Taken]:
    """Make takings of several channels of one node in one write, each as if it was alone."""
    # They may have waited long for their turn: leases begin now.
    node, now, asked_at = takings[0].node, takings[0].clock(), time.monotonic()
    wanted = [each.wanted for each in takings if each.still_goes(connection, now)]
    claims = claiming.claim_all(connection, wanted, node=node, now=now)
    tries = [(claim, claim.steps[0]) for claim in claims if _goes_at_once(claim)]
    attempts = deliveries.begin_attempts(connection, tries, node, now) if tries else []
    begun = {
        claim.id: Begun(attempt, asked_at)
        for (claim, _), attempt in zip(tries, attempts, strict=True)
    }
    by_channel: dict[str, Taken] = {}
    for claim in claims:
        by_channel.setdefault(claim.channel, []).append((claim, begun.get(claim.id)))
    # Popped: two lanes of one channel ask at once when a reload has just replaced one.
    return [each.keep(by_channel.pop(each.wanted.channel, [])) for each in takings]


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


def _goes_at_once(claim: Claim) -> bool:
    """Whether nothing else is to be done or found out before its first step."""
    first = claim.steps[0] if claim.steps else None
    looked_for = claim.state is State.UNCERTAIN or first is None or first.skip or first.uncertain
    return not (looked_for or claim.stopped)


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
        accepted(connection, step, begun, receipt, now)
    return end(connection, claim, now, detail) if step is claim.steps[-1] else None


def accepted(
    connection: Connection, step: Step, begun: Begun, receipt: Receipt, now: datetime
) -> None:
    """Write down that the far side accepted a step."""
    attempt_id, handle = begun.attempt_id, receipt.handle or step.message.target
    deliveries.end_attempt(connection, attempt_id, now, Outcome.ACCEPTED, None, receipt.detail)
    deliveries.end_step(connection, step.id, "accepted", handle, receipt.url)
    if step.kind is StepKind.WITHDRAW:
        withdrawing.note_taken(connection, step.id)


def leave_thread(connection: Connection, step: Step) -> bool:
    """Let a post answer none when it is tried again; False when it answered none. Somebody took away what it answered."""
    if step.kind is not StepKind.POST or not step.message.in_reply_to:
        return False
    deliveries.answer_none(connection, step.id)
    return True


def give_up(connection: Connection, claim: Claim, step: Step) -> bool:
    """Write down that a step was refused, and whether something is left to do all the same.

    Where the far side refuses our words the wrong post is taken away or changed still; no later post of them is made.
    """
    deliveries.end_step(connection, step.id, "failed")
    behind = claim.steps[claim.steps.index(step) + 1 :]
    for other in behind:
        if other.kind is StepKind.POST:
            deliveries.end_step(connection, other.id, "failed")
    return any(other.kind is not StepKind.POST for other in behind)


def end(connection: Connection, claim: Claim, now: datetime, detail: str) -> Receipt | None:
    """End a delivery whose steps are done. Returns what a person is shown of it; None when one of them was refused."""
    # What was refused in an earlier claim: only then does one begin with what is to be changed or taken away.
    goes_on = not claim.steps or claim.steps[0].kind is not StepKind.POST
    if goes_on and (refused := deliveries.refusal(connection, claim.id)) is not None:
        moving.end(connection, claim.id, State.FAILED, now, refused)
        return None
    # That is the first post, though it was made in an earlier claim; what was changed is not it.
    posts = sent.posts(connection, claim.id)
    handle, url = (posts[0].handle, posts[0].url) if posts else ("", "")
    moving.end(connection, claim.id, State.ACCEPTED, now, detail, url)
    withdrawing.note_withdrawn(connection, claim.id, posts)
    return Receipt(handle=handle, url=url, detail=detail)
