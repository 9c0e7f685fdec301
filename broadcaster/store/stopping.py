"""What a released update puts an end to: texts it corrects or retracts, and waiting ones it makes needless."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, update as sql_update

from broadcaster.domain.delivery import Shape, State
from broadcaster.domain.incident import Audience, Kind, Severity
from broadcaster.domain.plan import Reach, supersedes
from broadcaster.store import doubt, tables as t
from broadcaster.store.moving import stop_begun


def stop_what_no_longer_holds(connection: Connection, row: Any, now: datetime) -> None:
    """Called in the transaction that releases `row`.

    Boards are left alone: they show the newest revision anyway, and with it every update before.
    """
    if row.number == 1:
        return  # nothing was said before it
    earlier = connection.execute(
        select(t.delivery.c.id, t.delivery.c.shape, t.delivery.c.state, t.update)
        .join(t.update, t.update.c.id == t.delivery.c.update_id)
        .where(
            t.delivery.c.incident_id == row.incident_id,
            t.delivery.c.update_id != row.id,
            t.delivery.c.shape != Shape.BOARD,
            t.delivery.c.released,
            # What failed may still be taken over by another channel.
            or_(
                t.delivery.c.state.in_([State.WAITING, State.SENDING, State.UNCERTAIN]),
                func.json_array_length(t.delivery.c.fallback) > 0,
            ),
        )
        .order_by(t.delivery.c.id.desc())  # as in rowlocks
        .with_for_update(of=t.delivery)  # nothing may go back to waiting between the updates below
    ).all()
    if row.kind in (Kind.CORRECTION, Kind.RETRACTION):
        wrong = [old.id for old in earlier if row.corrects_all or old.number == row.corrects]
        _let_nobody_take_over(connection, wrong)
        end = State.WITHDRAWN if row.kind == Kind.RETRACTION else State.SUPERSEDED
        _end_waiting(connection, wrong, end, now, f"{row.kind} {row.number}")
        connection.execute(
            sql_update(t.delivery)
            .where(
                t.delivery.c.id.in_(wrong),
                # An uncertain one is looked up still, but must not be sent again when it is not found.
                t.delivery.c.state.in_([State.SENDING, State.UNCERTAIN]),
            )
            .values(stopped=True)
        )
        _try_now(connection, [old.id for old in earlier if old.number < row.number], now)
        return
    _try_now(connection, [old.id for old in earlier if old.state == State.UNCERTAIN], now)
    new = _reach(row)
    needless = [old.id for old in earlier if supersedes(new, _reach(old), Shape(old.shape))]
    if not needless:
        return
    _let_nobody_take_over(connection, needless)
    _end_waiting(connection, needless, State.SUPERSEDED, now, f"update {row.number}")


def _try_now(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Another word goes out behind these: none of them rests for minutes between two tries or looks of its own accord."""
    if not ids:
        return
    resting = t.delivery.c.state == State.WAITING, t.delivery.c.due_at > now, ~t.delivery.c.wished
    connection.execute(
        sql_update(t.delivery)
        .where(t.delivery.c.id.in_(ids), or_(and_(*resting), doubt.rests(now)))
        .values(due_at=now)
    )


def overtaken_by(connection: Connection, row: Any, shape: Shape) -> int | None:
    """The number of a later released update that makes this one needless, or None."""
    for later in connection.execute(
        select(t.update)
        .where(
            t.update.c.incident_id == row.incident_id,
            t.update.c.number > row.number,
            t.update.c.released_at.is_not(None),
        )
        .order_by(t.update.c.number.desc())
    ):
        if supersedes(_reach(later), _reach(row), shape):
            return int(later.number)
    return None


def _reach(row: Any) -> Reach:
    return Reach(
        Kind(row.kind),
        Audience(row.audience),
        Severity(row.severity),
        frozenset((*row.areas, *row.ended)),
    )


def _let_nobody_take_over(connection: Connection, ids: Iterable[int]) -> None:
    connection.execute(
        sql_update(t.delivery).where(t.delivery.c.id.in_(list(ids))).values(fallback=[])
    )


def _end_waiting(
    connection: Connection, ids: Iterable[int], end: State, now: datetime, because: str
) -> None:
    mine = t.delivery.c.id.in_(list(ids))
    stop_begun(connection, mine, stopped=True)
    connection.execute(
        sql_update(t.delivery)
        .where(mine, t.delivery.c.state == State.WAITING)
        .values(state=end, ended_at=now, detail=because)
    )
