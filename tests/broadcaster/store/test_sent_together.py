"""On PostgreSQL what somebody waits for goes in few round trips, and a connection that was closed costs no refusal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, bindparam, event, insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError

from broadcaster.store import Store
from broadcaster.store.tables import meta
from broadcaster.store.together import later, together
from broadcaster.store.writer import Rank
from broadcaster.testing.builders import KEY

pytestmark = pytest.mark.real("postgresql")
SET = later(update(meta).where(meta.c.name == "revision").values(value=bindparam("new")))
REVISION = select(meta.c.value).where(meta.c.name == "revision")


@pytest.fixture
def store(postgresql_url: str) -> Iterator[Store]:
    store = Store(postgresql_url, KEY)
    yield store
    store.close()


def close_all(url: str) -> None:
    """The server closes every connection to this database but the one that asks for it."""
    mine = make_url(url)
    with psycopg.connect(
        host=mine.host, port=mine.port, user=mine.username, dbname=mine.database, autocommit=True
    ) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_what_is_sent_later_is_there_for_the_next_that_looks(store: Store) -> None:
    def work(connection: Connection) -> Any:
        connection.execute(SET, {"new": "6"})
        connection.execute(SET, {"new": "7"})
        return connection.scalar(REVISION)

    assert store.write(work, Rank.ACCEPT).result() == "7"
    assert store.read(lambda connection: connection.scalar(REVISION)) == "7"


def test_what_is_sent_last_is_kept_too(store: Store) -> None:
    store.write(lambda connection: connection.execute(SET, {"new": "8"}), Rank.ACCEPT).result()
    assert store.read(lambda connection: connection.scalar(REVISION)) == "8"


def test_nothing_is_kept_of_a_word_of_which_something_sent_later_failed(store: Store) -> None:
    twice = later(insert(meta).inline().values(name="revision", value="1"))

    def looked_at(connection: Connection) -> None:
        connection.execute(SET, {"new": "9"})
        connection.execute(twice)
        connection.scalar(REVISION)

    def last(connection: Connection) -> None:
        connection.execute(SET, {"new": "9"})
        connection.execute(twice)

    with pytest.raises(IntegrityError):
        store.write(looked_at, Rank.ACCEPT).result()
    with pytest.raises(OperationalError, match="duplicate key"):
        store.write(last, Rank.ACCEPT).result()
    assert store.read(lambda connection: connection.scalar(REVISION)) == "0"
    # The connection is good for the next.
    store.write(lambda connection: connection.execute(SET, {"new": "9"}), Rank.ACCEPT).result()


def test_statements_sent_later_cost_one_way_there_and_back(store: Store) -> None:
    syncs: list[str] = []

    def work(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        with together(connection):
            pipeline = driver._pipeline
            real = pipeline.sync

            def sync() -> None:
                syncs.append("sync")
                real()

            pipeline.sync = sync
            for number in range(10):
                connection.execute(SET, {"new": str(number)})
            assert syncs == []
            connection.scalar(REVISION)

    store.write(work, Rank.OUTCOME).result()
    assert syncs == ["sync"]


@pytest.mark.parametrize("rank", [Rank.ACCEPT, Rank.OUTCOME])
def test_a_write_that_meets_a_closed_connection_is_made_on_another(
    store: Store, postgresql_url: str, rank: Rank
) -> None:
    store.write(lambda connection: connection.scalar(REVISION), rank).result()
    close_all(postgresql_url)
    store.write(lambda connection: connection.execute(SET, {"new": "5"}), rank).result()
    assert store.read(lambda connection: connection.scalar(REVISION)) == "5"
    assert store.refusing is None


def test_a_write_whose_connection_is_closed_in_its_middle_is_made_once(
    store: Store, postgresql_url: str
) -> None:
    runs: list[str] = []

    def work(connection: Connection) -> None:
        was = connection.scalar(REVISION.with_for_update())
        connection.execute(SET, {"new": str(int(was or 0) + 1)})
        if not runs:
            close_all(postgresql_url)
        runs.append(str(was))
        connection.execute(text("SELECT 1"))

    store.write(work, Rank.ACCEPT).result()
    assert runs == ["0", "0"]
    assert store.read(lambda connection: connection.scalar(REVISION)) == "1"


def test_a_read_that_meets_a_closed_connection_is_made_on_another(
    store: Store, postgresql_url: str
) -> None:
    assert store.read(lambda connection: connection.scalar(REVISION)) == "0"
    close_all(postgresql_url)
    assert store.read(lambda connection: connection.scalar(REVISION)) == "0"


def test_a_connection_that_breaks_again_and_again_is_refused(
    store: Store, postgresql_url: str
) -> None:
    tries: list[int] = []

    @event.listens_for(store._read_engine, "before_cursor_execute")
    def _close(*_: Any) -> None:
        tries.append(1)
        close_all(postgresql_url)

    with pytest.raises(Exception, match="cannot be reached"):
        store.read(lambda connection: connection.scalar(REVISION))
    assert len(tries) == 2
