"""How writes reach PostgreSQL: by a few threads, each write in a transaction of its own."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, RootTransaction, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from broadcaster.store.errors import (
    StoreBusy,
    StoreError,
    StoreUnsure,
    explain,
    is_conflict,
    was_ended,
)
from broadcaster.store.handing import Handed, Rank, Work, Writer
from broadcaster.store.schema import overtaken

T = TypeVar("T")

ANSWERED = 15.0
"""Seconds after which whoever waits for a write is told what is known of it, however slow the way there and back is."""
_TRIES = 5
TOO_SLOW = (
    "PostgreSQL takes too long to answer: it is overloaded, or the network to it is slow. Nothing was stored. Try again "
    "in a moment."
)
_UNSURE = (
    "PostgreSQL did not say in time whether this was stored: it may have been. Look before you say it again: "
    "broadcaster incidents list"
)


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
                    handed.give_way = lambda: _sever(connection)
                    self._run(connection, handed)
        except BaseException as error:  # noqa: BLE001 - whatever a write raises belongs to its caller
            told = error
            if isinstance(error, SQLAlchemyError) and explain(error) is not None:
                told = self._reason(error)
            if begun or handed.begin():
                handed.fail(told)

    def _run(self, connection: Connection, handed: Handed[Any]) -> None:
        try:
            handed.answer(self._try(connection, handed))
        finally:
            handed.let_go()

    def _try(self, connection: Connection, handed: Handed[T]) -> T:
        for tries_left in reversed(range(_TRIES)):
            try:
                with connection.begin() as transaction:
                    handed.tries()
                    self._bound(connection, handed.deadline)
                    answer = handed.work(connection)
                    good = self.refusing is None or self._has_written(connection)
                    if not handed.may_commit():
                        raise StoreBusy(TOO_SLOW)
                    self._commit(transaction)
            except SQLAlchemyError as error:
                late = was_ended(error) and time.monotonic() < handed.deadline
                if not (tries_left and (late or is_conflict(error))):
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
        found = connection.execute(
            text(
                "SELECT set_config('lock_timeout', :wait, true), version_num FROM alembic_version"
            ),
            {"wait": str(max(1, int(left * 1000)))},
        ).one()
        if found.version_num != self._revision:
            self.broken = overtaken(found.version_num)
            self._note(self.broken)
            raise self.broken

    def _give_up(self, handed: Handed[Any]) -> None:
        """Not begun in time: refused. Begun: looked at once more when its caller has waited long enough."""
        super()._give_up(handed)
        if not handed.future.done():
            last = threading.Timer(ANSWERED - self._patience, self._cut_short, (handed,))
            last.daemon = True
            last.start()
            handed.future.add_done_callback(lambda _: last.cancel())

    def _cut_short(self, handed: Handed[Any]) -> None:
        reason = StoreBusy(TOO_SLOW)
        if handed.cut_short(reason, StoreUnsure(_UNSURE)):
            self._note(reason)

    @staticmethod
    def _has_written(connection: Connection) -> bool:
        """A commit of nothing says nothing of the disk."""
        return bool(connection.scalar(text("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")))

    def _too_late(self) -> StoreError:
        return StoreBusy(
            "PostgreSQL is not answering now. Nothing was stored. Try again in a moment."
        )


def _sever(connection: Connection) -> None:
    """End a connection whose thread waits for an answer: the thread sees it end, and so does the server, which lets go."""
    driver: Any = connection.connection.driver_connection
    with suppress(OSError, AttributeError), socket.socket(fileno=os.dup(driver.fileno())) as ours:
        ours.shutdown(socket.SHUT_RDWR)
