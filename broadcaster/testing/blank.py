"""A fresh SQLite database for a test: migrated once in each process, then copied, in a fifth of the time."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from broadcaster.store import Store
from broadcaster.testing.builders import KEY


def blank(path: Path, key: bytes = KEY) -> str:
    """Put a fresh database under this key at `path`, unless something is there; gives the URL to open it with."""
    if not path.exists():
        path.touch(0o600)
        path.write_bytes(_migrated(key))
    return f"sqlite:///{path}"


@functools.cache
def _migrated(key: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "broadcaster.db"
        Store(f"sqlite:///{path}", key).close()
        return path.read_bytes()
