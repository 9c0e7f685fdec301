"""When updates were out: a fact, written down once from what their deliveries say of when they were accepted.

What it takes is kept with the update when it is accepted. So each node, with whatever configuration, comes to the same,
and a look that comes late changes nothing. Deliveries may change afterwards (taken away, sent again): what is written
down stays. The row of the update alone is written, in a write of its own: see `rowlocks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    update as sql_update,
)

from broadcaster.domain.delivery import Shape, State
from broadcaster.domain.incident import Audience, Kind
from broadcaster.domain.redundancy import Arrival, Quorum, Reached, reached
from broadcaster.store import tables as t

TAKEN_BACK = "what it stood in for is sent again"
"""The detail of a stand-in that was taken back: it was never one of the ways that were planned."""
MOST = 200
"""How many updates are looked at in one go."""
LATE = timedelta(hours=1)
"""So long after nothing of an update may leave any more, what comes of its letters is still counted."""

_NONE = 2**62  # no id is higher: with it only what ends later follows
_FAILED_AFTER_ALL = frozenset({State.FAILED, State.BOUNCED})
_COLUMNS = ("id", "incident_id", "number", "released_at", "not_after", "quorum")
_OPEN = (t.update.c.quorum.is_not(None), t.update.c.out_at.is_(None))
_RELEASED = t.update.c.released_at.is_not(None)
_AFTER = bindparam("after", type_=t.UtcTime)
_NEXT = (
    select(*(t.update.c[name] for name in _COLUMNS))
    .where(
        *_OPEN,
        _RELEASED,
        t.update.c.not_after >= _AFTER,  # by itself: this is what the index is read from
        or_(t.update.c.not_after > _AFTER, t.update.c.id > bindparam("last", type_=BigInteger)),
    )
    .order_by(t.update.c.not_after, t.update.c.id)
    .limit(bindparam("most", type_=Integer))
)
_ARRIVALS = select(
    *(t.delivery.c[name] for name in ("update_id", "channel", "shape", "state", "accepted_at")),
    *(t.delivery.c[name] for name in ("total", "expanded", "fallback_for", "detail")),
).where(t.delivery.c.update_id.in_(bindparam("updates", expanding=True)))
_NOTE = sql_update(t.update).where(t.update.c.id == bindparam("this"), t.update.c.out_at.is_(None))


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one update is that is not written down as out. `outdone`: the most ways by which a later one is out."""

    update_id: int
    incident_id: int
    number: int
    released_at: datetime
    not_after: datetime
    quorum: Quorum
    reached: Reached
    outdone: int = 0


def written(quorum: Quorum) -> dict[str, Any]:
    """A quorum as it is kept."""
    domains = {channel: sorted(names) for channel, names in quorum.domains.items()}
    return {"out": quorum.out, "within": quorum.within, "domains": domains}


def read(kept: Mapping[str, Any] | None) -> Quorum | None:
    """A quorum that was kept; None where none was."""
    if kept is None:
        return None
    domains = {channel: frozenset(names) for channel, names in kept["domains"].items()}
    return Quorum(kept["out"], kept["within"], domains)


def arrival(row: Any) -> Arrival:
    """What the row of a delivery says of when its channel accepted it."""
    came = None if row.state in _FAILED_AFTER_ALL else row.accepted_at
    nobody = row.shape == Shape.LETTER and row.expanded and row.total == 0
    stands_in = row.fallback_for is not None or row.detail == TAKEN_BACK
    return Arrival(row.channel, came, stands_in, nobody)


def arrivals(connection: Connection, update_ids: Sequence[int]) -> dict[int, list[Arrival]]:
    """What is known of the deliveries of some updates."""
    found: dict[int, list[Arrival]] = {update_id: [] for update_id in update_ids}
    if update_ids:
        for row in connection.execute(_ARRIVALS, {"updates": list(update_ids)}):
            found[row.update_id].append(arrival(row))
    return found


def look(connection: Connection, now: datetime, after: Standing | None = None) -> list[Standing]:
    """How far the next updates are that are not written down as out, in the order of `not_after`; `MOST` at most.

    Args:
        after: the last that was looked at; None begins with the first. Many may end at the same moment.
    """
    oldest = now - LATE
    asked = {"after": oldest, "last": _NONE, "most": MOST}
    if after is not None and after.not_after >= oldest:
        asked |= {"after": after.not_after, "last": after.update_id}
    return _standing(connection, connection.execute(_NEXT, asked).all())


def reopen(connection: Connection, delivery_id: int, until: datetime) -> None:
    """What is sent again may be out when its first time is long over: it is looked at for as long as it may leave.

    Before any job or delivery is held: see `rowlocks`.
    """
    mine = select(t.delivery.c.update_id).where(t.delivery.c.id == delivery_id).scalar_subquery()
    connection.execute(
        sql_update(t.update)
        .where(t.update.c.id == mine, *_OPEN, t.update.c.not_after < until)
        .values(not_after=until)
    )


def note(connection: Connection, found: Iterable[Standing]) -> list[Standing]:
    """Write down which of these were out and when; gives those that nobody had written down before."""
    return [one for one in found if one.reached.at is not None and _note(connection, one)]


def _note(connection: Connection, one: Standing) -> bool:
    out = {
        "this": one.update_id,
        "out_at": one.reached.at,
        "out_channels": len(one.reached.channels),
        "out_ways": one.reached.ways,
    }
    return connection.execute(_NOTE, out).rowcount == 1


def overdue(connection: Connection, now: datetime) -> list[Standing]:
    """Updates that are not out though their time for it has passed, oldest first.

    One that was corrected or retracted, or of whose incident a later one is out as widely, is not waited for any more;
    nor is one of which nothing may leave any more.
    """
    rows = connection.execute(_overdue(), {"now": now}).all()
    late = [
        one
        for one in _standing(connection, rows)
        if one.reached.at is None
        and one.outdone < one.reached.needed
        and now - one.released_at > timedelta(seconds=one.quorum.within)
    ]
    return sorted(late, key=lambda one: one.update_id)


def _overdue() -> Any:
    later = t.update.alias("later")
    after = and_(
        later.c.incident_id == t.update.c.incident_id,
        later.c.number > t.update.c.number,
        later.c.released_at.is_not(None),
        later.c.audience == Audience.PUBLIC,
    )
    struck = or_(
        later.c.corrects == t.update.c.number,
        and_(later.c.kind == Kind.RETRACTION, later.c.corrects_all),
    )
    outdone = select(func.max(later.c.out_ways)).where(after).scalar_subquery()
    return (
        select(*(t.update.c[name] for name in _COLUMNS), outdone.label("outdone"))
        .where(
            *_OPEN,
            _RELEASED,
            t.update.c.not_after > bindparam("now"),
            ~exists().where(after, struck),
        )
        .order_by(t.update.c.not_after)
        .limit(MOST)
    )


def _standing(connection: Connection, rows: Sequence[Any]) -> list[Standing]:
    known = arrivals(connection, [row.id for row in rows])
    found = []
    for row in rows:
        quorum = read(row.quorum)
        if quorum is not None:
            how_far = reached(quorum, known[row.id])
            outdone = getattr(row, "outdone", None) or 0
            found.append(
                Standing(
                    update_id=row.id,
                    incident_id=row.incident_id,
                    number=row.number,
                    released_at=row.released_at,
                    not_after=row.not_after,
                    quorum=quorum,
                    reached=how_far,
                    outdone=outdone,
                )
            )
    return found
