"""The SQLite file: who may hold it, what is refused, and what a failing disk may never make us say."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import Connection, delete, func, select

from broadcaster.store import (
    Rank,
    Store,
    StoreBusy,
    StoreCorrupt,
    StoreFull,
    StoreKeyWrong,
    StoreLocked,
    audit,
    database,
    subscribers,
    tables as t,
)
from broadcaster.store.putting import put
from broadcaster.testing.builders import KEY, board, subscribe, tell
from broadcaster.testing.clock import NOON

NUMBER = "+46701740605"


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/broadcaster.db"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(url(tmp_path), KEY)
    yield opened
    opened.close()


def note(connection: Connection, name: str, value: str = "") -> None:
    put(connection, t.meta, {"name": name}, {"value": value})


def noted(store: Store) -> set[str]:
    own = {"key_id", "epoch", "revision", "next_incident"}
    return set(store.read(lambda c: list(c.scalars(select(t.meta.c.name))))) - own


# -------------------------------------------------------------------------------------------------- opening it
def test_a_second_daemon_is_refused_at_once_and_told_what_to_do(
    store: Store, tmp_path: Path
) -> None:
    began = time.monotonic()
    with pytest.raises(StoreLocked, match=r"Only one may: stop it first"):
        Store(url(tmp_path), KEY)
    assert time.monotonic() - began < database._BUSY_MS / 1000  # it does not wait as a write does


def test_the_lock_ends_with_the_process_however_it_ends(tmp_path: Path) -> None:
    script = f"""
        import os
        from broadcaster.store import Store
        store = Store({url(tmp_path)!r}, {KEY!r})
        os.kill(os.getpid(), 9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -9
    Store(url(tmp_path), KEY).close()


@pytest.mark.parametrize("damage", ["page", "leaf", "header", "cut"])
def test_a_damaged_file_is_refused_and_kept_byte_for_byte(tmp_path: Path, damage: str) -> None:
    store = Store(url(tmp_path), KEY)
    subscribe(store, "sms", (f"+4670{number:07}" for number in range(200)))
    store.close()
    path = tmp_path / "broadcaster.db"
    content = bytearray(path.read_bytes())
    if damage == "page":
        content[4096 * 6 : 4096 * 12] = os.urandom(4096 * 6)
    elif damage == "leaf":  # nothing that opening alone would read
        content[-4096:] = bytes(4096)
    elif damage == "header":
        content[:100] = bytes(100)
    else:
        del content[len(content) // 2 :]
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match="broadcaster backup restore"):
        Store(url(tmp_path), KEY)
    assert path.read_bytes() == bytes(content)


def test_the_wrong_key_is_refused_and_nothing_changed(tmp_path: Path) -> None:
    store = Store(url(tmp_path), KEY)
    tell(store, board("page"))
    store.close()
    with pytest.raises(StoreKeyWrong, match=r"store\.key"):
        Store(url(tmp_path), bytes(32))
    store = Store(url(tmp_path), KEY)
    assert tell(store, board("page")).name == "A2-1"
    store.close()


# ----------------------------------------------------------------------------------------------- one writer
def test_only_the_writers_connection_can_write(store: Store) -> None:
    def flags(connection: Connection) -> int:
        return int(connection.exec_driver_sql("PRAGMA query_only").scalar_one())

    assert store.read(flags) == 1
    assert store.write(flags).result() == 0
    with pytest.raises(StoreFull):  # SQLite calls it read-only
        store.read(partial(note, name="from a reader"))
    assert noted(store) == set()


def test_every_read_connection_at_once_is_read_only(store: Store) -> None:
    def nested(connection: Connection, depth: int) -> list[int]:
        here = int(connection.exec_driver_sql("PRAGMA query_only").scalar_one())
        return [here, *(store.read(partial(nested, depth=depth - 1)) if depth else [])]

    assert store.read(partial(nested, depth=12)) == [1] * 13


def test_the_file_is_durable_and_forgets_what_is_deleted(store: Store) -> None:
    def pragma(connection: Connection, name: str) -> object:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()

    names = ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
    assert [store.write(partial(pragma, name=name)).result() for name in names] == ["wal", 2, 1, 1]


def test_a_write_that_raises_leaves_the_others_of_its_batch(store: Store) -> None:
    hold, entered = Event(), Event()

    def wait(connection: Connection) -> None:
        entered.set()
        assert hold.wait(10)

    def fail(connection: Connection) -> None:
        note(connection, "half")
        raise ZeroDivisionError

    def refuse(connection: Connection) -> None:
        note(connection, "refused")
        connection.execute(t.meta.insert().values(name="refused", value=""))

    first = store.write(wait)
    assert entered.wait(10)
    before = store.write(partial(note, name="before"))
    failing, refused = store.write(fail), store.write(refuse)
    after = store.write(partial(note, name="after"))
    hold.set()
    for future in (first, before, after):
        assert future.result(10) is None
    assert isinstance(failing.exception(10), ZeroDivisionError)
    assert type(refused.exception(10)).__name__ == "IntegrityError"
    assert noted(store) == {"before", "after"}


def test_retractions_are_written_before_imports_that_came_first(store: Store) -> None:
    hold, entered, order = Event(), Event(), list[str]()

    def wait(connection: Connection) -> None:
        entered.set()
        assert hold.wait(10)

    store.write(wait)
    assert entered.wait(10)
    ranks = (Rank.IMPORT, Rank.OUTCOME, Rank.ACCEPT, Rank.RETRACT)

    def record(_: Connection, name: str) -> None:
        order.append(name)

    futures = [store.write(partial(record, name=rank.name), rank) for rank in ranks]
    hold.set()
    for future in futures:
        future.result(10)
    assert order == ["RETRACT", "ACCEPT", "OUTCOME", "IMPORT"]


def test_what_was_answered_is_there_after_kill_9(tmp_path: Path) -> None:
    script = f"""
        import os
        from broadcaster.store import Store
        from broadcaster.testing.builders import board, tell
        store = Store({url(tmp_path)!r}, {KEY!r})
        for _ in range(5):
            print(tell(store, board("page")).name, flush=True)
        os.kill(os.getpid(), 9)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], check=False, capture_output=True, text=True
    )
    assert done.returncode == -9, done.stderr
    store = Store(url(tmp_path), KEY)
    count = store.read(lambda c: c.scalar(select(func.count()).select_from(t.update)))
    store.close()
    assert done.stdout.split()[-1] == "A5-1"
    assert count == 5


# -------------------------------------------------------------------------------------------- trouble with the disk
def test_another_program_that_holds_the_file_makes_it_busy_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert database._BUSY_MS < 5_000
    monkeypatch.setattr(database, "_BUSY_MS", 300)
    store = Store(url(tmp_path), KEY)
    foreign = sqlite3.connect(tmp_path / "broadcaster.db", isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    futures = [store.write(partial(note, name=name)) for name in ("a", "b")]
    assert all(isinstance(future.exception(10), StoreBusy) for future in futures)
    assert noted(store) == set()
    foreign.execute("ROLLBACK")
    foreign.close()
    store.write(partial(note, name="c")).result(10)
    assert noted(store) == {"c"}
    assert store.broken is None
    store.close()


def test_a_full_disk_is_said_and_every_yes_was_kept(small_disk: Path) -> None:
    with closing(Store(url(small_disk), KEY)) as store:
        kept, refused = set(), []
        for number in range(60):
            future = store.write(partial(note, name=f"n{number}", value="x" * 100_000))
            if future.exception(10) is None:
                kept.add(f"n{number}")
            else:
                refused.append(future.exception())
        assert refused
        assert all(isinstance(error, StoreFull) for error in refused)
        assert store.broken is None
        assert noted(store) == kept
    with closing(Store(url(small_disk), KEY)) as store:
        assert noted(store) == kept


@pytest.mark.real("strace")
def test_after_a_failed_fsync_nothing_is_accepted_until_the_store_is_opened_again(
    tmp_path: Path,
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import pathlib, sys, time
        from broadcaster.store import Store, StoreBroken
        from broadcaster.testing.builders import board, tell
        store = Store({url(tmp_path)!r}, {KEY!r})
        print(tell(store, board("page")).name, flush=True)
        assert sys.stdin.readline() == "broken\\n"
        for _ in range(2):
            try:
                print(tell(store, board("page")).name, flush=True)
            except StoreBroken as error:
                print(type(error).__name__, store.broken is store.refusing.reason, flush=True)
        """)
    )
    child = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "A1-1\n"
    trace = ["strace", "-f", "-p", str(child.pid), "-o", "/dev/null"]
    inject = ["-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO"]
    tracer = subprocess.Popen([*trace, *inject], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    assert "attached" in tracer.stderr.readline()
    child.stdin.write("broken\n")
    child.stdin.flush()
    said = [child.stdout.readline() for _ in range(2)]
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    tracer.wait()
    tracer.stderr.close()
    assert said == ["StoreBroken True\n"] * 2
    store = Store(url(tmp_path), KEY)
    assert tell(store, board("page")).name in {"A2-1", "A3-1"}
    store.close()


# ---------------------------------------------------------------------------------------------------- erased
def test_an_erased_address_is_nowhere_in_the_files(tmp_path: Path) -> None:
    store = Store(url(tmp_path), KEY)
    addresses = [f"+4670{number:07}" for number in range(100)]
    ids = subscribe(store, "sms", addresses)
    rows = store.read(lambda c: c.execute(select(t.subscriber).order_by(t.subscriber.c.id)).all())
    secret = [*(row.address for row in rows[:50]), *(row.digest for row in rows[:50])]

    def files() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.glob("broadcaster.db*"))

    assert all(piece in files() for piece in secret)
    assert not any(address.encode() in files() for address in addresses)
    erase = delete(t.subscriber).where(t.subscriber.c.id.in_(ids[:50]))
    store.write(lambda c: c.execute(erase).close()).result()
    left = store.read(lambda c: c.scalar(select(func.count()).select_from(t.subscription)))
    store.close()
    assert left == 50
    assert not any(piece in files() for piece in secret)
    assert all(row.address in files() for row in rows[50:])


