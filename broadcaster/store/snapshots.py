"""Backups of SQLite: one file, complete and checked before it has its name; nothing is ever deleted."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, select

from broadcaster.store.database import Store
from broadcaster.store.errors import StoreCorrupt, StoreError
from broadcaster.store.tables import meta

Progress = Callable[[int, int], None]
_PAGES = 1_000


def take(store: Store, path: Path, progress: Progress | None) -> None:
    """Copy a store in use into the file `path`, which is there whole or not at all.

    The copy is of one moment: the reading connection holds its snapshot, and the writer goes on meanwhile.

    Raises:
        StoreError: it cannot be written, or the copy does not pass SQLite's own check.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        store.read(lambda connection: _copy(connection, unfinished, progress))
        _sync(unfinished)
        unfinished.replace(path)
        _sync(path.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _copy(connection: Connection, to: Path, progress: Progress | None) -> None:
    connection.execute(select(meta.c.name).limit(1))  # from here on the snapshot is held
    source = connection.connection.driver_connection
    assert isinstance(source, sqlite3.Connection)  # noqa: S101 - the caller has looked at the URL
    target = sqlite3.connect(to, isolation_level=None)
    try:
        source.backup(
            target,
            pages=_PAGES,
            progress=lambda _, left, total: progress(total - left, total) if progress else None,
        )
        target.execute("PRAGMA journal_mode=DELETE")  # a backup is one file
        verdict = target.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(f"The backup could not be written: {error}. There is none.") from error
    finally:
        target.close()
    if verdict != "ok":
        raise StoreCorrupt(
            f"The copy is damaged ({verdict}), and so may the store be. There is no backup."
        )


def copy_to_restore(backup: Path, database: Path) -> Path:
    """A private copy of a backup beside the store it is to replace, checked.

    Raises:
        StoreError: it is not there, or no backup of ours; nothing was changed.
    """
    copy = database.with_name(f"{database.name}.restoring")
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        source = sqlite3.connect(f"{backup.resolve().as_uri()}?mode=ro", uri=True)
        target = sqlite3.connect(copy, isolation_level=None)
        try:
            source.backup(target)
            known = target.execute("SELECT count(*) FROM meta WHERE name = 'key_id'").fetchone()[0]
            verdict = target.execute("PRAGMA integrity_check(1)").fetchone()[0]
        finally:
            source.close()
            target.close()
    except sqlite3.Error as error:
        copy.unlink(missing_ok=True)
        raise StoreCorrupt(
            f"{backup} is not a backup of a store ({error}). Nothing was changed."
        ) from error
    if not known or verdict != "ok":
        copy.unlink(missing_ok=True)
        raise StoreCorrupt(f"{backup} is damaged ({verdict}). Nothing was changed.")
    return copy


def swap(copy: Path, database: Path, now: datetime) -> Path | None:
    """Put `copy` in the place of `database`; the file that was there is kept aside, and its new path returned.

    At no moment is there no database: a daemon that starts after a crash in between finds the old one or the new one.
    """
    _fold_log(copy)
    _sync(copy)
    aside = None
    if database.exists():
        aside = database.with_name(f"{database.name}.before-{now:%Y%m%dT%H%M%S.%fZ}")
        # A log left beside the new file would be replayed into it.
        for log in ("-wal", "-shm"):
            beside = database.with_name(database.name + log)
            if beside.exists():
                beside.rename(aside.with_name(aside.name + log))
        aside.hardlink_to(database)
    copy.replace(database)
    _sync(database.parent)
    return aside


def _fold_log(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=DELETE")
    finally:
        connection.close()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
