"""How writes reach the database: on SQLite one connection in one thread, on PostgreSQL a small pool.

A write is a function of a connection with no other input or output, so that it can be run again.
"""

from __future__ import annotations

import itertools
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, RootTransaction, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from broadcaster.store.ballast import Ballast
from broadcaster.store.errors import (
    StoreBroken,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreUnsure,
    explain,
    full,
    is_conflict,
    was_closed,
    was_ended,
)
from broadcaster.store.handing import Handed, Rank, Refusal, Work, Writer
from broadcaster.store.schema import overtaken
from broadcaster.store.together import later, together

__all__ = [
    "WAKE_CHANNEL",
    "PostgresWriter",
    "Rank",
    "Refusal",
    "SqliteWriter",
    "Work",
    "Writer",
    "wake",
]

T = TypeVar("T")
Batch = list[tuple[Rank, Handed[Any]]]

WAKE_CHANNEL = "broadcaster_wake"
_NOTIFY = later(text("SELECT pg_notify(:channel, '')"))
_BATCH_SECONDS = 0.02
_BATCH_WRITES = 64
_TRIES = 5
# Made once: it stands before every write.
_BOUND = text("SELECT set_config('lock_timeout', :wait, true), version_num FROM alembic_version")


def wake(connection: Connection) -> None:
    """Ask that whoever waits for work is woken once this write is committed."""
    if connection.dialect.name == "postgresql":
        connection.execute(_NOTIFY, {"channel": WAKE_CHANNEL})
    else:
        connection.info["wake"] = True


