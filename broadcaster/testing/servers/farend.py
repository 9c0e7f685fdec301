"""The base of every stand-in far end: a real server on a loopback port, its script, its witnesses."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from broadcaster.testing.ports import free_port
from broadcaster.testing.servers.exchange import Effect, Reply, Request, text_reply
from broadcaster.testing.servers.faults import Fault
from broadcaster.testing.servers.wire import Connection

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The wall clock, UTC."""
    return datetime.now(UTC)


@dataclass(slots=True)
class _Planned:
    """A fault and the requests it is meant for ("" means any), each or every so many of them."""

    fault: Fault
    method: str
    path: str
    every: int = 1
    met: int = 0

    def meant_for(self, request: Request) -> bool:
        if self.method not in ("", request.method) or self.path not in request.path:
            return False
        self.met += 1
        return self.met % self.every == 0


class Journal:
    """An append-only file of effects, one JSON object a line, that outlives any process.

    Each effect is one ``write`` in append mode, so lines of several far ends never mix.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, effect: Effect) -> None:
        """Append one effect."""
        os.write(self._file, effect.line().encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_journal(path: Path) -> list[Effect]:
    """The effects in a journal, oldest first; a line torn by a kill at the end is left out."""
    whole, _, _ = path.read_text("utf-8").rpartition("\n")
    return [Effect.parse(line) for line in whole.splitlines()]


class FarEnd:
    """A far end: ``with MastodonServer() as far: … far.url … far.effects``.

    Subclasses write ``answer``. It runs on the server's own thread, one call at a time, so a
    subclass keeps its state without locks. The newest ``keep`` requests and every effect are kept;
    ``arrived`` counts all requests.
    """

    name = "far end"

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        journal: Path | None = None,
        clock: Clock = utc_now,
        keep: int = 100_000,
    ) -> None:
        self._requests: deque[Request] = deque(maxlen=keep)
        self.effects: list[Effect] = []
        self.connections: set[Connection] = set()
        self.arrived = 0
        self.root = ""
        self.clock = clock
        self.host, self.port = host, port
        self._journal = Journal(journal) if journal else None
        self._happened = threading.Condition()
        self._script: deque[_Planned] = deque()
        self._standing: list[_Planned] = []
        self._thread: threading.Thread | None = None
        self._parent: FarEnd | None = None

    # -- life -------------------------------------------------------------------------------

    def start(self) -> Self:
        """Listen; on a second start, on the same port as before."""
        # Not one that the system would give: while this is stopped, a call out of any test may be given the same.
        listening = socket.create_server((self.host, self.port or free_port()), backlog=1024)
        self.port = int(listening.getsockname()[1])
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(listening, ready), name=f"far end {self.name}", daemon=True
        )
        self._thread.start()
        ready.wait()
        return self

    def stop(self) -> None:
        """Stop listening and drop every connection: from now on connections are refused."""
        if self._thread is None:
            return
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._journal is not None:
            self._journal.close()

    def _serve(self, listening: socket.socket, ready: threading.Event) -> None:
        asyncio.run(self._run(listening, ready))

    async def _run(self, listening: socket.socket, ready: threading.Event) -> None:
        self.loop = asyncio.get_running_loop()
        self.released = asyncio.Event()
        self._end = asyncio.Event()
        server = await self.loop.create_server(self.connection, sock=listening)
        self.on_start()
        ready.set()
        await self._end.wait()
        # Accept no more, but let the server live until what it has accepted is a connection: one
        # that comes up after its server was closed is dropped unclosed (CPython 3.11, 3.12).
        self.loop.remove_reader(server.sockets[0].fileno())
        for _ in range(3):
            await asyncio.sleep(0.01)
            for connection in list(self.connections):
                connection.reset()
        # Whoever holds a copy of it, as a program does that is just being forked, keeps a socket open that is only closed.
        server.sockets[0].shutdown(socket.SHUT_RDWR)
        server.close()
        await self.on_stop()

    def on_start(self) -> None:
        """For subclasses: the loop runs, nothing has arrived yet."""

    async def on_stop(self) -> None:
        """For subclasses: end what was started on the loop."""

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end; includes the mount when it has one."""
        if self._parent is not None:
            return self._parent.url + self.root
        return f"http://{self.host}:{self.port}"

    def mount(self, far: FarEnd, root: str) -> None:
        """Let ``far`` live under ``root`` of this one, on this one's port and loop."""
        far.root, far._parent = root, self

    def connection(self) -> asyncio.Protocol:
        """What serves one connection; for subclasses that do not speak HTTP. It puts itself among `connections`."""
        return Connection(self)

    # -- script -----------------------------------------------------------------------------

    def next(self, *faults: Fault, method: str = "", path: str = "") -> None:
        """Let these befall the next requests, one each, whose method and path (a part) match."""
        self._script.extend(_Planned(fault, method, path) for fault in faults)

    def always(self, fault: Fault, *, method: str = "", path: str = "", every: int = 1) -> None:
        """Let this befall each matching request, or one in ``every``, until ``heal``."""
        self._standing.append(_Planned(fault, method, path, every))

    def heal(self) -> None:
        """Forget every fault planned so far. What hangs goes on hanging until ``release``."""
        self._script.clear()
        self._standing.clear()

    def release(self) -> None:
        """End every hang: performed requests are answered now, others reset. Later hangs hang."""
        if self._parent is not None:
            self._parent.release()
        else:
            self.loop.call_soon_threadsafe(self._release)

    def _release(self) -> None:
        self.released.set()
        self.released = asyncio.Event()

    # -- what the connection calls ----------------------------------------------------------

    def meet(self, request: Request) -> Fault | None:
        """Which fault befalls this request: the script first, then the standing ones."""
        for planned in list(self._script):
            if planned.meant_for(request):
                self._script.remove(planned)
                return planned.fault
        return next((p.fault for p in self._standing if p.meant_for(request)), None)

    def take(self, request: Request, *, perform: bool) -> Reply | Awaitable[Reply]:
        """Record the request and carry it out; a crash in ``answer`` is a 500 that names it."""
        self._requests.append(request)
        self.arrived += 1
        answer: Reply | Awaitable[Reply] = Reply(500)
        if perform:
            try:
                answer = self.answer(request)
            except Exception as error:  # noqa: BLE001 - a bug here must not look like a hang
                answer = text_reply(f"{self.name} stand-in: {error!r}", 500)
        self.notify()
        return answer

    def answer(self, request: Request) -> Reply | Awaitable[Reply]:
        """The true answer to a request; effects happen here."""
        raise NotImplementedError

    # -- witnesses --------------------------------------------------------------------------

    @property
    def requests(self) -> list[Request]:
        """The requests that arrived, oldest first: a copy, safe to walk while more arrive."""
        return list(self._requests)

    def effect(self, kind: str, ref: str, text: str, to: str = "", **more: Any) -> Effect:
        """Something the outside world notices: keep it, journal it, wake who waits."""
        happened = Effect(self.name, kind, ref, text, self.clock(), to, more)
        if self._parent is not None:
            self._parent.pass_on(happened)
        if self._journal is not None:
            self._journal.write(happened)
        self.effects.append(happened)
        self.notify()
        return happened

    def pass_on(self, happened: Effect) -> None:
        """An effect of a far end mounted here."""
        self.effects.append(happened)
        if self._journal is not None:
            self._journal.write(happened)
        self.notify()

    def texts(self, kind: str = "") -> list[str]:
        """The texts the outside world got, oldest first; of one kind of effect, or of all."""
        return [effect.text for effect in list(self.effects) if kind in ("", effect.kind)]

    def notify(self) -> None:
        """Wake every ``wait_for``."""
        with self._happened:
            self._happened.notify_all()

    def wait_for(self, wanted: int | Callable[[Self], bool], seconds: float = 30.0) -> None:
        """Wait until so many requests have arrived, or until ``wanted(self)`` is true.

        Event based: looked at again after each request and effect. Raises TimeoutError, saying
        what did arrive.
        """
        met = (lambda: self.arrived >= wanted) if isinstance(wanted, int) else lambda: wanted(self)
        with self._happened:
            if self._happened.wait_for(met, seconds):
                return
        raise TimeoutError(
            f"{self.name}: not met in {seconds} s; {self.arrived} requests and "
            f"{len(self.effects)} effects came, the last "
            f"{[f'{r.method} {r.path}' for r in self.requests[-3:]]}"
        )
