"""The audit trail: a row for every act, chained by a sealer so that nothing can be changed or lost unseen.

A row's seal is the SHA-256 of the seal before it and the row as canonical JSON. Whoever can write the database could
chain it anew: the newest seal is therefore also appended to a side file, which backups and other machines may collect.
What was noted in the last second or so is not sealed yet and can be changed unseen.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, select, text
from sqlalchemy.exc import OperationalError

from broadcaster.store.tables import audit, meta
from broadcaster.store.tables.base import microseconds
from broadcaster.store.together import later

GENESIS = "0" * 64
RESTORED = "restore backup"
"""The act that begins an epoch; its detail holds the new `epoch` and the last row, `after`, of the backup."""
_NOTE = later(audit.insert().inline())
_ORDERED = later(text("SELECT pg_advisory_xact_lock_shared(:lock)"))
_MOST = 5_000
_LOCK = 0x61756469
_LOCK_WAIT = "200ms"


@dataclass(frozen=True, slots=True)
class Head:
    """The newest seal of the trail, and the epoch of the store it was made in."""

    epoch: int
    id: int
    seal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One act. `at` is aware UTC; `subject` and `detail` hold opaque ids and numbers."""

    id: int
    at: datetime
    actor: str
    act: str
    subject: str
    detail: Mapping[str, Any]
    seal: str | None


def note(
    connection: Connection, now: datetime, actor: str, act: str, subject: str, **detail: Any
) -> None:
    """Add one row. `subject` and `detail` hold opaque ids and numbers, never an address or a text."""
    if connection.dialect.name == "postgresql":
        # An id is drawn before its row is committed: while this is held no sealer passes it by.
        connection.execute(_ORDERED, {"lock": _LOCK})
    row = {"at": now, "actor": actor, "act": act, "subject": subject, "detail": detail}
    connection.execute(_NOTE, row | {"seal": None})


def seal(connection: Connection) -> int:
    """Chain what is not sealed yet, in order of id, at most 5,000 rows. Returns how many.

    Safe on several nodes. 0 also when rows are being written at this moment (PostgreSQL): ask again a second later.
    """
    if not _alone(connection):
        return 0
    last = head(connection).seal
    sealed = []
    for row in _rows(connection, audit.c.seal.is_(None), limit=_MOST):
        last = _seal(last, row)
        sealed.append({"row": row.id, "hash": last})
    if sealed:
        connection.execute(
            audit.update()
            .where(audit.c.id == bindparam("row"), audit.c.seal.is_(None))
            .values(seal=bindparam("hash")),
            sealed,
        )
    return len(sealed)


def _alone(connection: Connection) -> bool:
    """Whether every row with a smaller id than those to be read is there; True at once on SQLite's one writer."""
    if connection.dialect.name != "postgresql":
        return True
    attempt = connection.begin_nested()
    try:
        # Whoever notes meanwhile waits behind this lock, so the wait for it is kept short.
        connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text("SET LOCAL lock_timeout = DEFAULT"))
    except OperationalError as error:
        attempt.rollback()
        if getattr(error.orig, "sqlstate", None) == "55P03":
            return False
        raise
    attempt.commit()
    return True


def head(connection: Connection) -> Head:
    """The newest seal; of an empty trail id 0 and `GENESIS`."""
    row = connection.execute(
        select(audit.c.id, audit.c.seal)
        .where(audit.c.seal.is_not(None))
        .order_by(audit.c.id.desc())
        .limit(1)
    ).first()
    epoch = int(connection.scalar(select(meta.c.value).where(meta.c.name == "epoch")) or 1)
    return Head(epoch, row.id, row.seal) if row else Head(epoch, 0, GENESIS)


def listing(connection: Connection, after: int = 0, limit: int = 100) -> tuple[AuditRow, ...]:
    """Rows with ids above `after`, oldest first."""
    return tuple(_rows(connection, audit.c.id > after, limit=limit))


