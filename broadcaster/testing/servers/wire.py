"""A lean HTTP/1.1 connection on asyncio and httptools, able to misbehave.

The standard library's ``http.server`` spends a thread and about a millisecond on each message; the
bulk path needs thousands a second, and a hang or a drip is one line on an event loop.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import deque
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Protocol

import httptools

from broadcaster.testing.servers.exchange import Reply, Request, text_reply
from broadcaster.testing.servers.faults import Fault, Reset

BODY_CAP = 16 * 1024 * 1024


class Listener(Protocol):
    """What a connection needs from the far end behind it."""

    connections: set[Connection]
    released: asyncio.Event

    def meet(self, request: Request) -> Fault | None:
        """Called when the headers are read: which fault, if any, befalls this request."""

    def take(self, request: Request, *, perform: bool) -> Reply | Awaitable[Reply]:
        """Record a whole request; the true answer, carried out when ``perform``."""


class Connection(asyncio.Protocol):
    """One connection: keep-alive, pipelined requests answered in order."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._parser = httptools.HttpRequestParser(self)
        self._ready: deque[tuple[Request, Fault | None, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._request: Request | None = None
        self._fault: Fault | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._listener.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._listener.connections.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._closed:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.write(text_reply("Bad Request", 400).encode())
            self.close()

    # -- what the parser reports ------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body, self._size = b"", {}, [], 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, content: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = content.decode("latin-1")

    def on_headers_complete(self) -> None:
        path, _, query = self._url.decode("latin-1").partition("?")
        self._request = Request(
            self._parser.get_method().decode(),
            path,
            query,
            self._headers,
            time.monotonic(),
            datetime.now(UTC),
        )
        self._fault = self._listener.meet(self._request)
        if self._fault is not None and self._fault.reset is Reset.BEFORE_BODY:
            self._listener.take(self._request, perform=False)
            self.reset()
        elif self._fault is not None and self._fault.deaf:
            self._listener.take(self._request, perform=False)
            self._closed = True
            self._transport.pause_reading()
            self._task = asyncio.get_running_loop().create_task(self._reset_when_released())
        elif self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size <= BODY_CAP:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._closed or self._request is None:
            return
        self._request.body = b"".join(self._body)
        self._ready.append((self._request, self._fault, self._parser.should_keep_alive()))
        self._advance()

    # -- answering --------------------------------------------------------------------------

    def _advance(self) -> None:
        while self._ready and self._task is None and not self._closed:
            request, fault, keep = self._ready.popleft()
            later: Awaitable[Reply | None]
            if fault is None:
                answer = self._listener.take(request, perform=True)
                if isinstance(answer, Reply):
                    self._send(answer, keep)
                    continue
                later = answer
            else:
                later = self._suffer(request, fault)
            self._task = asyncio.get_running_loop().create_task(self._finish(later, keep))

    async def _finish(self, answer: Awaitable[Reply | None], keep: bool) -> None:
        reply = await answer
        self._task = None
        if reply is not None and not self._closed:
            self._send(reply, keep)
        self._advance()

    async def _suffer(self, request: Request, fault: Fault) -> Reply | None:
        """Let ``fault`` happen to ``request``; None when nothing is left to answer."""
        answer = self._listener.take(request, perform=fault.performs)
        reply = answer if isinstance(answer, Reply) else await answer
        if fault.hangs:
            await self._listener.released.wait()
            if not fault.performs:
                self.reset()
                return None
        if fault.delay:
            await asyncio.sleep(fault.delay)
        reply = fault.reply or reply
        if fault.reset is Reset.MID_ANSWER:
            whole = reply.encode()
            self._transport.write(whole[: len(whole) // 2])
            await asyncio.sleep(0.01)  # a reset drops what the kernel has not sent yet
        if fault.reset is not None:
            self.reset()
            return None
        if fault.drip:
            await self._drip(reply, fault.drip)
            return None
        return reply

    async def _drip(self, reply: Reply, every: float) -> None:
        for byte in reply.encode():
            self._transport.write(bytes((byte,)))
            await asyncio.sleep(every)

    async def _reset_when_released(self) -> None:
        await self._listener.released.wait()
        self.reset()

    def _send(self, reply: Reply, keep: bool) -> None:
        self._transport.write(reply.encode())
        if not keep:
            self.close()

    def close(self) -> None:
        """Close after what is written has gone out."""
        self._closed = True
        self._transport.close()

    def reset(self) -> None:
        """Tear the connection down with a TCP reset, not an orderly end."""
        self._closed = True
        raw = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
