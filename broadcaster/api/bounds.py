"""How much a request's body may be and how long it may take, whatever the application does with it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 2**20
BODY_SECONDS = 60.0
_DRAINED = 8 * 2**20
_DRAIN_SECONDS = 2.0


class Bounds:
    """A body has a mebibyte and a minute. On paths in `streams` it may be of any size as long as it goes on coming.

    Whoever is refused before he has sent everything is heard out a little, so that he reads the answer, and cut off.
    """

    def __init__(self, app: ASGIApp, streams: frozenset[str], crowded: Callable[[], bool]) -> None:
        self._app, self._streams, self._crowded = app, streams, crowded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, its body bounded."""
        if scope["type"] != "http":
            return
        if self._crowded():
            await _refuse_crowd(send)
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


async def _refuse_crowd(send: Send) -> None:
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "Too many connections at once. Try again in a moment.",
    }
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"retry-after", b"2"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(document).encode()})
