"""Alembic's entry: runs on the connection that `broadcaster.store.schema` hands in."""

from typing import Any

from alembic import context

from broadcaster.store.tables import UtcTime, metadata


def render_item(what: str, item: Any, _: Any) -> str | bool:
    """Write our own type as what it is in the database: a migration must not change when the type does."""
    return "sa.BigInteger()" if what == "type" and isinstance(item, UtcTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=render_item,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
