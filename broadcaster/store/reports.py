"""Delivery reports: late, early, repeated or out of order, they only ever add knowledge; delivered never goes back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, or_, select, update as sql_update

from broadcaster.domain.delivery import State
from broadcaster.domain.exchange import Report
from broadcaster.store import gone, moving, personal, tables as t
from broadcaster.store.inbox import storable
from broadcaster.store.releasing import epoch
from broadcaster.store.rowlocks import hold_deliveries, hold_jobs
from broadcaster.store.tallying import FINAL, counted

log = structlog.get_logger()
# No longer than the database can count: a report that cannot be looked up must not hold up the others.
_KEY = re.compile(r"(?P<epoch>[0-9]{1,9})\.(?P<job>[0-9]{1,18})\.(?P<position>[0-9]{1,9})")


_SETTLED_BY_ONE = (State.UNCERTAIN, State.FAILED, State.BOUNCED, State.EXPIRED)


def match(connection: Connection, found: Sequence[tuple[str, Report]]) -> list[bool]:
    """Note reports on their letters, each with the channel it came by.

    False for each that has no letter yet: it may be early.
    """
    said = [(channel, _storable(report)) for channel, report in found]
    held = _hold(connection, [report for _, report in said])
    gone_at: dict[int, datetime | None] = {}
    matched = [_match(connection, channel, report, held, gone_at) for channel, report in said]
    # All of them at the end, each kind in one order, so that none waits for another write in a circle.
    gone.forget(connection, [who for who, at in gone_at.items() if at is None])
    for at in sorted({at for at in gone_at.values() if at is not None}):
        gone.note(connection, [who for who, when in gone_at.items() if when == at], at)
    return matched


@dataclass(frozen=True, slots=True)
class Unreported:
    """A letter of which nothing was reported yet: which supplier took it by which channel, and when."""

    channel: str
    supplier: str
    taken_at: datetime


def unreported(
    connection: Connection, found: Sequence[tuple[str, Report]]
) -> list[Unreported | None]:
    """For each report the letter that it is the first to settle, before it is noted; None where it is not the first."""
    seen: set[tuple[int, int]] = set()
    letters: list[Unreported | None] = []
    for channel, report in found:
        row = _letter(connection, channel, _storable(report))
        place = (row.job_id, row.position) if row is not None else None
        if row is None or row.reported or report.outcome == "pending" or place in seen:
            letters.append(None)
            continue
        seen.add((row.job_id, row.position))
        letters.append(Unreported(channel, row.supplier, row.at))
    return letters


def _storable(report: Report) -> Report:
    return replace(report, handle=storable(report.handle), detail=storable(report.detail))


def _hold(connection: Connection, found: Sequence[Report]) -> frozenset[int]:
    """Hold the jobs and deliveries of all these letters, before the first of them is written; gives the jobs."""
    places = [_KEY.fullmatch(report.key) for report in found]
    by_key = t.job.c.id.in_({int(place["job"]) for place in places if place})
    handles = {report.handle for report, place in zip(found, places, strict=True) if not place} - {
        ""
    }
    by_handle = t.job.c.id.in_(
        select(t.letter.c.job_id).where(t.letter.c.handle.in_(handles), t.has_handle)
    )
    jobs = or_(by_key, by_handle) if handles else by_key
    held = frozenset(hold_jobs(connection, jobs))
    hold_deliveries(
        connection,
        t.delivery.c.id.in_(select(t.job.c.delivery_id).where(t.job.c.id.in_(held))),
    )
    return held


def _match(
    connection: Connection,
    channel: str,
    report: Report,
    held: frozenset[int],
    gone_at: dict[int, datetime | None],
) -> bool:
    row = _letter(connection, channel, report)
    if row is None and personal.is_named(report.key):
        return True
    # One that was written after we held what there was: another node may be counting the same report. It was early.
    if row is None or row.job_id not in held:
        return False
    if report.outcome == "pending" or row.reported in ("confirmed", report.outcome):
        return True
    if report.outcome == "failed" and row.outcome not in FINAL:
        return True  # it is tried again anyway
    # What a far side accepted and the network then refused did not arrive: it counts as failed, and the correction of
    # its text does not go to who never had it. A confirmation that comes after all turns it back.
    outcome = "accepted" if report.outcome == "confirmed" else "failed"
    connection.execute(
        sql_update(t.letter)
        .where(t.letter.c.job_id == row.job_id, t.letter.c.position == row.position)
        .values(reported=report.outcome, outcome=outcome, detail=report.detail[:200])
    )
    changes = _counts(row, outcome, report.outcome == "confirmed")
    if report.outcome == "failed":
        changes |= {"bounced": 1}
        gone_at |= _no_more(connection, row, report)
    else:
        changes |= {"bounced": -1} if row.reported == "failed" else {}
        gone_at[row.subscriber_id] = None
    if changes:
        connection.execute(
            sql_update(t.delivery)
            .where(t.delivery.c.id == row.delivery_id)
            .values({name: t.delivery.c[name] + change for name, change in changes.items()})
        )
    _move(connection, row)
    return True


def _no_more(connection: Connection, row: Any, report: Report) -> dict[int, datetime | None]:
    """Since when who is written to no more; None: again, for too many letters of one delivery came back to be true."""
    counts = select(t.delivery.c.bounced, t.delivery.c.total)
    before = connection.execute(counts.where(t.delivery.c.id == row.delivery_id)).one()
    if not gone.believed(before.bounced + 1, before.total):
        if not gone.believed(before.bounced, before.total):
            return {}
        log.warning(
            "too many letters came back: nobody is left out of the next for it",
            delivery=row.delivery_id,
            came_back=before.bounced + 1,
            total=before.total,
        )
        return dict.fromkeys(gone.who_came_back(connection, row.delivery_id))
    told = row.subscriber_id, row.delivery_id, row.at
    if not report.gone or gone.is_old_news(connection, *told):
        return {}
    return {row.subscriber_id: row.at}


def _counts(row: Any, outcome: str, confirmed: bool) -> dict[str, int]:
    """How the delivery's counts change when this letter's outcome becomes `outcome`."""
    changes = {"confirmed": 1} if confirmed else {}
    before = counted(row.outcome)
    if before != outcome:
        changes |= {outcome: 1}
        if before is not None:
            changes |= {before: -1}
    return changes


def _move(connection: Connection, row: Any) -> None:
    """The delivery follows its counts: in doubt no longer, bounced when nobody got it, accepted when one did after all."""
    delivery = connection.execute(
        select(t.delivery).where(t.delivery.c.id == row.delivery_id)
    ).one()
    if delivery.accepted and delivery.state in _SETTLED_BY_ONE:
        # It had been accepted when it was tried.
        ended: dict[str, Any] = {"accepted_at": row.at, "ended_at": row.at, "detail": ""}
        moving.move(connection, delivery.id, State.ACCEPTED, **ended)
    elif delivery.state == State.UNCERTAIN and not delivery.uncertain:
        moving.end(connection, delivery.id, State.FAILED, row.at, "every address was refused")
    elif delivery.state == State.ACCEPTED and delivery.failed >= delivery.total > 0:
        moving.move(connection, delivery.id, State.BOUNCED, detail="every address was refused")


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
        query = query.where(t.letter.c.handle == report.handle, t.has_handle)
    else:
        return None
    return connection.execute(query.limit(1)).first()
