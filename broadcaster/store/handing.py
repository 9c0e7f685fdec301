"""A write that is handed in: its rank, how long somebody waits for it, and what is known when none gets through."""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from broadcaster.store.errors import StoreBusy, StoreError, explain

T = TypeVar("T")
Work = Callable[[Connection], T]


class Rank(IntEnum):
    """Which write goes first when several wait."""

    RETRACT = 0
    ACCEPT = 1
    OUTCOME = 2
    IMPORT = 3
    STOP = 9


@dataclass(frozen=True, slots=True)
class Refusal:
    """That nothing gets written: writes were tried since the last good one, and none was made.

    Attributes:
        reason: the newest refusal.
        since: when the first of them was refused, in seconds of `time.monotonic()`.
        at: when the newest was.
    """

    reason: StoreError
    since: float
    at: float


class Handed(Generic[T]):
    """A write that was handed in. It is begun once or refused once, whichever comes first, never both."""

    def __init__(self, work: Work[T], deadline: float) -> None:
        self.work, self.deadline = work, deadline
        self.future: Future[T] = Future()
        self._taken = threading.Lock()

    def begin(self) -> bool:
        """Whether it may be carried out; from here on its caller hears how that ended, however long it takes."""
        return self._taken.acquire(blocking=False) and self.future.set_running_or_notify_cancel()

    def refuse(self, reason: StoreError) -> bool:
        """Say no, unless it was begun or refused. Returns whether it was said."""
        if not self.begin():
            return False
        self.future.set_exception(reason)
        return True


class Writer(ABC):
    """Runs writes; `write` returns at once, the future ends when the write is durable.

    Somebody waits for what is of rank RETRACT or ACCEPT: such a write is begun within `patience` seconds, or refused
    then and never carried out. The rest is refused when the database is, and whoever handed it in tries again.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.broken: StoreError | None = None
        self.refusing: Refusal | None = None

    @abstractmethod
    def write(self, work: Work[T], rank: Rank = Rank.OUTCOME) -> Future[T]:
        """Run `work` in a transaction.

        The future raises a `StoreError`, or what `work` raised; in both cases nothing of it is kept.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish what is queued and stop."""

    @abstractmethod
    def _too_late(self) -> StoreError:
        """Why a write was not begun in time."""

    def _hand_in(self, work: Work[T], rank: Rank) -> Handed[T]:
        if rank > Rank.ACCEPT:
            return Handed(work, math.inf)
        handed = Handed(work, time.monotonic() + self._patience)
        # A clock of its own: whatever holds the database up must not hold up the refusal.
        timer = threading.Timer(self._patience, self._give_up, (handed,))
        timer.daemon = True
        timer.start()
        handed.future.add_done_callback(lambda _: timer.cancel())
        return handed

    def _give_up(self, handed: Handed[Any]) -> None:
        reason = self._too_late()
        if handed.refuse(reason):
            self._note(reason)

    def _note(self, reason: StoreError) -> None:
        now, before = time.monotonic(), self.refusing
        self.refusing = Refusal(reason, before.since if before else now, now)

    def _reason(self, error: Exception) -> StoreError:
        """What an error of the database amounts to; noted."""
        known = explain(error) if isinstance(error, SQLAlchemyError) else None
        reason = known or StoreBusy("The database refused the write. Nothing was stored.")
        reason.__cause__ = error
        self._note(reason)
        return reason