class SqliteWriter(Writer):
    """One thread and one connection do every write and every checkpoint.

    Two connections that write can meet a known race between a checkpoint and a commit in the SQLite of most systems.
    Each write runs in a savepoint of its own, many share one commit: one fdatasync, then every answer.

    On a full disk the ballast is given up for what is under way and for what puts a word right; new words are refused
    until there is room for it again.
    """

    def __init__(
        self,
        engine: Engine,
        on_wake: Callable[[], None],
        patience: float,
        ballast: Ballast | None = None,
    ) -> None:
        super().__init__(patience)
        self._engine = engine
        self._on_wake = on_wake
        self._ballast = ballast if ballast is not None and ballast.usable else None
        self._given_up = self._ballast is not None and not self._ballast.whole
        self._asked_at = self._empty_at = 0.0
        self._order = itertools.count()
        self._queue: queue.PriorityQueue[tuple[Rank, int, Handed[Any]]] = queue.PriorityQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._closed = False
        self._writing = False
        self._thread.start()

    def write(self, work: Work[T], rank: Rank = Rank.OUTCOME) -> Future[T]:
        """See `Writer.write`."""
        if self._closed:
            future: Future[T] = Future()
            future.set_exception(StoreBusy("The store is closing. Nothing was stored."))
            return future
        handed = self._hand_in(work, rank)
        self._queue.put((rank, next(self._order), handed))
        return handed.future

    def close(self) -> None:
        """Finish what is queued, then end the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put((Rank.STOP, next(self._order), Handed(lambda _: None, math.inf)))
            self._thread.join()

    def _run(self) -> None:
        with self._engine.connect() as connection:
            again: Batch = []
            while True:
                if not again:
                    first = self._queue.get()
                    # It is taken in its turn once the database is ours: until then something more urgent may come.
                    self._queue.put(first)
                    if first[0] == Rank.STOP:
                        return
                again = self._turn(connection, again)

    def _turn(self, connection: Connection, again: Batch) -> Batch:
        """One commit: of what is tried `again`, or of what waits. Returns what is to be tried once more."""
        if self.broken is not None:
            self._note(self.broken)
            self._refuse_waiting(self.broken)
            return []
        try:
            transaction = connection.begin()
        except Exception as error:  # noqa: BLE001 - the one writer must live on, and every caller be answered
            reason = self._reason(error)
            for _, handed in again:
                handed.future.set_exception(reason)
            self._refuse_waiting(reason, held=isinstance(reason, StoreBusy))
            return []
        self._writing = True
        again = self._commit(connection, transaction, again)
        self._writing = False
        return again

    def _pull(self) -> Iterator[tuple[Rank, int, Handed[Any]]]:
        """What waits, the most urgent first."""
        while True:
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                return
            if entry[0] == Rank.STOP:
                self._queue.put(entry)
                return
            yield entry

    def _refuse_waiting(self, reason: StoreError, *, held: bool = False) -> None:
        """Nothing can be written. What is only `held` is waited for by everybody who has a deadline of his own."""
        for entry in list(self._pull()):
            if held and entry[2].deadline < math.inf:
                self._queue.put(entry)
            else:
                entry[2].refuse(reason)

    def _commit(self, connection: Connection, transaction: RootTransaction, again: Batch) -> Batch:
        begun = list(again)
        answers: list[tuple[Future[Any], Any]] = []
        connection.info.pop("wake", None)
        driver = _driver(connection)
        changes = driver.total_changes
        try:
            with transaction:
                self._run_some(connection, again, begun, answers)
        except Exception as error:  # noqa: BLE001 - the one writer must live on, and every caller be answered
            return self._fail(error, begun)
        # A commit of nothing says nothing of the disk, and one on the ballast not that there is room.
        if driver.total_changes > changes and self._regained():
            self.refusing = None
        if connection.info.get("checkpoint") and time.monotonic() >= self._empty_at:
            self._empty_log(connection)
        for future, answer in answers:
            future.set_result(answer)
        if connection.info.pop("wake", False):
            self._on_wake()
        return []

    def _run_some(
        self,
        connection: Connection,
        again: Batch,
        begun: Batch,
        answers: list[tuple[Future[Any], Any]],
    ) -> None:
        for _, handed in again:
            self._run_one(connection, handed, answers)
        until = time.monotonic() + _BATCH_SECONDS
        for rank, _, handed in itertools.islice(self._pull(), 0 if again else _BATCH_WRITES):
            if self._has_room_for(rank, handed) and handed.begin():
                begun.append((rank, handed))
                self._run_one(connection, handed, answers)
            if time.monotonic() > until:
                break

    def _regained(self) -> bool:
        """Whether the ballast is whole: looked at again once a second while it is not."""
        if self._given_up and time.monotonic() - self._asked_at > 1.0:
            self._asked_at = time.monotonic()
            self._given_up = self._ballast is not None and not self._ballast.keep()
        return not self._given_up

    def _has_room_for(self, rank: Rank, handed: Handed[Any]) -> bool:
        """Whether a write may begin: while the ballast is given up, what is new is refused until there is room for it."""
        if self._given_up and rank in (Rank.ACCEPT, Rank.IMPORT):
            self._given_up = self._ballast is not None and not self._ballast.keep()
        if not self._given_up or rank in (Rank.RETRACT, Rank.OUTCOME):
            return True
        reason = full()
        self._note(reason)
        handed.refuse(reason)
        return False

    @staticmethod
    def _run_one(
        connection: Connection,
        handed: Handed[Any],
        answers: list[tuple[Future[Any], Any]],
    ) -> None:
        # Not `begin_nested`: its savepoints have a new name each, and to put both statements together costs more than to
        # run them.
        connection.exec_driver_sql("SAVEPOINT handed")
        try:
            answer = handed.work(connection)
        except SQLAlchemyError as error:
            if explain(error) is not None:
                raise  # it is the disk, not this write: the whole batch fails
            connection.exec_driver_sql("ROLLBACK TO handed")
            handed.future.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - whatever a write raises belongs to its caller
            connection.exec_driver_sql("ROLLBACK TO handed")
            handed.future.set_exception(error)
        else:
            answers.append((handed.future, answer))
        connection.exec_driver_sql("RELEASE handed")

    def _empty_log(self, connection: Connection) -> None:
        """What was erased must not live on in the write-ahead log: bring it home and cut the log.

        Not while the disk is full, nor while somebody reads what was there before (an export, a backup), for whom nobody
        here may wait: then after a later write.
        """
        driver = _driver(connection)
        try:
            driver.execute("PRAGMA busy_timeout=100")
            busy = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            connection.info["checkpoint"] = busy
            self._empty_at = time.monotonic() + busy
        except sqlite3.Error:
            pass
        driver.execute(f"PRAGMA busy_timeout={self._patience * 1000:.0f}")

    def _fail(self, error: Exception, batch: Batch) -> Batch:
        """Tell all of a batch; returns what is tried again, since room was made for it."""
        reason = self._reason(error)
        if isinstance(reason, StoreBroken | StoreCorrupt):
            self.broken = reason
        waiting = [(rank, handed) for rank, handed in batch if not handed.future.done()]
        again = self._lighten(waiting) if isinstance(reason, StoreFull) else []
        for entry in waiting:
            if entry not in again:
                entry[1].future.set_exception(reason)
        return again

    def _lighten(self, batch: Batch) -> Batch:
        """Give up ballast for what puts a word right, or for what is under way; returns which has room now."""
        for ranks in ((Rank.RETRACT, Rank.OUTCOME), (Rank.RETRACT,)):
            chosen = [entry for entry in batch if entry[0] in ranks]
            everything = Rank.OUTCOME not in ranks
            if chosen and self._ballast and self._ballast.give_up(everything=everything):
                self._given_up = True
                return chosen
        return []

    def _too_late(self) -> StoreError:
        if self._writing:
            return StoreBusy("The database refused the write. Nothing was stored.")
        return StoreBusy(
            "Another program holds the database file. Nothing was stored. Try again in a moment."
        )


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - the pool has just used it
    return driver


class PostgresWriter(Writer):
    """A few threads, each write in a transaction of its own, run again when PostgreSQL asks for it, or ended it.

    What somebody waits for has threads of its own: none of it queues behind outcomes that wait for a lock.
    """

    def __init__(
        self, engine: Engine, patience: float, revision: str, threads: int = 8, urgent: int = 4
    ) -> None:
        super().__init__(patience)
        self._engine, self._revision = engine, revision
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="store-writer")
        self._urgent = ThreadPoolExecutor(urgent, thread_name_prefix="store-urgent")

    def write(self, work: Work[T], rank: Rank = Rank.OUTCOME) -> Future[T]:
        """See `Writer.write`; PostgreSQL runs writes side by side, so `rank` orders little here."""
        handed = self._hand_in(work, rank)
        (self._urgent if rank <= Rank.ACCEPT else self._pool).submit(self._carry, handed)
        return handed.future

    def close(self) -> None:
        """Finish what is queued, then end the threads."""
        self._urgent.shutdown()
        self._pool.shutdown()

    def _carry(self, handed: Handed[Any]) -> None:
        begun = False
        try:
            with self._engine.connect() as connection:
                # Now, not before: a connection can take long to come.
                begun = handed.begin()
                if begun:
                    handed.future.set_result(self._run(connection, handed))
        except BaseException as error:  # noqa: BLE001 - whatever a write raises belongs to its caller
            told = error
            if isinstance(error, SQLAlchemyError) and explain(error) is not None:
                told = self._reason(error)
            if not handed.future.done() and (begun or handed.begin()):
                handed.future.set_exception(told)

    def _run(self, connection: Connection, handed: Handed[T]) -> T:
        for tries_left in reversed(range(_TRIES)):
            began = time.monotonic()
            try:
                with connection.begin() as transaction:
                    # Somebody waits for it: as few ways there and back as can be.
                    with together(connection) if handed.deadline < math.inf else nullcontext():
                        self._bound(connection, handed.deadline)
                        answer = handed.work(connection)
                        good = self.refusing is None or self._has_written(connection)
                    self._commit(transaction)
            except SQLAlchemyError as error:
                now = time.monotonic()
                # Nothing of it is stored: COMMIT was not sent. The pool has thrown away all connections that are as old.
                closed = was_closed(error, now - began) and tries_left == _TRIES - 1
                again = (was_ended(error) or closed) and now < handed.deadline
                if not (tries_left and (again or is_conflict(error))):
                    raise
                connection.rollback()  # what COMMIT itself refused is still open
            else:
                if good:
                    self.refusing = None
                return answer
        raise AssertionError("unreachable")

    @staticmethod
    def _commit(transaction: RootTransaction) -> None:
        try:
            transaction.commit()
        except DBAPIError as error:
            answered = getattr(error.orig, "sqlstate", None) and not error.connection_invalidated
            if answered or was_ended(error):
                raise  # the server said no: nothing is stored
            raise StoreUnsure(
                "The connection to PostgreSQL broke while this was being stored: it may have been. Look before "
                "you say it again: broadcaster incidents list"
            ) from error

    def _bound(self, connection: Connection, deadline: float) -> None:
        """No statement waits for another's lock longer than its caller does, and none meets tables it does not know.

        Another machine may have migrated them since this one was started; both are asked in one round trip.
        """
        left = min(self._patience, deadline - time.monotonic())
        found = connection.execute(_BOUND, {"wait": str(max(1, int(left * 1000)))}).one()
        if found.version_num != self._revision:
            self.broken = overtaken(found.version_num)
            self._note(self.broken)
            raise self.broken

    @staticmethod
    def _has_written(connection: Connection) -> bool:
        """A commit of nothing says nothing of the disk."""
        return bool(connection.scalar(text("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")))

    def _too_late(self) -> StoreError:
        return StoreBusy(
            "PostgreSQL is not answering now. Nothing was stored. Try again in a moment."
        )
