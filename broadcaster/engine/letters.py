"""The lane of a letter channel: audiences become jobs, jobs go out supplier by supplier, counts tell how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

import structlog

from broadcaster.channel import Failure, Transient
from broadcaster.domain.delivery import Outcome, State
from broadcaster.engine import correcting
from broadcaster.engine.blast import Blast, Run
from broadcaster.engine.calls import see
from broadcaster.engine.fuse import Fuse
from broadcaster.engine.lane import Lane, Surroundings
from broadcaster.engine.lateness import Lateness
from broadcaster.engine.pacing import pause
from broadcaster.engine.personal import PersonalLetters
from broadcaster.engine.repeats import Repeats
from broadcaster.engine.suppliers import HIGH, Change, Choice, Seen, Suppliers
from broadcaster.engine.under_way import UnderWay, abandon, hold
from broadcaster.store import (
    channels,
    claiming,
    deliveries,
    expanding,
    finishing,
    hastening,
    letters,
    next_job,
)
from broadcaster.store.claiming import Claim
from broadcaster.store.letters import Job

log = structlog.get_logger()
SWEEP = timedelta(seconds=1)
BROWN_OUT = timedelta(minutes=30)
"""So long after a letter was accepted, what is refused now and then counts as no letter's own fault."""
TRIES = 6  # of letters that stay in doubt: before another channel stands in, or where others of their job had theirs
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
        self.suppliers = Suppliers(adapter.suppliers())
        self._lateness = {supplier: Lateness() for supplier in adapter.suppliers()}
        self._accepted_at: datetime | None = None
        self.refused_as_gone: dict[str, int] | None = None
        """How many of how many addresses the last run was told not to exist, where that is too many to be true."""
        self._repeats = Repeats()
        self._wished: set[int] = set()  # jobs that their far side asked to be left alone
        self._sending = False
        self._halted = False
        self._under_way: tuple[str, Run] | None = None  # what runs, and by which supplier
        self._resumed_at: datetime | None = None
        self._personal = PersonalLetters(self, self.suppliers, f"p{epoch}", self.judge)

    def shift(self, by: timedelta) -> None:
        """As of every lane, and its suppliers rest as long as they would have."""
        self.suppliers.shift(by)
        self._repeats.shift(by)
        if self._under_way is not None:
            self._tell(*self._under_way)  # else it would count as taken after the jump
        for lateness in self._lateness.values():
            lateness.jumped(self.around.clock())
        super().shift(by)

    async def turn(self) -> datetime | None:
        """Claim deliveries to expand, send one job at a time, end what is through."""
        now = self.around.clock()
        self._look_for_reports(now)
        # Also while the channel is closed: what was stopped or is past its time must come to an end.
        ended = await self.write(lambda connection: finishing.finish(connection, self.name, now))
        for _ in ended:
            self.around.observe("accepted", self.name)
        if ended:
            self.aside(correcting.measure(self, ended))
        if not await self.is_open():
            return self.later(1.0)
        personal_due = await self._personal.turn()
        claims = await self.write(
            partial(
                claiming.claim, channel=self.name, node=self.around.node, now=now, limit=CLAIMED
            )
        )
        for claim in claims:
            self.spawn(self._expand(claim))
        if not self._sending:
            await self._start_job()
        return await self._next(now, bool(ended), personal_due)

    async def _next(
        self, now: datetime, ended: bool, personal_due: datetime | None
    ) -> datetime | None:
        if ended:
            return now
        sending = self._sending  # then no other job can begin, and its end wakes us

        def look(connection: Any) -> tuple[datetime | None, datetime | None]:
            job_due = None if sending else next_job.next_job_due(connection, self.name)
            return deliveries.next_due_at(connection, self.name), job_due

        due = await self.read(look)
        known = [at for at in (*due, personal_due) if at is not None]
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
            now, zone = self.around.clock(), self.around.following.zone
            done = await self.write(partial(self._expand_some, claim, now, chunks, zone))
            chunks = min(2 * chunks, MOST_CHUNKS)
            self.wake()

    @staticmethod
    def _expand_some(
        claim: Claim, now: datetime, chunks: int, zone: ZoneInfo, connection: Any
    ) -> bool:
        done = expanding.expand(connection, claim.id, claim.lease_token, now, chunks, zone)
        deliveries.renew(connection, claim, now)
        return done

    async def allows(self, state: channels.ChannelState) -> bool:
        """As of every lane; and whoever resumed the channel has mended what a supplier refuses us for."""
        if state.resumed_at != self._resumed_at:
            self._resumed_at = state.resumed_at
            left = self.suppliers.current
            self.suppliers.begin_anew()
            if left != self.suppliers.current:
                self._say_changed(Change(self.suppliers.current, left, "resumed"))
        return await super().allows(state)

    # --------------------------------------------------------------------------------------------------------- a job
    def hasten(self, connection: Any, now: datetime) -> int:
        """Of letters it is the jobs that rest."""
        return hastening.jobs(connection, self.name, now, frozenset(self._wished))

    async def _start_job(self) -> None:
        now = self.around.clock()
        self._settle(now)
        choice = self.suppliers.choose(now)
        job = await self.write(
            lambda connection: letters.claim_job(
                connection, self.name, self.around.node, now, choice.supplier
            )
        )
        if job is not None:
            self._sending = True
            self.suppliers.begun(choice.supplier, now)
            self.spawn(self._send(job, choice))

    def _settle(self, now: datetime) -> None:
        """Put another supplier in force if it is time; say so."""
        change = self.suppliers.settle(now)
        if change is not None:
            self._say_changed(change)

    def _say_changed(self, change: Change) -> None:
        log.warning(
            "supplier changed",
            channel=self.name,
            supplier=change.supplier,
            instead_of=change.left,
            reason=change.because,
        )
        self.around.observe("supplier", self.name, supplier=change.supplier)

    async def _send(self, job: Job, choice: Choice) -> None:
        supplier, began_at = choice.supplier, self.around.clock()
        try:
            attempt = self.attempt(job.attempts, job.not_after, supplier=supplier)
            blast = Blast(
                self.around.store,
                self.adapter,
                job,
                attempt,
                partial(self._claim_more, choice),
                self.name,
                self._prefix,
                self.around.clock,
                lambda: self._halted,
                self._repeats,
                Fuse(self.name, self.around.most_per_hour()),
                choice.most,
                self.around.following.follow_url_of(self.name),
            )
            run = await self._watched(job.not_after, supplier, blast)
            if run is None:
                dead = Seen(0, 0, dead=True, because=f"{supplier} does not answer.")
                self.suppliers.ended(supplier, dead, began_at, self.around.clock())
            else:
                await self._sent(blast.under_way, supplier, run, began_at)
        finally:
            self._sending, self._under_way = False, None

    def _claim_more(self, choice: Choice, connection: Any, job: Job) -> Job | None:
        """The job after this one, in a write of the run that sends it: None once a turn has to decide what is next."""
        now, node = self.around.clock(), self.around.node
        if choice.one_job or self.suppliers.choose(now) != choice:
            return None
        if not channels.state(connection, self.name).open:
            return None
        return letters.claim_job(connection, self.name, node, now, choice.supplier, after=job)

    async def _watched(self, not_after: datetime, supplier: str, blast: Blast) -> Run | None:
        """Await a run while its leases are renewed. A job has no deadline of its own, each call in it has one.

        Calls that hang when its text was stopped, its time is over or its lease lost are given up. None: the adapter does
        not even come back from that.
        """
        self._under_way = supplier, blast.run
        task = asyncio.ensure_future(self.slots.call(blast.send, deadline=None))
        task.add_done_callback(see)
        while True:
            done, _ = await asyncio.wait({task}, timeout=RENEW)
            self._tell(supplier, blast.run)
            if done:
                return cast("Run", task.result())
            now, under_way = self.around.clock(), blast.under_way
            if now < not_after:
                asked_at, held = await self.write(partial(hold, under_way, now))
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
            await self.write(partial(abandon, blast.under_way))
            return None

    def _tell(self, supplier: str, run: Run) -> None:
        """Count what was accepted since it was last told."""
        accepted = run.accepted  # once: its thread goes on counting
        new, run.told = accepted - run.told, accepted
        self.around.observe("letters", self.name, accepted=new)
        if new:
            self._accepted_at = self.around.clock()
            self._lateness[supplier].taken(new, self._accepted_at)

    async def _sent(
        self, left: Sequence[UnderWay], supplier: str, run: Run, began_at: datetime
    ) -> None:
        self._tell(supplier, run)
        self._see_gone(supplier, run)
        failure = run.failure or next(iter(run.failures), None)
        await self.judge(supplier, run, failure, began_at)
        for each in left:
            await self._let_go(each, supplier, run, failure)

    def _see_gone(self, supplier: str, run: Run) -> None:
        if run.gone_believed:
            self.refused_as_gone = None if run.accepted else self.refused_as_gone
            return
        self.refused_as_gone = {"refused": run.gone, "total": run.gone + run.accepted}
        log.warning(
            "too many addresses are said not to exist: nobody is left out of the next for it",
            channel=self.name,
            supplier=supplier,
            refused=run.gone,
            accepted=run.accepted,
        )

    async def _let_go(
        self, left: UnderWay, supplier: str, run: Run, failure: Failure | None
    ) -> None:
        job, again, now = left.job, None, self.around.clock()
        failed = bool(left.again or failure)
        if left.only_rests and failure is None:
            # Where another channel stands in, that soon writes to whoever is in doubt.
            settings = self.adapter.settings
            most = min(settings.attempts, TRIES if settings.fallback else settings.attempts)
            if job.attempts < most and not self._alone_silent(job):
                again = self.later(left.rest.total_seconds())
        elif failed and not self._given_up(job, supplier, failure, now):
            wait = pause(job.attempts, self.chance(), run.retry_after)
            if run.retry_after is not None:
                self._wished.add(job.id)
            again = self.later(0.0 if self.suppliers.takes_over(supplier, now) else wait)
        elif (run.stopped or run.enough) and not failed:
            again = self.later(0.0)  # nothing went wrong: it counts as no attempt
        held = await self.write(lambda connection: letters.end_job(connection, job, again, now))
        if again is None:
            self._repeats.end(job.id)
            self._wished.discard(job.id)
        if not held:
            log.warning("another node took over a job", channel=self.name, job=job.id)

    def _alone_silent(self, job: Job) -> bool:
        """Whether others had theirs and those left were tried often: it is their telephones that are silent, no far side."""
        some = len(job.todo) < len(job.subscribers)
        return some and self._repeats.fewest(job.id, job.todo) >= TRIES

    def _given_up(self, job: Job, supplier: str, failure: Failure | None, now: datetime) -> bool:
        """Whether its attempts are used up. While a supplier takes some letters and refuses others, none is given up."""
        recent = self._accepted_at is not None and now - self._accepted_at < BROWN_OUT
        brown_out = recent and self.suppliers.health(supplier, now) < HIGH
        return not brown_out and self.used_up(job.attempts, failure)

    async def judge(
        self, supplier: str, run: Run, failure: Failure | None, began_at: datetime
    ) -> None:
        """What a run of letters says about its supplier, and of the channel as a whole."""
        if run.hung:
            failure = failure or Transient(f"{supplier} does not answer.")
        elif run.stopped:
            return  # what was called off says nothing about the far side, and the correction goes there next
        if failure is None and not run.transient and not run.accepted:
            return
        now = self.around.clock()
        # Ended by itself, or given up: it was seen to take none, many times in a row.
        dead = run.hung or run.failure is not None
        because = failure.sentence if failure else run.sentence
        failed = run.not_now + run.unanswered
        seen = Seen(run.accepted, failed, dead=dead, because=because)
        self.suppliers.ended(supplier, seen, began_at, now)
        if run.accepted and failure is None:
            self.count(Outcome.ACCEPTED)
        else:
            await self._failed(supplier, failure or Transient(f"{supplier} takes no letter now."))
            if run.failure is not None and not self.suppliers.well(now) and not self.parked:
                self.breaker.trip(now)
        self._settle(now)

    async def _failed(self, supplier: str, failure: Failure) -> None:
        log.warning(
            "supplier failed", channel=self.name, supplier=supplier, reason=failure.sentence
        )
        now = self.around.clock()
        if self.parks(failure):
            await self._refuse(supplier, failure)
            return
        self._settle(now)
        if not self.suppliers.well(now):
            # No other is left: now it is the channel that fails.
            self.count(failure.outcome, failure)

    async def _refuse(self, supplier: str, failure: Failure) -> None:
        """A supplier refuses us for good: leave it out; without any left, the channel is parked."""
        self.suppliers.refused(supplier, failure.sentence, self.around.clock())
        self.count(failure.outcome, failure)
        if self.suppliers.refuse_all:
            self.suppliers.begin_anew()
            await self.park(failure.sentence)

    def reported(self, supplier: str, taken_at: datetime, received_at: datetime) -> None:
        """The first delivery report came of a letter that this supplier had taken at that time."""
        if self._under_way is not None:
            self._tell(*self._under_way)  # a report can come before what it is about was counted
        if (lateness := self._lateness.get(supplier)) is not None:
            lateness.reported(taken_at, received_at)

    def _look_for_reports(self, now: datetime) -> None:
        for supplier, lateness in self._lateness.items():
            lack = lateness.look(now)
            if lack is not None:
                self.suppliers.reports_late(supplier, lack.share, lack.count, now)

    async def stop(self, seconds: float) -> None:
        """Pull no more letters; what is under way ends."""
        self._halted = True
        await super().stop(seconds)
        self._personal.close()
