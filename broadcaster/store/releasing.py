"""Release: an accepted update goes, gets its public revision, and puts an end to what it makes needless."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update as sql_update

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Audience, Kind, Revision
from broadcaster.store import audit, dues, tables as t
from broadcaster.store.rowlocks import hold_incident_of
from broadcaster.store.stopping import stop_what_no_longer_holds
from broadcaster.store.together import later
from broadcaster.store.writer import wake

# Built once: to build a statement takes longer than to run it, and every accepted word needs all of these.
_META = select(t.meta.c.value).where(t.meta.c.name == bindparam("which"))
_LOCKED_META = _META.with_for_update()
_LAST_REVISION = (
    select(t.meta.c.name, t.meta.c.value)
    .where(t.meta.c.name.in_(("epoch", "revision")))
    .order_by(t.meta.c.name)
    .with_for_update()
)
_SET_META = later(sql_update(t.meta).where(t.meta.c.name == bindparam("which")))
_LOCKED_UPDATE = select(t.update).where(t.update.c.id == bindparam("this")).with_for_update()
_UPDATE_GOES = later(sql_update(t.update).where(t.update.c.id == bindparam("this")))
_DELIVERIES_GO = later(sql_update(t.delivery).where(t.delivery.c.update_id == bindparam("this")))
_AUDIENCES_GO = later(
    sql_update(t.audience)
    .where(
        t.audience.c.delivery_id.in_(
            select(t.delivery.c.id).where(t.delivery.c.update_id == bindparam("this"))
        )
    )
    .values(upto=select(func.coalesce(func.max(t.subscription.c.id), 0)).scalar_subquery())
)
_TOUCHED = later(insert(t.update_area).inline())
_INCIDENT = select(t.incident).where(t.incident.c.id == bindparam("this"))
_NEWEST_ORDER = select(func.max(t.incident.c.public_order))
_INCIDENT_MOVES = later(sql_update(t.incident).where(t.incident.c.id == bindparam("this")))


def meta(connection: Connection, name: str, *, lock: bool = False) -> str | None:
    """One of the small facts of which there is one, None before it is first written."""
    found: str | None = connection.scalar(_LOCKED_META if lock else _META, {"which": name})
    return found


def set_meta(connection: Connection, name: str, value: str) -> None:
    """Write one of the small facts of which there is one; it is there since the store was opened."""
    connection.execute(_SET_META, {"which": name, "value": value})


def release(connection: Connection, update_id: int, now: datetime) -> str:
    """Let an accepted update go: give it its public revision, stop what it puts out of date, wake the engine.

    Returns:
        The revision ("1.17"), or "" for what is for staff only.
    """
    row = connection.execute(_LOCKED_UPDATE, {"this": update_id}).one()
    revision = _next_revision(connection) if row.audience == Audience.PUBLIC else None
    connection.execute(
        _UPDATE_GOES,
        {
            "this": update_id,
            "hold": None,
            "released_at": now,
            "rev_epoch": revision.epoch if revision else None,
            "rev_n": revision.n if revision else None,
        },
    )
    connection.execute(_DELIVERIES_GO, {"this": update_id, "released": True, "due_at": now})
    connection.execute(_AUDIENCES_GO, {"this": update_id})
    if revision is not None:
        _touch_areas(connection, row, revision)
    _move_incident(connection, row, revision, now)
    stop_what_no_longer_holds(connection, row, now)
    whole = row.kind == Kind.RETRACTION and row.corrects_all
    if whole or (_is_over(row) and revision is not None):
        _cancel_held(connection, row, now)
    dues.take_effect(connection, row, now)
    audit.note(
        connection,
        now,
        row.author,
        "release",
        f"{row.incident_id}-{row.number}",
        revision=str(revision or ""),
    )
    wake(connection)
    return str(revision) if revision else ""


def release_held(connection: Connection, update_id: int, now: datetime) -> str:
    """Release a scheduled update whose time has come. Returns what came of it."""
    hold_incident_of(connection, update_id)
    row = connection.execute(_LOCKED_UPDATE, {"this": update_id}).one()
    if row.cancelled_at is not None:
        return "cancelled"
    if row.released_at is not None:
        return "released already"
    if row.release_at is not None and row.release_at > now:
        return "moved to another time"  # while this was being claimed; its new time has a row of its own
    if row.not_after <= now:
        cancel(connection, update_id, now, "clock")
        return "too late: its time had passed"
    return f"released {release(connection, update_id, now)}"


def _cancel_held(connection: Connection, row: Any, now: datetime) -> None:
    """What waits for its time goes on from what nobody should have been told, or from what is over."""
    held = connection.scalars(
        select(t.update.c.id).where(
            t.update.c.incident_id == row.incident_id,
            t.update.c.number < row.number,
            t.update.c.hold.is_not(None),
        )
    )
    for update_id in held.all():
        cancel(connection, update_id, now, row.author)


def cancel(connection: Connection, update_id: int, now: datetime, actor: str) -> bool:
    """Take back an accepted update that is not released. False when it is released or cancelled already."""
    hold_incident_of(connection, update_id)
    cancelled = connection.execute(
        sql_update(t.update)
        .where(
            t.update.c.id == update_id,
            t.update.c.released_at.is_(None),
            t.update.c.cancelled_at.is_(None),
        )
        .values(cancelled_at=now, hold=None)
    )
    if cancelled.rowcount != 1:
        return False
    connection.execute(
        sql_update(t.delivery)
        .where(t.delivery.c.update_id == update_id, t.delivery.c.state == State.WAITING)
        .values(state=State.WITHDRAWN, ended_at=now, detail=f"cancelled by {actor}")
    )
    connection.execute(
        sql_update(t.due)
        .where(t.due.c.update_id == update_id, t.due.c.done_at.is_(None))
        .values(cancelled_at=now, outcome=f"cancelled by {actor}")
    )
    _close_if_nothing_was_said(connection, update_id, now)
    audit.note(connection, now, actor, "cancel", str(update_id))
    return True


def _close_if_nothing_was_said(connection: Connection, update_id: int, now: datetime) -> None:
    """An incident of which no update was released, and none is to come, is no incident any more."""
    incident_id = connection.scalar(
        select(t.update.c.incident_id).where(t.update.c.id == update_id)
    )
    alive = connection.scalar(
        select(func.count())
        .select_from(t.update)
        .where(t.update.c.incident_id == incident_id, t.update.c.cancelled_at.is_(None))
    )
    if not alive:
        connection.execute(
            sql_update(t.incident).where(t.incident.c.id == incident_id).values(closed_at=now)
        )


def reschedule(
    connection: Connection, update_id: int, at: datetime, now: datetime, actor: str
) -> bool:
    """Move a scheduled update to another time. False when it is released or cancelled already."""
    row = connection.execute(
        select(t.update).where(t.update.c.id == update_id).with_for_update()
    ).one()
    if row.released_at is not None or row.cancelled_at is not None:
        return False
    life = row.not_after - row.release_at
    connection.execute(
        sql_update(t.update)
        .where(t.update.c.id == update_id)
        .values(release_at=at, not_after=at + life)
    )
    connection.execute(
        sql_update(t.delivery)
        .where(t.delivery.c.update_id == update_id)
        .values(not_after=at + life)
    )
    connection.execute(
        sql_update(t.due)
        .where(t.due.c.update_id == update_id, t.due.c.what == "release", t.due.c.done_at.is_(None))
        .values(cancelled_at=now, outcome=f"moved by {actor}")
    )
    dues.plan(connection, row.incident_id, update_id, {"release": at}, held=False)
    audit.note(connection, now, actor, "reschedule", str(update_id), at=at.isoformat())
    wake(connection)
    return True


def epoch(connection: Connection) -> int:
    """The store's epoch: 1, and one more with every restored backup."""
    return int(meta(connection, "epoch") or 1)


