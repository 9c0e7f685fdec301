"""The process of one adapter: `python -P -m broadcaster.registry.child FD PARENT MEMORY`.

It is told on a socket what the channel is, says what it found, and then answers calls until the other end closes. It has
no database, no key and no secret but this channel's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import inspect
import os
import queue
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

from broadcaster.channel import (
    Attempt,
    Failure,
    Letter,
    LetterAdapter,
    RefusedRequest,
)
from broadcaster.httpclient.calling_off import ask_before_sending
from broadcaster.ownprocess import wire
from broadcaster.ownprocess.wire import (
    CALLED_OFF,
    CALLS,
    GIVEN_UP,
    Failed,
    Found,
    Line,
    Opening,
    Wrong,
)
from broadcaster.registry.kinds import Adapter, KindUnavailableError
from broadcaster.registry.looking import Refused, found, made

THREADS = 16
FILES = 4096
# Processes and threads beyond those that the user has when it starts. The system counts all of that user's by it: so many that nothing
# but a plugin without end gets there, and the daemon may have more.
TASKS = 2048
_PDEATHSIG = 1  # prctl(2)


def confine(parent: int, memory: int) -> None:
    """Die with the daemon, be the first the system takes when memory is short, and take no more than is given."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")
    if os.getppid() != parent:
        os._exit(0)
    limits = {
        resource.RLIMIT_CORE: 0,  # a core would hold this channel's secrets
        resource.RLIMIT_DATA: memory,
        resource.RLIMIT_NOFILE: FILES,
    }
    if sys.platform == "linux":
        limits[resource.RLIMIT_NPROC] = _tasks_of_the_user() + TASKS
    for what, most in limits.items():
        _, hard = resource.getrlimit(what)
        given = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (given, given))


