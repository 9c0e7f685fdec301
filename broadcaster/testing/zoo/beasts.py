"""The beasts that load: what each does instead of posting, or besides."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from broadcaster.channel import (
    Attempt,
    ChannelSettings,
    InboundReply,
    InboundRequest,
    Letter,
    LetterAdapter,
    LetterOutcome,
    Message,
    Notice,
    PostAdapter,
    Probe,
    Receipt,
    Rendered,
    Report,
    Text,
)
from broadcaster.httpclient import Caller, Deadline, WebAddress
from broadcaster.testing.servers import FarEnd, Reply, Request
from broadcaster.testing.servers.exchange import json_reply

PIECE, HOARD = 2**22, 2**30  # bytes; whoever gets all of it, no limit held
CROWD = 2000  # processes, as above
_FOREVER = threading.Event()


def let_go() -> None:
    """End what hangs in this process, so that it can end."""
    _FOREVER.set()
    _FOREVER.clear()


class Kennel(FarEnd):
    """Takes whatever a beast manages to post."""

    def answer(self, request: Request) -> Reply:
        """Keep it as an effect of the kind "bark"."""
        said = request.json()
        self.effect("bark", said["id"], said["text"])
        return json_reply({"id": said["id"]}, 201)


class BeastSettings(ChannelSettings):
    """Where it posts, and where it may leave traces."""

    url: WebAddress = Field(description="The kennel.")
    folder: str = Field("", description="Where it writes what the test wants to know.")


class Tame(PostAdapter):
    """Behaves; the others are made of it."""

    Settings = BeastSettings

    def __init__(self, settings: Any, context: Any) -> None:
        super().__init__(settings, context)
        self._caller = Caller(allowed_hosts=context.allowed_hosts)

    def close(self) -> None:
        self._caller.close()

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        return Rendered(texts=(Text(body=notice.text),), unit="letters", used=1, limit=0)

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        self.misbehave()
        self.bark(message.key, message.body, attempt)
        return Receipt(handle=message.key)

    def bark(self, key: str, text: str, attempt: Attempt) -> None:
        """Post it."""
        said = {"id": key, "text": text}
        self._caller.call("POST", self.settings.url, deadline=Deadline.of(attempt), json=said)

    def misbehave(self) -> None:
        """Not this one."""

    def leave(self, name: str, value: object) -> None:
        """Write down what the test wants to know."""
        (Path(self.settings.folder) / name).write_text(json.dumps(value))


class Raises(Tame):
    """As its name says."""

    def misbehave(self) -> None:
        raise RuntimeError("it has its day")

    def probe(self, attempt: Attempt) -> Probe:
        raise KeyError("probe")


class _NoException(BaseException):
    pass


class RaisesBase(Tame):
    """As its name says."""

    def misbehave(self) -> None:
        raise _NoException


class Exits(Tame):
    """As its name says."""

    def misbehave(self) -> None:
        sys.exit(3)


class ExitsAsync(Tame):
    """As its name says."""

    async def post(self, message: Message, attempt: Attempt) -> Receipt:  # type: ignore[override]  # may be either
        raise SystemExit(3)


class ExitsHard(Tame):
    """As its name says."""

    def misbehave(self) -> None:
        os._exit(3)


class Segfaults(Tame):
    """As its name says."""

    def misbehave(self) -> None:
        ctypes.string_at(0)


class Hangs(Tame):
    """As its name says."""

    def misbehave(self) -> None:
        _FOREVER.wait()


class BusyLoops(Tame):
    """As its name says."""

    def misbehave(self) -> None:
        while True:
            pass


class HoldsTheLock(Tame):
    """Keeps the interpreter's lock in C: no other thread of its process runs."""

    def misbehave(self) -> None:
        ctypes.PyDLL(None).sleep(3600)


class Leaks(Tame):
    """As its name says."""

    def misbehave(self) -> None:
        hoard = []
        while True:
            hoard.append(bytearray(b"x" * 2**24))


