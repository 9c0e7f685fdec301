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
from broadcaster.store.together import later

_OF_DELIVERY = (
    t.delivery.c.id,
    t.delivery.c.shape,
    t.delivery.c.state,
    t.delivery.c.channel,
    t.delivery.c.fallback_for,
)


def stop_what_no_longer_holds(connection: Connection, row: Any, now: datetime) -> None:
    """Called in the transaction that releases `row`.

    Boards are left alone: they show the newest revision anyway, and with it every update before.
    """
    if row.number == 1:
        return  # nothing was said before it
    earlier = connection.execute(
        select(*_OF_DELIVERY, t.update)
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
        # An uncertain one is looked up still, but must not be sent again when it is not found.
        begun = t.delivery.c.state.in_([State.SENDING, State.UNCERTAIN])
        _change(connection, {"stopped": True}, t.delivery.c.id.in_(wrong), begun)
        _try_now(connection, [old.id for old in earlier if old.number < row.number], now)
        return
    _try_now(connection, [old.id for old in earlier if old.state == State.UNCERTAIN], now)
    new = _reach(row, _channels_of(connection, row.id))
    needless = [
        old.id
        for old in earlier
        if supersedes(new, _reach(old, _ways(connection, old)), Shape(old.shape))
    ]
    if not needless:
        return
    _let_nobody_take_over(connection, needless)
    _end_waiting(connection, needless, State.SUPERSEDED, now, f"update {row.number}")


def _try_now(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Another word goes out behind these: none of them rests for minutes between two tries or looks of its own accord."""
    if not ids:
        return
    resting = t.delivery.c.state == State.WAITING, t.delivery.c.due_at > now, ~t.delivery.c.wished
    _change(
        connection,
        {"due_at": now},
        t.delivery.c.id.in_(ids),
        or_(and_(*resting), doubt.rests(now)),
    )


def overtaken_by(connection: Connection, row: Any, delivery: Any) -> int | None:
    """The number of a later released update that makes this delivery of an update needless, or None."""
    old = _reach(row, _ways(connection, delivery))
    for newer in connection.execute(
        select(t.update)
        .where(
            t.update.c.incident_id == row.incident_id,
            t.update.c.number > row.number,
            t.update.c.released_at.is_not(None),
        )
        .order_by(t.update.c.number.desc())
    ):
        new = _reach(newer, _channels_of(connection, newer.id))
        if supersedes(new, old, Shape(delivery.shape)):
            return int(newer.number)
    return None


def _reach(row: Any, channels: frozenset[str]) -> Reach:
    return Reach(
        Kind(row.kind),
        Audience(row.audience),
        Severity(row.severity),
        frozenset((*row.areas, *row.ended)),
        channels,
    )


def _channels_of(connection: Connection, update_id: int) -> frozenset[str]:
    """The channels by which an update goes."""
    d = t.delivery.c
    return frozenset(connection.scalars(select(d.channel).where(d.update_id == update_id)))


def _ways(connection: Connection, delivery: Any) -> frozenset[str]:
    """The channel of a delivery, and those that it stands in for."""
    found, d = {delivery.channel}, t.delivery.c
    while delivery is not None and delivery.fallback_for is not None:
        query = select(d.channel, d.fallback_for).where(d.id == delivery.fallback_for)
        delivery = connection.execute(query).first()
        found |= {delivery.channel} if delivery else set()
    return frozenset(found)


def _let_nobody_take_over(connection: Connection, ids: Iterable[int]) -> None:
    _change(connection, {"fallback": []}, t.delivery.c.id.in_(list(ids)))


def _end_waiting(
    connection: Connection, ids: Iterable[int], end: State, now: datetime, because: str
) -> None:
    mine = t.delivery.c.id.in_(list(ids))
    stop_begun(connection, mine, stopped=True)
    ended = {"state": end, "ended_at": now, "detail": because}
    _change(connection, ended, mine, t.delivery.c.state == State.WAITING)


def _change(connection: Connection, values: dict[str, Any], *which: Any) -> None:
    """Change deliveries; how many there are is not asked."""
    connection.execute(later(sql_update(t.delivery).where(*which).values(values)))
