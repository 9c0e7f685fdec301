"""However far away PostgreSQL is, whoever waits is told in time what is known: not stored, or perhaps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text, update as sql_update
from sqlalchemy.engine import make_url

from broadcaster.store import Connection, Rank, Store, StoreBusy, postgres, tables as t
from broadcaster.store.errors import StoreUnsure
from broadcaster.testing.builders import KEY
from broadcaster.testing.faultproxy import ANSWER, SILENCE, FaultProxy, slow, strike

pytestmark = pytest.mark.real("postgresql")
MINE = t.meta.c.name == "revision"


@pytest.fixture
def link(postgresql_url: str) -> Iterator[FaultProxy]:
    """The way to PostgreSQL."""
    with FaultProxy(int(make_url(postgresql_url).port or 0)) as link:
        yield link


@pytest.fixture
def store(
    postgresql_url: str, link: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """A store at the other end of it, where nobody waits for long."""
    store = Store(str(make_url(postgresql_url).set(port=link.port)), KEY)
    store._writer._patience = 0.2
    monkeypatch.setattr(postgres, "ANSWERED", 0.5)
    yield store
    link.trouble = None
    store.close()


@pytest.fixture
def near(postgresql_url: str) -> Iterator[Store]:
    """Another node, beside the server."""
    store = Store(postgresql_url, KEY)
    yield store
    store.close()


def raised(connection: Connection) -> None:
    connection.execute(sql_update(t.meta).where(MINE).values(value="7"))


def revision(connection: Connection) -> Any:
    return connection.scalar(t.meta.select().with_only_columns(t.meta.c.value).where(MINE))


def test_a_write_over_a_slow_way_is_refused_in_time_and_holds_up_nobody(
    store: Store, near: Store, link: FaultProxy
) -> None:
    def work(connection: Connection) -> None:
        raised(connection)
        link.trouble = slow(1.0)
        connection.execute(text("SELECT 1"))

    with pytest.raises(StoreBusy, match="Nothing was stored") as told:
        store.write(work, Rank.ACCEPT).result(10)
    assert not isinstance(told.value, StoreUnsure)
    # The row that it held is free, and has what it had.
    assert near.write(revision, Rank.ACCEPT).result(10) == "0"
    near.write(raised, Rank.ACCEPT).result(10)
    link.trouble = None
    assert store.write(revision, Rank.ACCEPT).result(10) == "7"


def test_a_commit_that_is_not_answered_in_time_may_have_been_made_and_is_told_so(
    store: Store, near: Store, link: FaultProxy
) -> None:
    def work(connection: Connection) -> None:
        raised(connection)
        link.trouble = strike(ANSWER, 0, SILENCE)

    with pytest.raises(StoreUnsure, match="it may have been"):
        store.write(work, Rank.ACCEPT).result(10)
    assert near.read(revision) == "7"


def test_what_was_refused_while_it_went_on_is_never_committed(store: Store, near: Store) -> None:
    def work(connection: Connection) -> None:
        raised(connection)
        while not waiting.done():
            time.sleep(0.01)  # as a statement that takes long; its connection is not waited for

    waiting = store.write(work, Rank.ACCEPT)
    with pytest.raises(StoreBusy, match="Nothing was stored"):
        waiting.result(10)
    store._writer.close()
    assert near.read(revision) == "0"


def test_a_read_is_waited_for_no_longer_than_whoever_asked_waits(
    store: Store, link: FaultProxy
) -> None:
    link.trouble = slow(0.5)
    with pytest.raises(StoreBusy, match="Nothing was stored"):
        store.read(revision, time.monotonic() + 0.1)
