"""Insert a row, or change it when it is there: one statement, so that two nodes cannot both insert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def put(
    connection: Connection,
    table: Table,
    key: Mapping[str, Any],
    values: Mapping[str, Any],
    once: Mapping[str, Any] | None = None,
) -> None:
    """Make the row named by `key` hold `values`; `once` are values it gets only when it is new."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(**(once or {}), **values, **key)
    if values:
        query = statement.on_conflict_do_update(index_elements=list(key), set_=dict(values))
    else:
        query = statement.on_conflict_do_nothing(index_elements=list(key))
    connection.execute(query)
