"""Letters on their way: jobs of at most 500, a watermark before, outcomes after.

A job's watermark is committed before letters up to it can be pulled. After a crash a letter beyond it is waiting, one
below it without an outcome is uncertain: nobody is lost, and nobody gets a text twice but for those in between.
"""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Update,
    bindparam,
    cast,
    delete,
    extract,
    func,
    select,
    type_coerce,
    update as sql_update,
)

from broadcaster.store import tables as t
from broadcaster.store.claiming import LEASE, database_now
from broadcaster.store.next_job import next_job
from broadcaster.store.tallying import LetterRow, flush_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A claimed job. `todo` are the positions without a final outcome; `texts` the rendered text by language.

    `said_at` is when its update was released.
    """

    id: int
    delivery_id: int
    incident: int
    number: int
    variant: str
    subscribers: tuple[int, ...]
    todo: tuple[int, ...]
    attempts: int
    life_safety: bool
    not_after: datetime
    said_at: datetime
    lease_token: str
    texts: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A subscriber's address as stored, to be opened with the vault."""

    subscriber_id: int
    channel: str
    address: bytes
    language: str
    import_id: int
    gone_at: datetime | None = None
    """Since when the far side says that there is no such address."""

    def gone_before(self, said_at: datetime) -> bool:
        """Whether it was no more when this was said. What its own update or one before it was refused for is tried again."""
        return self.gone_at is not None and self.gone_at < said_at


# Statements of a blast are made once: to put one together costs more than to run it.
_MINE = sql_update(t.job).where(t.job.c.id == bindparam("job"))
_HELD = _MINE.where(t.job.c.lease_token == bindparam("token"))
_CLAIM = _MINE.values(
    state="sending",
    watermark=0,
    attempts=t.job.c.attempts + 1,
    supplier=bindparam("by"),
    lease_node=bindparam("node"),
    lease_token=bindparam("token"),
    lease_until=bindparam("until"),
)
_LEASE = LEASE // timedelta(microseconds=1)


