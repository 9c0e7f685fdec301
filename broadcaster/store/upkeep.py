"""Facts about the store itself, for the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from broadcaster.store import tables as t

BACKED_UP = "create backup"
"""The act that the audit trail notes for a backup."""


@dataclass(frozen=True, slots=True)
class Facts:
    """`size` in bytes; times are None when there was no such thing yet."""

    engine: str
    version: str
    size: int
    backed_up_at: datetime | None
    newest_at: datetime | None


def facts(connection: Connection) -> Facts:
    """What the store says of itself; `newest_at` is the time of the newest thing written down."""
    backed_up = connection.scalar(
        select(func.max(t.audit.c.at, type_=t.audit.c.at.type)).where(t.audit.c.act == BACKED_UP)
    )
    newest = connection.scalar(select(t.audit.c.at).order_by(t.audit.c.id.desc()).limit(1))
    engine, version, size = _of_database(connection)
    return Facts(engine, version, size, backed_up, newest)


def _of_database(connection: Connection) -> tuple[str, str, int]:
    if connection.dialect.name == "sqlite":
        version = connection.scalar(select(func.sqlite_version()))
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar() or 0
        size = connection.exec_driver_sql("PRAGMA page_size").scalar() or 0
        return "SQLite", str(version), int(pages) * int(size)
    version = str(connection.scalar(func.current_setting("server_version"))).split(" ")[0]
    size = connection.scalar(select(func.pg_database_size(func.current_database())))
    return "PostgreSQL", version, int(size or 0)
