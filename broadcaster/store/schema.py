"""Bringing a database to the schema this program knows, by Alembic; refusing one it does not know."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, text

from broadcaster.store.errors import StoreError, StoreTooNew

_ADVISORY_LOCK = 0x62726F61  # two nodes that start together must not migrate together


def bring_up_to_date(engine: Engine) -> str:
    """Create or migrate the tables; returns the revision that they have now.

    Raises:
        StoreTooNew: the database holds a revision this program has never heard of; nothing is changed.
    """
    config = _config()
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK}
            )
        current = MigrationContext.configure(connection).get_current_revision()
        if current is not None:
            _refuse_unknown(ScriptDirectory.from_config(config), current)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return MigrationContext.configure(connection).get_current_revision() or ""


def refuse_other_version(connection: Connection) -> None:
    """Refuse a database whose tables are not those of this program, older ones too; nothing is changed.

    Raises:
        StoreTooNew: its revision is one this program has never heard of.
        StoreError: it is of an older version, or there are no tables.
    """
    scripts = ScriptDirectory.from_config(_config())
    current = MigrationContext.configure(connection).get_current_revision()
    if current == scripts.get_current_head():
        return
    if current is not None:
        _refuse_unknown(scripts, current)
    raise StoreError(
        f"This store was written by an older version of the program (schema {current or 'none'}). Nothing was "
        "changed. Start the daemon, which brings it up to date, or use the program that wrote it."
    )


def overtaken(current: str | None) -> StoreTooNew:
    """What to say where another machine has migrated the tables under a program that runs."""
    return StoreTooNew(
        f"Another machine has brought the database to another version of the program (schema {current}). Nothing was "
        "stored, and nothing more is sent from here. Upgrade this machine too, then restart it."
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _refuse_unknown(scripts: ScriptDirectory, current: str) -> None:
    try:
        scripts.get_revision(current)
    except CommandError:
        raise StoreTooNew(
            f"This store was written by a newer version of the program (schema {current}). Nothing was changed. "
            "Install that version again, or restore a backup made with this one."
        ) from None
