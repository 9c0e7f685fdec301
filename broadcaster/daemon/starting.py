"""From a configuration file to the parts of a daemon."""

from __future__ import annotations

import base64
import contextlib
import os
import resource
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from broadcaster.credentials import held_secrets
from broadcaster.domain.incident import Mode
from broadcaster.registry import Adapter, usable
from broadcaster.service.desk import Configuration
from broadcaster.settings import Loaded, Settings
from broadcaster.store import Store, StoreCorrupt, StoreError, audit, reading


def now() -> datetime:
    """The wall clock, aware UTC."""
    return datetime.now(UTC)


def configure(path: Path) -> tuple[Loaded, Configuration]:
    """Read a configuration and build its channels; those whose adapters break are left out and named.

    Raises:
        ConfigErrors: with everything that is written wrongly.
    """
    loaded, adapters, broken = usable(path, environ())
    blocks = loaded.source.blocks
    return loaded, Configuration(loaded.settings, adapters, loaded.digest, broken, blocks)


def open_store(settings: Settings) -> Store:
    """Open the store of a configuration, with room kept back for a full disk; raises StoreError."""
    return Store(settings.store.url.get_secret_value(), store_key(settings), ballast=True)


def open_whole_store(settings: Settings) -> Store:
    """Open the store for a daemon, if it is there and still holds what was written to it last; raises StoreError.

    Only a demo begins with nothing by itself: a disk that is not mounted looks like a first start, and a store made
    beneath its place knows no token and shows an empty page. Whoever makes the first token makes the store.

    SQLite takes a log that was cut short, or a byte of it that flipped, for the end: what came after is gone without a
    word. The head of the audit trail, exported to a file of its own every second, tells.
    """
    url = settings.store.url.get_secret_value()
    if settings.mode is not Mode.DEMO and reading.absent(url):
        raise StoreError(
            f"There is no store at {reading.file_of(url)}. Is its disk mounted? Nothing was made. If the store is lost, "
            "restore the latest backup: broadcaster backup restore PATH --yes. To begin with nothing, move aside what it left, "
            f"{settings.audit_head} and {settings.public.directory}, and make the first token: broadcaster tokens add NAME "
            "--role admin --offline"
        )
    gone = reading.lacking(url, audit.read_heads(settings.audit_head))
    if gone is not None:
        raise StoreCorrupt(
            f"{reading.file_of(url)} lacks what was written to it last (row {gone.id} of the audit trail): it was cut "
            "short, replaced or made anew. It was left as it is. Restore the latest backup: broadcaster backup restore "
            f"PATH --yes. To begin with nothing instead, move both it and {settings.audit_head} aside."
        )
    return open_store(settings)


def store_key(settings: Settings) -> bytes:
    """The 32 bytes that seal addresses."""
    return base64.b64decode(settings.store.key.get_secret_value())


def environ() -> Mapping[str, str]:
    """The environment that `${NAME}` in a configuration is read from."""
    return os.environ


def secrets_of(settings: Settings, adapters: dict[str, Adapter]) -> Iterator[str]:
    """Every secret of a configuration, for the redaction of logs."""
    yield from held_secrets(settings)
    for adapter in adapters.values():
        yield from held_secrets(adapter.settings)
        yield from adapter.secrets()


def node_name(settings: Settings) -> str:
    """This node's name: the same over restarts."""
    return settings.node or socket.gethostname()


def make_readable(directory: Path) -> None:
    """The public directory is for every reader, also for another web server's user, whatever our umask is."""
    if not directory.exists():
        directory.mkdir(parents=True)
        directory.chmod(0o755)


def raise_file_limit() -> None:
    """Take as many open files as the system gives: a storm of connections must not end in EMFILE."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
