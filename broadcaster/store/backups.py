"""Backups: made while the daemon runs, restored while it does not."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from broadcaster.store import audit, dumps, erasures as erasure_list, snapshots
from broadcaster.store.database import Store, take_lock
from broadcaster.store.errors import StoreError
from broadcaster.store.reviving import LEFT_OUT, Revived, Used, revive, used_by
from broadcaster.store.snapshots import Progress
from broadcaster.store.tables import meta
from broadcaster.store.writer import Rank

Erasures = tuple[erasure_list.Erasure, ...]


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A backup that was made and checked; `size` in bytes."""

    path: Path
    size: int
    at: datetime


def create(
    store: Store, path: Path, now: datetime, progress: Progress | None = None
) -> BackupReport:
    """Write a backup of a store in use, readable by its owner only; a file of that name is replaced when it is whole.

    Args:
        progress: called with pages done and pages in all (SQLite only).

    Raises:
        StoreError: there is no backup, and why.
    """
    if store.is_sqlite and path.resolve() == Path(str(store.url.database)).resolve():
        raise StoreError("That is the store itself. Name another file for the backup.")
    try:
        if store.is_sqlite:
            snapshots.take(store, path, progress)
        else:
            dumps.take(store.url, path)
        size = path.stat().st_size
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written ({error.strerror}). There is no backup."
        ) from error
    if store.is_sqlite:
        _note_used(Path(str(store.url.database)), store.read(used_by))
    return BackupReport(path, size, now)


def restore(
    url: str,
    path: Path,
    key: bytes,
    now: datetime,
    erasures: Path,
    audit_head: Path | None = None,
) -> tuple[str, ...]:
    """Put a backup in the store's place while no daemon runs; see `broadcaster.store.reviving` for what changes.

    Args:
        url: the store's, as for `Store`.
        key: the store's.
        erasures: the list of who asked to be erased since, outside the backups.
        audit_head: where the head of the audit trail is exported: it tells whether the old store has lost its end.

    Returns:
        Sentences for the operator: where the old store is kept, and what has to be done by hand.

    Raises:
        StoreError: one of its kinds; everything is as it was.
    """
    target = make_url(url)
    if not path.is_file():
        raise StoreError(f"There is no backup at {path}. Nothing was changed.")
    try:
        gone = erasure_list.read(erasures)
    except OSError as error:
        raise StoreError(
            f"The list of erasures {erasures} cannot be read ({error.strerror}), and a backup must not bring back who "
            "was erased. Nothing was changed."
        ) from error
    if target.get_backend_name() == "sqlite":
        heads = audit.read_heads(audit_head) if audit_head else ()
        return _restore_sqlite(target, path, key, now, gone, heads)
    return _restore_postgresql(target, path, key, now, gone)


def _restore_sqlite(
    url: URL, path: Path, key: bytes, now: datetime, gone: Erasures, heads: tuple[audit.Head, ...]
) -> tuple[str, ...]:
    database = Path(str(url.database))
    lock = take_lock(database)
    try:
        used = _used_sqlite(url, heads)
        copy = snapshots.copy_to_restore(path, database)
        try:
            revived = _revive(url.set(database=str(copy)), key, used, gone, now)
            aside = snapshots.swap(copy, database, now)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        _note_used(database, Used(revived.epoch, revived.next_incident))
    finally:
        os.close(lock)
    return _say(path, revived, used, f"as {aside}" if aside else "")


def _restore_postgresql(
    url: URL, path: Path, key: bytes, now: datetime, gone: Erasures
) -> tuple[str, ...]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            dumps.refuse_company(connection)
            used = used_by(connection) if inspect(connection).has_table(meta.name) else Used()
    finally:
        engine.dispose()
    with dumps.replaced(url, path, now) as aside:
        revived = _revive(url, key, used, gone, now)
    return _say(path, revived, used, f'in the schema "{aside}"')


def _revive(url: URL, key: bytes, used: Used, gone: Erasures, now: datetime) -> Revived:
    store = Store(url.render_as_string(hide_password=False), key, lock=False)
    try:
        return store.write(
            lambda connection: revive(connection, used, gone, now), Rank.ACCEPT
        ).result()
    finally:
        store.close()


def _used_sqlite(url: URL, heads: tuple[audit.Head, ...]) -> Used:
    """What the present file says, if it can be read; what the side file says is the least."""
    database = Path(str(url.database))
    try:
        noted = json.loads(_side_file(database).read_text(encoding="utf-8"))
        least = Used(int(noted["epoch"]), int(noted["next_incident"]))
    except (OSError, ValueError, KeyError, TypeError):
        least = Used()
    if not database.exists():
        return least
    # Read-only: a damaged file is kept exactly as it is.
    engine = create_engine(f"sqlite:///file:{quote(str(database.resolve()))}?mode=ro&uri=true")
    try:
        with engine.connect() as connection:
            used = used_by(connection)
            whole = audit.lacking(connection, heads) is None
            return replace(used, certain=whole)
    except (DBAPIError, ValueError):
        return least
    finally:
        engine.dispose()


def _side_file(database: Path) -> Path:
    return database.with_name(f"{database.name}.high")


def _note_used(database: Path, used: Used) -> None:
    """Keep beside the store what was used, for the day the store itself cannot be read any more."""
    fresh = _side_file(database).with_name(f"{database.name}.high.unfinished")
    said = {"epoch": used.epoch, "next_incident": used.next_incident}
    fresh.write_text(json.dumps(said) + "\n", encoding="utf-8")
    fresh.replace(_side_file(database))


def _say(path: Path, revived: Revived, used: Used, kept: str) -> tuple[str, ...]:
    said = [f"{path} was restored. The public revision goes on as {revived.epoch}.1."]
    if kept:
        said.append(f"The store that was there is kept {kept}.")
    said.append(
        f"{revived.withdrawn} deliveries that were open in the backup were withdrawn, so that nothing is sent twice; "
        "what the public was to be told at a time was cancelled, and staff is still told when a promise is due. "
        "Say anew what still holds."
    )
    if revived.cancelled:
        said.append(f"Cancelled: {', '.join(revived.cancelled)}.")
    if revived.planned:
        said.append(
            "Planned work that no longer opens or closes by itself, unless it is planned anew (broadcaster update, "
            f"with --planned): {', '.join(revived.planned)}."
        )
    if revived.erased:
        said.append(f"Subscribers who were erased since, and now again: {revived.erased}.")
    if not used.certain:
        said.append(
            f"The old store could not be read to its end: {LEFT_OUT} incident numbers are left out (the next is "
            f"{revived.next_incident}), and tokens revoked since the backup are valid again: "
            "look at broadcaster tokens list."
        )
    return tuple(said)
