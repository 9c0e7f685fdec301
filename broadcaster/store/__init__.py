"""The store: the outbox and the memory. All SQL of the project is in this package.

`Store` opens a database; the modules beside it hold functions of a connection, one per intent, that `Store.read` and
`Store.write` run.
"""

from sqlalchemy import Connection

from broadcaster.store.database import Store
from broadcaster.store.errors import (
    Conflict,
    StoreBroken,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreKeyWrong,
    StoreLocked,
    StoreTooNew,
)
from broadcaster.store.writer import Rank, wake

__all__ = [
    "Conflict",
    "Connection",
    "Rank",
    "Store",
    "StoreBroken",
    "StoreBusy",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreKeyWrong",
    "StoreLocked",
    "StoreTooNew",
    "wake",
]
