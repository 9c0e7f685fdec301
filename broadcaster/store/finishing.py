"""Ending letter deliveries: through, stopped, past their time, or but for repeats that a later word waits for; their state follows from their counts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update as sql_update

from broadcaster.domain.delivery import Counts, Shape, State
from broadcaster.store import doubt, often, tables as t
from broadcaster.store.claiming import database_now
from broadcaster.store.letters import doubtful, drop_transient, unknown
from broadcaster.store.moving import end, move
from broadcaster.store.rowlocks import hold_deliveries, hold_free_jobs
from broadcaster.store.tallying import DOUBT, LetterRow, flush_rows

NOBODY = "nobody to write to"


def finish(connection: Connection, channel: str, now: datetime) -> list[int]:
    """End every letter delivery of a channel whose jobs are all done, that was stopped or has expired, or that gives way.

    Returns the ids of those that ended. What was never pulled counts as skipped; what may have gone as uncertain.
    """
    at = database_now(connection, now)
    ids = [row.id for row in _through(connection, now, at, t.delivery.c.channel == channel)]
    # Of two nodes that end it one does, and the other waits for nobody.
    ids = hold_free_jobs(connection, ids) if ids else []
    if not ids:
        return []
    hold_deliveries(connection, t.delivery.c.id.in_(ids))
    ended = []
    # Again: another node may have ended it meanwhile, or sends once more.
    for row in _through(connection, now, at, t.delivery.c.id.in_(ids)):
        _abandon(connection, row, now)
        _end_letters(connection, row, _over(row, now), now)
        ended.append(int(row.id))
    return ended


def _through(connection: Connection, now: datetime, at: datetime, which: Any) -> list[Any]:
    rows = connection.execute(
        select(t.delivery).where(
            which,
            t.is_open(),
            t.delivery.c.shape == Shape.LETTER,
            t.delivery.c.state == State.SENDING,
        )
    ).all()
    return [row for row in rows if _is_through(connection, row, now, at)]


def _is_through(connection: Connection, row: Any, now: datetime, at: datetime) -> bool:
    if _over(row, now):
        return not _running_jobs(connection, row.id, at)
    through = bool(row.expanded) and not _open_jobs(connection, row.id)
    return through or doubt.gives_way(connection, row, now, at)


def _over(row: Any, now: datetime) -> bool:
    """Whether no more of its letters may go, whatever is left of them."""
    return bool(row.stopped or row.not_after <= now)


def _open_jobs(connection: Connection, delivery_id: int, *which: Any) -> bool:
    """Whether a delivery has such jobs still to be done: one is looked for, for there may be thousands."""
    mine = select(t.job.c.id).where(t.job.c.delivery_id == delivery_id, t.job_is_open, *which)
    return connection.execute(mine.limit(1)).first() is not None


def _running_jobs(connection: Connection, delivery_id: int, at: datetime) -> bool:
    running = t.job.c.state == "sending", t.job.c.lease_until >= at
    return _open_jobs(connection, delivery_id, *running)


def _abandon(connection: Connection, delivery: Any, now: datetime) -> None:
    for row in connection.execute(
        select(t.job).where(t.job.c.delivery_id == delivery.id, t.job_is_open)
    ).all():
        left, in_doubt = unknown(connection, row), doubtful(connection, row.id)
        in_flight = [
            position
            for position in left
            if position in in_doubt or (row.state == "sending" and position < row.watermark)
        ]
        flush_rows(
            connection,
            [
                LetterRow(
                    row.id,
                    position,
                    delivery.id,
                    row.subscribers[position],
                    "uncertain",
                    detail=DOUBT,
                )
                for position in in_flight
            ],
            row.supplier,
            now,
        )
        never_gone = len(left) - len(in_flight) + drop_transient(connection, row.id)
        connection.execute(
            sql_update(t.delivery)
            .where(t.delivery.c.id == delivery.id)
            .values(skipped=t.delivery.c.skipped + never_gone)
        )
    connection.execute(
        sql_update(t.job)
        .where(t.job.c.delivery_id == delivery.id, t.job_is_open)
        .values(state="done", lease_node=None, lease_token=None, lease_until=None)
    )


def _end_letters(connection: Connection, delivery: Any, over: bool, now: datetime) -> None:
    delivery_id, stopped = delivery.id, delivery.stopped
    counts = read_counts(connection, delivery_id)
    nobody = counts.total == 0 and delivery.expanded
    cut = counts.skipped > 0 and often.was_left_out(connection, delivery_id)
    if nobody and not stopped and delivery.fallback_for is not None:
        # It was to bring what another did not: that nobody is there to be told is no success.
        move(connection, delivery_id, State.WAITING)
        end(connection, delivery_id, State.EXPIRED, now, NOBODY)
    elif counts.accepted or nobody:
        because = often.LEFT_OUT if cut else NOBODY if nobody else ""
        end(connection, delivery_id, State.ACCEPTED, now, because)
    elif counts.uncertain:
        move(connection, delivery_id, State.UNCERTAIN, detail=DOUBT)
    elif stopped or not delivery.expanded or not counts.failed or (over and counts.skipped):
        nobody_left = not stopped and not over and counts.skipped == counts.total
        because = "everybody was left out" if nobody_left else "stopped before any was sent"
        because = often.LEFT_OUT if nobody_left and cut else because
        state = State.WITHDRAWN if stopped else State.EXPIRED
        move(connection, delivery_id, State.WAITING)
        end(connection, delivery_id, state, now, because)
    else:
        end(connection, delivery_id, State.FAILED, now, "every address was refused")


def read_counts(connection: Connection, delivery_id: int) -> Counts:
    """The counts of one delivery."""
    row = connection.execute(select(t.delivery).where(t.delivery.c.id == delivery_id)).one()
    return Counts(row.total, row.accepted, row.confirmed, row.failed, row.uncertain, row.skipped)