@functools.cache
def _renew(database: str) -> Update:
    """Renew a lease by the clock that leases go by (see `database_now`), without asking for the time beforehand."""
    if database == "sqlite":
        at: ColumnElement[int] = bindparam("now", type_=BigInteger)
    else:
        at = cast(extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
    return _HELD.values(lease_until=type_coerce(at + _LEASE, t.UtcTime))


_FREE = {"lease_node": None, "lease_token": None, "lease_until": None}
_END = _HELD.values(state="done", **_FREE)
_LET_GO = _HELD.values(state="waiting", due_at=bindparam("due"), watermark=0, **_FREE)
_ADVANCE = _MINE.values(watermark=bindparam("upto"))
_STOPPED = select(t.delivery.c.stopped).where(t.delivery.c.id == bindparam("delivery"))
_CERTAIN = select(t.letter.c.position).where(
    t.letter.c.job_id == bindparam("job"), t.letter.c.outcome != "doubtful"
)
_DROP_TRANSIENT = delete(t.letter).where(
    t.letter.c.job_id == bindparam("job"), t.letter.c.outcome == "transient"
)
_SAID_AT = select(func.coalesce(t.update.c.released_at, t.update.c.accepted_at)).where(
    t.update.c.id == bindparam("update")
)
_TEXTS = select(t.message.c.language, t.message.c.subject, t.message.c.body).where(
    t.message.c.update_id == bindparam("update"),
    t.message.c.channel == bindparam("channel"),
    t.message.c.variant == bindparam("variant"),
)


def claim_job(
    connection: Connection,
    channel: str,
    node: str,
    now: datetime,
    supplier: str,
    after: Job | None = None,
) -> Job | None:
    """Claim the next job of a channel's delivery that is being sent, or None. Writes what a crash left open.

    `after`: only one that goes on with what that job does: of the same delivery, at the same attempt, not yet begun.
    """
    at = database_now(connection, now)
    row = next_job(connection, channel, at, now)
    if row is None or (after is not None and not _goes_on(row, after)):
        return None
    _settle_crash(connection, row, now)
    token = secrets.token_hex(8)
    connection.execute(
        _CLAIM,
        {"job": row.id, "by": supplier, "node": node, "token": token, "until": at + LEASE},
    )
    return _job(connection, row, channel, token)


def _goes_on(row: Any, job: Job) -> bool:
    same = (row.delivery_id, row.attempts + 1) == (job.delivery_id, job.attempts)
    return same and row.state == "waiting"


def _settle_crash(connection: Connection, row: Any, now: datetime) -> None:
    """Letters below the watermark of a job that broke off may have gone: uncertain, or sent again when life depends."""
    if row.state == "sending":
        outcome = "doubtful" if row.life_safety else "uncertain"
        flush_rows(
            connection,
            [
                LetterRow(row.id, position, row.delivery_id, row.subscribers[position], outcome)
                for position in unknown(connection, row)
                if position < row.watermark
            ],
            row.supplier,
            now,
        )
    drop_transient(connection, row.id)


def unknown(connection: Connection, row: Any) -> list[int]:
    """Positions of a job nothing certain is known of: without a row, or doubtful."""
    known = set(connection.scalars(_CERTAIN, {"job": row.id}))
    return [position for position in range(len(row.subscribers)) if position not in known]


def doubtful(connection: Connection, job_id: int) -> set[int]:
    """Positions of a job whose letters may have gone and are to be tried again."""
    return set(
        connection.scalars(
            select(t.letter.c.position).where(
                t.letter.c.job_id == job_id, t.letter.c.outcome == "doubtful"
            )
        )
    )


def drop_transient(connection: Connection, job_id: int) -> int:
    """Forget the tries that certainly brought nothing out; gives how many letters that concerns."""
    return connection.execute(_DROP_TRANSIENT, {"job": job_id}).rowcount


def _job(connection: Connection, row: Any, channel: str, token: str) -> Job:
    asked = {"update": row.update_id, "channel": channel, "variant": row.variant}
    texts = {
        found.language: (found.subject, found.body)
        for found in connection.execute(_TEXTS, asked).all()
    }
    return Job(
        id=row.id,
        delivery_id=row.delivery_id,
        incident=row.incident_id,
        number=row.number,
        variant=row.variant,
        subscribers=tuple(row.subscribers),
        todo=tuple(unknown(connection, row)),
        attempts=row.attempts + 1,
        life_safety=row.life_safety,
        not_after=row.not_after,
        said_at=connection.execute(_SAID_AT, asked).scalar_one(),
        lease_token=token,
        texts=texts,
    )


def addresses(connection: Connection, subscriber_ids: Sequence[int]) -> dict[int, Sealed]:
    """The addresses of those who still subscribe to anything: read just before sending, who is gone is skipped."""
    sqlite = connection.dialect.name == "sqlite"
    asked = "SELECT value FROM json_each(?)" if sqlite else "SELECT unnest(%s::bigint[])"
    ids = list(subscriber_ids)
    # The driver's own statement: one value for all ids, where SQLAlchemy writes each into the statement anew.
    rows = connection.exec_driver_sql(
        "SELECT id, channel, address, language, import_id, gone_at FROM subscriber"  # noqa: S608 - only the driver's way to take a list is put in
        f" WHERE id IN ({asked}) AND EXISTS"
        " (SELECT 1 FROM subscription WHERE subscription.subscriber_id = subscriber.id)",
        (json.dumps(ids) if sqlite else ids,),
    )
    return {row[0]: _sealed(*row) for row in rows.fetchall()}


def _sealed(
    key: int, channel: str, address: bytes, language: str, import_id: int, gone_at: int | None
) -> Sealed:
    return Sealed(
        key, channel, address, language, import_id, t.moment(gone_at) if gone_at else None
    )


def advance(
    connection: Connection, job: Job, watermark: int, now: datetime, *, held: bool = False
) -> bool:
    """Commit that letters up to `watermark` (a position, exclusive) may be pulled. False: lease lost or stopped.

    `held`: that was found out before, in the same write.
    """
    if not held and hold(connection, job, now) is not Hold.HELD:
        return False
    connection.execute(_ADVANCE, {"job": job.id, "upto": watermark})
    return True


class Hold(Enum):
    """How a job stands with the one who sends it."""

    HELD = "held"
    STOPPED = "stopped"  # its text was corrected or retracted: pull no more, but write down what comes back
    LOST = "lost"  # another node has it: pull no more, write nothing


def hold(connection: Connection, job: Job, now: datetime) -> Hold:
    """Keep the lease of a job while its letters go out."""
    return hold_all(connection, (job,), now)[job.id]


def hold_all(connection: Connection, jobs: Sequence[Job], now: datetime) -> Mapping[int, Hold]:
    """Keep the leases of some jobs of one delivery while their letters go out; gives how each stands, by its id."""
    if not jobs:
        return {}
    renew = _renew(connection.dialect.name)
    holds: dict[int, Hold] = {}
    for job in sorted(jobs, key=lambda each: each.id):  # as in rowlocks
        mine = {"job": job.id, "token": job.lease_token, "now": t.microseconds(now)}
        ours = connection.execute(renew, mine).rowcount == 1
        holds[job.id] = Hold.HELD if ours else Hold.LOST
    if connection.scalar(_STOPPED, {"delivery": jobs[0].delivery_id}):
        holds |= {each: Hold.STOPPED for each, how in holds.items() if how is Hold.HELD}
    return holds


def abandon_job(connection: Connection, job: Job) -> None:
    """Give up a job whose calls hang: what may have gone will count as uncertain when the delivery is ended."""
    connection.execute(
        sql_update(t.job)
        .where(t.job.c.id == job.id, t.job.c.lease_token == job.lease_token)
        .values(lease_token=None, lease_until=None)
    )


def end_job(
    connection: Connection,
    job: Job,
    retry_at: datetime | None,
    now: datetime,
    *,
    through: bool = False,
) -> bool:
    """Let go of a job: waiting for its letters without a final outcome, or done. False: lease lost.

    Done (without `retry_at`), what has no final outcome by now has failed, or is uncertain if it may have gone: no letter
    ends without being counted. `through`: it is known that each has one, so none is looked for.
    """
    mine = {"job": job.id, "token": job.lease_token}
    if retry_at is None:
        held = connection.execute(_END, mine)
    else:
        held = connection.execute(_LET_GO, mine | {"due": retry_at})
    if held.rowcount == 1 and retry_at is None and not through:
        _fail_rest(connection, job, now)
    return held.rowcount == 1


def _fail_rest(connection: Connection, job: Job, now: datetime) -> None:
    drop_transient(connection, job.id)
    row = connection.execute(select(t.job).where(t.job.c.id == job.id)).one()
    rest = [
        LetterRow(
            job.id,
            position,
            job.delivery_id,
            job.subscribers[position],
            "failed",
            detail="no gateway took it",
        )
        for position in unknown(connection, row)
    ]
    flush_rows(connection, rows=rest, supplier=row.supplier, now=now)
