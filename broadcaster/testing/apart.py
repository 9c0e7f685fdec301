"""A `Daemonless` in a process of its own: its memory can be weighed, for what the test allocates is not in it.

::

with Apart(tmp_path) as apart, apart.weighing() as grown:
with apart.connect() as client:
client.sendall(apart.head("/api/v1/preview", "Content-Length: 3") + b"{}?")
assert max(grown) < 50 * MEBIBYTE
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from broadcaster.domain.role import Role
from broadcaster.testing.operators import Daemonless

MEBIBYTE = 2**20
_EVERY = 0.002  # seconds between two looks


class Apart:
    """The operators' API in another process, running while it is entered; `admin` and `viewer` are tokens for it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "broadcaster.testing.apart", str(self._directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        said = json.loads(self._process.stdout.readline())
        self.port, self.admin, self.viewer = said["port"], said["admin"], said["viewer"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    @property
    def memory(self) -> int:
        """Its resident bytes now."""
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    @contextlib.contextmanager
    def weighing(self) -> Iterator[list[int]]:
        """How many bytes it holds more than at the beginning, looked at every few milliseconds until the end."""
        before, grown, over = self.memory, [0], threading.Event()

        def look() -> None:
            while not over.wait(_EVERY):
                grown.append(self.memory - before)

        looking = threading.Thread(target=look, name="weighing")
        looking.start()
        try:
            yield grown
        finally:
            over.set()
            looking.join()

    def connect(self) -> socket.socket:
        """A connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def head(self, path: str, *lines: str, method: str = "POST", token: str = "") -> bytes:
        """The head of a request, by the administrator when no token is given."""
        bearer = f"Authorization: Bearer {token or self.admin}"
        return "\r\n".join(
            (f"{method} {path} HTTP/1.1", "Host: x", bearer, *lines, "", "")
        ).encode()


def main() -> None:
    """Listen until the standard input ends; what is needed to ask is written as one line of JSON."""
    with Daemonless(Path(sys.argv[1])) as desk:
        said = {"port": desk.api.port, "admin": desk.admin, "viewer": desk.token(Role.VIEWER)}
        print(json.dumps(said), flush=True)  # noqa: T201 - the answer to who started us
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what is logged must fill no pipe
        sys.stdin.read()


if __name__ == "__main__":
    main()
