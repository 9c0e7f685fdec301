"""Opening the store: SQLite in a file of its own, or PostgreSQL. Refuses what it cannot trust, and says what to do."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from broadcaster.lock import LockedError, take
from broadcaster.store import schema, together
from broadcaster.store.addresses import AddressVault
from broadcaster.store.ballast import Ballast
from broadcaster.store.errors import (
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreKeyWrong,
    StoreLocked,
    explain,
    full,
    was_closed,
)
from broadcaster.store.putting import put
from broadcaster.store.reaching import arguments
from broadcaster.store.tables import meta
from broadcaster.store.writer import (
    WAKE_CHANNEL,
    PostgresWriter,
    Rank,
    Refusal,
    SqliteWriter,
    Work,
    Writer,
)

T = TypeVar("T")
# What SQLite needs beside the file in order to read it at all found no room: the file itself may be whole.
_NO_ROOM = (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_WRITE)
_PING_AFTER = 2.0  # seconds for which a connection that was good is taken to be
_BUSY_MS = 4_500  # whoever waits has his answer within 5 s


class Store:
    """The database behind everything: `read` and `write` run functions of a connection from the modules beside this.

    Args:
        url: `sqlite:///path` or `postgresql+psycopg://…`.
        key: the 32 bytes that seal addresses.
        lock: hold the side file that keeps a second daemon away (SQLite); a restore, which holds it already, says False.
        ballast: keep room back on the disk for outcomes and retractions (SQLite).

    Raises:
        StoreError: one of its kinds, with a sentence.
    """

    def __init__(self, url: str, key: bytes, *, lock: bool = True, ballast: bool = False) -> None:
        self.url: URL = make_url(url)
        self.vault = AddressVault(key)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._wake_calls: list[Callable[[], None]] = []
        self._lock_file: int | None = None
        self._listener: _Listener | None = None
        if self.is_sqlite and lock:
            self._lock_file = take_lock(Path(str(self.url.database)))
        self._engines: list[Engine] = []
        try:
            self._open(ballast)
        except BaseException:
            self._let_go()
            raise

    def _open(self, ballast: bool) -> None:
        room: Ballast | None = None
        if self.is_sqlite:
            room = Ballast(Path(f"{self.url.database}-ballast")) if ballast else None
            self._look_at_the_file(room)
            write_engine, self._read_engine = (
                _sqlite_engine(self.url, 1, False),
                _sqlite_engine(self.url, 8, True),
            )
        else:
            write_engine = _postgresql_engine(self.url)
            self._read_engine = write_engine.execution_options(isolation_level="AUTOCOMMIT")
        self._engines = [self._read_engine, write_engine]
        try:
            revision = schema.bring_up_to_date(write_engine)
        except DBAPIError as error:
            raise explain(error) or StoreError(
                f"The database refused the schema: {error.orig}"
            ) from error
        self._writer: Writer = (
            SqliteWriter(write_engine, self._wake, _BUSY_MS / 1000, room)
            if self.is_sqlite
            else PostgresWriter(write_engine, _BUSY_MS / 1000, revision)
        )
        try:
            # Also where only a retraction has room.
            self.write(self._check_key, Rank.RETRACT).result()
        except BaseException:
            self._writer.close()
            raise

    def _look_at_the_file(self, room: Ballast | None) -> None:
        database = Path(str(self.url.database))
        try:
            _refuse_damaged(database)
        except StoreFull:
            if room is None or not room.give_up(everything=False):
                raise
            _refuse_damaged(database)

    def _check_key(self, connection: Connection) -> None:
        # Rows that writers lock must be there before the first of them: a row that is not cannot be locked.
        new = {"key_id": self.vault.key_id, "epoch": "1", "revision": "0", "next_incident": "1"}
        for name, value in new.items():
            put(connection, meta, {"name": name}, {}, once={"value": value})
        known = connection.scalar(select(meta.c.value).where(meta.c.name == "key_id"))
        if known != self.vault.key_id:
            raise StoreKeyWrong(
                "This store was written with another key. Put the right store.key back (see store.key in the "
                "configuration); nothing was changed."
            )

    @property
    def broken(self) -> StoreError | None:
        """Why nothing more is accepted, or None."""
        return self._writer.broken

    @property
    def refusing(self) -> Refusal | None:
        """That writes are refused (held, full, broken, out of reach) and none was made since; None after a good one.

        Good is one that changed something: a commit of nothing succeeds on a full disk too.
        """
        return self._writer.refusing

    def write(self, work: Work[T], rank: Rank = Rank.OUTCOME) -> Future[T]:
        """Run `work(connection)` durably; see `Writer.write`."""
        return self._writer.write(work, rank)

    def read(self, work: Work[T]) -> T:
        """Run `work(connection)` on a connection that is for reading.

        On PostgreSQL outside of a transaction: by default each statement sees what is committed when it begins anyway, BEGIN
        and ROLLBACK are two more ways there and back, and a ROLLBACK forgets every prepared statement. Work that must read
        one state, or takes rows as a stream, first sets the isolation level of its connection. Where the server closed the
        connection since its last use, `work` is run once more on another.

        Raises:
            StoreError: the store is out of reach.
        """
        began = time.monotonic()
        try:
            return self._look(work)
        except SQLAlchemyError as error:
            if not was_closed(error, time.monotonic() - began):
                raise explain(error) or error from error
        try:
            return self._look(work)
        except SQLAlchemyError as error:
            raise explain(error) or error from error

    def _look(self, work: Work[T]) -> T:
        with self._read_engine.connect() as connection:
            return work(connection)

    def on_wake(self, call: Callable[[], None]) -> None:
        """Call `call` (from any thread, quickly) whenever a committed write asked for it, on whichever node."""
        self._wake_calls.append(call)
        if not self.is_sqlite and self._listener is None:
            self._listener = _Listener(self.url, self._wake)

    def _wake(self) -> None:
        for call in self._wake_calls:
            # Whoever is woken may have ended meanwhile; the one thread that writes must not end with him.
            with contextlib.suppress(RuntimeError):
                call()

    def close(self) -> None:
        """Finish queued writes and let go of everything. Readers close first: the last to close checkpoints."""
        if self._listener is not None:
            self._listener.close()
        self._writer.close()
        self._let_go()

    def _let_go(self) -> None:
        for engine in self._engines:
            engine.dispose()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None


def take_lock(database: Path) -> int:
    """Hold the lock of a database file, until the descriptor that is returned is closed. Raises StoreLocked."""
    try:
        return take(database)
    except LockedError as error:
        raise StoreLocked(str(error)) from None
    except OSError as error:
        raise StoreError(
            f"The folder {database.parent} cannot be made or written ({error.strerror}). Give it to the daemon's user, "
            "or mend store.url. Nothing was changed."
        ) from error


def _refuse_damaged(database: Path) -> None:
    """Look before anything is written; a file that is there is never recreated over."""
    if not database.exists():
        return
    try:
        connection = sqlite3.connect(
            f"{database.resolve().as_uri()}?mode=rw", uri=True, timeout=_BUSY_MS / 1000
        )
        try:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF in (5, 6):
            raise StoreBusy(f"Another program holds {database}. Try again in a moment.") from error
        if code & 0xFF == sqlite3.SQLITE_FULL or code in _NO_ROOM:
            raise full() from error
        verdict = str(error)
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        raise StoreCorrupt(
            f"{database} is damaged ({verdict}). It was left as it is. Move it aside and restore the latest backup: "
            "broadcaster backup restore PATH --yes"
        )


def _postgresql_engine(url: URL) -> Engine:
    """Connections for the twelve threads that write, and some for those who read."""
    engine = create_engine(
        url,
        pool_size=13,
        max_overflow=8,
        pool_timeout=_BUSY_MS / 1000,
        connect_args=arguments(url),
    )

    together.listen(engine)

    @event.listens_for(engine, "checkin")
    def _note(_: Any, record: ConnectionPoolEntry) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(driver: Any, record: ConnectionPoolEntry, _: Any) -> None:
        # Not each time, as `pool_pre_ping` does it: between the steps of one word each is a way there and back.
        if time.monotonic() - record.info.get("used", math.inf) > _PING_AFTER:
            try:
                engine.dialect.do_ping(driver)
            except engine.dialect.loaded_dbapi.Error as error:
                raise InvalidatePoolError from error  # the pool opens another one

    return engine


def _sqlite_engine(url: URL, connections: int, read_only: bool) -> Engine:
    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=16 if read_only else 0,
        connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy says BEGIN, the driver must not
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # NORMAL lost acknowledged rows in a power cut
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.execute("PRAGMA foreign_keys=ON")
        if read_only:
            cursor.execute("PRAGMA wal_autocheckpoint=0")
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


class _Listener:
    """A thread that hears PostgreSQL's NOTIFY. A slow poll elsewhere is the net when it is deaf."""

    def __init__(self, url: URL, call: Callable[[], None]) -> None:
        self._url, self._call = url, call
        self._stop = threading.Event()
        self.listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-listener", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # Not at the top: psycopg takes 60 ms and 9 MiB, which a store in a file can spare.
        import psycopg  # noqa: PLC0415 - see above

        while not self._stop.is_set():
            try:
                with psycopg.connect(autocommit=True, **arguments(self._url)) as connection:
                    connection.execute(f"LISTEN {WAKE_CHANNEL}")
                    self.listening.set()
                    while not self._stop.is_set():
                        for _ in connection.notifies(timeout=0.5, stop_after=1):
                            self._call()
            except psycopg.Error:
                self.listening.clear()
                self._stop.wait(1)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
