"""What passes between a far end and its caller: a request, a reply, an effect, a fault."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl


@dataclass(slots=True)
class Request:
    """One request as it arrived.

    ``path`` is decoded of nothing and carries no query; ``headers`` has lower-case names, the
    last of a repeated header wins. ``received`` is monotonic seconds, ``received_at`` UTC.
    ``root`` is where the far end is mounted ("" or "/mastodon").
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    received: float
    received_at: datetime
    body: bytes = b""
    root: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        """The query string as names and values; the last of a repeated name wins."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def form(self) -> dict[str, str]:
        """The body as a form (application/x-www-form-urlencoded, UTF-8)."""
        text = self.body.decode("utf-8", "replace")
        return dict(parse_qsl(text, keep_blank_values=True))

    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is none."""
        return json.loads(self.body)

    def fields(self) -> dict[str, Any]:
        """The body as names and values, whether it came as a form or as a JSON object.

        Raises ValueError when it says JSON and is none, or is no object.
        """
        if "json" not in self.headers.get("content-type", ""):
            return dict(self.form())
        content = self.json()
        if not isinstance(content, dict):
            raise ValueError("the JSON body is not an object")  # noqa: TRY004 - one kind for callers
        return content

    def bearer(self) -> str:
        """The token after ``Authorization: Bearer`` (or ``Token``), "" when there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() in ("bearer", "token") else ""

    def basic(self) -> tuple[str, str] | None:
        """User and password of HTTP Basic authentication (RFC 7617), None when there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, _, password = b64decode(token, validate=True).decode().partition(":")
        except (Base64Error, UnicodeDecodeError):
            return None
        return user, password


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status code, body bytes, headers. Content-Length is added when it is sent."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """The bytes that go over the wire (HTTP/1.1)."""
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Unknown"
        lines = [f"HTTP/1.1 {self.status} {phrase}"]
        lines += [f"{name}: {content}" for name, content in self.headers]
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode("latin-1", "replace") + self.body


JSON_TYPE = ("Content-Type", "application/json; charset=utf-8")
TEXT_TYPE = ("Content-Type", "text/plain; charset=utf-8")
HTML_TYPE = ("Content-Type", "text/html; charset=utf-8")


def json_reply(content: object, status: int = 200, *headers: tuple[str, str]) -> Reply:
    """A reply whose body is ``content`` as JSON."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(status, body, (JSON_TYPE, *headers))


def text_reply(text: str, status: int = 200) -> Reply:
    """A reply of plain text."""
    return Reply(status, text.encode(), (TEXT_TYPE,))


def html_reply(page: str, status: int = 200) -> Reply:
    """A reply of an HTML page; the caller has escaped what needs it."""
    return Reply(status, page.encode(), (HTML_TYPE,))


class Routes:
    """Which function answers which request: rows of method, path with ``{id}`` parts, function.

    The function gets the request and, in order, what stood in the braces.
    """

    def __init__(self, *rows: tuple[str, str, Callable[..., Reply]]) -> None:
        self._rows = [
            (method, re.compile(re.sub(r"\\{\w+\\}", "([^/]+)", re.escape(path))), answer)
            for method, path, answer in rows
        ]

    def answer(self, request: Request) -> Reply | None:
        """The answer of the first row that fits, None when none does."""
        for method, path, answer in self._rows:
            found = path.fullmatch(request.path) if method == request.method else None
            if found:
                return answer(request, *found.groups())
        return None


@dataclass(frozen=True, slots=True)
class Effect:
    """Something the outside world noticed: a text on a phone, a status, a deletion.

    This, not the requests, is what lost and duplicate messages are judged by.
    ``server`` and ``kind`` say what ("sms" "sms", "mastodon" "status" …), ``to`` whom, ``id`` the far
    side's id, ``at`` when (UTC), ``more`` what else that far side knows (encoding, parts …).
    """

    server: str
    kind: str
    id: str
    text: str
    at: datetime
    to: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """The effect as one line of JSON, for the journal."""
        return json.dumps(
            {
                "server": self.server,
                "kind": self.kind,
                "id": self.id,
                "to": self.to,
                "text": self.text,
                "at": self.at.isoformat(),
                **({"more": self.more} if self.more else {}),
            },
            ensure_ascii=False,
        )

    @classmethod
    def parse(cls, line: str) -> Effect:
        """Read back what ``line`` wrote. Raises ValueError or KeyError for anything else."""
        row = json.loads(line)
        return cls(
            server=row["server"],
            kind=row["kind"],
            id=row["id"],
            text=row["text"],
            at=datetime.fromisoformat(row["at"]),
            to=row["to"],
            more=row.get("more", {}),
        )
