"""The lane of a post channel: steps in order, each written down before and after; uncertain ones are looked up first."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Coroutine
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import structlog

from broadcaster.channel import CanFind, CanWithdraw, Failure, Receipt, Uncertain
from broadcaster.domain.delivery import Outcome, State, StepKind
from broadcaster.engine import blast, confirming, correcting, meanwhile, steps
from broadcaster.engine.calls import see
from broadcaster.engine.gathering import Gathering
from broadcaster.engine.lane import Lane, Surroundings
from broadcaster.engine.pacing import pause
from broadcaster.engine.repeats import rest_after
from broadcaster.engine.steps import Begun
from broadcaster.httpclient.calling_off import ask_before_sending
from broadcaster.store import channels, deliveries, doubt, moving, withdrawing
from broadcaster.store.channels import ChannelState
from broadcaster.store.claiming import Claim, Step
from broadcaster.store.deliveries import LeaseLost
from broadcaster.store.writer import Rank, Work

T = TypeVar("T")
log = structlog.get_logger()
AGAIN = 0.1
RENEW = 1.0  # and so long after a retraction no call of the wrong text begins any more
CORRECTION_PAUSE = timedelta(seconds=5)  # between two tries of what a correction waits behind
LOOK_AGAIN = 1.0  # seconds between two looks for a post, while the breaker is closed
_MOST_TOLD = 4  # sentences of what the far side said of several steps
STOP_PATIENCE = 4.0  # with RENEW well under the ten seconds in which a correction must start


class PostLane(Lane):
    """Carries the deliveries of one post channel; what it claims is gathered with what others do."""

    def __init__(
        self, name: str, adapter: Any, around: Surroundings, gathering: Gathering | None = None
    ) -> None:
        super().__init__(name, adapter, around)
        self._gathering = gathering or Gathering(around.store)

    def hand_in(self, work: Work[T], rank: Rank) -> Awaitable[Any]:
        """As every lane, but for claims."""
        if isinstance(work, steps.Taking):
            return self._gathering.take(work)
        return super().hand_in(work, rank)

    async def turn(self) -> datetime | None:
        """Claim as many heads as there are free slots."""
        prompted, self.prompted = self.prompted, False
        # Most likely there is something then: where nothing is wrong, to look before would only hold it up.
        tried = prompted and not (self.parked or self.slots.hung or self.breaker.opened_at)
        if tried and await self._start_some():
            return None  # the end of what was started wakes the lane
        state, due = await self.read(self._look)
        if not await self.allows(state):
            return self.breaker.allows_again_at()
        if due is None or (not tried and await self._start_some()):
            return None
        # What is due and was not claimed waits for the end of another, which wakes the lane: no need to ask at once.
        return max(due, self.later(AGAIN))

    async def _start_some(self) -> bool:
        """Claim what there are slots for; whether anything was."""
        free, urgent_only = self.slots.free(urgent=False, carried=self.busy), False
        if not free:
            free, urgent_only = self.slots.free(urgent=True, carried=self.busy), True
        broken = self.breaker.opened_at is not None
        if broken:
            free = min(free, 1)
        if not free:
            return False
        node, clock = self.around.node, self.around.clock
        taken = await self.write(
            # The one call that is let through is the correction's own: a look that fails would cost it the next rest.
            steps.Taking(
                self.name, node, clock, free, urgent_only=urgent_only, look_first=not broken
            )
        )
        for claim, begun in taken:
            self.spawn(self._carry(claim, begun))
        return bool(taken)

    def _look(self, connection: Any) -> tuple[ChannelState, datetime | None]:
        """What is known of the channel, and when the next of its deliveries is due: without any, nothing is claimed."""
        return channels.state(connection, self.name), deliveries.next_due_at(connection, self.name)

    async def _carry(self, claim: Claim, begun: Begun | None) -> None:
        try:
            await (
                self._resolve(claim) if claim.state is State.UNCERTAIN else self._all(claim, begun)
            )
        except LeaseLost:
            log.warning("another node took over", channel=self.name, delivery=claim.id)

    async def _record(self, claim: Claim, work: Work[T]) -> T:
        """Write what came of a claim. Raises LeaseLost, and writes nothing, when another node has it by now."""

        def guarded(connection: Any) -> T:
            deliveries.require_lease(connection, claim)
            return work(connection)

        return await self.write(guarded)

    async def _all(self, claim: Claim, begun: Begun | None) -> None:
        if not claim.steps:
            # Its last step was done, and the daemon ended before it wrote down that this was the last.
            await self._end_accepted(claim, "")
        detail = ""
        for step in claim.steps:
            said = await self._step(claim, step, begun, detail)
            if said is None:
                return
            begun, detail = None, said

    async def _end_accepted(self, claim: Claim, detail: str) -> None:
        now = self.around.clock()
        receipt = await self._record(
            claim, lambda connection: steps.end(connection, claim, now, detail)
        )
        if receipt is not None:
            self._went_out(claim, receipt)

    def _went_out(self, claim: Claim, receipt: Receipt) -> None:
        self.around.observe("accepted", self.name)
        # Confirming may take seconds and is owed to nobody: it holds up neither the next update nor the end.
        self.aside(confirming.post(self, claim.id))
        if claim.priority == 0:
            self.aside(correcting.measure(self, [claim.id]))

    # --------------------------------------------------------------------------------------------------- one step
    async def _step(self, claim: Claim, step: Step, begun: Begun | None, detail: str) -> str | None:
        """Do one step, which `begun` says when it is written down already.

        Returns what the far side said of this step and those before, `detail` of them. None: it is not done, and the delivery has been
        put back or ended.
        """
        now = self.around.clock()
        if step.skip:
            await self._done(claim, step, None, Receipt(), detail)
            return detail
        if step.uncertain:
            sentence = "The daemon stopped while this was under way; it may have gone out."
            await self._record(
                claim,
                lambda connection: self._settle_uncertain(
                    connection, claim, step, sentence, now, now
                ),
            )
            return None
        if begun is None and now < claim.not_after:
            begun = await self.write(
                lambda connection: steps.begin(connection, claim, step, self.around.node, now)
            )
        if begun is None or self._is_too_late(claim, begun):
            now = self.around.clock()
            await self._record(
                claim, lambda connection: steps.give_back(connection, claim, begun, now)
            )
            return None
        return await self._try(claim, step, begun, detail)

    def _is_too_late(self, claim: Claim, begun: Begun) -> bool:
        """Whether writing took so long that its time is over or its lease ran out: then nothing may be called."""
        stood_still = time.monotonic() > begun.asked_at + blast.LEASE_SECONDS
        return stood_still or self.around.clock() >= claim.not_after

    async def _try(self, claim: Claim, step: Step, begun: Begun, detail: str) -> str | None:
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
            await self._failed(claim, step, begun.attempt_id, failure)
            return None
        self.count(Outcome.ACCEPTED)
        detail = _with(detail, receipt.detail)
        await self._done(claim, step, begun, receipt, detail)
        return detail

    async def _done(
        self, claim: Claim, step: Step, begun: Begun | None, receipt: Receipt, detail: str
    ) -> None:
        now = self.around.clock()
        shown = await self._record(
            claim,
            lambda connection: steps.done(connection, claim, step, begun, receipt, now, detail),
        )
        if shown is not None:
            self._went_out(claim, shown)

    async def _held(self, claim: Claim, call: Coroutine[Any, Any, Any]) -> Any:
        """Await a call while its lease is renewed. A text that is stopped meanwhile gets a few seconds more.

        Those are for its answer: what has not begun to leave by then does not.
        """
        off = threading.Event()

        def called_off() -> bool:
            return off.is_set() or self.around.clock() >= claim.not_after

        with ask_before_sending(called_off):
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
        elif failure.outcome is not Outcome.PERMANENT:
            await meanwhile.change(self, claim, step, failure, held=self._held, record=self._record)
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
        elif failure.outcome is Outcome.PERMANENT:
            self._give_up(connection, claim, step, failure, now)
        else:
            wished = failure.retry_after is not None
            hurried = not wished and deliveries.correction_waits_behind(connection, claim)
            if hurried:  # such tries are many, and of those that it has they use up none
                again = min(again, now + CORRECTION_PAUSE)
            elif self.used_up(step.attempts + 1, failure):
                self._give_up(connection, claim, step, failure, now)
                return
            deliveries.put_back(connection, claim, now, again, failure.sentence, wished=wished)

    @staticmethod
    def _give_up(
        connection: Any, claim: Claim, step: Step, failure: Failure, now: datetime
    ) -> None:
        alone = failure.gone and steps.leave_thread(connection, step)
        if not (alone or steps.give_up(connection, claim, step)):
            moving.end(connection, claim.id, State.FAILED, now, failure.sentence)
            return
        deliveries.put_back(connection, claim, now, now, failure.sentence)

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
            if step.kind is StepKind.POST and not self.adapter.repeatable:
                again = max(again, now + rest_after(doubt.times(connection, step.id)))
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
            self.count(failure.outcome, failure)
            again = self.later(max(wait, self._between_looks()))
            later = partial(
                deliveries.put_back,
                claim=claim,
                now=now,
                due_at=again,
                detail=failure.sentence,
                state=State.UNCERTAIN,
                wished=failure.retry_after is not None,
            )
            await self._record(claim, later)
            return
        await self._resolved(claim, step, receipt)

    def _between_looks(self) -> float:
        """Seconds that go at least between two looks, in which what waited for the first has its turn."""
        resting = self.breaker.opened_at is not None
        return LOOK_AGAIN + (self.breaker.rest if resting else 0.0)

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
                deliveries.answer_anew(connection, step.id)
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


def _with(told: str, said: str) -> str:
    """What the far side said of the steps so far and of one more, as far as it differs; of many, of the first few."""
    if not said or said in told or told.count(". ") + 1 >= _MOST_TOLD:
        return told
    return f"{told} {said}".lstrip()
