"""Listening: uvicorn with the deadlines and caps it lacks, for the operators' API and the inbound listener.

uvicorn never closes a connection whose headers trickle in, nor one whose body does; each would hold a socket for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0
BODY_SECONDS = 60.0
MOST_CONNECTIONS = 500
MOST_HEADER_BYTES = 32 * 1024


class DeadlineProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose headers must be complete in ten seconds and no larger than 32 KiB."""

    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _in_headers = True

    def connection_made(self, transport: Any) -> None:
        """A client has connected: it has a few seconds to say what it wants."""
        super().connection_made(transport)
        self._begin_deadline()

    def _begin_deadline(self) -> None:
        self._in_headers, self._header_bytes = True, 0
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def _too_slow(self) -> None:
        if self._in_headers and self.transport is not None and not self.transport.is_closing():
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Count header bytes before they are parsed."""
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > MOST_HEADER_BYTES and b"\r\n\r\n" not in data:
                self.transport.abort()
                return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Headers are there: the deadline has done its work."""
        self._in_headers = False
        if self._deadline is not None:
            self._deadline.cancel()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """The next request of a kept connection begins."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self._in_headers, self._header_bytes = True, 0

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)


class Listener:
    """One listening address of the daemon. It installs no signal handlers: the daemon decides when it ends."""

    def __init__(self, app: Any, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=DeadlineProtocol,
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=True,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=5,
            )
        )
        self._task: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port that is listened on, also when 0 was asked for."""
        assert self._socket is not None  # noqa: S101 - only asked after start
        return int(self._socket.getsockname()[1])

    async def start(self) -> None:
        """Listen. Raises OSError when the address is taken or not ours."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((self._host.strip("[]"), self._port))
        except OSError:
            self._socket.close()
            raise
        self._server.config.load()
        self._task = asyncio.create_task(self._serve())
        while not self._server.started and not self._task.done():
            await asyncio.sleep(0.01)

    async def _serve(self) -> None:
        # `serve` would install signal handlers; the daemon has its own.
        with contextlib.suppress(asyncio.CancelledError):
            await self._server._serve([self._socket])  # noqa: SLF001 - uvicorn offers no public way without signal handlers

    async def stop(self) -> None:
        """Take no more connections and let running requests end."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
