"""One process of one adapter, from its start to its end, as the daemon sees it."""

from __future__ import annotations

import contextlib
import os
import queue
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, TimeoutError as Unanswered
from typing import Final

import structlog

from broadcaster.httpclient.calling_off import called_off, given_up
from broadcaster.ownprocess.wire import (
    CALLED_OFF,
    GIVEN_UP,
    LONGEST,
    Frame,
    Line,
    Opening,
    write,
)

log = structlog.get_logger()
MODULE = "broadcaster.registry.child"
LOOK = 0.5
ASK = 0.25
START = 20.0
"""Seconds in which a process must be ready: on a machine that starves it takes ten times as long as on another."""
CLOSING = 2.0  # how long an adapter may take to close what it holds
HUNG_UP = 0.3
UNREAD = struct.pack("ll", 5, 0)  # seconds in which the process must take what it is told
TAIL = 2000
KEPT: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VIRTUAL_ENV"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
"""The variables that the process inherits: no secret is among them."""
Heard = tuple[str, bytes]


class Ended(Exception):
    """The process is not there any more; the message says how it ended."""


class Overdue(Exception):
    """It did not answer in time, and was killed."""


class Conversation:
    """One call and what is said about it."""

    def __init__(self, process: Process, number: int) -> None:
        self._process, self._number = process, number
        self._told: set[str] = set()
        self.heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()

    def say(self, word: str, payload: bytes = b"") -> None:
        """Tell the process. Raises Ended."""
        self._process.say(self._number, word, payload)

    def hear(self, until: float) -> Heard:
        """What it says next, until a time of the monotonic clock. Raises Ended, or Overdue: then it is on its way out."""
        while True:
            self._tell_what_changed()
            left = until - time.monotonic()
            try:
                word, payload = self.heard.get(timeout=max(0.0, min(left, ASK)))
                break
            except queue.Empty:
                if left <= ASK:
                    self._process.overdue(self._number)
                    raise Overdue from None
        if word == "ended":
            raise Ended(payload.decode())
        return word, payload

    def _tell_what_changed(self) -> None:
        """Whether the text was stopped is known here, and asked for there."""
        for word, is_so in ((CALLED_OFF, called_off), (GIVEN_UP, given_up)):
            if word not in self._told and is_so():
                self._told.add(word)
                self.say(word)


