"""How much a request's body may be and how long it may take, whatever the application does with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broadcaster.api.problems import crowded
from broadcaster.service.desk import Desk

MOST_BYTES = 2**20
BODY_SECONDS = 60.0
_DRAINED = 8 * 2**20
_DRAIN_SECONDS = 2.0


class Bounds:
    """A body has a mebibyte and a minute. On paths in `streams` it may be of any size as long as it goes on coming.

    Whoever is refused before he has sent everything is heard out a little, so that he reads the answer, and cut off.
    """

    def __init__(
        self,
        app: ASGIApp,
        streams: frozenset[str],
        is_crowded: Callable[[], bool],
        desk: Desk | None,
    ) -> None:
        self._app, self._streams, self._is_crowded, self._desk = app, streams, is_crowded, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, its body bounded."""
        if scope["type"] != "http":
            return
        if self._is_crowded():
            await crowded(Request(scope), self._desk)(scope, receive, send)
            return
        body = _Body(scope, receive, streamed=scope["path"] in self._streams)
        await self._app(scope, body.receive, body.closing(send))


class _Body:
    """One request's body on its way in."""

    def __init__(self, scope: Scope, receive: Receive, *, streamed: bool) -> None:
        headers = Headers(scope=scope)
        self._receive, self._streamed = receive, streamed
        self._size = 0
        self._until = time.monotonic() + BODY_SECONDS
        # An ASGI server says that an empty body is complete only when it is asked.
        self._complete = "transfer-encoding" not in headers and headers.get(
            "content-length", "0"
        ) in ("", "0")

    async def receive(self) -> Message:
        """The next piece.

        Raises:
            HTTPException: 413, it is too large; 408, it did not come in time.
        """
        if self._complete:
            return await self._receive()
        if self._streamed:
            self._until = time.monotonic() + BODY_SECONDS
        try:
            message = await asyncio.wait_for(self._receive(), self._until - time.monotonic())
        except TimeoutError:
            raise HTTPException(408) from None
        self._note(message)
        if self._size > MOST_BYTES and not self._streamed:
            raise HTTPException(413)
        return message

    def _note(self, message: Message) -> None:
        self._size += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)

    def closing(self, send: Send) -> Send:
        """`send`, closing the connection when the answer begins before the body has ended."""

        async def closing(message: Message) -> None:
            begins = message["type"] == "http.response.start"
            # A good answer to a stream begins while its body is read, and then reads it to its end.
            if begins and not self._complete and not (self._streamed and message["status"] < 300):
                if not self._streamed:
                    await self._drain()
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        return closing

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while not self._complete and self._size < _DRAINED:
                    self._note(await self._receive())
        except TimeoutError:
            return