def _next_revision(connection: Connection) -> Revision:
    # FOR UPDATE on the revision makes public ones gapless and commit-ordered on PostgreSQL.
    last = {row.name: int(row.value) for row in connection.execute(_LAST_REVISION)}
    revision = Revision(last["epoch"], last["revision"] + 1)
    set_meta(connection, "revision", str(revision.n))
    return revision


def _touch_areas(connection: Connection, row: Any, revision: Revision) -> None:
    touched = [
        {
            "area": area,
            "rev_epoch": revision.epoch,
            "rev_n": revision.n,
            "update_id": row.id,
        }
        for area in dict.fromkeys((*row.areas, *row.ended))
    ]
    if touched:
        connection.execute(_TOUCHED, touched)


def _move_incident(
    connection: Connection, row: Any, revision: Revision | None, now: datetime
) -> None:
    incident = connection.execute(_INCIDENT, {"this": row.incident_id}).one()
    values: dict[str, Any] = {}
    if revision is not None:
        values |= {"rev_epoch": revision.epoch, "rev_n": revision.n}
        if incident.public_order is None:
            values["public_order"] = (connection.scalar(_NEWEST_ORDER) or 0) + 1
    public = incident.public_order is not None or revision is not None
    if row.audience == Audience.STAFF and public:
        pass  # what staff are told neither opens nor closes what residents see
    elif _is_over(row):
        values["closed_at"] = now
    elif row.areas:
        values["closed_at"] = None
    if values:
        connection.execute(_INCIDENT_MOVES, values | {"this": row.incident_id})


def _is_over(row: Any) -> bool:
    """Whether nobody is concerned after it: also when what is taken back had opened a restored incident again."""
    if row.kind == Kind.RETRACTION and row.corrects_all:
        return True
    return row.kind in (Kind.RESTORED, Kind.RETRACTION) and not row.areas