class Process:
    """Started, listened to and buried by a thread of its own: its system ends it when that thread ends.

    Args:
        name: the channel's.
        opening: what it is told first.
        memory: bytes it may take.
    """

    def __init__(self, name: str, opening: Opening, memory: int) -> None:
        self._name, self._opening, self._memory = name, opening, memory
        self.ready: Future[Heard] = Future()
        self._begun_at = time.monotonic()
        self._line: Line | None = None
        self._talks: dict[int, Conversation] = {}
        self._late: set[int] = set()
        self._number = 0
        self._lock = threading.Lock()
        self._retired = self._closing = False
        self.pid = 0
        self.ended: str | None = None
        self.ended_at = 0.0
        self._output = bytearray()
        self._thread = threading.Thread(target=self._live, name=f"process-{name}", daemon=True)
        self._thread.start()

    # ---------------------------------------------------------------------------------------------------- for callers
    @property
    def usable(self) -> bool:
        """Whether a call may be begun."""
        return self.ended is None and not self._retired and not self._closing

    @property
    def died(self) -> bool:
        """Whether it ended though nobody closed it."""
        return self.ended is not None and not self._closing

    def wait(self, until: float) -> Heard:
        """What it says when it is ready.

        Raises:
            Ended: it is not there any more.
            Overdue: not yet; whoever calls next may find it ready, unless it has had its time.
        """
        try:
            return self.ready.result(max(0.0, until - time.monotonic()))
        except Unanswered:
            if time.monotonic() - self._begun_at >= START:
                self.kill()
            raise Overdue from None

    @contextlib.contextmanager
    def talk(self) -> Iterator[Conversation]:
        """Begin a conversation. Raises Ended."""
        with self._lock:
            if self.ended is not None:
                raise Ended(self.ended)
            self._number += 1
            number = self._number
            talk = self._talks[number] = Conversation(self, number)
        try:
            yield talk
        finally:
            with self._lock:
                del self._talks[number]
            self._settle()

    def say(self, number: int, word: str, payload: bytes) -> None:
        """Send a frame. Raises Ended; what does not read is killed."""
        assert self._line is not None  # noqa: S101 - it was ready before anybody could talk
        try:
            self._line.say(number, word, payload)
        except OSError:
            self.kill()
            raise Ended(self.ended or "It took nothing more.") from None

    def overdue(self, number: int) -> None:
        """A call is past its time: no more calls begin here, and it is killed when no other is within its own."""
        with self._lock:
            self._retired = True
            self._late.add(number)
        self._settle()

    def _settle(self) -> None:
        with self._lock:
            doomed = self._retired and not self._talks.keys() - self._late
        if doomed:
            self.kill()

    def kill(self) -> None:
        """End it now, with everything it started."""
        with self._lock:
            self._retired = True
            if self.pid:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let it close what it holds; it is killed when that takes long. Returns at once."""
        self._closing = True
        if self._line is not None:
            self._line.hang_up()

    # ------------------------------------------------------------------------------------------------ its own thread
    def _live(self) -> None:
        how = "It could not be started."
        try:
            how = self._run()
        except OSError as error:
            how = f"It could not be started: {error.strerror}."
        except Exception as error:
            log.exception("the process of a channel is given up", channel=self._name)
            how = f"It was given up ({type(error).__name__})."
        finally:
            self._end(how)

    def _run(self) -> str:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, UNREAD)
        with ours:
            with theirs:
                process = self._started(theirs.fileno())
            self.pid = process.pid
            self._line = Line(ours)
            try:
                with contextlib.suppress(OSError, ValueError):
                    self._line.say(0, "open", write(Opening, self._opening))
                    self._listen(process, ours)
            finally:
                self._bury(process)
        return _ending(process.returncode)

    def _started(self, descriptor: int) -> subprocess.Popen[bytes]:
        # -P: what lies in the working directory is no module of ours.
        command = [sys.executable, "-P", "-m", MODULE]
        return subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            [*command, str(descriptor), str(os.getpid()), str(self._memory)],
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={name: os.environ[name] for name in KEPT if name in os.environ}
            | {"MALLOC_ARENA_MAX": "2", "PYTHONFAULTHANDLER": "1"},
            start_new_session=True,
        )

    def _listen(self, process: subprocess.Popen[bytes], ours: socket.socket) -> None:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        deadline = None
        with selectors.DefaultSelector() as sources:
            sources.register(ours, selectors.EVENT_READ)
            sources.register(process.stdout, selectors.EVENT_READ)
            while not _is_dead(process.pid):
                for source, _ in sources.select(LOOK):
                    if source.fileobj is ours and not self._hear():
                        return
                    if source.fileobj is process.stdout and not self._read(process.stdout.fileno()):
                        sources.unregister(process.stdout)
                if self._closing:
                    deadline = deadline or time.monotonic() + CLOSING
                    if time.monotonic() > deadline:
                        return

    def _hear(self) -> bool:
        """Take what the process says. False when it has hung up; raises ValueError for what is no frame of ours."""
        assert self._line is not None  # noqa: S101 - set before this thread listens
        if not self._line.listen(socket.MSG_DONTWAIT):
            return False
        while (frame := self._line.take(LONGEST)) is not None:
            self._pass_on(frame)
        return True

    def _pass_on(self, frame: Frame) -> None:
        if frame.number == 0 and not self.ready.done():
            self.ready.set_result((frame.word, frame.payload))
        talk = self._talks.get(frame.number)
        if talk is not None:
            talk.heard.put((frame.word, frame.payload))

    def _read(self, descriptor: int) -> bool:
        """Take what it prints, so that it never waits for a reader; only the end is kept."""
        some = os.read(descriptor, 1 << 16)
        self._output += some
        del self._output[:-TAIL]
        return bool(some)

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        """Kill it and all it started, before its number is given to another."""
        # One that has hung up may be on its way out: how it ends by itself says more than our signal would.
        patience = CLOSING if self._closing else 0.0 if self._retired else HUNG_UP
        until = time.monotonic() + patience
        while not _is_dead(process.pid) and time.monotonic() < until:
            time.sleep(0.01)
        self.kill()
        with self._lock:
            self.pid = 0
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _end(self, how: str) -> None:
        with self._lock:
            self.ended, self.ended_at = how, time.monotonic()
            talks = list(self._talks.values())
        if not self._closing:
            said = bytes(self._output).decode("utf-8", "replace")
            log.warning("the process of a channel ended", channel=self._name, how=how, said=said)
        for talk in talks:
            talk.heard.put(("ended", how.encode()))
        if not self.ready.done():
            self.ready.set_exception(Ended(how))


def _is_dead(pid: int) -> bool:
    """Whether it has ended; it stays a zombie, so that its number stands for it until it is buried."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _ending(code: int) -> str:
    if code >= 0:
        return f"It ended by itself with code {code}."
    with contextlib.suppress(ValueError):
        return f"It was ended by {signal.Signals(-code).name}."
    return f"It was ended by signal {-code}."
