"""Programs that tests run beside them, waited for by what they say, and the far ends that are such programs."""

from __future__ import annotations

import pwd
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Self

PATIENCE = 60.0
"""Seconds in which a program has to say that it serves: for a machine with much else to do."""
_TAKEN = re.compile(rb"address already in use|EADDRINUSE", re.IGNORECASE)
_TAIL = 15  # lines


class NotStartedError(RuntimeError):
    """A program did not come to serve; the message holds the end of what it said.

    `is_taken`: somebody else has a port that it wanted.
    """

    def __init__(self, sentence: str, *, is_taken: bool) -> None:
        super().__init__(sentence)
        self.is_taken = is_taken


class Program:
    """A running program whose lines can be awaited: those it logs on standard error, or all with `chatty`.

    Args:
        owner: the account that it runs as; None is ours.
        folder: where it runs; None is where we are.
        environment: its whole environment; None is ours.
    """

    def __init__(
        self,
        *command: str,
        chatty: bool = False,
        owner: pwd.struct_passwd | None = None,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.lines: list[bytes] = []
        self._changed = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if chatty else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if chatty else subprocess.PIPE,
            cwd=folder,
            env=environment,
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
        )
        stream = self.process.stdout or self.process.stderr
        assert stream is not None
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self.lines.append(line.rstrip(b"\r\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def tail(self) -> str:
        """The newest of what it said."""
        return b"\n".join(self.lines[-_TAIL:]).decode("utf-8", "replace")

    def wait_for(self, pattern: bytes, count: int = 1, seconds: float = PATIENCE) -> None:
        """Wait for so many lines that hold `pattern`; raises TimeoutError with the newest, at once when it has ended."""

        def has_come() -> bool:
            return sum(pattern in line for line in self.lines) >= count

        with self._changed:
            self._changed.wait_for(lambda: has_come() or self._ended, seconds)
            if has_come():
                return
            ended = ", and it has ended" if self._ended else ""
        raise TimeoutError(
            f"{self.process.args!r}: {count} times {pattern!r} did not come{ended}\n{self.tail}"
        )

    def stop(self, *, at_once: bool = False) -> None:
        """End it, by force after ten seconds, or `at_once`."""
        if at_once:
            self.process.kill()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(10)  # what it left behind may hold the stream open


class FarProgram:
    """A far end that is a program in a folder of its own: `with` it; `stop` and `start` leave it its folder and its ports.

    A subclass says in `prepare` at which ports and by what files it runs, in `begin` what is run and awaited. Where somebody
    took a port between the asking and the listening, it is prepared once more, with other ports in another folder.
    """

    folder: Path

    def __init__(self) -> None:
        self.programs: list[Program] = []

    def prepare(self) -> None:
        """Choose ports, and write what it reads, into `folder`, which is new and empty."""

    def begin(self) -> None:
        """Run it by `run` and return when it serves. Raises TimeoutError."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except NotStartedError as failure:
            if not failure.is_taken:
                raise
            self._set_up()
        return self

    def _set_up(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{type(self).__name__.lower()}-"))
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start it, and return when it serves. Raises NotStartedError with what it said last."""
        try:
            self.begin()
        except TimeoutError as error:
            is_taken = any(_TAKEN.search(line) for each in self.programs for line in each.lines)
            self.stop()
            sentence = f"{type(self).__name__} did not start: {error}"
            raise NotStartedError(sentence, is_taken=is_taken) from error
        except BaseException:
            self.stop()
            raise

    def run(
        self,
        program: Path | str,
        *arguments: str,
        chatty: bool = False,
        owner: pwd.struct_passwd | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Program:
        """Run a program in its folder until `stop`; see `Program`."""
        running = Program(
            str(program),
            *arguments,
            chatty=chatty,
            owner=owner,
            folder=self.folder,
            environment=environment,
        )
        self.programs.append(running)
        return running

    def stop(self) -> None:
        """End what runs, last started first; what it has kept stays in its folder."""
        while self.programs:
            self.programs.pop().stop()

    @property
    def lines(self) -> list[str]:
        """What it has said since it was started last."""
        said = [line for each in self.programs for line in list(each.lines)]
        return [line.decode("utf-8", "replace") for line in said]
