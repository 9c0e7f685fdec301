"""Writes that meet each other, and connections that break: everybody gets an answer, and nothing is half done."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from threading import Barrier, Event, Semaphore

import pytest
from sqlalchemy import Connection, create_engine, select, text, update as sql_update
from sqlalchemy.exc import DBAPIError

from broadcaster.store import Rank, Store, StoreBusy, tables as t
from broadcaster.store.errors import StoreUnsure, explain, is_conflict
from broadcaster.store.handing import Refusal
from broadcaster.store.putting import put
from broadcaster.testing.builders import KEY, post, tell
from broadcaster.testing.peers import PostgresServer


def note(connection: Connection, name: str, value: str) -> None:
    put(connection, t.meta, {"name": name}, {"value": value})


def refusal(store: Store) -> Refusal | None:
    return store.refusing


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


# ------------------------------------------------------------------------------------------------- answered in time
@contextmanager
def every_writer_busy(store: Store) -> Iterator[list[Future[bool]]]:
    """While the block runs, every thread that could make an accept is in the middle of another write.

    Patience runs out after half a second in there, and only there: a slow machine may take longer to get so far.
    """
    threads = 1 if store.is_sqlite else 4
    entered, go_on = Semaphore(0), Event()

    def linger(connection: Connection) -> bool:
        entered.release()
        return go_on.wait(20)

    lingering = [store.write(linger, Rank.ACCEPT) for _ in range(threads)]
    for _ in range(threads):
        assert entered.acquire(timeout=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store._writer, "_patience", 0.5)
        try:
            yield lingering
        finally:
            go_on.set()


@pytest.mark.parametrize("rank", [Rank.RETRACT, Rank.ACCEPT])
def test_what_could_not_be_begun_in_time_is_refused_then_and_never_made(
    store: Store, rank: Rank
) -> None:
    with every_writer_busy(store) as lingering:
        late = store.write(partial(note, name="late", value=""), rank)
        refused = late.exception(10)
        assert not any(future.done() for future in lingering)  # answered while it was still held up
    assert isinstance(refused, StoreBusy)
    assert "Nothing was stored" in refused.args[0]
    seen = refusal(store)
    assert seen is not None
    assert seen.reason is refused
    assert all(future.result(10) for future in lingering)
    store.write(partial(note, name="next", value=""), rank).result(10)
    assert noted(store, "late") is None
    assert noted(store, "next") == ""
    assert refusal(store) is None


def test_a_write_that_was_begun_is_answered_for_however_long_it_takes(store: Store) -> None:
    with every_writer_busy(store) as lingering:
        assert isinstance(store.write(lambda _: None, Rank.ACCEPT).exception(10), StoreBusy)
    assert [future.result(10) for future in lingering] == [True] * len(lingering)


def test_what_nobody_waits_for_is_made_however_late(store: Store) -> None:
    with every_writer_busy(store):
        outcome = store.write(partial(note, name="outcome", value=""), Rank.OUTCOME)
        assert isinstance(store.write(lambda _: None, Rank.ACCEPT).exception(10), StoreBusy)
    assert outcome.exception(10) is None
    assert noted(store, "outcome") == ""


# ---------------------------------------------------------------------------------------------- PostgreSQL in trouble
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
def test_a_connection_that_breaks_while_it_is_being_stored_is_said_as_it_is(
    on_postgresql: Store,
) -> None:
    def torn(connection: Connection) -> None:
        note(connection, "name", "value")
        driver = connection.connection.driver_connection
        assert driver is not None
        with socket.socket(fileno=os.dup(driver.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)  # the cable is out when COMMIT is said

    with pytest.raises(StoreUnsure, match="it may have been"):
        on_postgresql.write(torn).result(10)


def test_a_server_that_is_not_there_is_a_sentence(postgresql: PostgresServer) -> None:
    nowhere = postgresql.url("nowhere").replace(f":{postgresql.port}/", ":1/")
    with pytest.raises(StoreBusy, match="Is PostgreSQL running"):
        Store(nowhere, KEY)


@pytest.mark.real("postgresql")
@pytest.mark.parametrize(
    ("state", "sentence", "again"),
    [
        ("53100", "no room left", False),
        ("53300", "no connection or no memory left", False),
        ("25006", "takes no writes", False),
        ("57014", "not answering now", False),
        ("58030", "trouble of its own", False),
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


@pytest.mark.real("postgresql")
def test_words_that_postgresql_cannot_hold_are_no_lost_connection(on_postgresql: Store) -> None:
    refused = on_postgresql.write(partial(note, name="words", value="a \0 b")).exception(10)
    assert isinstance(refused, DBAPIError)
    assert refusal(on_postgresql) is None


@pytest.mark.real("postgresql")
@pytest.mark.parametrize("rank", [Rank.RETRACT, Rank.ACCEPT, Rank.OUTCOME])
def test_a_row_that_another_program_holds_is_waited_for_no_longer_than_a_caller_waits(
    on_postgresql: Store, monkeypatch: pytest.MonkeyPatch, rank: Rank
) -> None:
    monkeypatch.setattr(on_postgresql._writer, "_patience", 0.5)
    note_epoch = partial(note, name="epoch", value="7")
    engine = create_engine(on_postgresql.url)
    with engine.begin() as foreign:
        foreign.execute(text("SELECT * FROM meta WHERE name = 'epoch' FOR UPDATE"))
        refused = on_postgresql.write(note_epoch, rank).exception(20)
        assert isinstance(refused, StoreBusy)
        seen = refusal(on_postgresql)
        assert seen is not None
        assert seen.reason is refused
    engine.dispose()
    assert noted(on_postgresql, "epoch") == "1"
    on_postgresql.write(note_epoch, rank).result(20)
    assert noted(on_postgresql, "epoch") == "7"
    assert refusal(on_postgresql) is None


@pytest.mark.real("postgresql")
def test_a_server_that_stops_is_seen_until_a_write_is_made_again() -> None:
    server = PostgresServer()
    try:
        server.start()
        store = Store(server.database(), KEY)
        assert refusal(store) is None
        server.stop("immediate")
        for rank in (Rank.OUTCOME, Rank.ACCEPT):
            assert isinstance(store.write(lambda _: None, rank).exception(20), StoreBusy)
        seen = refusal(store)
        assert seen is not None
        assert isinstance(seen.reason, StoreBusy)
        assert seen.since < seen.at
        server.start()
        store.write(lambda c: c.scalar(text("SELECT 1"))).result(20)
        # What changed nothing is no proof that a change would be kept.
        assert refusal(store) is seen
        store.write(partial(note, name="back", value="")).result(20)
        assert refusal(store) is None
        store.close()
    finally:
        server.remove()


@pytest.mark.real("postgresql")
def test_a_server_that_says_nothing_is_given_up_before_a_caller_would() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StoreBusy, match="Is PostgreSQL running"):
            Store(f"postgresql+psycopg://broadcaster@127.0.0.1:{port}/silent", KEY)
