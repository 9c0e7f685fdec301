"""How writes reach the database: on SQLite one connection in one thread, on PostgreSQL a small pool.

A write is a function of a connection with no other input or output, so that it can be run again.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from enum import IntEnum
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from broadcaster.store.errors import (
    StoreBroken,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    explain,
    is_conflict,
)

T = TypeVar("T")
Work = Callable[[Connection], T]

WAKE_CHANNEL = "broadcaster_wake"
_BATCH_SECONDS = 0.02
_BATCH_WRITES = 64
_TRIES = 5


class Rank(IntEnum):
    """Which write goes first when several wait."""

    RETRACT = 0
    ACCEPT = 1
    OUTCOME = 2
    IMPORT = 3
    STOP = 9


def wake(connection: Connection) -> None:
    """Ask that whoever waits for work is woken once this write is committed."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": WAKE_CHANNEL})
    else:
        connection.info["wake"] = True


class Writer(ABC):
    """Runs writes; `write` returns at once, the future ends when the write is durable."""

    broken: StoreError | None = None

    @abstractmethod
    def write(self, work: Work[T], rank: Rank = Rank.OUTCOME) -> Future[T]:
        """Run `work` in a transaction.

        The future raises a `StoreError`, or what `work` raised; in both cases nothing of it is kept.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish what is queued and stop."""


class SqliteWriter(Writer):
    """One thread and one connection do every write and every checkpoint.

    Two connections that write can meet a known race between a checkpoint and a commit in the SQLite of most systems.
    Each write runs in a savepoint of its own, many share one commit: one fdatasync, then every answer.
    """

    def __init__(self, engine: Engine, on_wake: Callable[[], None]) -> None:
        self._engine = engine
        self._on_wake = on_wake
        self._order = itertools.count()
        self._queue: queue.PriorityQueue[tuple[int, int, Work[Any], Future[Any]]] = (
            queue.PriorityQueue()
        )
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._closed = False
        self._thread.start()

    def write(self, work: Work[T], rank: Rank = Rank.OUTCOME) -> Future[T]:
        """See `Writer.write`."""
        future: Future[T] = Future()
        if self._closed:
            future.set_exception(StoreBusy("The store is closing. Nothing was stored."))
            return future
        self._queue.put((rank, next(self._order), work, future))
        return future

    def close(self) -> None:
        """Finish what is queued, then end the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put((Rank.STOP, next(self._order), lambda _: None, Future()))
            self._thread.join()

    def _run(self) -> None:
        with self._engine.connect() as connection:
            while True:
                batch = self._next_batch()
                # From here on a future cannot be cancelled: its write will be durable, or it will be told why not.
                live = [
                    (work, future)
                    for _, _, work, future in batch
                    if future.set_running_or_notify_cancel()
                ]
                self._commit(connection, live)
                if batch[-1][0] == Rank.STOP:
                    return

    def _next_batch(self) -> list[tuple[int, int, Work[Any], Future[Any]]]:
        batch = [self._queue.get()]
        until = time.monotonic() + _BATCH_SECONDS
        while len(batch) < _BATCH_WRITES and time.monotonic() < until:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return batch

    def _commit(self, connection: Connection, batch: list[tuple[Work[Any], Future[Any]]]) -> None:
        if self.broken is not None:
            for _, future in batch:
                future.set_exception(self.broken)
            return
        connection.info.pop("wake", None)
        answers: list[tuple[Future[Any], Any]] = []
        try:
            with connection.begin():
                for work, future in batch:
                    self._run_one(connection, work, future, answers)
        except Exception as error:  # noqa: BLE001 - the one writer must live on, and every caller be answered
            self._fail(error, batch)
            return
        if connection.info.pop("checkpoint", False):
            self._empty_log(connection)
        for future, answer in answers:
            future.set_result(answer)
        if connection.info.pop("wake", False):
            self._on_wake()

    @staticmethod
    def _run_one(
        connection: Connection,
        work: Work[Any],
        future: Future[Any],
        answers: list[tuple[Future[Any], Any]],
    ) -> None:
        savepoint = connection.begin_nested()
        try:
            answer = work(connection)
        except DBAPIError as error:
            if explain(error) is not None:
                raise  # it is the disk, not this write: the whole batch fails
            savepoint.rollback()
            future.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - whatever a write raises belongs to its caller
            savepoint.rollback()
            future.set_exception(error)
        else:
            savepoint.commit()
            answers.append((future, answer))

    @staticmethod
    def _empty_log(connection: Connection) -> None:
        """What was erased must not live on in the write-ahead log: bring it home and cut the log."""
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101 - the pool has just used it
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _fail(self, error: Exception, batch: list[tuple[Work[Any], Future[Any]]]) -> None:
        known = explain(error) if isinstance(error, DBAPIError) else None
        reason = known or StoreBusy("The database refused the write. Nothing was stored.")
        reason.__cause__ = error
        if isinstance(reason, StoreBroken | StoreCorrupt):
            self.broken = reason
        for _, future in batch:
            if not future.done():
                future.set_exception(reason)


class PostgresWriter(Writer):
    """A few threads, each write in a transaction of its own, run again when PostgreSQL asks for it."""

    def __init__(self, engine: Engine, threads: int = 8) -> None:
        self._engine = engine
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="store-writer")

    def write(self, work: Work[T], rank: Rank = Rank.OUTCOME) -> Future[T]:
        """See `Writer.write`; PostgreSQL runs writes side by side, so `rank` orders nothing here."""
        return self._pool.submit(self._run, work)

    def close(self) -> None:
        """Finish what is queued, then end the threads."""
        self._pool.shutdown()

    def _run(self, work: Work[T]) -> T:
        for tries_left in reversed(range(_TRIES)):
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if is_conflict(error) and tries_left:
                    continue
                reason = explain(error)
                if reason is None:
                    raise
                raise reason from error
        raise AssertionError("unreachable")
