"""System calls of a running process that fail: the N-th one, or one kind from then on, by strace's injection."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

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
