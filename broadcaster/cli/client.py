"""One daemon's API as a command uses it. What moves the bytes is imported when a command asks: `--help` starts lean."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broadcaster.cli.addressing import address


@dataclass(frozen=True, slots=True)
class Client:
    """One daemon and one token. `language` is what its sentences are asked for in; "" is its own first one."""

    server: str
    token: str = field(default="", repr=False)
    language: str = "en"

    def get(self, *path: str, **query: object) -> Any:
        """Read; the parts of the path are quoted, empty parts of the query left out."""
        return self.ask("GET", address(*path, **query))

    def post(self, *path: str, body: object = None, **headers: str) -> Any:
        """Send a body and read the answer; `if_match="2"` becomes the header If-Match."""
        return self.ask("POST", address(*path), body, headers)

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Send one request and read its JSON.

        Raises:
            Unreachable: there was no answer.
            Problem: the answer is no success.
        """
        content = None if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-").title(): value for name, value in (headers or {}).items()}
        if content is not None:
            named["Content-Type"] = "application/json"
        from broadcaster.cli import wire

        with wire.connected(self.server) as connection, wire.deadline(connection, wire.WHOLE):
            response = wire.exchange(connection, method, path, content, self._headers() | named)
            return wire.read_json(response)

    def lines(self, path: str) -> Iterator[bytes]:
        """Read an answer that may be long, line by line."""
        from broadcaster.cli import wire

        with wire.connected(self.server) as connection:
            response = wire.exchange(connection, "GET", path, None, self._headers())
            wire.check(response)
            yield from wire.lines(response)

    def upload(self, path: str, file: Path, kind: str) -> Iterator[dict[str, Any]]:
        """Send a file of any size while the daemon's lines of JSON come back."""
        from broadcaster.cli import wire

        with file.open("rb") as source, wire.connected(self.server) as connection:
            headers = {"Content-Type": kind, "Content-Length": str(file.stat().st_size)}
            wire.begin(connection, path, self._headers() | headers)
            sending = threading.Thread(target=wire.pour, args=(source, connection), daemon=True)
            sending.start()
            response = wire.answer(connection)
            wire.check(response)
            for line in wire.lines(response):
                if line.strip():
                    yield json.loads(line)
            sending.join()

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        headers |= {"Accept-Language": self.language} if self.language else {}
        return headers | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
