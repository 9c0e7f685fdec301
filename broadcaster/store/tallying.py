"""What became of letters, written down and added to the counts of their deliveries in one stroke.

Two outcomes are not final: a transient letter has certainly not gone and is tried again; a doubtful one may have gone
and is tried again all the same (life-safety, or an operator's resend). Doubt ends in accepted or in uncertain, never in
failed: who may have read a wrong text gets its correction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select, update as sql_update

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
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    # The driver's own statement: SQLAlchemy's costs up to twice as much, and this is the hot path of a blast.
    connection.exec_driver_sql(
        "INSERT INTO letter (job_id, position, delivery_id, subscriber_id, outcome, supplier, handle, detail, at)"  # noqa: S608 - only the driver's placeholder sign is put in
        f" VALUES ({', '.join([mark] * 9)}) ON CONFLICT (job_id, position) DO UPDATE SET"
        " outcome = excluded.outcome, supplier = excluded.supplier, handle = excluded.handle,"
        " detail = excluded.detail, at = excluded.at WHERE letter.outcome = 'doubtful'",
        values,
    )
    for delivery_id, counts in _sums(new).items():
        connection.execute(
            sql_update(t.delivery)
            .where(t.delivery.c.id == delivery_id)
            .values({name: t.delivery.c[name] + number for name, number in counts.items()})
        )


_New = list[tuple[LetterRow, bool]]


def _new(connection: Connection, rows: Sequence[LetterRow]) -> _New:
    """What the rows add to what is written, each with whether it ends a doubt.

    It is the first outcome of each letter that counts: an adapter may yield one twice.
    """
    jobs = {row.job_id for row in rows}
    if not jobs:
        return []
    mine = t.letter.c.job_id.in_(jobs)
    query = select(t.letter.c.job_id, t.letter.c.position, t.letter.c.outcome).where(mine)
    known = {(found.job_id, found.position): found.outcome for found in connection.execute(query)}
    new: dict[tuple[int, int], tuple[LetterRow, bool]] = {}
    for row in rows:
        place = row.job_id, row.position
        written = known.get(place)
        if written is None:
            new.setdefault(place, (row, False))
        elif written == "doubtful" and row.outcome in FINAL:
            new.setdefault(place, (row if row.outcome == "accepted" else _in_doubt(row), True))
    return list(new.values())


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
