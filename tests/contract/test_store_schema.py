"""The migrations make exactly the tables that the program knows, on both databases."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, inspect

from broadcaster.store import Store, StoreTooNew, schema, tables
from broadcaster.testing.builders import KEY
from broadcaster.testing.peers import PostgresServer

_SQLITE = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%' ORDER BY 2"
_POSTGRESQL = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"


@pytest.fixture
def engines(
    request: pytest.FixtureRequest, store_url: str, tmp_path: Path
) -> tuple[Engine, Engine]:
    """Two fresh databases of the same kind."""
    if store_url.startswith("sqlite"):
        return create_engine(store_url), create_engine(f"sqlite:///{tmp_path}/other.db")
    server: PostgresServer = request.getfixturevalue("postgresql")
    return create_engine(server.database()), create_engine(server.database())


def catalogue(connection: Connection) -> list[tuple[str, ...]]:
    """Every table and index as the database itself describes it."""
    query = _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL
    rows = connection.exec_driver_sql(query).all()
    # The words sorted: Alembic and SQLAlchemy write the constraints of a table in another order.
    said = [
        tuple(" ".join(sorted(re.findall(r"[^\s,()]+", str(part)))) for part in row) for row in rows
    ]
    for name in tables.metadata.tables:
        for column in inspect(connection).get_columns(name):
            kept = (str(column["type"]), str(column["nullable"]), str(column["default"]))
            said.append((name, column["name"], *kept))
    return [row for row in said if "alembic" not in row[0]]


def test_the_migrated_tables_are_those_the_program_knows(engines: tuple[Engine, Engine]) -> None:
    migrated, made = engines
    schema.bring_up_to_date(migrated)
    tables.metadata.create_all(made)
    with migrated.connect() as one, made.connect() as other:
        context = MigrationContext.configure(one, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
        assert catalogue(one) == catalogue(other)
    for engine in engines:
        engine.dispose()


def test_opening_a_store_again_changes_nothing_in_its_schema(store_url: str) -> None:
    engine = create_engine(store_url)
    seen = []
    for _ in range(2):
        Store(store_url, KEY).close()
        with engine.connect() as connection:
            seen.append(catalogue(connection))
    engine.dispose()
    assert seen[0] == seen[1]


def test_the_newest_migration_is_known_without_alembic() -> None:
    """By the names of the files, so that a daemon whose tables are current loads no Alembic."""
    scripts = ScriptDirectory(str(Path(schema.__file__).parent / "migrations"))
    newest_first = [script.revision for script in scripts.walk_revisions()]
    assert schema.revisions() == newest_first[::-1]


def test_a_current_store_in_a_file_opens_without_alembic_and_psycopg(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/b.db"
    Store(url, KEY).close()
    program = (
        "import sys; from broadcaster.store import Store;"
        "Store(sys.argv[1], bytes.fromhex(sys.argv[2])).close();"
        "print([name for name in ('alembic', 'psycopg') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, url, KEY.hex()], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"


def test_a_store_of_a_newer_program_is_refused_and_left_alone(store_url: str) -> None:
    Store(store_url, KEY).close()
    engine = create_engine(store_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        before = catalogue(connection)
    with pytest.raises(StoreTooNew, match=r"schema 9999.*Nothing was changed"):
        Store(store_url, KEY)
    with engine.connect() as connection:
        assert catalogue(connection) == before
        assert (
            connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "9999"
        )
    engine.dispose()
