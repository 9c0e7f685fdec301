"""What can go wrong with the store, each with its sentence for the operator."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError as PoolTimeout,
)


class StoreError(Exception):
    """Something about the store; `args[0]` is a sentence that says what to do."""


class StoreBusy(StoreError):
    """Nothing was stored; another try soon may succeed (locked by another process, or out of reach)."""


class StoreUnsure(StoreBusy):
    """It may have been stored or not; the same write under the same idempotency key tells, and does no harm."""


class StoreFull(StoreError):
    """Nothing was stored: the disk is full or the file system is read-only."""


class StoreBroken(StoreError):
    """The disk failed to keep a promise (an fsync error): nothing more is accepted until a restart."""


class StoreCorrupt(StoreError):
    """The file is damaged. It is refused and kept as it is."""


class StoreLocked(StoreError):
    """Another daemon holds this store."""


class StoreTooNew(StoreError):
    """A newer version of the program wrote this store."""


class StoreKeyWrong(StoreError):
    """The store was written with another key."""


class Conflict(StoreError):
    """What was read has changed before it could be written: read again and decide again."""


_PROMPTLY = 1.0  # seconds
# The primary result codes of https://www.sqlite.org/rescode.html that need a sentence of their own.
_BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 5, 6, 8, 10, 11, 13, 14, 26

# The codes of https://www.postgresql.org/docs/current/errcodes-appendix.html that are about the server, not about what
# it was asked: the first that fits counts.
_POSTGRESQL: tuple[tuple[tuple[str, ...], type[StoreError], str], ...] = (
    (
        ("53100",),
        StoreFull,
        "PostgreSQL has no room left on its disk. Nothing was stored. Free some.",
    ),
    (
        ("53",),
        StoreBusy,
        "PostgreSQL has no connection or no memory left. Nothing was stored. Try again in a moment.",
    ),
    (
        ("25006",),
        StoreBusy,
        "PostgreSQL takes no writes: it is a standby, or was set to read only. Nothing was stored.",
    ),
    (
        ("58", "F0", "XX"),
        StoreBusy,
        "PostgreSQL has trouble of its own, which its log names. Nothing was stored.",
    ),
    (
        ("08", "25P03", "25P04", "40", "55", "57"),
        StoreBusy,
        "PostgreSQL is not answering now. Nothing was stored. Try again in a moment.",
    ),
)


def full() -> StoreFull:
    """The disk of the database has no room."""
    return StoreFull(
        "The disk is full or cannot be written. Nothing was stored. Free some space on it."
    )


def explain(error: SQLAlchemyError) -> StoreError | None:
    """The `StoreError` that a database error amounts to, or None when it is not about the store's health."""
    if isinstance(error, PoolTimeout):  # every connection is busy with something that hangs
        return StoreBusy("The database refused the write. Nothing was stored.")
    if not isinstance(error, DBAPIError):
        return None
    if isinstance(error.orig, sqlite3.Error):
        return _explain_sqlite(getattr(error.orig, "sqlite_errorcode", 0) & 0xFF)
    return _explain_postgresql(error)


def _explain_postgresql(error: DBAPIError) -> StoreError | None:
    state = getattr(error.orig, "sqlstate", None)
    # The driver itself refuses what no text of PostgreSQL can hold: that has no code either, and the line is whole.
    no_answer = state is None and isinstance(error, OperationalError | InterfaceError)
    if error.connection_invalidated or no_answer:
        return StoreBusy(
            "The database cannot be reached. Nothing was stored. Is PostgreSQL running, with a connection to spare?"
        )
    for codes, kind, sentence in _POSTGRESQL:
        if state is not None and state.startswith(codes):
            return kind(sentence)
    return None


def _explain_sqlite(code: int) -> StoreError | None:
    if code in (_BUSY, _LOCKED):
        return StoreBusy(
            "Another program holds the database file. Nothing was stored. Try again in a moment."
        )
    if code in (_FULL, _READONLY, _CANTOPEN):
        return full()
    if code == _IOERR:
        return StoreBroken(
            "The disk refused to keep what was written. Nothing more is accepted until it is mended and "
            "the daemon is started again."
        )
    if code in (_CORRUPT, _NOTADB):
        return StoreCorrupt(
            "The database file is damaged. It was left as it is. Restore the latest backup: "
            "broadcaster backup restore PATH --yes"
        )
    return None


def is_conflict(error: SQLAlchemyError) -> bool:
    """Whether PostgreSQL asks for the same transaction again (serialization failure or deadlock)."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in {"40001", "40P01"}


def was_closed(error: SQLAlchemyError, since: float) -> bool:
    """Whether a connection turned out to be closed, promptly: a server that says nothing has taken our time already.

    Args:
        since: seconds that passed since it was asked.
    """
    return isinstance(error, DBAPIError) and error.connection_invalidated and since < _PROMPTLY


def was_ended(error: SQLAlchemyError) -> bool:
    """Whether PostgreSQL ended the transaction because it stood still for too long: nothing of it is stored.

    Also where COMMIT is what met it: the server had hung up before it read that.
    """
    return getattr(getattr(error, "orig", None), "sqlstate", None) == "25P03"