class Hoards(Tame):
    """Takes no for an answer, and asks again; leaves a trace of the most it had, in bytes."""

    def misbehave(self) -> None:
        hoard: list[bytearray] = []
        while len(hoard) < HOARD // PIECE:
            try:
                hoard.append(bytearray(b"x" * PIECE))
            except MemoryError:
                self.leave("hoard", len(hoard) * PIECE)
                _FOREVER.wait(0.1)
        self.leave("hoard", HOARD)


class Forks(Tame):
    """Its children hold what it held, and sleep."""

    def misbehave(self) -> None:
        children = []
        for _ in range(12):
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            children.append(child)
        self.leave("children", children)


class Multiplies(Tame):
    """Starts processes that do nothing until it may start no more; leaves a trace of how many it got."""

    def misbehave(self) -> None:
        started = 0
        with contextlib.suppress(OSError):
            while started < CROWD:
                os.posix_spawn("/bin/sleep", ["sleep", "30"], {})
                started += 1
        if started:  # not when it is asked again
            self.leave("crowd", started)


class Prints(Tame):
    """As its name says."""

    def misbehave(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.write(f"{'woof ' * 200}\n" * 8_000)
            stream.flush()


class Nonsense(Tame):
    """Does what it should, and returns what it should not."""

    def post(self, message: Message, attempt: Attempt) -> Any:
        super().post(message, attempt)
        return "ok"


class ClosesFiles(Tame):
    """As its name says."""

    def misbehave(self) -> None:
        os.closerange(3, 4096)


class SpawnsThreads(Tame):
    """As its name says."""

    def misbehave(self) -> None:
        while True:
            threading.Thread(target=_FOREVER.wait, daemon=True).start()


class EatsFiles(Tame):
    """As its name says."""

    def misbehave(self) -> None:
        self.eaten = [os.open(os.devnull, os.O_RDONLY) for _ in range(100_000)]


class Breeds(Tame):
    """Raises when it is made."""

    def __init__(self, settings: Any, context: Any) -> None:
        super().__init__(settings, context)
        raise RuntimeError("not today")


class CannotRender(Tame):
    """As its name says."""

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        raise RuntimeError("no words")


class HangsInRender(Tame):
    """As its name says."""

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        _FOREVER.wait()
        raise AssertionError


class HangsInVerify(Tame):
    """Takes reports, and hangs over each."""

    def verify(self, request: InboundRequest) -> InboundReply:
        _FOREVER.wait()
        raise AssertionError

    def receive(self, request: InboundRequest) -> tuple[Report, ...]:
        self.leave("receiving", value=True)
        _FOREVER.wait()
        raise AssertionError


class Tells(Tame):
    """Tells what it can see of the daemon."""

    def misbehave(self) -> None:
        files = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.exists()]
        tasks, _ = resource.getrlimit(resource.RLIMIT_NPROC)
        seen = {"environ": dict(os.environ), "files": files, "arguments": sys.argv, "tasks": tasks}
        self.leave("seen", seen)


class DiesMidway(LetterAdapter):
    """Sends letters one by one, and dies over every tenth."""

    Settings = BeastSettings

    def __init__(self, settings: Any, context: Any) -> None:
        super().__init__(settings, context)
        self._tame = Tame(settings, context)

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        return self._tame.render(notice, limits)

    def address(self, raw: str) -> str:
        return raw

    def suppliers(self) -> tuple[str, ...]:
        return ("one",)

    def send(
        self, letters: Iterator[Letter], attempt: Attempt
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        for number, letter in enumerate(letters, start=1):
            if number == 10:
                os._exit(5)
            self._tame.bark(letter.key, letter.body, attempt)
            yield letter, LetterOutcome(receipt=Receipt(handle=letter.key))


BEASTS = {
    beast.__name__.lower(): beast
    for beast in (
        *(Tame, Raises, RaisesBase, Exits, ExitsAsync, ExitsHard, Segfaults, Hangs, BusyLoops),
        *(
            HoldsTheLock,
            Leaks,
            Hoards,
            Forks,
            Multiplies,
            Prints,
            Nonsense,
            ClosesFiles,
            SpawnsThreads,
            EatsFiles,
        ),
        *(Breeds, CannotRender, HangsInRender, HangsInVerify, Tells, DiesMidway),
    )
}
"""Each by its kind."""