def _tasks_of_the_user() -> int:
    """How many processes and threads the user of this process has: by that number the system refuses more."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is nobody's business
            if process.stat().st_uid == os.getuid():
                found += len(list((process / "task").iterdir()))
    return found


class Service:
    """Answers the calls of one daemon for one adapter."""

    def __init__(self, adapter: Adapter, line: Line) -> None:
        self._adapter, self._line = adapter, line
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="call")
        self._runs: dict[int, queue.SimpleQueue[tuple[str, bytes]]] = {}
        self._told: set[tuple[int, str]] = set()

    def run(self) -> None:
        """Until the daemon hangs up."""
        while True:
            while (frame := self._line.take()) is not None:
                self._begin(frame)
            if not self._line.listen():
                return

    def _begin(self, frame: wire.Frame) -> None:
        if frame.word in (CALLED_OFF, GIVEN_UP):
            self._told.add((frame.number, frame.word))
        elif frame.number in self._runs:
            self._runs[frame.number].put((frame.word, frame.payload))
        elif frame.word == "send":
            self._runs[frame.number] = queue.SimpleQueue()
            self._submit(frame, self._send)
        elif frame.word in CALLS:
            self._submit(frame, self._call)

    def _submit(self, frame: wire.Frame, work: Callable[[wire.Frame], bytes]) -> None:
        with contextlib.suppress(
            RuntimeError
        ):  # no further thread may begin: it is queued, and one that comes free takes it
            self._threads.submit(self._answer, frame, work)

    def _answer(self, frame: wire.Frame, work: Callable[[wire.Frame], bytes]) -> None:
        word, number = "raised", frame.number
        try:
            with ask_before_sending(
                lambda: (number, CALLED_OFF) in self._told, lambda: (number, GIVEN_UP) in self._told
            ):
                word, payload = "returned", work(frame)
        except Failure as failure:
            payload = wire.write(Failed, wire.failed(failure))
        except RefusedRequest as refused:
            word, payload = "refused", _told(str(refused), "", int(refused.status))
        except wire.Mistyped as error:
            word, payload = "mistyped", _told(str(error), "")
        except ValueError as error:
            word, payload = "unsaid", _told(str(error), repr(error))
        except BaseException as error:  # noqa: BLE001 - whatever it raises, the daemon is told
            word, payload = "broke", _told(type(error).__name__, repr(error))
        self._told -= {(number, CALLED_OFF), (number, GIVEN_UP)}
        with contextlib.suppress(OSError):  # nobody is there any more: `run` ends too
            self._line.say(number, word, payload)

    def _call(self, frame: wire.Frame) -> bytes:
        crossing = CALLS[frame.word]
        given = wire.read(crossing.takes, frame.payload)
        return wire.write_given(
            crossing.gives, self._done(getattr(self._adapter, frame.word), given)
        )

    def _done(self, method: Callable[..., Any], given: tuple[Any, ...]) -> Any:
        if inspect.iscoroutinefunction(method):
            return asyncio.run_coroutine_threadsafe(_held(method(*given)), self._loop).result()
        return method(*given)

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, name="loop", daemon=True).start()
        return loop

    # ------------------------------------------------------------------------------------------------ many letters
    def _send(self, frame: wire.Frame) -> bytes:
        """One run of letters. Step by step as the daemon asks: an adapter is never further than it would be there."""
        assert isinstance(self._adapter, LetterAdapter)  # noqa: S101 - only a letter channel's daemon says "send"
        heard, attempt = self._runs[frame.number], wire.read(Attempt, frame.payload)
        try:
            outcomes = iter(self._adapter.send(self._letters(frame.number), attempt))
            while heard.get()[0] == "next":
                some = next(outcomes, None)
                if some is None:
                    break
                self._line.say(frame.number, "outcome", _one(some))
            else:
                _close(outcomes)
        finally:
            del self._runs[frame.number]
        return b""

    def _letters(self, number: int) -> Iterator[Letter]:
        heard = self._runs[number]
        while True:
            self._line.say(number, "pull")
            word, payload = heard.get()
            if word == "close":
                heard.put((word, payload))  # also for whoever reads the outcomes
            if word != "letter":
                return
            yield wire.read(Letter, payload)


async def _held(call: Coroutine[Any, Any, Any]) -> Any:
    """Await a call. What would end the whole loop ends only the call."""
    try:
        return await call
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(type(error).__name__) from error


def _one(some: Any) -> bytes:
    try:
        letter, outcome = some
        return wire.write_given(wire.Answered, wire.answered(letter, outcome))
    except (AttributeError, TypeError, ValueError) as error:
        raise wire.Mistyped(f"{type(some).__name__} instead of a letter and its outcome") from error


def _close(outcomes: Iterator[Any]) -> None:
    close = getattr(outcomes, "close", None)
    if close is not None:
        close()


def _told(sentence: str, reply: str, status: int = 0) -> bytes:
    return wire.write(Failed, Failed(sentence=sentence, reply=reply[:500], status=status))


def _opened(line: Line) -> Opening | None:
    """What the daemon says first; None when it hung up before."""
    while (frame := line.take()) is None:
        if not line.listen():
            return None
    opening: Opening = wire.read(Opening, frame.payload)
    return opening


def main() -> None:
    """Say what the channel is, then answer calls until the daemon hangs up."""
    descriptor, parent, memory = (int(argument) for argument in sys.argv[1:4])
    confine(parent, memory)
    line = Line(socket.socket(fileno=descriptor))
    opening = _opened(line)
    if opening is None:
        return
    try:
        adapter = made(opening)
        line.say(0, "ready", wire.write(Found, found(adapter, opening)))
    except Refused as refused:
        line.say(0, "wrong", wire.write(Wrong, refused.wrong))
        return
    except KindUnavailableError as error:
        line.say(0, "unusable", wire.write(str, str(error)))
        return
    Service(adapter, line).run()
    with contextlib.suppress(Exception):
        adapter.close()


if __name__ == "__main__":
    main()
    os._exit(0)  # a thread that hangs must not hold it up
