"""What became of letters, written down and added to the counts of their deliveries in one stroke.

Two outcomes are not final: a transient letter has certainly not gone and is tried again; a doubtful one may have gone
and is tried again all the same (life-safety, or an operator's resend). Doubt ends in accepted or in uncertain, never in
failed: who may have read a wrong text gets its correction.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, select, update as sql_update

from broadcaster.store import tables as t

FINAL = ("accepted", "failed", "uncertain", "skipped")
DOUBT = "it may have gone; nobody said so"


@dataclass(frozen=True, slots=True)
class LetterRow:
    """One outcome to be written: a final one, or transient or doubtful, which are tried again."""

    job_id: int
    position: int
    delivery_id: int
    subscriber_id: int
    outcome: str
    handle: str = ""
    detail: str = ""


def flush_rows(
    connection: Connection, rows: Sequence[LetterRow], supplier: str, now: datetime
) -> None:
    """Write outcomes and add them to their deliveries' counts; one that is there already changes nothing.

    The caller holds the rows' jobs (see `rowlocks`), so that what is there is still so when it is written.
    Only a doubtful one is written over: accepted, or uncertain whatever else came of the later tries. Doubt counts as
    uncertain from its first moment.
    """
    new = _new(connection, rows)
    if not new:
        return
    at = t.microseconds(now)
    values = [
        (
            row.job_id,
            row.position,
            row.delivery_id,
            row.subscriber_id,
            row.outcome,
            supplier,
            row.handle,
            row.detail,
            at,
        )
        for row, _ in new
    ]
    _insert(connection, values)
    for delivery_id, counts in _sums(new).items():
        connection.execute(_COUNT, {"delivery": delivery_id, **dict.fromkeys(FINAL, 0), **counts})


_COLUMNS = "job_id, position, delivery_id, subscriber_id, outcome, supplier, handle, detail, at"
_TYPES = ("bigint", "int", "bigint", "bigint", "text", "text", "text", "text", "bigint")
_AGAIN = (
    " ON CONFLICT (job_id, position) DO UPDATE SET"
    " outcome = excluded.outcome, supplier = excluded.supplier, handle = excluded.handle,"
    " detail = excluded.detail, at = excluded.at WHERE letter.outcome = 'doubtful'"
)
_ROW = ", ".join("?" * len(_TYPES))
_BY_ROW = f"INSERT INTO letter ({_COLUMNS}) VALUES ({_ROW}){_AGAIN}"  # noqa: S608 - all of it is written here
_NAMES = _COLUMNS.split(", ")
_RECORD = ", ".join(f"{name} {kind}" for name, kind in zip(_NAMES, _TYPES, strict=True))
_AT_ONCE = f"INSERT INTO letter ({_COLUMNS}) SELECT * FROM json_to_recordset(%s) AS said({_RECORD}){_AGAIN}"  # noqa: S608 - as above
# Made once: to put it together costs more than to run it.
_COUNT = (
    sql_update(t.delivery)
    .where(t.delivery.c.id == bindparam("delivery"))
    .values({name: t.delivery.c[name] + bindparam(name, type_=Integer) for name in FINAL})
)


_BETWEEN = select(t.letter.c.position, t.letter.c.outcome).where(
    t.letter.c.job_id == bindparam("job"),
    t.letter.c.position.between(bindparam("first"), bindparam("last")),
)


def _insert(connection: Connection, values: list[tuple[Any, ...]]) -> None:
    """The driver's own statement: SQLAlchemy's costs up to twice as much, and this is the hot path of a blast."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_BY_ROW, values)
    else:  # one statement, where each row would be one of its own; lists of the driver's cost twice as much to write
        said = json.dumps([dict(zip(_NAMES, row, strict=True)) for row in values])
        connection.exec_driver_sql(_AT_ONCE, (said,))


_New = list[tuple[LetterRow, bool]]


def _new(connection: Connection, rows: Sequence[LetterRow]) -> _New:
    """What the rows add to what is written, each with whether it ends a doubt.

    It is the first outcome of each letter that counts: an adapter may yield one twice.
    """
    known = _known(connection, rows)
    new: dict[tuple[int, int], tuple[LetterRow, bool]] = {}
    for row in rows:
        place = row.job_id, row.position
        written = known.get(place)
        if written is None:
            new.setdefault(place, (row, False))
        elif written == "doubtful" and row.outcome in FINAL:
            new.setdefault(place, (row if row.outcome == "accepted" else _in_doubt(row), True))
    return list(new.values())


def _known(connection: Connection, rows: Sequence[LetterRow]) -> dict[tuple[int, int], str]:
    """What is written at the places of these rows, and between them."""
    places: dict[int, list[int]] = {}
    for row in rows:
        places.setdefault(row.job_id, []).append(row.position)
    known = {}
    for job_id, positions in places.items():
        between = {"job": job_id, "first": min(positions), "last": max(positions)}
        for position, outcome in connection.execute(_BETWEEN, between).all():
            known[job_id, position] = outcome
    return known


def _in_doubt(row: LetterRow) -> LetterRow:
    return replace(row, outcome="uncertain", detail=DOUBT)


def counted(outcome: str) -> str | None:
    """The count that a letter of this outcome is in; None: it is in none yet."""
    if outcome == "doubtful":
        return "uncertain"
    return outcome if outcome in FINAL else None


def _sums(new: _New) -> dict[int, Counter[str]]:
    sums: dict[int, Counter[str]] = {}
    for row, ends_doubt in new:
        if name := counted(row.outcome):
            counts = sums.setdefault(row.delivery_id, Counter())
            counts[name] += 1
            counts["uncertain"] -= ends_doubt
    return sums
