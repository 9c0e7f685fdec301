"""One run over letters: pull, hand over on several connections at once, and stop when going on would only do harm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from broadcaster.channel import (
    Failure,
    Letter,
    LetterOutcome,
    Permanent,
    Receipt,
    Scope,
    Transient,
)
from broadcaster.httpclient import called_off, given_up
from channels.email.answers import Unwanted
from channels.email.pool import Pool
from channels.email.session import Closed, Envelope, Server, Session

_IN_A_ROW = 10  # failures without a success between them that end a run
_POLL = 0.2  # seconds until a run that only waits looks again whether it was given up


@dataclass
class Run:
    """Sends letters by one server until they end, the time is up, or the server shows that it takes none.

    A run ends early on a failure of the channel as a whole and on ten failures in a row. It then pulls no more, waits for
    what is under way, so that each letter pulled gets the outcome it really had, and raises. `window` is how many
    connections may be open, `rate` letters a second (0: any), `build` makes a letter ready or raises its failure.
    `known_good`: the server took letters from us a short while ago. `taken` says that it took one now.
    A recipient refused in words about us says nothing about us while other letters are taken: see `Unwanted`.
    """

    server: Server
    window: int
    rate: float
    build: Callable[[Letter], Envelope]
    known_good: bool = False
    taken: bool = False
    held: list[tuple[Letter, Unwanted]] = field(default_factory=list)
    end: Failure | None = None
    in_a_row: int = 0
    begun_at: float = 0.0
    trusted: bool = False
    pool: Pool = field(init=False)

    def __post_init__(self) -> None:
        self.pool = Pool(self.server, self.window)

    def send(
        self, letters: Iterator[Letter], seconds: float, deadline: float
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        """Send for at most `seconds`; `deadline` is seconds for one letter. Raises as `LetterAdapter.send`.

        An event loop of its own, which turns only while an outcome is awaited: while `letters` blocks, what is under way
        stands still, so let it block for milliseconds only.
        """
        loop = asyncio.new_event_loop()
        open_: dict[asyncio.Task[LetterOutcome], Letter] = {}
        try:
            yield from self._turn(loop, open_, letters, time.monotonic() + seconds, deadline)
            yield from self._settle_held()
            loop.run_until_complete(self.pool.close())
        finally:
            _break_off(loop, [*open_], self.pool)
        if self.end is not None:
            raise self.end

    def _turn(
        self,
        loop: asyncio.AbstractEventLoop,
        open_: dict[asyncio.Task[LetterOutcome], Letter],
        letters: Iterator[Letter],
        until: float,
        deadline: float,
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        more = True
        while True:
            pause = 0.0
            while more and self.end is None and len(open_) < self._room():
                pause = self._pause()
                if pause:
                    break
                letter = next(letters, None) if time.monotonic() < until else None
                if letter is None:
                    more = False
                    break
                self.begun_at = time.monotonic()
                open_[loop.create_task(self._one(letter, deadline))] = letter
            more = more and self.end is None and not called_off()
            if given_up() or not (open_ or more):
                return
            if not open_:
                time.sleep(min(_POLL, pause))
                continue
            looking = asyncio.wait(open_, timeout=_POLL, return_when=asyncio.FIRST_COMPLETED)
            done, _ = loop.run_until_complete(looking)
            for task in done:
                letter, came = open_.pop(task), task.result()
                if isinstance(came.failure, Unwanted):
                    self.held.append((letter, came.failure))
                    continue
                yield letter, came
                if came.receipt is not None:
                    yield from self._of_addresses()

    def _settle_held(self) -> Iterator[tuple[Letter, LetterOutcome]]:
        """What is known at the end: that letters are taken, or that none is."""
        if self.held and (self.known_good or self.taken) and len(self.held) < _IN_A_ROW:
            yield from self._of_addresses()
        for letter, unwanted in self.held:
            self.end = self.end or unwanted
            yield letter, LetterOutcome(failure=_of_letter(unwanted))

    def _of_addresses(self) -> Iterator[tuple[Letter, LetterOutcome]]:
        held, self.held = self.held, []
        for letter, unwanted in held:
            yield letter, LetterOutcome(failure=unwanted.of_address)

    def _room(self) -> int:
        """How many letters may be under way: open and failed together are no more than end a run."""
        if self.trusted and not self.in_a_row:
            return self.window
        return max(1, min(self.window, _IN_A_ROW - self.in_a_row))

    def _pause(self) -> float:
        """The seconds until the pace allows another letter."""
        return max(0.0, self.begun_at + 1 / self.rate - time.monotonic()) if self.rate else 0.0

    # ------------------------------------------------------------------------------------------------------ one letter
    async def _one(self, letter: Letter, seconds: float) -> LetterOutcome:
        try:
            envelope = self.build(letter)
            said = await self._hand_over(envelope, seconds)
        except Failure as failure:
            self._weigh(failure)
            kept = failure if isinstance(failure, Unwanted) else _of_letter(failure)
            return LetterOutcome(failure=kept)
        self.in_a_row, self.trusted, self.taken = 0, True, True
        detail = self.server.reading.words(said)
        return LetterOutcome(receipt=Receipt(handle=envelope.message_id, detail=detail))

    async def _hand_over(self, envelope: Envelope, seconds: float) -> str:
        session: Session | None = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    session = await self.pool.take()
                    try:
                        return await session.send(envelope)
                    except Closed:
                        self.pool.give_back(session)
                        session = None
        except TimeoutError:
            handed = session is not None and session.handed
            failure = self.server.reading.broken(handed=handed, late=True)
            if session is None:
                failure.scope = Scope.CHANNEL
            else:
                session.drop()
            raise failure from None
        except asyncio.CancelledError:
            if session is not None:
                session.drop()
            raise
        finally:
            if session is not None:
                self.pool.give_back(session)

    def _weigh(self, failure: Failure) -> None:
        if failure.scope is Scope.ADDRESS:
            return
        self.in_a_row += 1
        if failure.scope is Scope.CHANNEL and not isinstance(failure, Unwanted):
            self.end = self.end if isinstance(self.end, Permanent) else failure
        elif self.end is None and self.in_a_row >= _IN_A_ROW:
            kind = Permanent if isinstance(failure, Permanent) else Transient
            self.end = kind(failure.sentence, scope=Scope.CHANNEL, reply=failure.reply)


def _of_letter(failure: Failure) -> Failure:
    """A letter that met a failure of the channel was not sent and waits until the channel is mended."""
    if failure.scope is not Scope.CHANNEL:
        return failure
    return Transient(failure.sentence, reply=failure.reply)


def _break_off(
    loop: asyncio.AbstractEventLoop, under_way: list[asyncio.Task[LetterOutcome]], pool: Pool
) -> None:
    """End what is under way at once and close the loop; a look-up of a name is left behind, it has its own deadline."""
    for task in under_way:
        task.cancel()
    if under_way:
        loop.run_until_complete(asyncio.wait(under_way))
    opening = pool.break_off()
    if opening:
        loop.run_until_complete(asyncio.wait(opening))
    for _ in range(2):  # the connections' last callbacks
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