def verify(connection: Connection, anchors: Sequence[Head] | None = None) -> list[str]:
    """A sentence for everything that is wrong with the trail; [] when it is whole.

    Args:
        anchors: heads exported before (`read_heads`): only they show that the end was cut off, or the whole made anew.
            That there are none is a sentence too, unless None says that they are not asked for.
    """
    if connection.dialect.name == "postgresql" and not connection.in_transaction():
        connection.execution_options(isolation_level="REPEATABLE READ")  # one state, as a stream
    wrong: list[str] = []
    expected = {anchor.id: anchor.seal for anchor in _still_valid(connection, anchors or ())}
    last, newest = GENESIS, 0
    unsealed: list[int] = []
    for row in _rows(connection, audit.c.id > 0, limit=None):
        if row.seal is None:
            unsealed.append(row.id)
            continue
        wrong += [f"Row {early} of the audit trail was put in later." for early in unsealed]
        unsealed.clear()
        if row.seal != _seal(last, row):
            wrong.append(
                f"Row {row.id} of the audit trail was changed, or rows before it were removed or moved."
            )
        if expected.pop(row.id, row.seal) != row.seal:
            wrong.append(f"Row {row.id} of the audit trail is not the one whose seal was exported.")
        last, newest = row.seal, row.id
    if newest and anchors is not None and not anchors:
        wrong.append("No exported head was found: had the end been cut off, nothing would show it.")
    missing = sorted(expected)
    if missing and missing[-1] > newest:
        wrong.append(
            f"The audit trail ends with row {newest}, but row {missing[-1]} was sealed before: its end was cut off."
        )
    wrong += [
        f"Row {gone} of the audit trail was sealed before and is gone."
        for gone in missing
        if gone < newest
    ]
    return wrong


def lacking(connection: Connection, anchors: Sequence[Head]) -> Head | None:
    """The newest exported head, if the trail does not hold its row: then what was written last is gone, acts and all."""
    for anchor in _still_valid(connection, anchors[-1:]):
        seal = connection.scalar(select(audit.c.seal).where(audit.c.id == anchor.id))
        return None if seal == anchor.seal else anchor
    return None


def _still_valid(connection: Connection, anchors: Iterable[Head]) -> Iterator[Head]:
    """Anchors of an earlier epoch hold up to where the backup ended that was restored after it."""
    restores = [row.detail for row in _rows(connection, audit.c.act == RESTORED, limit=None)]
    for anchor in anchors:
        ends = [int(detail["after"]) for detail in restores if detail["epoch"] > anchor.epoch]
        if 0 < anchor.id <= min(ends, default=anchor.id):
            yield anchor


def export_head(path: Path, head: Head) -> None:
    """Append a head to the side file, one JSON object a line, and wait until it is on the disk."""
    line = json.dumps({"epoch": head.epoch, "id": head.id, "seal": head.seal}) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_heads(path: Path) -> tuple[Head, ...]:
    """Every exported head, oldest first, () where none was exported; a line that a crash cut short is passed over.

    Raises:
        OSError: the file is there and cannot be read.
    """
    if not path.exists():
        return ()
    heads = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found = json.loads(line)
            heads.append(Head(int(found["epoch"]), int(found["id"]), str(found["seal"])))
        except (ValueError, KeyError, TypeError):
            continue
    return tuple(heads)


def _rows(connection: Connection, which: Any, limit: int | None) -> Iterator[AuditRow]:
    query = select(audit).where(which).order_by(audit.c.id).limit(limit)
    if limit is None:  # a whole trail can be long: it is read as a stream
        query = query.execution_options(yield_per=1_000)
    for row in connection.execute(query).mappings():
        yield AuditRow(**row)


def _seal(before: str, row: AuditRow) -> str:
    said = [row.id, microseconds(row.at), row.actor, row.act, row.subject, row.detail]
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{before}\n{canonical}".encode()).hexdigest()
