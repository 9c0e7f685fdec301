"""The list of who asked to be erased, outside the database and its backups: replayed when a backup is restored.

One line each: microseconds since 1970 UTC and the address's HMAC in hexadecimal. It names nobody without the store key.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, delete, exists, select, update as sql_update

from broadcaster.store import consents, tables as t
from broadcaster.store.tables.base import microseconds, moment


@dataclass(frozen=True, slots=True)
class Erasure:
    """That the address with this digest was erased at `at` (microseconds since 1970 UTC)."""

    at: int
    digest: bytes


def append(path: Path, digests: Iterable[bytes], now: datetime) -> None:
    """Add erased addresses by their digest (`AddressVault.digest`), and wait until they are on the disk.

    Call it before the rows are deleted: an erasure that is on the list and not done is done at the next restore.

    Raises:
        OSError: the list cannot be written.
    """
    lines = "".join(f"{microseconds(now)} {digest.hex()}\n" for digest in digests)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, lines.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> tuple[Erasure, ...]:
    """Every erasure on the list; () where there is none yet. A line that a crash cut short is passed over.

    Raises:
        OSError: the list is there and cannot be read.
    """
    if not path.exists():
        return ()
    found = []
    for line in path.read_text(encoding="ascii").splitlines():
        at, _, digest = line.partition(" ")
        if at.isdecimal() and len(digest) == 64:
            found.append(Erasure(int(at), bytes.fromhex(digest)))
    return tuple(found)


def replay(connection: Connection, erasures: Iterable[Erasure]) -> int:
    """Erase again who is back by a restored backup. Returns how many.

    Who was imported anew after the erasure, or agreed anew himself, stays: that was wanted.
    """
    gone = 0
    for erasure in erasures:
        at = moment(erasure.at)
        imported = (
            select(t.import_run.c.at)
            .where(t.import_run.c.id == t.subscriber.c.import_id)
            .scalar_subquery()
        )
        agreed = exists().where(
            t.consent.c.channel == t.subscriber.c.channel,
            t.consent.c.digest == t.subscriber.c.digest,
            t.consent.c.given_at > at,
            t.consent.c.ended_at.is_(None),
        )
        again = (imported.is_not(None) & (imported > at)) | agreed
        gone += connection.execute(
            delete(t.subscriber).where(t.subscriber.c.digest == erasure.digest, ~again)
        ).rowcount
        connection.execute(
            sql_update(t.consent)
            .where(
                t.consent.c.digest == erasure.digest,
                t.consent.c.given_at <= at,
                t.consent.c.ended_at.is_(None),
            )
            .values(ended_at=at, ended_by=consents.ERASED)
        )
    return gone
