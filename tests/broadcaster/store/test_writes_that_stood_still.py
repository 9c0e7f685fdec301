"""A write that stood still for so long that PostgreSQL ended it is made again: nothing of it was stored."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import text, update as sql_update
from sqlalchemy.engine import make_url

from broadcaster.store import Connection, Rank, Store, StoreBusy, tables as t
from broadcaster.store.reaching import conninfo
from broadcaster.testing.builders import KEY

pytestmark = pytest.mark.real("postgresql")


@pytest.fixture
def store(postgresql_url: str) -> Iterator[Store]:
    store = Store(postgresql_url, KEY)
    yield store
    store.close()


class Slow:
    """Counts up, and stands still until it was ended, so many times."""

    def __init__(self, url: str, times: int, *, before_the_end: bool = False) -> None:
        self._url, self._left, self._before_the_end = url, times, before_the_end
        self.runs = 0

    def __call__(self, connection: Connection) -> int:
        self.runs += 1
        if not self._before_the_end:
            self._stand_still(connection)
        mine = t.meta.c.name == "revision"
        connection.execute(sql_update(t.meta).where(mine).values(value=t.meta.c.value + "1"))
        if self._before_the_end:
            self._stand_still(connection)
        return self.runs

    def _stand_still(self, connection: Connection) -> None:
        mine = connection.scalar(text("SELECT pg_backend_pid()"))
        if self._left <= 0:
            return
        self._left -= 1
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 100"))
        found = make_url(self._url)
        with psycopg.connect(conninfo(found), password=found.password, autocommit=True) as other:
            query = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
            while other.execute(query, (mine,)).fetchone() != (0,):
                time.sleep(0.02)  # a process of the server's: nothing tells that it ends


def revision(store: Store) -> str:
    mine = t.meta.select().with_only_columns(t.meta.c.value).where(t.meta.c.name == "revision")
    return str(store.read(lambda c: c.scalar(mine)))


@pytest.mark.parametrize("rank", [Rank.ACCEPT, Rank.OUTCOME])
@pytest.mark.parametrize("before_the_end", [False, True], ids=["in the middle", "before COMMIT"])
def test_a_write_that_was_ended_is_made_again_and_once(
    store: Store, postgresql_url: str, rank: Rank, before_the_end: bool
) -> None:
    slow = Slow(postgresql_url, 1, before_the_end=before_the_end)
    assert store.write(slow, rank).result(30) == 2
    assert revision(store) == "01"
    assert store.refusing is None


def test_one_that_stands_still_every_time_is_refused_for_whoever_tries_again(
    store: Store, postgresql_url: str
) -> None:
    slow = Slow(postgresql_url, 100)
    with pytest.raises(StoreBusy, match="Nothing was stored"):
        store.write(slow).result(60)
    assert slow.runs == 5
    assert revision(store) == "0"


def test_what_somebody_waits_for_is_not_made_again_when_he_has_given_up(
    store: Store, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._writer, "_patience", 0.05)
    slow = Slow(postgresql_url, 100)
    with pytest.raises(StoreBusy):
        store.write(slow, Rank.ACCEPT).result(30)
    assert slow.runs == 1
