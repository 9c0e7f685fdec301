"""A SQLite file that is held or a disk that is full: a refusal in time, in order, and seen until it is over."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import Connection, select

from broadcaster.store import Rank, Store, StoreBroken, StoreBusy, StoreFull, database, tables as t
from broadcaster.store.handing import Refusal
from broadcaster.store.putting import put
from broadcaster.testing.builders import KEY

PATIENCE = 2.0


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(database, "_BUSY_MS", PATIENCE * 1000)
    opened = Store(f"sqlite:///{tmp_path}/broadcaster.db", KEY)
    yield opened
    opened.close()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Another program is in the middle of a write."""
    with closing(sqlite3.connect(folder / "broadcaster.db", isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        yield
        foreign.execute("ROLLBACK")


def note(connection: Connection, name: str, value: str = "") -> None:
    put(connection, t.meta, {"name": name}, {"value": value})


def refusal(store: Store) -> Refusal | None:
    return store.refusing


def noted(store: Store, *names: str) -> list[str]:
    wanted = select(t.meta.c.name).where(t.meta.c.name.in_(names)).order_by(t.meta.c.name)
    return store.read(lambda c: list(c.scalars(wanted)))


def test_while_the_file_is_held_everybody_is_answered_and_nothing_is_made_later(
    store: Store, tmp_path: Path
) -> None:
    names = [rank.name for rank in Rank]
    with held(tmp_path):
        ranks = (Rank.OUTCOME, Rank.IMPORT, Rank.ACCEPT, Rank.RETRACT)
        writes = [store.write(partial(note, name=rank.name), rank) for rank in ranks]
        assert all(isinstance(write.exception(10), StoreBusy) for write in writes)
    store.write(partial(note, name="next")).result(10)
    assert noted(store, *names) == []


def test_who_came_while_the_file_was_held_keeps_his_own_time_and_rank(
    store: Store, tmp_path: Path
) -> None:
    made: list[str] = []

    def make(connection: Connection, name: str) -> None:
        note(connection, name)
        made.append(name)

    with held(tmp_path):
        outcome = store.write(partial(note, name="outcome"))
        wait([outcome], PATIENCE / 2)
        accept = store.write(partial(make, name="accept"), Rank.ACCEPT)
        retraction = store.write(partial(make, name="retraction"), Rank.RETRACT)
        assert isinstance(outcome.exception(10), StoreBusy)
        assert not accept.done()
        assert not retraction.done()
    accept.result(10)
    retraction.result(10)
    assert made == ["retraction", "accept"]
    assert noted(store, "accept", "outcome", "retraction") == ["accept", "retraction"]


def test_a_held_file_is_seen_from_the_first_refusal_until_a_write_is_made(
    store: Store, tmp_path: Path
) -> None:
    assert refusal(store) is None
    with held(tmp_path):
        first = store.write(partial(note, name="a")).exception(10)
        seen = refusal(store)
        assert seen is not None
        assert seen.reason is first
        second = store.write(partial(note, name="b"), Rank.ACCEPT).exception(10)
        later = refusal(store)
        assert later is not None
        assert isinstance(second, StoreBusy)
        assert seen.since == seen.at == later.since < later.at
    store.write(lambda _: None).result(10)
    assert refusal(store) is not None  # a commit of nothing succeeds on a full disk too
    store.write(partial(note, name="c")).result(10)
    assert refusal(store) is None


def test_a_full_disk_is_seen_until_there_is_room_again(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(1_000_000))
    with closing(Store(f"sqlite:///{small_disk}/broadcaster.db", KEY)) as store:
        large = partial(note, name="large", value="x" * 900_000)
        for rank in (Rank.ACCEPT, Rank.OUTCOME):
            assert isinstance(store.write(large, rank).exception(10), StoreFull)
        seen = refusal(store)
        assert seen is not None
        assert isinstance(seen.reason, StoreFull)
        store.write(lambda _: None).result(10)
        assert refusal(store) is not None
        (small_disk / "ballast").unlink()
        store.write(large).result(10)
        assert refusal(store) is None


def test_a_log_that_cannot_be_cut_stops_nobody_and_is_cut_after_the_next_write(
    store: Store, tmp_path: Path
) -> None:
    log = tmp_path / "broadcaster.db-wal"

    def allow(connection: Connection, answer: int) -> None:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_authorizer(lambda act, what, *_: answer if "checkpoint" in str(what) else 0)

    def erase(connection: Connection) -> None:
        allow(connection, sqlite3.SQLITE_DENY)
        note(connection, "erased")
        connection.info["checkpoint"] = True

    store.write(erase).result(10)
    assert log.stat().st_size > 0
    store.write(partial(allow, answer=sqlite3.SQLITE_OK)).result(10)
    assert log.stat().st_size == 0


def test_a_disk_that_broke_its_promise_is_seen(store: Store) -> None:
    broken = StoreBroken("The disk refused to keep what was written.")
    store._writer.broken = broken  # as the writer notes it when fsync fails
    for rank in (Rank.RETRACT, Rank.OUTCOME):
        assert store.write(partial(note, name="a"), rank).exception(10) is broken
    seen = refusal(store)
    assert seen is not None
    assert seen.reason is broken


def test_long_writes_do_not_pile_up_before_one_commit(store: Store) -> None:
    entered, never = Event(), Event()

    def linger(_: Connection) -> None:
        entered.set()
        never.wait(0.1)  # several times what a batch may take

    first = store.write(linger, Rank.IMPORT)
    assert entered.wait(10)
    second = store.write(lambda _: first.done(), Rank.IMPORT)
    assert second.result(10)
