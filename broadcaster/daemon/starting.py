"""From a configuration file to the parts of a daemon."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import structlog

from broadcaster.credentials import held_secrets
from broadcaster.daemon.ownership import name_of
from broadcaster.registry import Adapter, usable
from broadcaster.service.desk import Configuration
from broadcaster.settings import Loaded, Settings
from broadcaster.store import Store, StoreCorrupt, audit, reading

log = structlog.get_logger()


def now() -> datetime:
    """The wall clock, aware UTC."""
    return datetime.now(UTC)


def configure(path: Path) -> tuple[Loaded, Configuration]:
    """Read a configuration and build its channels; those whose adapters break are left out and named.

    Raises:
        ConfigErrors: with everything that is written wrongly.
    """
    loaded, adapters, broken = usable(path, environ())
    return loaded, Configuration(loaded.settings, adapters, loaded.digest, broken)


def open_store(settings: Settings) -> Store:
    """Open the store of a configuration, with room kept back for a full disk; raises StoreError."""
    return Store(settings.store.url.get_secret_value(), store_key(settings), ballast=True)


def open_whole_store(settings: Settings) -> Store:
    """Open the store for a daemon, if it still holds what was written to it last; raises StoreError.

    SQLite takes a log that was cut short, or a byte of it that flipped, for the end: what came after is gone without a
    word. The head of the audit trail, exported to a file of its own every second, tells.
    """
    url = settings.store.url.get_secret_value()
    gone = reading.lacking(url, audit.read_heads(settings.audit_head))
    if gone is not None:
        raise StoreCorrupt(
            f"{reading.file_of(url)} lacks what was written to it last (row {gone.id} of the audit trail): it was cut "
            "short, replaced or made anew. It was left as it is. Restore the latest backup: broadcaster backup restore "
            f"PATH --yes. To begin with nothing instead, move both it and {settings.audit_head} aside."
        )
    folder = reading.file_of(url).absolute().parent if url.startswith("sqlite:") else None
    missing = folder is not None and not folder.exists()
    store = open_store(settings)
    if missing:  # a disk that is not mounted looks like this too
        log.warning(
            "the folder of the store was not there and was made",
            folder=str(folder),
            owner=name_of(os.geteuid()),
        )
    return store


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
