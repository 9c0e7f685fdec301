"""Looking at a store without changing it: nothing is migrated, nothing written, and a daemon may run beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from broadcaster.store import audit, dumps, schema
from broadcaster.store.database import take_lock
from broadcaster.store.errors import StoreError, StoreLocked, explain

T = TypeVar("T")


def look(url: str, work: Callable[[Connection], T]) -> T:
    """Run `work(connection)` on one unchanging view of a store, on a connection that cannot write.

    While no daemon runs its lock is held, so that none begins in the middle; beside one that runs nothing is held.

    Raises:
        StoreError: there is no store, it cannot be read, or its schema is of another version; nothing was changed.
    """
    target = make_url(url)
    with _alone_if_possible(target):
        engine = _engine(target)
        try:
            with engine.connect() as connection:
                schema.refuse_other_version(connection)
                return work(connection)
        except DBAPIError as error:
            raise explain(error) or StoreError(
                f"The store cannot be read: {error.orig}. Nothing was changed."
            ) from error
        finally:
            engine.dispose()


def lacking(url: str, heads: Sequence[audit.Head]) -> audit.Head | None:
    """The newest exported head, if a store in a file does not hold its row any more. It is looked at, not opened.

    None also where that cannot be told: whoever opens it says what else is wrong with it.
    """
    target = make_url(url)
    if target.get_backend_name() != "sqlite" or not heads:
        return None
    if not file_of(url).is_file():
        return heads[-1]
    with suppress(StoreError):
        return look(url, lambda connection: audit.lacking(connection, heads))
    return None


def file_of(url: str) -> Path:
    """The file of a store in SQLite."""
    return Path(str(make_url(url).database))


def absent(url: str) -> bool:
    """Whether there is no store in the file of `url` yet, or not any more; False where that cannot be told."""
    if make_url(url).get_backend_name() != "sqlite":
        return False
    try:
        return file_of(url).stat().st_size == 0
    except FileNotFoundError:
        return True
    except OSError:
        return False  # whoever opens it says what is wrong


def refuse_company(url: str) -> None:
    """Raise StoreLocked when somebody is connected to PostgreSQL; for SQLite the lock on its side file does this."""
    target = make_url(url)
    if target.get_backend_name() == "sqlite":
        return
    engine = create_engine(target)
    try:
        with engine.connect() as connection:
            dumps.refuse_company(connection)
    except DBAPIError as error:
        raise explain(error) or error from error
    finally:
        engine.dispose()


@contextmanager
def _alone_if_possible(url: URL) -> Iterator[None]:
    if url.get_backend_name() != "sqlite":
        yield
        return
    database = Path(str(url.database))
    if not database.is_file():
        raise StoreError(f"There is no store at {database}. Nothing was changed.")
    lock = None
    with suppress(StoreLocked, OSError):  # an auditor may read the store and not hold its lock
        lock = take_lock(database)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(
            url, isolation_level="REPEATABLE READ", execution_options={"postgresql_readonly": True}
        )
    database = quote(str(Path(str(url.database)).resolve()))
    engine = create_engine(f"sqlite:///file:{database}?mode=ro&uri=true")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")  # the driver begins nothing for a SELECT

    return engine
