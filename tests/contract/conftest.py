"""One contract suite, two databases: `store` is a fresh one on SQLite, then on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.store import Store
from broadcaster.testing.blank import blank
from broadcaster.testing.builders import KEY
from broadcaster.testing.peers import PostgresServer

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.real("postgresql"))]


def _migrate(url: str) -> None:
    Store(url, KEY).close()


@pytest.fixture(params=DATABASES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh database, ready to be opened with the key `KEY`."""
    if request.param == "sqlite":
        yield blank(tmp_path / "broadcaster.db")
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    url = server.database(server.template("store", _migrate))
    yield url
    server.drop(url)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store(store_url, KEY)
    yield opened
    opened.close()
