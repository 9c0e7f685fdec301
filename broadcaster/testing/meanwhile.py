"""Two writers at once, brought to meet in a chosen moment: no test of them has to sleep or to be lucky."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

from sqlalchemy import Connection, text

from broadcaster.store import Store

T = TypeVar("T")
_PATIENCE = 45.0
_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@contextmanager
def under_way(store: Store, work: Callable[[Connection], T]) -> Iterator[Future[T]]:
    """While the block runs `work` is done and not committed; after it, it is committed.

    On SQLite, where one writes at a time, it is committed before the block.
    """
    done, go = Event(), Event()

    def hold(connection: Connection) -> T:
        answer = work(connection)
        done.set()
        if not go.wait(_PATIENCE):
            raise TimeoutError("nobody let this write go on")
        return answer

    if store.is_sqlite:
        go.set()
    future = store.write(hold)
    try:
        if store.is_sqlite:
            wait([future], _PATIENCE)
        elif not done.wait(_PATIENCE):
            future.result(0)
        yield future
    finally:
        go.set()
        wait([future], _PATIENCE)


def wait_until_held_up(store: Store, future: Future[T]) -> None:
    """Return when the write behind `future` waits for another's lock, or has ended.

    Raises:
        TimeoutError: neither came about.
    """
    deadline = time.monotonic() + _PATIENCE
    while not future.done():
        if not store.is_sqlite and store.read(lambda c: c.scalar(_WAITING)):
            return
        wait([future], 0.01)
        if time.monotonic() > deadline:
            raise TimeoutError("the write neither ended nor waited for a lock")
