"""Delivery reports: late, early, repeated or out of order, they only ever add knowledge; delivered never goes back."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection, select, update as sql_update

from broadcaster.domain.delivery import State
from broadcaster.domain.exchange import Report
from broadcaster.store import tables as t
from broadcaster.store.releasing import epoch

# No longer than the database can count: a report that cannot be looked up must not hold up the others.
_KEY = re.compile(r"(?P<epoch>[0-9]{1,9})\.(?P<job>[0-9]{1,18})\.(?P<position>[0-9]{1,9})")


def match(connection: Connection, channel: str, report: Report) -> bool:
    """Note a report on its letter. False when there is no such letter yet: the report may be early."""
    row = _letter(connection, channel, report)
    if row is None:
        return False
    if report.outcome == "pending" or row.reported in ("confirmed", report.outcome):
        return True
    connection.execute(
        sql_update(t.letter)
        .where(t.letter.c.job_id == row.job_id, t.letter.c.position == row.position)
        .values(reported=report.outcome, detail=report.detail[:200])
    )
    for name, change in _counts(row, report.outcome).items():
        connection.execute(
            sql_update(t.delivery)
            .where(t.delivery.c.id == row.delivery_id)
            .values({name: t.delivery.c[name] + change})
        )
    if row.outcome == "uncertain" and report.outcome == "confirmed":
        connection.execute(
            sql_update(t.letter)
            .where(t.letter.c.job_id == row.job_id, t.letter.c.position == row.position)
            .values(outcome="accepted")
        )
        # It had been accepted when it was tried; the delivery as a whole is no longer in doubt.
        connection.execute(
            sql_update(t.delivery)
            .where(t.delivery.c.id == row.delivery_id, t.delivery.c.state == State.UNCERTAIN)
            .values(state=State.ACCEPTED, accepted_at=row.at, ended_at=row.at, detail="")
        )
    return True


def _counts(row: Any, outcome: str) -> dict[str, int]:
    """How the delivery's counts change. An uncertain letter that reached the phone had been accepted after all."""
    if outcome == "confirmed":
        changes = {"confirmed": 1}
        if row.outcome == "uncertain":
            changes |= {"uncertain": -1, "accepted": 1}
        return changes
    return {}


def _letter(connection: Connection, channel: str, report: Report) -> Any:
    query = (
        select(t.letter)
        .join(t.delivery, t.delivery.c.id == t.letter.c.delivery_id)
        .where(t.delivery.c.channel == channel)
    )
    if place := _KEY.fullmatch(report.key):
        if place["epoch"] != str(epoch(connection)):
            return None  # about a letter sent before a backup was restored: its job's number means another now
        query = query.where(
            t.letter.c.job_id == int(place["job"]), t.letter.c.position == int(place["position"])
        )
    elif report.handle:
        query = query.where(t.letter.c.handle == report.handle)
    else:
        return None
    # The row is held, so that two nodes that take the same report count it once.
    return connection.execute(query.limit(1).with_for_update(of=t.letter)).first()
