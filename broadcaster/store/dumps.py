"""Backups of PostgreSQL by its own tools; what a restore replaces is kept in a schema of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL

from broadcaster.store.errors import StoreCorrupt, StoreError, StoreLocked
from broadcaster.store.reaching import conninfo

_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


class StoreFailed(StoreError):
    """A tool of PostgreSQL was run and failed."""


def take(url: URL, path: Path) -> None:
    """Dump the database into `path` in pg_dump's custom format, of one moment, while it is in use.

    Raises:
        StoreError: pg_dump is missing or failed; there is no backup.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        _run(url, "pg_dump", "--format=custom", "--schema=public", f"--file={unfinished}")
        _run(url, "pg_restore", "--list", str(unfinished), connects=False)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


@contextmanager
def replaced(url: URL, backup: Path, now: datetime) -> Iterator[str]:
    """Within, the database holds what the dump held; what was there is kept as another schema, whose name is yielded.

    When the body raises, everything is put back as it was.

    Raises:
        StoreLocked: somebody is connected.
        StoreError: pg_restore is missing or failed; everything is as it was.
    """
    try:
        _run(url, "pg_restore", "--list", str(backup), connects=False)
    except StoreFailed as error:
        raise StoreCorrupt(f"{backup} is not a backup of a store. Nothing was changed.") from error
    aside = f"before_{now:%Y%m%dt%H%M%S_%f}"
    _administer(url, f'ALTER SCHEMA public RENAME TO "{aside}"', "CREATE SCHEMA public")
    try:
        _run(
            url,
            *("pg_restore", "--no-owner", "--no-privileges", "--schema=public"),
            *("--exit-on-error", "--single-transaction", str(backup)),
        )
        yield aside
    except BaseException:
        _administer(url, "DROP SCHEMA public CASCADE", f'ALTER SCHEMA "{aside}" RENAME TO public')
        raise


def _administer(url: URL, *statements: str) -> None:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            refuse_company(connection)
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()


def refuse_company(connection: Connection) -> None:
    """Raise StoreLocked when anybody else is connected to the database."""
    others = connection.scalar(_OTHERS)
    if others:
        raise StoreLocked(
            f"{others} other connections use this database. Stop the daemon on every node first. Nothing was changed."
        )


def _run(url: URL, program: str, *arguments: str, connects: bool = True) -> None:
    found = shutil.which(program)
    if found is None:
        raise StoreError(
            f"{program} is not on this machine. It comes with PostgreSQL's client (Debian: postgresql-client)."
        )
    # The password travels in the environment: arguments can be read by every user of the machine.
    secret = {"PGPASSWORD": url.password} if url.password else {}
    where = [f"--dbname={conninfo(url)}"] if connects else []
    done = subprocess.run(  # noqa: S603 - the program was looked up, nothing is expanded by a shell
        [found, *where, *arguments],
        env={**os.environ, **secret},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it gave no reason"]
        raise StoreFailed(f"{program} failed: {said[0]}")
