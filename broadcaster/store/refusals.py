"""Channels that refuse one update after the other: each by itself is told in `status`, all together are a trouble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, desc, select

from broadcaster.domain.delivery import Shape, State
from broadcaster.store import tables as t
from broadcaster.store.accepting import incident_name

IN_A_ROW = 2  # one alone may be refused for what it says
_LOOKED_AT = 500  # deliveries, the newest: of what has not been tried for longer nothing is said
_REFUSED = State.FAILED, State.BOUNCED

_d = t.delivery
_NEWEST = (
    select(_d.c.channel, _d.c.state, _d.c.detail, _d.c.ended_at, _d.c.number, _d.c.incident_id)
    .add_columns(
        t.incident.c.staff, and_(_d.c.shape == Shape.LETTER, _d.c.total == 0).label("nobody")
    )
    .join(t.incident, t.incident.c.id == _d.c.incident_id)
    .order_by(desc(_d.c.id))
    .limit(_LOOKED_AT)
)


@dataclass(frozen=True, slots=True)
class Refusing:
    """The last update ("A7-2") that a channel refused for good, why, and when (UTC) it refused the first in a row."""

    update: str
    because: str
    since: datetime


def refusing(connection: Connection) -> Mapping[str, Refusing]:
    """The channels whose last updates were refused for good, at least `IN_A_ROW`, and none accepted since."""
    told = (*_REFUSED, State.ACCEPTED, State.CONFIRMED)
    # Read as they were planned, and sorted here: one that is sent again and accepted ends it, however old it is.
    rows = [row for row in connection.execute(_NEWEST) if row.state in told and row.ended_at]
    in_a_row: dict[str, list[Refusing]] = {}
    through: set[str] = set()
    for row in sorted(rows, key=lambda row: row.ended_at, reverse=True):
        if row.channel in through or (row.nobody and row.state not in _REFUSED):
            continue
        if row.state in _REFUSED:
            name = f"{incident_name(row.incident_id, row.staff)}-{row.number}"
            in_a_row.setdefault(row.channel, []).append(Refusing(name, row.detail, row.ended_at))
        else:
            through.add(row.channel)
    return {
        channel: Refusing(last[0].update, last[0].because, last[-1].since)
        for channel, last in in_a_row.items()
        if len(last) >= IN_A_ROW
    }
