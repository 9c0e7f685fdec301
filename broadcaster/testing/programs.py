"""Programs that tests run beside them, and wait for by what they say."""

from __future__ import annotations

import subprocess
import threading
from typing import IO


class Program:
    """A running program whose lines can be awaited: those it logs on standard error, or all with `chatty`."""

    def __init__(self, *command: str, chatty: bool = False) -> None:
        self.lines: list[bytes] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if chatty else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if chatty else subprocess.PIPE,
        )
        stream = self.process.stdout or self.process.stderr
        assert stream is not None
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self.lines.append(line.rstrip(b"\n"))
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, pattern: bytes, count: int = 1, seconds: float = 15.0) -> None:
        """Wait for so many lines that hold `pattern`; raises TimeoutError with the newest lines."""
        with self._changed:
            if self._changed.wait_for(
                lambda: sum(pattern in line for line in self.lines) >= count, seconds
            ):
                return
            newest = b"\n".join(self.lines[-15:]).decode("utf-8", "replace")
        raise TimeoutError(
            f"{self.process.args!r}: {count} times {pattern!r} did not come\n{newest}"
        )

    def stop(self) -> None:
        """End it, by force after five seconds."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
