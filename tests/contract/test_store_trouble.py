"""Writes that meet each other, and connections that break: everybody gets an answer, and nothing is half done."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from threading import Barrier, Event

import pytest
from sqlalchemy import Connection, select, text, update as sql_update
from sqlalchemy.exc import DBAPIError

from broadcaster.store import Store, StoreBusy, tables as t
from broadcaster.store.errors import explain, is_conflict
from broadcaster.store.putting import put
from broadcaster.testing.builders import KEY, post, tell
from broadcaster.testing.peers import PostgresServer


def note(connection: Connection, name: str, value: str) -> None:
    put(connection, t.meta, {"name": name}, {"value": value})


def noted(store: Store, name: str) -> str | None:
    return store.read(lambda c: c.scalar(select(t.meta.c.value).where(t.meta.c.name == name)))


def test_two_writes_that_wait_for_each_other_both_end(store: Store) -> None:
    for _ in range(2):
        tell(store, post("hook"))
    together = Barrier(2)
    met = Event()

    def touch(connection: Connection, order: tuple[int, int]) -> None:
        for place, delivery_id in enumerate(order):
            change = sql_update(t.delivery).where(t.delivery.c.id == delivery_id)
            connection.execute(change.values(attempts=t.delivery.c.attempts + 1))
            # On SQLite writes come one after the other; there, and when it is run again, nobody waits.
            if place == 0 and not store.is_sqlite and not met.is_set():
                together.wait(10)
                met.set()

    for future in [store.write(partial(touch, order=order)) for order in ((1, 2), (2, 1))]:
        future.result(20)
    rows = store.read(lambda c: list(c.scalars(select(t.delivery.c.attempts))))
    assert rows == [2, 2]
    assert met.is_set() is not store.is_sqlite


@pytest.fixture
def on_postgresql(postgresql: PostgresServer) -> Iterator[Store]:
    """A store on PostgreSQL only: how SQLite fails is told in tests of its own."""
    url = postgresql.database(postgresql.template("store", lambda url: Store(url, KEY).close()))
    opened = Store(url, KEY)
    yield opened
    opened.close()
    postgresql.drop(url)


@pytest.mark.real("postgresql")
def test_a_connection_that_breaks_is_said_and_the_next_write_is_made(on_postgresql: Store) -> None:
    def break_off(connection: Connection) -> None:
        note(connection, "half", "done")
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    broken = on_postgresql.write(break_off).exception(20)
    assert isinstance(broken, StoreBusy)
    assert "Nothing was stored" in broken.args[0]
    assert noted(on_postgresql, "half") is None
    on_postgresql.write(partial(note, name="whole", value="done")).result(20)
    assert noted(on_postgresql, "whole") == "done"
    assert on_postgresql.broken is None


@pytest.mark.real("postgresql")
def test_a_server_that_is_not_there_is_a_sentence(postgresql: PostgresServer) -> None:
    nowhere = postgresql.url("nowhere").replace(f":{postgresql.port}/", ":1/")
    with pytest.raises(StoreBusy, match="Is PostgreSQL running"):
        Store(nowhere, KEY)


@pytest.mark.real("postgresql")
@pytest.mark.parametrize(
    ("state", "sentence", "again"),
    [
        ("53100", "no room left", False),
        ("53300", "no room left", False),
        ("57P01", "not answering now", False),
        ("55P03", "not answering now", False),
        ("40001", "not answering now", True),
        ("40P01", "not answering now", True),
        ("23505", None, False),
    ],
)
def test_what_postgresql_says_becomes_a_sentence_by_its_code(
    on_postgresql: Store, state: str, sentence: str | None, again: bool
) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$"))

    with pytest.raises(DBAPIError) as refused, on_postgresql._read_engine.connect() as connection:
        fail(connection)
    known = explain(refused.value)
    assert is_conflict(refused.value) is again
    assert known is None if sentence is None else sentence in str(known)
