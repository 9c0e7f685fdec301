"""One daemon on one database file: the kernel's lock on a side file, let go of however the process ends.

Imports nothing, so that a second daemon is refused before it has loaded anything.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

TRIES, PAUSE = 10, 0.03  # somebody who only looks holds the lock for a moment too


class LockedError(Exception):
    """Another process holds the database; the message is a sentence for the operator."""

    def __init__(self, database: Path) -> None:
        super().__init__(
            f"Another daemon uses {database}. Only one may: stop it first, or give this one another store.url."
        )


def take(database: Path) -> int:
    """Hold `<database>.lock` until the descriptor that is returned is closed. Raises LockedError."""
    database.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(TRIES):
        with contextlib.suppress(LockedError):
            return _lock(database, os.O_CREAT)
        time.sleep(PAUSE)
    return _lock(database, os.O_CREAT)


def look(database: Path) -> None:
    """Raise LockedError when somebody holds the database; makes nothing and keeps nothing."""
    try:
        os.close(_lock(database, 0))
    except OSError:
        return  # no such file, or none of ours to open: whoever takes it will say so


def _lock(database: Path, flags: int) -> int:
    descriptor = os.open(f"{database}.lock", os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise LockedError(database) from None
    return descriptor
