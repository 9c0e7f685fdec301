"""Carries delivery reports to the addresses that callers named, on this machine only."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools

DEADLINE = 10.0
LANES = 8


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to make.

    ``url`` is absolute and plain HTTP; a user and password in it become Basic authentication.
    """

    url: str
    method: str = "POST"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """The bytes that go over the wire."""
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"{self.method} {target} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}"]
        if parts.username:
            basic = f"{parts.username}:{parts.password or ''}".encode()
            lines.append(f"Authorization: Basic {base64.b64encode(basic).decode()}")
        lines += [f"{name}: {content}" for name, content in self.headers]
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode("latin-1", "replace") + self.body


def on_this_machine(url: str) -> bool:
    """Whether ``url`` is plain HTTP to a loopback address: nothing else is ever called."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
        return parts.scheme == "http" and (
            host == "localhost" or ipaddress.ip_address(host).is_loopback
        )
    except ValueError:
        return False


class _Answer:
    """Collects one response; ``httptools`` calls the methods."""

    def __init__(self) -> None:
        self.done = False

    def on_message_complete(self) -> None:
        self.done = True


class Courier:
    """Makes calls over kept connections. Calls with the same key go one after another, in order."""

    def __init__(self) -> None:
        self._lanes = [asyncio.Queue[tuple[Call, asyncio.Future[int]]]() for _ in range(LANES)]
        self._tasks = [asyncio.create_task(self._work(lane)) for lane in self._lanes]

    def send(self, key: str, call: Call) -> asyncio.Future[int]:
        """Queue a call; the future becomes the status code, 0 when no answer came."""
        outcome: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if on_this_machine(call.url):
            self._lanes[hash(key) % LANES].put_nowait((call, outcome))
        else:
            outcome.set_result(0)
        return outcome

    async def stop(self) -> None:
        """End; what is still queued is not sent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, lane: asyncio.Queue[tuple[Call, asyncio.Future[int]]]) -> None:
        line = _Line()
        try:
            while True:
                call, outcome = await lane.get()
                try:
                    async with asyncio.timeout(DEADLINE):
                        status = await line.make(call)
                except (OSError, TimeoutError, httptools.HttpParserError):
                    line.drop()
                    status = 0
                if not outcome.done():
                    outcome.set_result(status)
        finally:
            line.drop()


class _Line:
    """One kept connection to whichever host was called last."""

    def __init__(self) -> None:
        self._peer: tuple[str, int] | None = None
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None

    async def make(self, call: Call) -> int:
        parts = urlsplit(call.url)
        peer = (parts.hostname or "", parts.port or 80)
        kept = self._writer is not None and self._peer == peer
        if not kept:
            await self._connect(peer)
        try:
            return await self._exchange(call)
        except ConnectionError:
            if not kept:
                raise
            # The other side may close a kept connection at any time: once more on a fresh one.
            await self._connect(peer)
            return await self._exchange(call)

    async def _connect(self, peer: tuple[str, int]) -> None:
        self.drop()
        self._reader, self._writer = await asyncio.open_connection(*peer)
        self._peer = peer

    async def _exchange(self, call: Call) -> int:
        assert self._writer is not None
        self._writer.write(call.encode())
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        while not answer.done:
            chunk = await self._reader.read(65536)
            if not chunk:
                raise ConnectionResetError
            parser.feed_data(chunk)
        if not parser.should_keep_alive():
            self.drop()
        return parser.get_status_code()

    def drop(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None
