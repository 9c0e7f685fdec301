"""The listener: Granian in front, our look-up behind it, one thread that watches the directory."""

import asyncio
import logging
import logging.config
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from broadcaster.public.answer import Answer, answer, failure
from broadcaster.public.log import Form, configuration
from broadcaster.public.machine import bound_sending, leave_a_core, raise_file_limit
from broadcaster.public.questions import LONGEST, Questions, TooMany
from broadcaster.public.site import Site

_log = logging.getLogger("broadcaster.public")

SEND_TIMEOUT = 30.0  # seconds in which a reader must have taken something of its answer
HEADER_TIMEOUT = 10.0  # seconds; Granian ends idle keep-alive connections with it too
_HEADER_BYTES = 16 * 1024
_WATCH = 0.02  # seconds between two looks at the manifests; a look takes some 30 µs
_BACKLOG = 4096
_SPARE_FILES = 256
_CONNECTIONS = 20_000  # about 11 kB each when idle
_BODY = 5.0  # seconds in which a question must have arrived
_UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE
_DRAIN = 5  # seconds that running answers get at the end


class Front:
    """The RSGI application.

    `parent`: process id of Granian's main process, without which this worker ends. `send_timeout`: as in `serve`. `clock`: Unix
    seconds, decides which pages are overdue.
    """

    def __init__(
        self,
        directory: Path,
        *,
        parent: int,
        https: bool = False,
        send_timeout: float = SEND_TIMEOUT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._site = Site(directory)
        self._https = https
        self._send_timeout = send_timeout
        self._clock = clock
        self._parent = parent
        self._site.look()
        self._questions = Questions(lambda: self._site.table, https=https)

    def __rsgi_init__(self, loop: Any) -> None:
        """Start watching, in the worker process."""
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        try:
            found = await self._asked(scope, protocol) or answer(
                self._site.table,
                scope.method,
                scope.path,
                scope.headers.get,
                self._clock(),
                https=self._https,
            )
        except TooMany:
            found = failure(_UNAVAILABLE, ("retry-after", "5"), https=self._https)
        except Exception:  # noqa: BLE001 - a resident gets a calm page, never a broken connection
            _log.exception("a request could not be answered")
            found = failure(_UNAVAILABLE, ("retry-after", "5"), https=self._https)
        if found.body is None:
            protocol.response_empty(found.status, found.headers)
        else:
            protocol.response_bytes(found.status, found.headers, found.body)

    async def _asked(self, scope: Any, protocol: Any) -> Answer | None:
        """Answer what no file answers; None: a file does, or nothing."""
        path = scope.path
        if scope.method not in {"GET", "HEAD"} and self._questions.takes(path):
            if scope.method != "POST":
                allow = ("allow", "GET, HEAD, POST")
                return failure(HTTPStatus.METHOD_NOT_ALLOWED, allow, https=self._https)
            body = await _body(scope, protocol)
            if isinstance(body, HTTPStatus):
                return failure(body, ("connection", "close"), https=self._https)
            return await self._questions.place(path, body)
        if scope.method in {"GET", "HEAD"} and self._questions.concerns(path):
            query, header = scope.query_string, scope.headers.get
            return await self._questions.channel(path, query, header, self._clock())
        return None

    def _watch(self) -> None:
        is_bound = False
        while True:
            time.sleep(_WATCH)
            # Granian opens the listener after it has told us to begin, within some milliseconds.
            is_bound = is_bound or bound_sending(self._send_timeout) > 0
            if os.getppid() != self._parent:
                # Granian's main process was killed: an orphan would hold the port for ever.
                os.kill(os.getpid(), signal.SIGTERM)
                return
            try:
                self._site.look()
            except Exception:  # noqa: BLE001 - the pages in memory go on being served
                _log.exception("the public directory could not be read; the old pages stand")


async def _body(scope: Any, protocol: Any) -> bytes | HTTPStatus:
    """Read a short body that comes soon, else say what is wrong with it."""
    length = scope.headers.get("content-length") or "0"
    if not length.isdecimal() or int(length) > LONGEST:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    body = b""
    try:
        async with asyncio.timeout(_BODY):
            async for piece in protocol:
                body += piece
                if len(body) > LONGEST:
                    return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    except TimeoutError:
        return HTTPStatus.REQUEST_TIMEOUT
    return body


def serve(
    directory: Path,
    listen: str,
    *,
    https: bool = False,
    header_timeout: float = HEADER_TIMEOUT,
    send_timeout: float = SEND_TIMEOUT,
    log_format: Form = "console",
) -> None:
    """Serve `directory` on `listen` ("HOST:PORT") until SIGTERM; SIGHUP replaces the worker.

    `https`: residents come by https only, so send HSTS. `header_timeout`: seconds a client has for
    its request headers, at most 60 (Granian's limit). `send_timeout`: seconds after which the connection of a reader that
    takes nothing of its answer is ended. `log_format`: lines for people, or JSON. Raises ValueError (address), OSError
    (address in use or not ours). Blocks; call it in the main thread of a process of its own.
    """
    host, port = _address(listen)
    logging.config.dictConfig(configuration(log_format))
    _refuse_taken(host, port)
    connections = max(min(raise_file_limit() - _SPARE_FILES, _CONNECTIONS), 128)
    # Front is built in the worker: it reads the directory before the first connection is taken.
    loader: Callable[..., Any] = partial(
        Front, directory, parent=os.getpid(), https=https, send_timeout=send_timeout
    )
    leave_a_core()
    _log.info("public server on %s from %s, %d connections", listen, directory, connections)
    Granian(
        "broadcaster.public",
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        loop=Loops.uvloop,  # a quarter less processor time a request than asyncio's own
        websockets=False,
        backlog=_BACKLOG,
        backpressure=connections,  # Granian counts idle connections here
        http1_settings=HTTP1Settings(
            header_read_timeout=int(min(header_timeout, 60.0) * 1000),
            max_buffer_size=_HEADER_BYTES,
        ),
        log_level=LogLevels.warning,
        log_dictconfig=configuration(log_format),
        workers_kill_timeout=_DRAIN,
        respawn_failed_workers=True,
    ).serve(target_loader=loader, wrap_loader=False)


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"--listen {listen!r}: write HOST:PORT, e.g. 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def _refuse_taken(host: str, port: int) -> None:
    """Raise OSError when the port is taken; Granian would silently share it (SO_REUSEPORT)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OSError(f"cannot listen on {host}:{port}: {error.strerror}") from error
