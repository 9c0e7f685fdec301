"""What is due is a row with a time. Any node claims it; overdue rows of one incident collapse into one action."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, insert, or_, select, update as sql_update

from broadcaster.store import tables as t
from broadcaster.store.together import later

FOLLOW_UP = ("remind", "due", "grace")
DAILY = "readiness"
SUMMARY = "summary"
STAGES = (
    FOLLOW_UP,
    ("open", "close"),
    (DAILY,),
)  # of these only the latest one reached is acted on
LEASE = timedelta(seconds=15)  # as of a delivery: what a dead machine was doing is done within it
_OPEN = and_(t.due.c.done_at.is_(None), t.due.c.cancelled_at.is_(None))
_NEW = later(insert(t.due).inline())
_WAKE = later(
    sql_update(t.due).where(t.due.c.update_id == bindparam("this"), t.due.c.outcome == "held")
)
_PLANNED = (
    select(func.count())
    .select_from(t.due)
    .where(t.due.c.update_id == bindparam("this"), t.due.c.what == "open")
)
_EARLIER = later(
    sql_update(t.due).where(
        t.due.c.incident_id == bindparam("incident"),
        or_(t.due.c.update_id != bindparam("this"), t.due.c.update_id.is_(None)),
        t.due.c.what.in_(bindparam("settled", expanding=True)),
        _OPEN,
        t.due.c.outcome != "held",
    )
)


@dataclass(frozen=True, slots=True)
class Due:
    """One claimed duty: `what` is remind, due, grace, release, open, close, readiness or summary; `ids` all rows it settles."""

    what: str
    incident_id: int
    update_id: int | None
    due_at: datetime
    ids: tuple[int, ...]


def plan(
    connection: Connection,
    incident_id: int,
    update_id: int | None,
    times: Mapping[str, datetime],
    *,
    held: bool,
) -> None:
    """Add a row for each; rows of an update that is `held` sleep until it is released."""
    rows = [
        {
            "what": what,
            "incident_id": incident_id,
            "update_id": update_id,
            "due_at": at,
            "outcome": "held" if held else "",
        }
        for what, at in times.items()
    ]
    if rows:
        connection.execute(_NEW, rows)


def plan_daily(
    connection: Connection,
    incident_id: int,
    times: Sequence[datetime],
    now: datetime,
    *,
    apart: Collection[int] = (),
) -> None:
    """Have one row for what is done once a day, whoever asks and however often.

    Args:
        times: the next time, and others that are as good: a row for one of these stays, one for another time is
            cancelled. None: it is not to be done any more.
        apart: rows that are being acted on: they are not what is planned.
    """
    rows = connection.execute(
        select(t.due.c.id, t.due.c.due_at).where(
            _OPEN, t.due.c.what == DAILY, t.due.c.id.not_in(apart)
        )
    ).all()
    good = [row.id for row in rows if times and (row.due_at <= now or row.due_at in times)]
    gone = sorted(row.id for row in rows if row.id not in good)
    if gone:
        connection.execute(
            sql_update(t.due).where(t.due.c.id.in_(gone)).values(cancelled_at=now, outcome="moved")
        )
    if times and not good:
        plan(connection, incident_id, None, {DAILY: times[0]}, held=False)


def plan_summary(connection: Connection, at: datetime) -> None:
    """Have a row that is due at `at` or before: whoever sends summaries then sends all that are due."""
    mine = t.due.c.what == SUMMARY, _OPEN, t.due.c.lease_until.is_(None)
    # Held: whoever acts on it meanwhile would not see yet what this write leaves to be told, and nobody would look again.
    query = select(t.due.c.id, t.due.c.due_at).where(*mine).limit(1).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        plan(connection, 0, None, {SUMMARY: at}, held=False)
    elif row.due_at > at:
        connection.execute(sql_update(t.due).where(t.due.c.id == row.id).values(due_at=at))


def take_effect(connection: Connection, row: Any, now: datetime) -> None:
    """Called when `row` is released: its own rows wake, the follow-up of every earlier update is settled."""
    connection.execute(_WAKE, {"this": row.id, "outcome": ""})
    if row.audience != "public":
        return
    ended = row.kind in ("restored", "retraction") and not row.areas
    planned_anew = connection.scalar(_PLANNED, {"this": row.id})
    over = ended or (row.kind == "retraction" and row.corrects_all)
    settled = (*FOLLOW_UP, "open", "close") if over or planned_anew else FOLLOW_UP
    answered = {"cancelled_at": now, "outcome": f"answered by {row.number}"}
    whose = {"incident": row.incident_id, "this": row.id, "settled": settled}
    connection.execute(_EARLIER, whose | answered)


def next_due_at(connection: Connection) -> datetime | None:
    """When the next row is due, or None."""
    at: datetime | None = connection.scalar(
        select(func.min(t.due.c.due_at)).where(_OPEN, t.due.c.outcome != "held")
    )
    return at


def claim(connection: Connection, now: datetime) -> tuple[Due, ...]:
    """Claim what is due: per incident the latest stage reached of follow-up and of planned work, every other row by itself.

    A claim that is not settled before its lease is over can be claimed again.
    """
    rows = connection.execute(
        select(t.due)
        .where(
            _OPEN,
            t.due.c.due_at <= now,
            t.due.c.outcome != "held",
            or_(t.due.c.lease_until.is_(None), t.due.c.lease_until < now),
        )
        .order_by(t.due.c.due_at, t.due.c.id)
        .with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return ()
    connection.execute(
        sql_update(t.due)
        .where(t.due.c.id.in_([row.id for row in rows]))
        .values(lease_until=now + LEASE)
    )
    collapsed: dict[tuple[int, str], list[Any]] = {}
    for row in rows:
        group = next(
            (str(stages) for stages in STAGES if row.what in stages), f"{row.what} {row.id}"
        )
        collapsed.setdefault((row.incident_id, group), []).append(row)
    return tuple(
        Due(
            last.what, last.incident_id, last.update_id, last.due_at, tuple(row.id for row in group)
        )
        for group in collapsed.values()
        for last in group[-1:]
    )


def take_back(connection: Connection) -> None:
    """At the start of the only daemon of a store: what was being done when the last one died can be claimed at once."""
    connection.execute(
        sql_update(t.due).where(_OPEN, t.due.c.lease_until.is_not(None)).values(lease_until=None)
    )


def settle(connection: Connection, due: Due, now: datetime, outcome: str) -> None:
    """Note that a claimed duty is done and what came of it."""
    connection.execute(
        sql_update(t.due)
        .where(t.due.c.id.in_(due.ids))
        .values(done_at=now, outcome=outcome, lease_until=None)
    )
