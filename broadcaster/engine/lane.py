"""A lane is a bulkhead: one channel with a queue, slots, breaker and pace of its own. It shares none with others."""

from __future__ import annotations

import asyncio
import contextlib
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

import structlog

from broadcaster.channel import Attempt, Failure, Revision
from broadcaster.domain.delivery import Outcome, Scope
from broadcaster.engine.calls import Slots
from broadcaster.engine.known import Deaf, Probing, Sight
from broadcaster.engine.pacing import Breaker
from broadcaster.store import Store, StoreError, channels, hastening
from broadcaster.store.writer import Rank, Work

T = TypeVar("T")
log = structlog.get_logger()
Clock = Callable[[], datetime]
SLOW_POLL = 5.0
PROBE_EVERY = 900.0
HUNG_LIMIT = 3
CLOSE_SECONDS = 2.0


class Following(Protocol):
    """What the configuration in force says about those who get letters."""

    @property
    def zone(self) -> ZoneInfo:
        """The zone of their hours."""

    def follow_url_of(self, channel: str) -> str:
        """The address under which those of a channel change what they get, "" where they cannot."""


class _Unconfigured:
    zone = ZoneInfo("UTC")

    def follow_url_of(self, _: str) -> str:
        return ""


_NOBODY = _Unconfigured()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every lane is given: the store, the clock, this node's name, and what to call when something happened.

    `observe(event, channel, **facts)` feeds metrics; it must return at once. `probe_every` says how many seconds lie
    between two probes of a channel that is good, `most_per_hour` how many letters of one channel a person may get; 0: any
    number. `following` is asked about those who chose what they get.
    """

    store: Store
    clock: Clock
    node: str
    observe: Callable[..., None]
    probe_every: Callable[[], float] = lambda: PROBE_EVERY
    most_per_hour: Callable[[], int] = lambda: 0
    following: Following = _NOBODY


class Lane(ABC):
    """Runs the deliveries of one channel until stopped."""

    def __init__(self, name: str, adapter: Any, around: Surroundings, slots: int = 4) -> None:
        self.name = name
        self.adapter = adapter
        self.around = around
        self.breaker = Breaker()
        self.slots = Slots(name, slots)
        # Calls that only look (probes, confirmations) take no slot from what has to go out.
        self.looks = Slots(name, 2)
        self.parked = False
        self.prompted = True  # somebody said since the last turn that there may be something to do
        self.broken_because = ""
        self.deaf: Deaf | None = None
        self.probing = Probing()
        self.sight = Sight()
        self.shown: Revision | None = None  # what a board shows here
        self.stumbles = 0  # turns in a row that ended in an error of our own
        self._woken = asyncio.Event()
        self._stopping = self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._asides: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------------------------------ what lanes differ in
    @abstractmethod
    async def turn(self) -> datetime | None:
        """Start what can be started now; say when something can be started next (None: when woken)."""

    # ------------------------------------------------------------------------------------------------------- running
    def start(self) -> None:
        """Begin."""
        self._loop = asyncio.create_task(self._run(), name=f"lane-{self.name}")

    def wake(self) -> None:
        """There may be something to do. Only from the loop's thread."""
        self.prompted = True
        self._woken.set()

    async def _run(self) -> None:
        while not self._stopping:
            self._woken.clear()
            wait = SLOW_POLL
            try:
                due = await self.turn()
                self.stumbles = 0
                if due is not None:
                    wait = min(wait, max(0.0, (due - self.around.clock()).total_seconds()))
            except StoreError as error:
                log.error("lane cannot reach the store", channel=self.name, reason=str(error))
                wait = 1.0
            except Exception:
                log.exception("lane stumbled", channel=self.name)
                self.stumbles += 1
                self.around.observe("stumbled", self.name)
                wait = 1.0
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), wait + 0.001)

    def shift(self, by: timedelta) -> None:
        """The wall clock jumped: what rests or pauses here does so as long as it would have."""
        self.breaker.shift(by)
        self.probing.shift(by)
        self.deaf = self.deaf and self.deaf.shifted(by)
        self.wake()

    def spawn(self, work: Any) -> None:
        """Run a coroutine of this lane; the lane looks for more when it ends."""
        task = asyncio.create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def aside(self, work: Any) -> None:
        """Run a coroutine that holds nothing and need not be waited for at the end."""
        task = asyncio.create_task(self._guard(work))
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    async def _guard(self, work: Any) -> None:
        try:
            await work
        except StoreError as error:
            log.error("an outcome could not be stored", channel=self.name, reason=str(error))
        except Exception:
            log.exception("a delivery stumbled", channel=self.name)
            self.around.observe("stumbled", self.name)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._woken.set()

    async def stop(self, seconds: float) -> None:
        """Claim nothing more; let what runs end, given up after `seconds`; then close the adapter.

        A second call, while the first still waits, may have less patience.
        """
        self._stopping = True
        self.wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if self._loop is not None:
                    await asyncio.wait({self._loop})
                while self._tasks:
                    await asyncio.wait(set(self._tasks))
        for task in (self._loop, *self._tasks, *self._asides):
            if task is not None:
                task.cancel()
        self.slots.close()
        self.looks.close()
        if not self._closed:
            self._closed = True
            await self._close()

    async def _close(self) -> None:
        """Close the adapter in a thread of its own: libcurl, for one, waits for names that it still looks up."""
        closing = Slots(self.name, 1)
        try:
            await closing.call(self.adapter.close, deadline=CLOSE_SECONDS)
        except Failure as failure:
            reason = failure.reply or failure.sentence
            log.warning("an adapter did not close and is left", channel=self.name, reason=reason)
        finally:
            closing.close()

    @property
    def stopping(self) -> bool:
        """Whether it has been told to end."""
        return self._stopping

    @property
    def busy(self) -> int:
        """How many deliveries are being carried."""
        return len(self._tasks)

    # --------------------------------------------------------------------------------------------- the store, awaited
    async def write(self, work: Work[T], rank: Rank = Rank.OUTCOME) -> T:
        """Run a write and wait until it is durable. A busy store is waited for: an outcome must not be lost."""
        pause = 0.2
        while True:
            try:
                return await self.hand_in(work, rank)
            except StoreError as error:
                # A lane that stops claims nothing more, but what came of a call must still be written down.
                claiming = asyncio.current_task() is self._loop
                if self.around.store.broken is not None or (self._stopping and claiming):
                    raise
                log.warning(
                    "the store did not take a write, trying again",
                    channel=self.name,
                    reason=str(error),
                )
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    def hand_in(self, work: Work[T], rank: Rank) -> Awaitable[T]:
        """Hand a write to the store once."""
        return asyncio.wrap_future(self.around.store.write(work, rank))

    async def read(self, work: Work[T]) -> T:
        """Run a read in a thread."""
        return await asyncio.to_thread(self.around.store.read, work)

    # ------------------------------------------------------------------------------------------ what all do on failure
    def attempt(
        self, number: int, not_after: datetime, supplier: str = "", first: datetime | None = None
    ) -> Attempt:
        """The circumstances of the next call."""
        now = self.around.clock()
        left = max(0.1, (not_after - now).total_seconds())
        deadline = min(float(self.adapter.settings.deadline), left)
        return Attempt(
            number=number,
            at=now,
            not_after=not_after,
            deadline=deadline,
            supplier=supplier,
            first_tried_at=first,
        )

    def count(self, outcome: Outcome, failure: Failure | None = None) -> None:
        """Feed the breaker and the metrics."""
        now = self.around.clock()
        if outcome in (Outcome.TRANSIENT, Outcome.UNCERTAIN):
            self.breaker.failure(now)
            self.broken_because = failure.sentence if failure else ""
        else:
            if outcome is Outcome.ACCEPTED and self.breaker.opened_at is not None:
                self.try_what_rests()
            self.breaker.success()
        # What was accepted says more than what was asked before.
        if outcome is Outcome.ACCEPTED and self.probing.accepted(now):
            self.aside(self.write(partial(channels.void_probe, channel=self.name, now=now)))
        self.around.observe(
            "attempt", self.name, outcome=str(outcome), scope=str(failure.scope) if failure else ""
        )

    def try_what_rests(self) -> None:
        """The far side answers again: nothing waits for the end of a pause that it got while there was no answer."""
        self.aside(self._try_what_rests())

    async def _try_what_rests(self) -> None:
        if await self.write(partial(self.hasten, now=self.around.clock())):
            self.wake()

    def hasten(self, connection: Any, now: datetime) -> int:
        """Make due what rests here for no other reason. Returns how many."""
        return hastening.deliveries(connection, self.name, now)

    async def park(self, because: str) -> None:
        """The far side refuses the channel as a whole: leave everything waiting until somebody re-arms it."""
        self.parked = True
        now = self.around.clock()
        if await self.write(lambda connection: channels.park(connection, self.name, now, because)):
            log.error("channel parked", channel=self.name, reason=because)
            self.around.observe("parked", self.name, because=because)

    async def is_open(self) -> bool:
        """Whether anything may be claimed now."""
        return await self.allows(
            await self.read(lambda connection: channels.state(connection, self.name))
        )

    async def allows(self, state: channels.ChannelState) -> bool:
        """Whether anything may be claimed while this is what is known of the channel."""
        self.parked = state.parked_at is not None
        self.probing.doubted = state.probe_good is False
        if not state.open:
            return False
        if self.slots.hung >= HUNG_LIMIT:
            await self.park(
                f"{self.slots.hung} calls hang and do not end; restart the daemon after mending it."
            )
            return False
        return self.breaker.allows(self.around.clock())

    @property
    def tries_again_at(self) -> datetime | None:
        """When it calls its far side next, of a channel that rests; None of one that does not. From any thread."""
        return self.breaker.allows_again_at()

    def parks(self, failure: Failure) -> bool:
        """Whether this failure is about the channel as a whole, for good."""
        return failure.scope is Scope.CHANNEL and failure.outcome is Outcome.PERMANENT

    def used_up(self, attempts: int, failure: Failure | None) -> bool:
        """Whether so many attempts are all that there may be.

        What fails because the far side takes nothing, or asks to be left alone for a while, waits until its time is over.
        """
        waits = failure and (failure.scope is Scope.CHANNEL or failure.retry_after is not None)
        return attempts >= self.adapter.settings.attempts and not waits

    def later(self, seconds: float) -> datetime:
        """The time in so many seconds."""
        return self.around.clock() + timedelta(seconds=seconds)

    @staticmethod
    def chance() -> float:
        """Uniform in [0, 1), for jitter."""
        return random.random()  # noqa: S311 - jitter, not a secret
