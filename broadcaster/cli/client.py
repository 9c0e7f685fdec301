"""Talk to the daemon's API with the standard library: bounded in time and size, bearing the token to one address only."""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode, urlsplit

CONNECT = 4.0
"""Seconds to reach the daemon."""
ANSWER = 30.0
"""Seconds without a byte of the answer."""
WHOLE = 60.0
"""Seconds for a whole request, but not for an import or export."""
LONGEST = 64_000_000
"""Bytes an answer may have."""
PORT = 8070


class Unreachable(Exception):
    """No answer: `sent` says whether the request may have arrived. The message is the cause, in English."""

    def __init__(self, cause: str, *, sent: bool) -> None:
        super().__init__(cause)
        self.sent = sent


class BadAddress(ValueError):
    """The address of the daemon cannot be used; the message says why, in English."""


class Problem(Exception):
    """The daemon refused or failed: `document` is its problem document (RFC 9457)."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        super().__init__(str(document.get("detail") or document.get("title") or f"HTTP {status}"))
        self.status = status
        self.document = dict(document)


@dataclass(frozen=True, slots=True)
class Client:
    """One daemon and one token. `language` is what its sentences are asked for in."""

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
        with self._connected() as connection, _deadline(connection, WHOLE):
            response = _exchange(connection, method, path, content, self._headers() | named)
            return _read(response)

    def lines(self, path: str) -> Iterator[bytes]:
        """Read an answer that may be long, line by line."""
        with self._connected() as connection:
            response = _exchange(connection, "GET", path, None, self._headers())
            _check(response)
            yield from _lines(response)

    def upload(self, path: str, file: Path, kind: str) -> Iterator[dict[str, Any]]:
        """Send a file of any size while the daemon's lines of JSON come back."""
        with file.open("rb") as source, self._connected() as connection:
            headers = {"Content-Type": kind, "Content-Length": str(file.stat().st_size)}
            _begin(connection, path, self._headers() | headers)
            sending = threading.Thread(target=_pour, args=(source, connection), daemon=True)
            sending.start()
            response = _answer(connection)
            _check(response)
            for line in _lines(response):
                if line.strip():
                    yield json.loads(line)
            sending.join()

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "Accept-Language": self.language}
        return headers | ({"Authorization": f"Bearer {self.token}"} if self.token else {})

    def _connected(self) -> closing[http.client.HTTPConnection]:
        host, port, secure = _endpoint(self.server)
        connection: http.client.HTTPConnection
        if secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, port, timeout=CONNECT, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=CONNECT)
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unreachable(_cause(error), sent=False) from error
        connection.sock.settimeout(ANSWER)
        return closing(connection)


def address(*path: str, **query: object) -> str:
    """The path of an API resource with its query."""
    given = {name: value for name, value in query.items() if value not in (None, "", False)}
    said = {name: "true" if value is True else value for name, value in given.items()}
    tail = f"?{urlencode(said, doseq=True)}" if said else ""
    return "/api/v1/" + "/".join(quote(part, safe="") for part in path) + tail


def normal(server: str) -> str:
    """The server as it is compared and kept: scheme, host and port.

    Raises:
        BadAddress: it is no http or https address, or would carry the token in clear over the internet.
    """
    written = server.strip().rstrip("/")
    if "://" not in written:
        written = f"http://{written}"
    host, port, secure = _endpoint(written)
    if not secure and not _is_near(host):
        raise BadAddress(f"{server}: the token would travel unprotected: write https://")
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{shown}:{port}"


def _endpoint(server: str) -> tuple[str, int, bool]:
    try:
        parts = urlsplit(server)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadAddress(f"{server}: {error}") from error
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.path:
        raise BadAddress(f"{server} is not the address of a daemon: write https://host:port")
    secure = parts.scheme == "https"
    return host, port or (443 if secure else PORT), secure


def _is_near(host: str) -> bool:
    """Whether a host is on this machine or a private network: an address of one, or a name without a dot."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_private
    return "." not in host or host.endswith((".localhost", ".local", ".internal"))


@contextmanager
def _deadline(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """Break off after `seconds`: a time-out of the socket alone lets an answer drip for ever."""
    watch = threading.Timer(seconds, _break_off, [connection.sock])
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


def _break_off(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    content: bytes | None,
    headers: Mapping[str, str],
) -> http.client.HTTPResponse:
    try:
        connection.request(method, path, content, dict(headers))
    except OSError as error:  # it may have read the whole request before it broke off
        raise Unreachable(_cause(error), sent=True) from error
    return _answer(connection)


def _begin(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> None:
    try:
        connection.putrequest("POST", path)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
    except OSError as error:
        raise Unreachable(_cause(error), sent=False) from error


def _pour(source: BinaryIO, connection: http.client.HTTPConnection) -> None:
    """Send the file; when the daemon stops reading, its answer says why."""
    with suppress(OSError):
        while chunk := source.read(256 * 1024):
            connection.send(chunk)


def _answer(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    try:
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(_cause(error), sent=True) from error


def _read(response: http.client.HTTPResponse) -> Any:
    _check(response)
    content = _content(response)
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        raise Problem(502, {"title": "The answer is not JSON: is this the daemon?"}) from error


def _content(response: http.client.HTTPResponse) -> bytes:
    try:
        content = response.read(LONGEST + 1)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(_cause(error), sent=True) from error
    if len(content) <= LONGEST and response.length:
        raise Unreachable("the answer is not whole", sent=True)
    if len(content) > LONGEST:
        raise Problem(502, {"title": f"The answer is longer than {LONGEST} bytes."})
    return content


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while line := response.readline(LONGEST):
            yield line
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(_cause(error), sent=True) from error


def _check(response: http.client.HTTPResponse) -> None:
    """Raise what the daemon said when it is no success."""
    if 200 <= response.status < 300:
        return
    try:
        document = json.loads(_content(response))
    except ValueError:
        document = None
    if not isinstance(document, dict):
        document = {"title": f"HTTP {response.status} {response.reason}"}
    raise Problem(response.status, document)


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return "the name is not known"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
