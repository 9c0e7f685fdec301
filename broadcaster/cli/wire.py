"""Bytes to the daemon and back by the standard library: bounded in time and size, no redirect followed, no proxy used."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any, BinaryIO

from broadcaster.cli.addressing import endpoint
from broadcaster.cli.failing import Problem, Unreachable

CONNECT = 4.0
"""Seconds to reach the daemon."""
ANSWER = 30.0
"""Seconds without a byte of the answer."""
WHOLE = 60.0
"""Seconds for a whole request, but not for an import or export."""
LONGEST = 64_000_000
"""Bytes an answer may have."""


def connected(server: str) -> closing[http.client.HTTPConnection]:
    """A connection to the daemon, closed at the end.

    Raises:
        Unreachable: there is none to be had; nothing was sent.
    """
    host, port, secure = endpoint(server)
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


@contextmanager
def deadline(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
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


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    content: bytes | None,
    headers: Mapping[str, str],
) -> http.client.HTTPResponse:
    """Send a request and wait for the head of its answer; raises Unreachable."""
    try:
        connection.request(method, path, content, dict(headers))
    except OSError as error:  # it may have read the whole request before it broke off
        raise Unreachable(_cause(error), sent=True) from error
    return answer(connection)


def begin(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> None:
    """Send the head of an upload; raises Unreachable."""
    try:
        connection.putrequest("POST", path)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
    except OSError as error:
        raise Unreachable(_cause(error), sent=False) from error


def pour(source: BinaryIO, connection: http.client.HTTPConnection) -> None:
    """Send the file; when the daemon stops reading, its answer says why."""
    with suppress(OSError):
        while chunk := source.read(256 * 1024):
            connection.send(chunk)


def answer(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    """Wait for the head of the answer; raises Unreachable."""
    try:
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(_cause(error), sent=True) from error


def read_json(response: http.client.HTTPResponse) -> Any:
    """The JSON of an answer; raises Problem and Unreachable."""
    check(response)
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


def lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The lines of an answer as they come; raises Unreachable."""
    try:
        while line := response.readline(LONGEST):
            yield line
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(_cause(error), sent=True) from error


def check(response: http.client.HTTPResponse) -> None:
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
