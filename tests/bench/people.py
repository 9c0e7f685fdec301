"""Subscribers by the million, written straight into the store: sealed as an import seals them, in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, text

from broadcaster.store import Rank, Store, tables as t

CHUNK = 20_000


def number(key: int) -> str:
    """A Swedish mobile number."""
    return f"+4670{1_000_000 + key:07d}"


def subscribe(
    store: Store,
    count: int,
    channel: str = "sms",
    area: str = "norra-ekbyn",
    address: Callable[[int], str] = number,
) -> None:
    """Add so many subscribers of one area, each with an address of its own."""
    for start in range(0, count, CHUNK):
        chunk = range(start, min(start + CHUNK, count))

        def work(connection: Connection, chunk: range = chunk) -> None:
            first = int(connection.scalar(select(func.max(t.subscriber.c.id))) or 0) + 1
            ids = range(first, first + len(chunk))
            people = list(_people(store, channel, ids, address))
            _fill(connection, "subscriber", _PEOPLE, people)
            _fill(connection, "subscription", _MEMBERS, [(key, channel, area) for key in ids])

        store.write(work, Rank.IMPORT).result()
    if not store.is_sqlite:
        store.write(_number_on).result()


_PEOPLE = ("id", "channel", "address", "key_id", "digest", "language", "import_id")
_MEMBERS = ("subscriber_id", "channel", "area")


def _people(
    store: Store, channel: str, ids: Sequence[int], address: Callable[[int], str]
) -> Iterator[tuple[Any, ...]]:
    vault = store.vault
    for key in ids:
        written = address(key)
        sealed, digest = vault.seal(channel, written), vault.digest(channel, written)
        yield key, channel, sealed, vault.key_id, digest, "sv", 1


def _fill(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """The quickest way in that each driver has."""
    names = ", ".join(columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(rows))  # noqa: S608 - names of ours
        return
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _number_on(connection: Connection) -> None:
    connection.execute(
        text("SELECT setval(pg_get_serial_sequence('subscriber', 'id'), max(id)) FROM subscriber")
    )
    connection.execute(text("ANALYZE subscriber, subscription"))
