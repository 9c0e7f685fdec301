"""A far end in a process of its own that notes when each request came: `python -m tests.bench.farend PORT`.

The path says what it does: `/delay50/…` answers after 50 ms, anything else at once. `GET /log` gives what arrived since
the last time as lines of `path key seconds`, the seconds by the machine's monotonic clock, which all processes share;
`GET /count` gives how many requests came in all. A key is the letter's reference, or the number after "Nr" in a text.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from typing import Any, ClassVar

_LENGTH = re.compile(rb"(?i)content-length: ([0-9]+)")
_REFERENCE = re.compile(rb'"ref": ?"([^"]+)"')
_NUMBER = re.compile(rb"Nr ([0-9]+)")
_DELAY = re.compile(rb"/delay([0-9]+)")
_ANSWER = b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"id":"m1"}'


class FarEnd(asyncio.Protocol):
    """Knows just enough HTTP for our own clients and for wrk."""

    log: ClassVar[list[tuple[bytes, bytes, float]]] = []
    count: ClassVar[int] = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._rest = b""

    def data_received(self, chunk: bytes) -> None:
        self._rest += chunk
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._rest) < whole:
                if b"100-continue" in head.lower() and len(self._rest) == end + 4:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            body, self._rest = self._rest[end + 4 : whole], self._rest[whole:]
            self._take(head.split(b" ", 2)[1], body)

    def _take(self, path: bytes, body: bytes) -> None:
        if path in (b"/log", b"/count"):
            self._tell(path)
            return
        kind = type(self)
        kind.count += 1
        found = _REFERENCE.search(body) or _NUMBER.search(body)
        if found is not None:
            kind.log.append((path, found[1], time.monotonic()))
        delay = _DELAY.search(path)
        if delay is None:
            self._answer()
        else:
            asyncio.get_running_loop().call_later(int(delay[1]) / 1000, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(_ANSWER)

    def _tell(self, path: bytes) -> None:
        kind = type(self)
        if path == b"/count":
            said = b"%d" % kind.count
        else:
            told, kind.log = kind.log, []
            said = b"".join(b"%s %s %.6f\n" % each for each in told)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said)
        )


async def serve(port: int) -> None:
    """Listen until this process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(FarEnd, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
