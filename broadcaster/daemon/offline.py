"""Acts that need no running daemon, or must not meet one: `init`, `tokens add --offline`, `backup restore`, `audit verify`."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from broadcaster.daemon import starting
from broadcaster.daemon.ownership import refuse_root
from broadcaster.domain.role import Role
from broadcaster.registry import check_file, json_schema, kinds
from broadcaster.service import token_acts
from broadcaster.service.commands import Operator, Refused
from broadcaster.service.desk import Configuration, Desk
from broadcaster.settings import ConfigError, Loaded, load
from broadcaster.settings.starter import FIRST_TOKEN, init as write_configuration, write_private
from broadcaster.store import StoreLocked, audit, backups, reading

UNATTENDED = timedelta(days=90)
"""How long a token lives that no administrator gave: docs/adr/0012-the-first-token.md."""


class NoToken(Exception):
    """No token was made; `args[0]` says why, in the organisation's first language."""


def init(directory: Path, languages: tuple[str, ...] = ("sv", "en")) -> Path:
    """Write a commented configuration, the store's key and the first administrator's token into `directory`.

    Args:
        languages: of the organisation, the first is its default.

    Raises:
        AlreadyThereError: something stands there already; nothing was written.
        StoreError: the store cannot be made.
    """
    os.umask(0o077)
    return write_configuration(directory, languages=languages, first_token=_first_token)


def _first_token(config_path: Path) -> None:
    made = _issue(load(config_path, {}), "init", token_acts.FIRST, Role.ADMIN)
    write_private(config_path.parent / FIRST_TOKEN, f"{made['secret']}\n")


def add_token(
    config_path: Path,
    name: str,
    role: Role,
    areas: tuple[str, ...] = (),
    expires: datetime | None = None,
) -> dict[str, Any]:
    """Make a token while no daemon runs, for when nobody has one that is good; answers as `POST /tokens` does.

    Args:
        areas: keys or official codes; none: all.
        expires: an aware time; None: in 90 days.

    Raises:
        StoreLocked: a daemon runs; nothing was changed.
        StoreError: the store cannot be opened.
        OthersFiles: this is root, and the store is another user's.
        NoToken: there is no such area, or the end is in the past.
    """
    os.umask(0o077)
    loaded = load(config_path, starting.environ())
    refuse_root(loaded.settings)
    reading.refuse_company(loaded.settings.store.url.get_secret_value())
    try:
        return _issue(loaded, "offline", name, role, areas, expires)
    except StoreLocked as error:
        raise StoreLocked(
            "The daemon runs, and it makes tokens itself: leave --offline out, or stop it first. No token was made."
        ) from error


def _issue(
    loaded: Loaded,
    actor: str,
    name: str,
    role: Role,
    areas: tuple[str, ...] = (),
    expires: datetime | None = None,
) -> dict[str, Any]:
    """As an administrator would by the API, in a store that nobody else has open."""
    store = starting.open_store(loaded.settings)
    desk = Desk(store, starting.now, Configuration(loaded.settings, {}, loaded.digest))
    ends = expires or starting.now() + UNATTENDED
    try:
        operator = Operator(name=actor, role=Role.ADMIN)
        return token_acts.issue(desk, operator, name, role, areas, ends)
    except Refused as refused:
        raise NoToken(desk.say(refused)) from refused
    finally:
        store.close()


def check_configuration(config_path: Path) -> list[ConfigError]:
    """Everything that is wrong with a configuration, and what to write instead. Raises OSError: it cannot be read."""
    return check_file(config_path, starting.environ())


def configuration_schema() -> dict[str, Any]:
    """The JSON Schema of a configuration with every installed kind of channel."""
    return json_schema(kinds())


def restore(config_path: Path, backup: Path) -> tuple[str, ...]:
    """Put a backup in the store's place while no daemon runs; sentences that say what became of what was there.

    Raises:
        StoreError: a daemon runs, or the backup is not one; nothing was changed.
        OthersFiles: this is root, and the store is another user's.
    """
    os.umask(0o077)
    settings = load(config_path, starting.environ()).settings
    refuse_root(settings)
    return backups.restore(
        settings.store.url.get_secret_value(),
        backup,
        starting.store_key(settings),
        starting.now(),
        settings.erasures,
        settings.audit_head,
    )


def verify_audit(config_path: Path) -> list[str]:
    """What is wrong with the audit chain, each as a sentence; nothing when it is whole. The store is only read.

    Raises:
        StoreError: the store cannot be read, or another version of the program wrote it; nothing was changed.
    """
    os.umask(0o077)
    settings = load(config_path, starting.environ()).settings
    anchors = audit.read_heads(settings.audit_head)
    return reading.look(
        settings.store.url.get_secret_value(),
        lambda connection: audit.verify(connection, anchors),
    )
