"""The PostgreSQL our tests get is durable, and each test's database is its own."""

from __future__ import annotations

import sqlalchemy as sa

from broadcaster.testing.peers import PostgresServer


def ask(url: str, statement: str) -> list[object]:
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            result = connection.exec_driver_sql(statement)
            return list(result.scalars()) if result.returns_rows else []
    finally:
        engine.dispose()


def test_the_server_syncs_to_disk_as_in_production(postgresql_url: str) -> None:
    assert ask(postgresql_url, "SHOW fsync") == ["on"]
    assert ask(postgresql_url, "SHOW synchronous_commit") == ["on"]


def test_a_template_is_filled_once_and_its_clones_do_not_meet(postgresql: PostgresServer) -> None:
    filled: list[str] = []

    def fill(url: str) -> None:
        filled.append(url)
        ask(url, "CREATE TABLE word AS SELECT 'åäö' AS text")

    urls = [postgresql(postgresql.template("words", fill)) for _ in range(2)]
    ask(urls[0], "DELETE FROM word")
    assert len(filled) == 1
    assert ask(urls[0], "SELECT text FROM word") == []
    assert ask(urls[1], "SELECT text FROM word") == ["åäö"]
    for url in urls:
        postgresql.drop(url)


def test_what_was_committed_is_there_after_the_server_was_killed(
    postgresql: PostgresServer,
) -> None:
    url = postgresql.database()
    ask(url, "CREATE TABLE word AS SELECT 'kvar' AS text")
    postgresql.stop("immediate")
    postgresql.start()
    assert ask(url, "SELECT text FROM word") == ["kvar"]
    postgresql.drop(url)
