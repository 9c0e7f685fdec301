"""The lane of a post channel: steps in order, each written down before and after; uncertain ones are looked up first."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import structlog

from broadcaster.channel import CanFind, CanWithdraw, Failure, Receipt, Uncertain
from broadcaster.domain.delivery import Outcome, State, StepKind
from broadcaster.engine import blast
from broadcaster.engine.calls import see
from broadcaster.engine.lane import Lane
from broadcaster.engine.pacing import pause
from broadcaster.httpclient.calling_off import ask_before_sending
from broadcaster.store import claiming, deliveries, moving, sent, withdrawing
from broadcaster.store.claiming import Claim, Step
from broadcaster.store.deliveries import LeaseLost
from broadcaster.store.writer import Work

T = TypeVar("T")
log = structlog.get_logger()
AGAIN = 0.1
RENEW = 1.0  # and so long after a retraction no call of the wrong text begins any more
LOOK_AGAIN = 1.0  # between two looks for a post the words that wait for one look go
STOP_PATIENCE = 4.0  # with RENEW well under the ten seconds in which a correction must start


class PostLane(Lane):
    """Carries the deliveries of one post channel."""

    async def turn(self) -> datetime | None:
        """Claim as many heads as there are free slots."""
        if not await self.is_open():
            return self.breaker.allows_again_at()
        free, urgent_only = self.slots.free(urgent=False, carried=self.busy), False
        if not free:
            free, urgent_only = self.slots.free(urgent=True, carried=self.busy), True
        if self.breaker.opened_at is not None:
            free = min(free, 1)
        if free:
            now = self.around.clock()
            claims = await self.write(
                lambda connection: claiming.claim(
                    connection, self.name, self.around.node, now, free, urgent_only
                )
            )
            for claim in claims:
                self.spawn(self._carry(claim))
            if claims:
                return None  # the end of what was started wakes the lane
        due = await self.read(lambda connection: deliveries.next_due_at(connection, self.name))
        # What is due and was not claimed waits for the end of another, which wakes the lane: no need to ask at once.
        return None if due is None else max(due, self.later(AGAIN))

    async def _carry(self, claim: Claim) -> None:
        try:
            await (self._resolve(claim) if claim.state is State.UNCERTAIN else self._all(claim))
        except LeaseLost:
            log.warning("another node took over", channel=self.name, delivery=claim.id)

    async def _record(self, claim: Claim, work: Work[T]) -> T:
        """Write what came of a claim. Raises LeaseLost, and writes nothing, when another node has it by now."""

        def guarded(connection: Any) -> T:
            deliveries.require_lease(connection, claim)
            return work(connection)

        return await self.write(guarded)

    async def _all(self, claim: Claim) -> None:
        detail = ""
        for step in claim.steps:
            receipt = await self._step(claim, step)
            if receipt is None:
                return
            detail = detail or receipt.detail
        await self._end_accepted(claim, detail)

    async def _end_accepted(self, claim: Claim, detail: str) -> None:
        now = self.around.clock()

        def work(connection: Any) -> Receipt:
            # A person is shown the first post, though it was made in an earlier claim; what was changed is not it.
            handle, url = sent.first_post(connection, claim.id)
            moving.end(connection, claim.id, State.ACCEPTED, now, detail, url)
            withdrawing.note_withdrawn(connection, claim.id)
            return Receipt(handle=handle, url=url, detail=detail)

        receipt = await self._record(claim, work)
        self.around.observe("accepted", self.name)
        # Confirming may take seconds and is owed to nobody: it holds up neither the next update nor the end.
        self.aside(self.confirm([claim.id], receipt))

    # --------------------------------------------------------------------------------------------------- one step
    async def _step(self, claim: Claim, step: Step) -> Receipt | None:
        """Do one step. None: it is not done, and the delivery has been put back or ended."""
        now = self.around.clock()
        if step.skip:
            await self._record(
                claim, lambda connection: deliveries.end_step(connection, step.id, "skipped")
            )
            return Receipt()
        if step.uncertain:
            sentence = "The daemon stopped while this was under way; it may have gone out."
            await self._record(
                claim,
                lambda connection: self._settle_uncertain(
                    connection, claim, step, sentence, now, now
                ),
            )
            return None
        if now >= claim.not_after:
            await self._record(
                claim, lambda connection: deliveries.put_back(connection, claim, now, now, "")
            )
            return None
        asked_at, attempt_id = await self.write(partial(self._begin, claim, step, now))
        if attempt_id is None:
            await self._record(
                claim, lambda connection: deliveries.put_back(connection, claim, now, now, "")
            )
            return None
        stood_still = time.monotonic() > asked_at + blast.LEASE_SECONDS
        if stood_still or self.around.clock() >= claim.not_after:
            await self._too_late(claim, attempt_id)
            return None
        return await self._try(claim, step, attempt_id)

    def _begin(
        self, claim: Claim, step: Step, now: datetime, connection: Any
    ) -> tuple[float, int | None]:
        """Write the attempt down; when that was asked by our own clock, and its id."""
        asked_at = time.monotonic()
        return asked_at, deliveries.begin_attempt(connection, claim, step, self.around.node, now)

    async def _too_late(self, claim: Claim, attempt_id: int) -> None:
        """It took so long that its time is over or its lease ran out: nothing was called, and now nothing may be."""
        now = self.around.clock()

        def work(connection: Any) -> None:
            deliveries.end_attempt(connection, attempt_id, now, Outcome.TRANSIENT, None, "")
            deliveries.put_back(connection, claim, now, now, "")

        await self._record(claim, work)

    async def _try(self, claim: Claim, step: Step, attempt_id: int) -> Receipt | None:
        attempt = self.attempt(step.attempts + 1, claim.not_after, first=step.first_tried_at)
        method = getattr(self.adapter, step.kind.value)
        try:
            receipt: Receipt = await self._held(
                claim,
                self.slots.call(
                    method, step.message, attempt, deadline=attempt.deadline, gives=Receipt
                ),
            )
        except Failure as failure:
            await self._failed(claim, step, attempt_id, failure)
            return None
        now = self.around.clock()

        def work(connection: Any) -> None:
            deliveries.end_attempt(
                connection, attempt_id, now, Outcome.ACCEPTED, None, receipt.detail
            )
            deliveries.end_step(
                connection, step.id, "accepted", receipt.handle or step.message.target, receipt.url
            )
            if step.kind is StepKind.WITHDRAW:
                withdrawing.note_taken(connection, step.id)

        await self._record(claim, work)
        self.count(Outcome.ACCEPTED)
        return receipt

    async def _held(self, claim: Claim, call: Coroutine[Any, Any, Any]) -> Any:
        """Await a call while its lease is renewed. A text that is stopped meanwhile gets a few seconds more.

        Those are for its answer: what has not begun to leave by then does not.
        """
        off = threading.Event()
        with ask_before_sending(off.is_set):
            task = asyncio.ensure_future(call)
        task.add_done_callback(see)
        while True:
            done, _ = await asyncio.wait({task}, timeout=RENEW)
            if done:
                return task.result()
            if not await self.write(
                partial(deliveries.renew, claim=claim, now=self.around.clock())
            ):
                off.set()
                done, _ = await asyncio.wait({task}, timeout=STOP_PATIENCE)
                if done:
                    return task.result()
                task.cancel()
                raise Uncertain("It was corrected or retracted while it was under way.")

    # --------------------------------------------------------------------------------------------------- failures
    async def _failed(self, claim: Claim, step: Step, attempt_id: int, failure: Failure) -> None:
        now = self.around.clock()
        log.warning(
            "not accepted",
            channel=self.name,
            update=f"{claim.incident}-{claim.number}",
            outcome=str(failure.outcome),
            scope=str(failure.scope),
            reason=failure.sentence,
            reply=failure.reply,
        )
        self.count(failure.outcome, failure)
        again = self.later(pause(step.attempts + 1, self.chance(), failure.retry_after))

        def work(connection: Any) -> None:
            deliveries.end_attempt(
                connection, attempt_id, now, failure.outcome, failure.scope, failure.sentence
            )
            self._settle(connection, claim, step, failure, now, again)

        if self.parks(failure):
            await self.park(failure.sentence)
        await self._record(claim, work)

    def _settle(
        self,
        connection: Any,
        claim: Claim,
        step: Step,
        failure: Failure,
        now: datetime,
        again: datetime,
    ) -> None:
        if self.parks(failure):
            deliveries.put_back(connection, claim, now, now, failure.sentence)
        elif failure.outcome is Outcome.UNCERTAIN:
            self._settle_uncertain(connection, claim, step, failure.sentence, now, again)
        elif (
            failure.outcome is Outcome.PERMANENT
            or step.attempts + 1 >= self.adapter.settings.attempts
        ):
            deliveries.end_step(connection, step.id, "failed")
            moving.end(connection, claim.id, State.FAILED, now, failure.sentence)
        else:
            deliveries.put_back(connection, claim, now, again, failure.sentence)

    def _settle_uncertain(
        self,
        connection: Any,
        claim: Claim,
        step: Step,
        sentence: str,
        now: datetime,
        again: datetime,
    ) -> None:
        """It may have gone: look for it where that can be done, repeat it where that does no harm, else leave it."""
        deliveries.end_open_attempts(connection, step.id, now)
        if step.kind is StepKind.POST and isinstance(self.adapter, CanFind):
            deliveries.end_step(connection, step.id, "uncertain")
            deliveries.put_back(connection, claim, now, again, sentence, State.UNCERTAIN)
        elif step.kind is not StepKind.POST or self.adapter.repeatable or claim.life_safety:
            deliveries.reopen_step(connection, step.id)
            deliveries.put_back(connection, claim, now, again, sentence)
        else:
            deliveries.end_step(connection, step.id, "uncertain")
            deliveries.put_back(connection, claim, now, claim.not_after, sentence, State.UNCERTAIN)

    # ------------------------------------------------------------------------------------------ looking for a post
    async def _resolve(self, claim: Claim) -> None:
        """Look for the uncertain step of a delivery: found, it goes on; missing, it is posted again; else later."""
        step = next((step for step in claim.steps if step.uncertain), None)
        if step is None:
            # It was found, and the daemon ended before it wrote down that this was the last.
            await self._end_accepted(claim, "")
            return
        if not isinstance(
            self.adapter, CanFind
        ):  # the channel was of another kind when it was tried
            await self._record(claim, partial(self._leave_in_doubt, claim, step))
            return
        attempt = self.attempt(step.attempts, claim.not_after, first=step.first_tried_at)
        try:
            receipt = await self._held(
                claim,
                self.slots.call(
                    self.adapter.find,
                    step.message,
                    attempt,
                    deadline=attempt.deadline,
                    gives=Receipt | None,
                ),
            )
        except Failure as failure:
            now = self.around.clock()
            wait = pause(claim.attempts, self.chance(), failure.retry_after)
            again = self.later(max(wait, LOOK_AGAIN))
            self.count(failure.outcome, failure)
            sentence = failure.sentence
            await self._record(
                claim,
                lambda connection: deliveries.put_back(
                    connection, claim, now, again, sentence, State.UNCERTAIN
                ),
            )
            return
        await self._resolved(claim, step, receipt)

    def _leave_in_doubt(self, claim: Claim, step: Step, connection: Any) -> None:
        now = self.around.clock()
        sentence = "It may have gone, and this channel cannot look for it."
        self._settle_uncertain(connection, claim, step, sentence, now, now)

    async def _resolved(self, claim: Claim, step: Step, receipt: Receipt | None) -> None:
        now = self.around.clock()
        last = step.id == claim.steps[-1].id

        def work(connection: Any) -> bool:
            if receipt is None:
                deliveries.reopen_step(connection, step.id)
            else:
                deliveries.end_step(connection, step.id, "accepted", receipt.handle, receipt.url)
            again = receipt is None or not last
            if receipt is not None and isinstance(self.adapter, CanWithdraw):
                again = withdrawing.take_away_found(connection, claim.id, step.id) or again
            if again:
                deliveries.put_back(connection, claim, now, now, "")
            return again

        again = await self._record(claim, work)
        if receipt is not None and not again:
            await self._end_accepted(claim, receipt.detail)
