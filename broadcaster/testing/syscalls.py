"""System calls that fail or are the last: of a running process by strace's injection, of this one by wrapped functions."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from broadcaster.testing.peers import PEERS


@contextlib.contextmanager
def failing(pid: int, calls: str, error: str, nth: int, paths: Sequence[Path]) -> Iterator[None]:
    """While entered the `nth` of these calls on one of these files fails with this error, once in every thread.

    Args:
        calls: as strace names them, with commas: `fdatasync,fsync`.
        paths: files, or folders of the files that are called for by name.
        error: `EIO`, `ENOSPC`, `EINTR` …

    Raises:
        RuntimeError: strace cannot attach here.
    """
    command = [str(PEERS["strace"].path("strace")), "-f", "-p", str(pid), "-o", "/dev/null"]
    for path in paths:
        command += ["-P", str(path)]
    command += ["-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={nth}"]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    try:
        said = ""
        while "attached" not in said:
            said = tracer.stderr.readline()
            if not said:
                raise RuntimeError(f"strace ended with {tracer.wait()}")
        yield
    finally:
        tracer.terminate()
        tracer.wait()
        tracer.stderr.close()


def passing(calls: Sequence[str], point: Callable[[str], None]) -> Mapping[str, Callable[..., Any]]:
    """What to put in the place of these functions of `os` and of `fdopen`: `point` is told the name before each call.

    A write into a file that was opened by `fdopen` passes it as "write", when half of it is written.
    """

    class HalfWriter(io.BufferedWriter):
        def write(self, content: Any) -> int:
            half = len(content) // 2
            super().write(content[:half])
            self.flush()
            point("write")
            return half + super().write(content[half:])

    def told(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            point(name)
            return real(*args, **kwargs)

        return call

    real = os.fdopen

    def fdopen(descriptor: int, mode: str = "r", **further: Any) -> Any:
        if mode == "wb":
            return HalfWriter(io.FileIO(descriptor, "w"))
        return real(descriptor, mode, **further)

    return {name: told(name, getattr(os, name)) for name in calls} | {"fdopen": fdopen}
