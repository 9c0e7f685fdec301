"""Alembic's entry: runs on the connection that `broadcaster.store.schema` hands in."""

from typing import Any, Literal

from alembic import context

from broadcaster.store.tables import Id, UtcTime, metadata

_asked = context.config.attributes


def render_item(what: str, item: Any, _: Any) -> str | Literal[False]:
    """Name our own types as script.py.mako defines them: a migration must not change when tables.py does."""
    if what == "type" and isinstance(item, UtcTime):
        return "TIME"
    return "ID" if what == "type" and item is Id else False


def include_object(_: Any, name: str | None, what: str, *__: Any) -> bool:
    """Leave out the tables that new.py was not asked for; upgrading compares nothing."""
    return what != "table" or not _asked.get("tables") or name in _asked["tables"]


context.configure(
    connection=_asked["connection"],
    target_metadata=metadata,
    # SQLite alters a table by copying it, which Alembic calls a batch; a table just made is not altered.
    render_as_batch=not _asked.get("tables"),
    render_item=render_item,
    include_object=include_object,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
