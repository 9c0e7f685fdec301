"""Machines over one PostgreSQL go by its clock: a wrong one of their own holds nothing up and lets nothing go early."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from broadcaster.daemon import starting
from broadcaster.daemon.servertime import ServerTime
from broadcaster.store import Connection, Store
from broadcaster.testing.builders import KEY

pytestmark = pytest.mark.real("postgresql")


class Ticks:
    """Seconds of a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(postgresql_url: str) -> Store:
    return Store(postgresql_url, KEY)


def said_by_database(connection: Connection) -> datetime:
    at: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return at


def test_a_wrong_clock_of_the_machine_is_not_gone_by(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = datetime.now(UTC) + timedelta(minutes=10)
    monkeypatch.setattr(starting, "now", lambda: wrong)
    clock = ServerTime(store)
    before = store.read(said_by_database)
    assert (
        before - timedelta(seconds=5)
        < clock()
        < store.read(said_by_database) + timedelta(seconds=5)
    )
    assert timedelta(minutes=9) < clock.ahead < timedelta(minutes=11)
    store.close()


def test_it_goes_on_without_the_database_and_is_put_right_by_it(store: Store) -> None:
    ticks = Ticks()
    clock = ServerTime(store, ticks)
    began = clock()
    ticks.now += 60.0
    assert clock() - began == timedelta(seconds=60)
    clock.look()  # our ticks ran a minute fast
    assert clock() - began < timedelta(seconds=50)
    store.close()
