"""A scenario that runs over both databases asks for `store_url`: the URL of a fresh one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.testing.peers import PostgresServer

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.real("postgresql"))]


@pytest.fixture(params=DATABASES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/broadcaster.db"
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    url = server.database()
    yield url
    server.drop(url)
