"""Bringing a database to the schema this program knows, by Alembic; refusing one it does not know."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from broadcaster.store.errors import StoreError, StoreTooNew

_MIGRATIONS = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x62726F61  # two nodes that start together must not migrate together


def bring_up_to_date(engine: Engine) -> str:
    """Create or migrate the tables; returns the revision that they have now.

    Raises:
        StoreTooNew: the database holds a revision this program has never heard of; nothing is changed.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK}
            )
        current, newest = current_revision(connection), revisions()[-1]
        if current != newest:
            _refuse_unknown(current)
            _upgrade(connection)
        return newest


def refuse_other_version(connection: Connection) -> None:
    """Refuse a database whose tables are not those of this program, older ones too; nothing is changed.

    Raises:
        StoreTooNew: its revision is one this program has never heard of.
        StoreError: it is of an older version, or there are no tables.
    """
    current = current_revision(connection)
    if current == revisions()[-1]:
        return
    _refuse_unknown(current)
    raise StoreError(
        f"This store was written by an older version of the program (schema {current or 'none'}). Nothing was "
        "changed. Start the daemon, which brings it up to date, or use the program that wrote it."
    )


def revisions() -> list[str]:
    """The revisions this program knows, the newest last: the file of each migration begins with its own."""
    return sorted(path.name.partition("_")[0] for path in _MIGRATIONS.glob("versions/[0-9]*.py"))


def current_revision(connection: Connection) -> str | None:
    """The revision a database is at, where Alembic notes it; None before the first."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def overtaken(current: str | None) -> StoreTooNew:
    """What to say where another machine has migrated the tables under a program that runs."""
    return StoreTooNew(
        f"Another machine has brought the database to another version of the program (schema {current}). Nothing was "
        "stored, and nothing more is sent from here. Upgrade this machine too, then restart it."
    )


def _upgrade(connection: Connection) -> None:
    # Not at the top: Alembic takes 0.1 s and 10 MiB, which a daemon whose tables are current can spare.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _refuse_unknown(current: str | None) -> None:
    if current is not None and current not in revisions():
        raise StoreTooNew(
            f"This store was written by a newer version of the program (schema {current}). Nothing was changed. "
            "Install that version again, or restore a backup made with this one."
        )
