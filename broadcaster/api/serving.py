"""Listening: uvicorn with the deadlines and caps it lacks, for the operators' API and the inbound listener.

uvicorn never closes a connection whose headers trickle in, nor one that does not read its answer; each would hold a
socket for ever. What a request's body may do is in `bounds`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from broadcaster.api.bounds import Bounds

HEADER_SECONDS = 10.0
UNREAD_SECONDS = 60.0
MOST_CONNECTIONS = 500
MOST_HEADER_BYTES = 32 * 1024
HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
"""On every answer, also on those that uvicorn makes itself; an answer that names one of them itself has its own."""


class DeadlineProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose headers come complete in ten seconds and within 32 KiB, and whose answers are read."""

    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _requests = 0
    _awaiting_headers = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """A client has connected: it has a few seconds to say what it wants."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that every byte that is not taken is noticed
        self._begin_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._end_deadline()
        self.resume_writing()
        super().connection_lost(exc)

    # ------------------------------------------------------------------------------------------------------- headers
    def _begin_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not getattr(self.cycle, "response_complete", True):
            self._begin_deadline()  # an earlier request of this connection is still being answered
        else:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes of a next request begin its deadline: uvicorn lets each of them reset the keep-alive time."""
        awaited, begun = self._awaiting_headers, self._requests
        if awaited:
            self._begin_deadline()
        super().data_received(data)
        if awaited and self._requests == begun:
            self._count(len(data))

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MOST_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers are too large.")

    def on_message_begin(self) -> None:
        """A request begins, maybe in the same bytes in which the one before ended."""
        self._begin_deadline()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count what was parsed: a whole block of headers may come in one piece."""
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MOST_HEADER_BYTES:
            raise ValueError  # uvicorn answers 400 and closes
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Headers are there: the deadline has done its work."""
        self._awaiting_headers, self._header_bytes = False, 0
        self._requests += 1
        self._end_deadline()
        super().on_headers_complete()
        if self.cycle is not None:
            _own_headers_first(self.cycle)

    def on_message_complete(self) -> None:
        """The request is there: what comes now is the next one."""
        super().on_message_complete()
        self._awaiting_headers = True
        self._end_deadline()

    def on_response_complete(self) -> None:
        """An answer that did not wait for the end of its request waits for it no longer than for headers."""
        super().on_response_complete()
        if not self._awaiting_headers:
            self._begin_deadline()

    # ------------------------------------------------------------------------------------------------------- answers
    def pause_writing(self) -> None:
        """The client does not read as fast as we answer."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()


def _own_headers_first(cycle: RequestResponseCycle) -> None:
    """Leave out of ours what an answer says itself: two policies would both hold (CSP 3 §8.1)."""
    send = cycle.send

    async def own(message: Any) -> None:
        if message["type"] == "http.response.start":
            said = {name.lower() for name, _ in message.get("headers", ())}
            cycle.default_headers = [
                each for each in cycle.default_headers if each[0].lower() not in said
            ]
        await send(message)

    cycle.send = own  # type: ignore[method-assign]  # uvicorn offers no hook between an answer and its headers


class Listener:
    """One listening address of the daemon. It installs no signal handlers: the daemon decides when it ends.

    Args:
        app: an ASGI application; paths in its `state.streams` take a body of any size, `state.desk` says in which language
            one connection too many is refused.
    """

    def __init__(self, app: Any, host: str, port: int) -> None:
        self._host, self._port = host.strip("[]"), port
        streams = frozenset(getattr(app.state, "streams", ()))
        self._server = uvicorn.Server(
            uvicorn.Config(
                Bounds(app, streams, self._is_crowded, getattr(app.state, "desk", None)),
                http=DeadlineProtocol,
                ws="none",
                loop="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                headers=list(HEADERS),
                timeout_keep_alive=30,
                timeout_graceful_shutdown=5,
            )
        )
        self._task: asyncio.Task[None] | None = None
        self.port = port

    def _is_crowded(self) -> bool:
        return len(self._server.server_state.connections) > MOST_CONNECTIONS

    async def start(self) -> None:
        """Listen; `port` is then the one that is listened on, also when 0 was asked for.

        Raises:
            OSError: the address is taken or not ours.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # Said to be TCP: only then asyncio sends at once what is written. Otherwise the body of an answer waits until its
        # headers are acknowledged, which a connection that is kept puts off by 40 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self._host, self._port))
            listening.listen()
        except OSError:
            listening.close()
            raise
        self.port = int(listening.getsockname()[1])
        self._task = asyncio.create_task(self._serve(listening))
        while not self._server.started and not self._task.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)

    async def _serve(self, listening: socket.socket) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            # `serve` would install signal handlers; the daemon has its own.
            await self._server._serve([listening])  # noqa: SLF001 - uvicorn offers no public way without them

    async def stop(self) -> None:
        """Take no more connections and let running requests end, at most five seconds."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
