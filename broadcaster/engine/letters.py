"""The lane of a letter channel: audiences become jobs, jobs go out supplier by supplier, counts tell how far it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

import structlog

from broadcaster.channel import Failure, Transient
from broadcaster.domain.delivery import Outcome, State
from broadcaster.engine import correcting
from broadcaster.engine.blast import Blast, Run
from broadcaster.engine.calls import see
from broadcaster.engine.lane import Lane, Surroundings
from broadcaster.engine.pacing import Breaker, pause
from broadcaster.engine.under_way import UnderWay
from broadcaster.store import (
    channels,
    claiming,
    deliveries,
    expanding,
    finishing,
    letters,
    next_job,
)
from broadcaster.store.claiming import Claim
from broadcaster.store.letters import Hold, Job

log = structlog.get_logger()
SWEEP = timedelta(seconds=1)
SUPPLIER_REST = 60.0  # how long the next supplier is used before the one that failed is tried again
RENEW = 1.0
STOP_PATIENCE = 4.0  # with RENEW well under the ten seconds in which a correction must start
GIVE_UP_PATIENCE = 1.0
CLAIMED = 4  # deliveries to expand at a time
MOST_CHUNKS = 20  # in one write, which holds up all others


class LetterLane(Lane):
    """Carries the deliveries of one letter channel. One slot sends, one is kept for corrections and retractions."""

    def __init__(self, name: str, adapter: Any, around: Surroundings, epoch: int) -> None:
        super().__init__(name, adapter, around, slots=2)
        self._prefix = f"{epoch}"
        self._suppliers = {
            supplier: Breaker(limit=2, rest=SUPPLIER_REST) for supplier in adapter.suppliers()
        }
        self._refused: dict[str, str] = {}
        self._sending = False
        self._halted = False

    def shift(self, by: timedelta) -> None:
        """As of every lane, and its suppliers rest as long as they would have."""
        for breaker in self._suppliers.values():
            breaker.shift(by)
        super().shift(by)

    async def turn(self) -> datetime | None:
        """Claim deliveries to expand, send one job at a time, end what is through."""
        now = self.around.clock()
        # Also while the channel is closed: what was stopped or is past its time must come to an end.
        ended = await self.write(lambda connection: finishing.finish(connection, self.name, now))
        for _ in ended:
            self.around.observe("accepted", self.name)
        if ended:
            self.aside(correcting.measure(self, ended))
        if not await self.is_open():
            return self.later(1.0)
        claims = await self.write(
            partial(
                claiming.claim, channel=self.name, node=self.around.node, now=now, limit=CLAIMED
            )
        )
        for claim in claims:
            self.spawn(self._expand(claim))
        if not self._sending:
            await self._start_job()
        return await self._next(now, bool(ended))

    async def _next(self, now: datetime, ended: bool) -> datetime | None:
        if ended:
            return now
        sending = self._sending  # then no other job can begin, and its end wakes us

        def look(connection: Any) -> tuple[datetime | None, datetime | None]:
            job_due = None if sending else next_job.next_job_due(connection, self.name)
            return deliveries.next_due_at(connection, self.name), job_due

        due = await self.read(look)
        known = [at for at in due if at is not None]
        return (
            max(now + timedelta(milliseconds=50), min(known))
            if known
            else (now + SWEEP if self.busy else None)
        )

    async def _expand(self, claim: Claim) -> None:
        if claim.state is State.UNCERTAIN:
            now = self.around.clock()
            await self.write(
                lambda connection: deliveries.put_back(
                    connection, claim, now, claim.not_after, "it may have gone", State.UNCERTAIN
                )
            )
            return
        done = claim.expanded
        if done:
            await self.write(
                lambda connection: expanding.release_lease(connection, claim.id, claim.lease_token)
            )
        chunks = 1  # the first letters need not wait until ten thousand readers are found
        while not done:
            now = self.around.clock()
            done = await self.write(partial(self._expand_some, claim, now, chunks))
            chunks = min(2 * chunks, MOST_CHUNKS)
            self.wake()

    @staticmethod
    def _expand_some(claim: Claim, now: datetime, chunks: int, connection: Any) -> bool:
        done = expanding.expand(connection, claim.id, claim.lease_token, now, chunks)
        deliveries.renew(connection, claim, now)
        return done

    # --------------------------------------------------------------------------------------------------------- a job
    async def _start_job(self) -> None:
        supplier = self._supplier()
        if supplier is None:
            return
        now = self.around.clock()
        job = await self.write(
            lambda connection: letters.claim_job(
                connection, self.name, self.around.node, now, supplier
            )
        )
        if job is not None:
            self._sending = True
            self.spawn(self._send(job, supplier))

    def _supplier(self) -> str | None:
        """The first supplier that has not refused us for good and does not rest; if all rest, the first."""
        now = self.around.clock()
        usable = [name for name in self._suppliers if name not in self._refused]
        awake = [name for name in usable if self._suppliers[name].allows(now)]
        return next(iter(awake or usable), None)

    async def _send(self, job: Job, supplier: str) -> None:
        try:
            attempt = self.attempt(job.attempts, job.not_after, supplier=supplier)
            blast = Blast(
                self.around.store,
                self.adapter,
                job,
                attempt,
                partial(self._claim_more, supplier),
                self.name,
                self._prefix,
                self.around.clock,
                lambda: self._halted,
            )
            run = await self._watched(job.not_after, blast)
            if run is None:
                self._suppliers[supplier].trip(self.around.clock())
            else:
                await self._sent(blast.under_way, supplier, run)
        finally:
            self._sending = False

    def _claim_more(self, supplier: str, connection: Any, job: Job) -> Job | None:
        """The job after this one, in a write of the run that sends it: None once a turn has to decide what is next."""
        if self._supplier() != supplier or not channels.state(connection, self.name).open:
            return None
        now, node = self.around.clock(), self.around.node
        return letters.claim_job(connection, self.name, node, now, supplier, after=job)

    async def _watched(self, not_after: datetime, blast: Blast) -> Run | None:
        """Await a run while its leases are renewed. A job has no deadline of its own, each call in it has one.

        Calls that hang when its text was stopped, its time is over or its lease lost are given up. None: the adapter does
        not even come back from that.
        """
        task = asyncio.ensure_future(self.slots.call(blast.send, deadline=None))
        task.add_done_callback(see)
        while True:
            done, _ = await asyncio.wait({task}, timeout=RENEW)
            self._tell(blast.run)
            if done:
                return cast("Run", task.result())
            now, under_way = self.around.clock(), blast.under_way
            if now < not_after:
                asked_at, held = await self.write(partial(self._hold, under_way, now))
                if held:
                    blast.extend(asked_at)
                    continue
                if under_way != blast.under_way:
                    continue  # it has just ended one of them itself; it finds out what is lost
            blast.stop()
            done, _ = await asyncio.wait({task}, timeout=STOP_PATIENCE)
            if not done:
                blast.give_up()
                done, _ = await asyncio.wait({task}, timeout=GIVE_UP_PATIENCE)
            if done:
                return cast("Run", task.result())
            await self.write(partial(self._abandon, blast.under_way))
            return None

    def _tell(self, run: Run) -> None:
        """Count what was accepted since it was last told."""
        accepted = run.accepted  # once: its thread goes on counting
        self.around.observe("letters", self.name, accepted=accepted - run.told)
        run.told = accepted

    @staticmethod
    def _hold(under_way: Sequence[UnderWay], now: datetime, connection: Any) -> tuple[float, bool]:
        """Whether the jobs are ours and to be sent, and when that was asked by our own clock."""
        asked_at = time.monotonic()
        holds = letters.hold_all(connection, [each.job for each in under_way], now)
        return asked_at, all(hold is Hold.HELD for hold in holds.values())

    @staticmethod
    def _abandon(under_way: Sequence[UnderWay], connection: Any) -> None:
        for each in under_way:
            letters.abandon_job(connection, each.job)

    async def _sent(self, left: Sequence[UnderWay], supplier: str, run: Run) -> None:
        self._tell(run)
        failure = run.failure or next(iter(run.failures), None)
        await self._judge(supplier, run, failure)
        for each in left:
            await self._let_go(each.job, supplier, run, failure, bool(each.again or failure))

    async def _let_go(
        self, job: Job, supplier: str, run: Run, failure: Failure | None, failed: bool
    ) -> None:
        again = None
        if failed and not self.used_up(job.attempts, failure):
            other = self._supplier() not in (supplier, None)
            wait = pause(job.attempts, self.chance(), run.retry_after)
            again = self.later(0.0 if other else wait)
        elif run.stopped and not failed:
            again = self.later(0.0)  # nothing went wrong: it counts as no attempt
        now = self.around.clock()
        held = await self.write(lambda connection: letters.end_job(connection, job, again, now))
        if not held:
            log.warning("another node took over a job", channel=self.name, job=job.id)

    async def _judge(self, supplier: str, run: Run, failure: Failure | None) -> None:
        breaker = self._suppliers[supplier]
        if run.hung:
            failure = failure or Transient(f"{supplier} does not answer.")
        elif run.stopped:
            return  # what was called off says nothing about the far side, and the correction goes there next
        if failure is None and not run.transient and not run.accepted:
            return
        if run.accepted and failure is None:
            breaker.success()
            self.count(Outcome.ACCEPTED)
            return
        failure = failure or Transient(f"{supplier} takes no letter now.")
        log.warning(
            "supplier failed", channel=self.name, supplier=supplier, reason=failure.sentence
        )
        if self.parks(failure):
            await self._refuse(supplier, failure)
            return
        if run.hung or run.failure is not None:
            breaker.trip(self.around.clock())  # it was seen to take none, many times in a row
        else:
            breaker.failure(self.around.clock())
        if not breaker.allows(self.around.clock()) and self._supplier() == supplier:
            # No other is left: now it is the channel that fails.
            self.count(failure.outcome, failure)
            if run.failure is not None:
                self.breaker.trip(self.around.clock())

    async def _refuse(self, supplier: str, failure: Failure) -> None:
        """A supplier refuses us for good: leave it out; without any left, the channel is parked."""
        self._refused[supplier] = failure.sentence
        self.count(failure.outcome, failure)
        if len(self._refused) == len(self._suppliers):
            self._refused.clear()
            await self.park(failure.sentence)

    async def stop(self, seconds: float) -> None:
        """Pull no more letters; what is under way ends."""
        self._halted = True
        await super().stop(seconds)
