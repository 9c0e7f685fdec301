"""The sessions of one run: a letter waits for whichever is ready first, one that is free again or one being opened."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from broadcaster.channel import Failure, Transient
from broadcaster.httpclient import Deadline
from channels.email.session import Server, Session

_OPENING: Final = 15.0
"""Seconds to look up a name, connect, agree on TLS and log in."""


class Pool:
    """At most `most` sessions with one server; fewer once it has shown that it takes no more."""

    def __init__(self, server: Server, most: int) -> None:
        self._server = server
        self._most = most
        self._ready = 0  # sessions that stand, free or in use
        self._free: deque[Session] = deque()
        self._waiting: deque[asyncio.Future[Session]] = deque()
        self._opening: set[asyncio.Task[None]] = set()

    async def take(self) -> Session:
        """A session that stands; give it back in any case.

        Raises:
            Failure: none can be opened; scope `channel`.
        """
        while self._free:
            session = self._free.popleft()
            if session.is_open:
                return session
            self.give_back(session)
        waiter: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._open_more()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result())
            raise

    def give_back(self, session: Session) -> None:
        """The session is free again, or closed."""
        if session.is_open:
            waiter = self._next_waiter()
            if waiter is None:
                self._free.append(session)
            else:
                waiter.set_result(session)
        else:
            session.drop()
            self._ready -= 1
            self._open_more()

    def _next_waiter(self) -> asyncio.Future[Session] | None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                return waiter
        return None

    def _open_more(self) -> None:
        """Begin to open a session for each who waits, as far as there may be more."""
        wanted = sum(not waiter.done() for waiter in self._waiting) - len(self._opening)
        for _ in range(min(wanted, self._most - self._ready - len(self._opening))):
            task = asyncio.get_running_loop().create_task(self._open())
            self._opening.add(task)

    async def _open(self) -> None:
        session = Session(self._server)
        failure: Failure | None = None
        try:
            await session.open(Deadline(_OPENING))
        except Failure as problem:
            failure = problem
        except BaseException:
            session.drop()
            raise
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine of ours always runs in one
        self._opening.discard(task)
        if failure is None:
            self._ready += 1
            self.give_back(session)
        else:
            self._failed(failure)

    def _failed(self, failure: Failure) -> None:
        """None of those who wait will be served, unless other sessions stand or may still come to stand."""
        if isinstance(failure, Transient):
            if self._ready:
                self._most = self._ready  # it takes letters, only on no more connections
                return
            if self._opening:
                return
        while (waiter := self._next_waiter()) is not None:
            waiter.set_exception(failure)

    async def close(self) -> None:
        """Say goodbye to the server on every session that is free."""
        await asyncio.gather(*(session.close() for session in self._free))

    def break_off(self) -> list[asyncio.Task[None]]:
        """Drop what is free and call off what is being opened; those tasks, to be waited for."""
        for session in self._free:
            session.drop()
        for task in self._opening:
            task.cancel()
        return list(self._opening)