def test_an_address_erased_while_somebody_reads_holds_nobody_up_and_is_nowhere_once_he_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        database, "_BUSY_MS", 300_000
    )  # who would wait for the reader waits so long
    store = Store(url(tmp_path), KEY)
    subscribe(store, "sms", [NUMBER])
    secret = store.read(lambda c: c.execute(select(t.subscriber)).one()).address
    reading, done = Event(), Event()

    def read_slowly(connection: Connection) -> None:
        connection.execute(select(t.subscriber)).all()
        reading.set()
        done.wait()

    reader = Thread(target=store.read, args=(read_slowly,))
    reader.start()
    reading.wait()
    digest = store.vault.digest("sms", NUMBER)
    assert store.write(lambda c: subscribers.erase(c, "sms", digest, NOON, "Kim")).result(60)
    for _ in range(20):
        store.write(lambda c: audit.note(c, NOON, "Kim", "test", "")).result(60)
    log = tmp_path / "broadcaster.db-wal"
    assert secret in log.read_bytes()  # what somebody reads cannot be taken from him
    done.set()
    reader.join()

    def is_cut() -> bool:
        store.write(lambda c: audit.note(c, NOON, "Kim", "test", "")).result()
        return log.stat().st_size == 0

    until = time.monotonic() + 30
    while not is_cut():
        assert time.monotonic() < until
    store.close()
    assert secret not in (tmp_path / "broadcaster.db").read_bytes()


def test_what_was_erased_is_out_of_the_log_when_the_call_ends(tmp_path: Path) -> None:
    store = Store(url(tmp_path), KEY)
    subscribe(store, "sms", [NUMBER, "+46701740699"])
    rows = store.read(lambda c: c.execute(select(t.subscriber)).all())
    for row in rows:  # one right after the other

        def erase(connection: Connection, digest: bytes = row.digest) -> bool:
            return subscribers.erase(connection, "sms", digest, NOON, "Kim")

        store.write(erase).result()
        files = b"".join(path.read_bytes() for path in tmp_path.glob("broadcaster.db*"))
        assert row.address not in files
    store.close()
