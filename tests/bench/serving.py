"""`serve` with a stop-watch in it: `python -m tests.bench.serving CONFIG COMMITS`.

Nothing in the product knows of this: the store's `write` is wrapped from outside, and the monotonic seconds at which
each accepted command was durable are appended to COMMITS, a line each, before anybody is answered.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from broadcaster.daemon import running
from broadcaster.daemon.signals import Signals
from broadcaster.store import Rank, Store


def watch(commits: Path) -> None:
    """Note every command's commit from here on."""
    file = os.open(commits, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    write = Store.write

    def note(future: Future[Any]) -> None:
        if future.exception() is None:
            os.write(file, f"{time.monotonic():.6f}\n".encode())

    def timed(self: Store, work: Any, rank: Rank = Rank.OUTCOME) -> Future[Any]:
        future = write(self, work, rank)
        if rank in (Rank.ACCEPT, Rank.RETRACT):
            future.add_done_callback(note)
        return future

    vars(running)["Store"].write = timed


if __name__ == "__main__":
    watch(Path(sys.argv[2]))
    sys.exit(running.serve(Path(sys.argv[1]), "en", Signals()))
