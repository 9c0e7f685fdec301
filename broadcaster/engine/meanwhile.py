"""While the post that corrects or retracts cannot go out, what is wrong is changed or taken away already."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from broadcaster.channel import Failure, Receipt
from broadcaster.domain.delivery import Outcome, StepKind
from broadcaster.engine import steps
from broadcaster.engine.lane import Lane
from broadcaster.engine.steps import Begun
from broadcaster.store import Connection, deliveries
from broadcaster.store.claiming import Claim, Step

Held = Callable[[Claim, Coroutine[Any, Any, Any]], Awaitable[Any]]
"""Awaits a call of a claim while its lease is renewed."""
Record = Callable[[Claim, Callable[[Connection], Any]], Awaitable[Any]]
"""Writes what came of a claim, if it is still ours."""
MOST = 3
"""So often a change that fails is tried while its post cannot go out; after that it waits for it."""


async def change(
    lane: Lane, claim: Claim, step: Step, failure: Failure, *, held: Held, record: Record
) -> None:
    """Make the changes behind a post that came to `failure`: it was not made, or nobody knows whether it was."""
    for behind in _behind(claim, step):
        begin = partial(_begin, lane=lane, claim=claim, step=behind)
        begun = await lane.write(begin)
        if begun is None:
            return
        attempt = lane.attempt(behind.attempts + 1, claim.not_after)
        method = getattr(lane.adapter, behind.kind.value)
        call = lane.slots.call(
            method, behind.message, attempt, deadline=attempt.deadline, gives=Receipt
        )
        try:
            receipt: Receipt = await held(claim, call)
        except Failure as refused:
            await record(claim, partial(_left, lane=lane, begun=begun, failure=refused))
            return
        made = partial(_made, lane=lane, step=step, behind=behind, begun=begun)
        await record(claim, partial(made, receipt=receipt, outcome=failure.outcome))


def _behind(claim: Claim, step: Step) -> list[Step]:
    if step.kind is not StepKind.POST:
        return []
    return [
        other
        for other in claim.steps[claim.steps.index(step) + 1 :]
        if other.kind is not StepKind.POST
        and not (other.skip or other.uncertain)
        and other.attempts < MOST
    ]


def _begin(connection: Connection, lane: Any, claim: Claim, step: Step) -> Begun | None:
    return steps.begin(connection, claim, step, lane.around.node, lane.around.clock())


def _left(connection: Connection, lane: Any, begun: Begun, failure: Failure) -> None:
    now = lane.around.clock()
    deliveries.end_attempt(
        connection, begun.attempt_id, now, failure.outcome, failure.scope, failure.sentence
    )


def _made(
    connection: Connection,
    lane: Any,
    step: Step,
    behind: Step,
    begun: Begun,
    receipt: Receipt,
    outcome: Outcome,
) -> None:
    steps.accepted(connection, behind, begun, receipt, lane.around.clock())
    if behind.kind is StepKind.WITHDRAW and outcome is Outcome.TRANSIENT:
        # It certainly was not made: it answers the end of its thread as that stands when it is tried again.
        deliveries.answer_anew(connection, step.id)
