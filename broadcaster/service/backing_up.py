"""Backups made while the daemon runs."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from broadcaster.service.commands import Operator, Refused, Role
from broadcaster.service.desk import Configuration, Desk, permit
from broadcaster.service.everywhere import permit_everywhere
from broadcaster.service.notices import iso
from broadcaster.store import Connection, StoreError, audit, backups, upkeep

SUFFIXES = frozenset({"", ".backup", ".bak", ".db", ".dump", ".sqlite", ".sqlite3"})


def create(desk: Desk, operator: Operator, path: str) -> dict[str, Any]:
    """Write a backup and check it. `path` is absolute, or a name in the folder of backups.

    Only a new file is written and, outside of that folder, with a name that nothing would read or run by itself: the token
    of an administrator is not the login of the daemon's user.
    """
    permit(operator, Role.ADMIN)
    permit_everywhere(operator)
    now, configuration = desk.clock(), desk.configuration
    target = _place(configuration, path)
    try:
        report = backups.create(desk.store, target, now)
    except StoreError as error:
        if type(error) is StoreError:  # the place is at fault, not the store
            raise Refused("{reason}", at="path", reason=error) from error
        raise
    desk.write(lambda connection: _note(connection, operator, now, report.size))
    return {"path": str(report.path), "size": report.size, "at": iso(report.at)}


def folder(configuration: Configuration) -> Path:
    """Where backups go when nothing else is said: beside the list of erasures, which is never in one."""
    return configuration.settings.erasures.parent.resolve() / "backups"


def _place(configuration: Configuration, written: str) -> Path:
    usual = folder(configuration)
    named = Path(written)
    if not named.is_absolute():
        if named.name != written or written.startswith("."):
            raise _refused("write an absolute path, or a name without a folder")
        return _fresh(usual, named.name)
    parent = named.parent.resolve()
    target = parent / named.name
    if parent == usual:
        return _fresh(usual, named.name)
    if not parent.is_dir():
        raise _refused("there is no such folder; it has to be made first")
    public = configuration.settings.public.directory.resolve()
    if parent == public or public in parent.parents:
        raise _refused("residents can read that folder")
    _refuse_taken(target)
    if parent.stat().st_uid != os.geteuid():
        raise _refused("that folder is not the daemon's own")
    hidden = any(part.startswith(".") for part in target.parts[1:])
    if hidden or target.suffix not in SUFFIXES:
        raise _refused("name it without a dot at the beginning, ending in .backup")
    return target


def _fresh(usual: Path, name: str) -> Path:
    usual.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_taken(usual / name)
    return usual / name


def _refuse_taken(target: Path) -> None:
    if os.path.lexists(target):
        raise Refused(
            "There is something called {name} already, and no backup is written over another. Take another name.",
            at="path",
            name=target.name,
        )


def _refused(reason: str) -> Refused:
    return Refused(
        "A backup cannot be written there: {reason}. There is no backup.", at="path", reason=reason
    )


def _note(connection: Connection, operator: Operator, now: datetime, size: int) -> None:
    audit.note(connection, now, operator.name, upkeep.BACKED_UP, "", size=size)
