"""A TCP proxy that spoils what it passes on: between us and a far end that is itself in good order.

The stand-ins of `broadcaster.testing.servers` misbehave as servers do; this does as networks do, at any byte. ::

    with SmsGateway() as far, FaultProxy(far.port) as proxy:
        proxy.trouble = strike(ANSWER, at=END_OF_HEAD, by=RESET)
        ...  # call proxy.url
        proxy.trouble = None  # healed: what was broken stays broken, the next connection is whole

A trouble holds for connections accepted, and bytes read, after it was set. Only loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Self

_CHUNK = 64 * 1024
END_OF_HEAD = b"\r\n\r\n"
"""For `strike`: just behind the head of an HTTP request or answer."""


class Side(Enum):
    """Which way bytes go."""

    REQUEST = "request"
    ANSWER = "answer"


class End(Enum):
    """How a connection ends: reset, closed in order (FIN), or still there and for ever silent (its peer is gone)."""

    RESET = "reset"
    CLOSE = "close"
    SILENCE = "silence"


REQUEST, ANSWER = Side.REQUEST, Side.ANSWER
RESET, CLOSE, SILENCE = End.RESET, End.CLOSE, End.SILENCE


@dataclass(frozen=True, slots=True)
class Trouble:
    """One way in which the network is bad; made by the functions below.

    `accepts` False: connections are never completed. `reads` False: they are, and nothing is ever read from them.
    `latency` and `jitter` are seconds before each piece, `piece` the most bytes in one, on `side` or (None) on both.
    `at`: how many bytes, or behind which bytes, the connection comes to its `end` on `side`.
    """

    side: Side | None = None
    latency: float = 0.0
    jitter: float = 0.0
    piece: int = _CHUNK
    at: int | bytes | None = None
    end: End = End.RESET
    accepts: bool = True
    reads: bool = True

    def slows(self, side: Side) -> bool:
        """Whether pieces on this side wait."""
        return bool(self.latency or self.jitter) and self.side in (None, side)

    def pause(self) -> float:
        """Seconds before the next piece."""
        return self.latency + random.random() * self.jitter  # noqa: S311 - jitter, not a secret


def slow(latency: float, jitter: float = 0.0) -> Trouble:
    """Everything takes so many seconds longer each way, and up to `jitter` more."""
    return Trouble(latency=latency, jitter=jitter)


def dripping(side: Side, size: int, every: float) -> Trouble:
    """No more than `size` bytes each `every` seconds."""
    return Trouble(side=side, latency=every, piece=size)


def strike(side: Side, at: int | bytes, by: End = End.RESET) -> Trouble:
    """The connection comes to its end after `at` bytes of this side, or just behind these bytes.

    `strike(ANSWER, 0)`: the far end has the whole request and has answered, and no byte of it comes back.
    """
    return Trouble(side=side, at=at, end=by)


def deaf() -> Trouble:
    """Connections are accepted; nothing is read from them, nothing comes."""
    return Trouble(reads=False)


def not_accepting() -> Trouble:
    """The queue of connections is full: a new one is neither accepted nor refused."""
    return Trouble(accepts=False)


class FaultProxy:
    """Listens on a loopback port and passes on to `port`; runs on a thread of its own while it is entered.

    `url` is where to call. `trouble` may be set at any time, from any thread. `accepted` counts connections.
    """

    def __init__(self, port: int, trouble: Trouble | None = None) -> None:
        self._to = port
        self._trouble = trouble
        self.accepted = 0
        self.reads = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._fillers: list[socket.socket] = []

    @property
    def url(self) -> str:
        """Where to call, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def trouble(self) -> Trouble | None:
        """What is wrong now; None: all is well."""
        return self._trouble

    @trouble.setter
    def trouble(self, trouble: Trouble | None) -> None:
        self._trouble = trouble
        asyncio.run_coroutine_threadsafe(self._heed(), self._loop).result(10)

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listening.setblocking(False)
        self.port = int(self._listening.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="fault proxy", daemon=True
        )
        self._thread.start()
        self.trouble = self._trouble
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- connections --------------------------------------------------------------------------------------------------
    async def _heed(self) -> None:
        """Accept, or let the queue of the listening socket fill up so that the kernel answers nobody."""
        trouble = self._trouble or Trouble()
        self.reads.set() if trouble.reads else self.reads.clear()
        self._loop.remove_reader(self._listening)
        if not trouble.accepts:
            self._listening.listen(0)
            self._fill()
            return
        self._listening.listen(1024)
        while self._fillers:
            self._fillers.pop().close()
        self._loop.add_reader(self._listening, self._accept)

    def _fill(self) -> None:
        while len(self._fillers) < 2:
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            while True:
                client, _ = self._listening.accept()
                self.accepted += 1
                task = self._loop.create_task(self._meet(client))
                self._tasks.add(task)
                task.add_done_callback(partial(self._over, client))

    def _over(self, client: socket.socket, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        client.close()

    async def _meet(self, client: socket.socket) -> None:
        far = socket.socket()
        connection = _Connection(self, client, far)
        try:
            client.setblocking(False)
            far.setblocking(False)
            await self._loop.sock_connect(far, ("127.0.0.1", self._to))
            await connection.pass_on()
        except OSError:
            pass  # either of the two is gone: so is the other, now
        finally:
            client.close()
            far.close()

    async def _end(self) -> None:
        self._loop.remove_reader(self._listening)
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for open_socket in (self._listening, *self._fillers):
            open_socket.close()


class _Connection:
    """Two sockets and what passes between them."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, far: socket.socket) -> None:
        self._proxy = proxy
        self._client, self._far = client, far

    async def pass_on(self) -> None:
        """Until one side ends, or the trouble has ended it."""
        ways = {
            asyncio.ensure_future(self._way(REQUEST, self._client, self._far)),
            asyncio.ensure_future(self._way(ANSWER, self._far, self._client)),
        }
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _way(self, side: Side, source: socket.socket, target: socket.socket) -> None:
        loop, since, seen = asyncio.get_running_loop(), self._proxy.trouble, b""
        while True:
            await self._proxy.reads.wait()
            content = await loop.sock_recv(source, _CHUNK)
            if not content:
                return
            trouble = self._proxy.trouble
            if trouble is None or trouble.at is None or trouble.side is not side:
                await self._give(side, content, target)
                continue
            if trouble is not since:
                since, seen = trouble, b""
            before, seen = len(seen), seen + content
            last = _last(trouble.at, seen)
            await self._give(side, content if last is None else content[: last - before], target)
            if last is not None:
                await self._strike(trouble.end)
                return

    async def _give(self, side: Side, content: bytes, target: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while content:
            trouble = self._proxy.trouble
            if trouble is None or not trouble.slows(side):
                await loop.sock_sendall(target, content)
                return
            await asyncio.sleep(trouble.pause())
            await loop.sock_sendall(target, content[: trouble.piece])
            content = content[trouble.piece :]

    async def _strike(self, end: End) -> None:
        if end is SILENCE:
            # The far end must not learn of it either; both ways stand still until the proxy ends.
            await asyncio.Event().wait()
        if end is RESET:
            for each in (self._client, self._far):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _last(at: int | bytes, seen: bytes) -> int | None:
    """After which byte of `seen` the trouble strikes, or None when it does not yet."""
    if isinstance(at, int):
        return at if len(seen) >= at else None
    place = seen.find(at)
    return None if place < 0 else place + len(at)
