"""Acts that need no running daemon, or must not meet one: `init`, `backup restore`, `audit verify`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from broadcaster.daemon import starting
from broadcaster.domain.role import Role
from broadcaster.registry import check_file, json_schema, kinds
from broadcaster.settings import ConfigError, load
from broadcaster.settings.starter import init as write_configuration, write_private
from broadcaster.store import Rank, audit, backups, tokens


def init(directory: Path) -> Path:
    """Write a commented configuration, the store's key and the first administrator's token into `directory`.

    Raises:
        AlreadyThereError: something stands there already; nothing was written.
        StoreError: the store cannot be made.
    """
    os.umask(0o077)
    return write_configuration(directory, first_token=_first_token)


def _first_token(config_path: Path) -> None:
    loaded = load(config_path, {})
    store = starting.open_store(loaded.settings)
    try:
        now = starting.now()
        secret, _ = store.write(
            lambda connection: tokens.issue(connection, now, "admin", Role.ADMIN, (), None, "init"),
            Rank.ACCEPT,
        ).result()
    finally:
        store.close()
    write_private(config_path.parent / "secrets" / "admin.token", f"{secret}\n")


def check_configuration(config_path: Path) -> list[ConfigError]:
    """Everything that is wrong with a configuration, and what to write instead. Raises OSError: it cannot be read."""
    return check_file(config_path, starting.environ())


def configuration_schema() -> dict[str, Any]:
    """The JSON Schema of a configuration with every installed kind of channel."""
    return json_schema(kinds())


def restore(config_path: Path, backup: Path) -> str:
    """Put a backup in the store's place while no daemon runs; a sentence that says what was kept aside.

    Raises:
        StoreError: a daemon runs, or the backup is not one; nothing was changed.
    """
    settings = load(config_path, starting.environ()).settings
    return backups.restore(
        settings.store.url.get_secret_value(),
        backup,
        starting.store_key(settings),
        starting.now(),
        settings.erasures,
    )


def verify_audit(config_path: Path) -> list[str]:
    """What is wrong with the audit chain, each as a sentence; nothing when it is whole. The daemon need not run."""
    settings = load(config_path, starting.environ()).settings
    store = starting.open_store(settings, lock=False)
    try:
        anchors = audit.read_heads(settings.audit_head)
        return store.read(lambda connection: audit.verify(connection, anchors))
    finally:
        store.close()
