"""Channels that refuse one update after the other: each by itself is told in `status`, all together are a trouble."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, desc, or_, select

from broadcaster.domain.delivery import Shape, State
from broadcaster.store import tables as t
from broadcaster.store.accepting import STAFF_LOG_ID, incident_name

IN_A_ROW = 2  # one alone may be refused for what it says
LOOKED_AT = (
    50  # deliveries of a channel that were refused or went out, those of the newest incidents
)
_REFUSED = State.FAILED, State.BOUNCED
_THROUGH = State.ACCEPTED, State.CONFIRMED
_NEWEST = 2**62  # above the number of any incident

_d = t.delivery
_TO_NOBODY = and_(_d.c.shape == Shape.LETTER, _d.c.total == 0)
_OF_CHANNEL = (
    select(_d.c.id, _d.c.state, _d.c.detail, _d.c.ended_at, _d.c.number, _d.c.incident_id)
    .add_columns(t.incident.c.staff)
    .join(t.incident, t.incident.c.id == _d.c.incident_id)
    # What was never tried, and letters to nobody, say nothing of the channel, however many there are; letters that were
    # left out are looked at by `often`.
    .where(
        _d.c.channel == bindparam("channel"),
        _d.c.ended_at.is_not(None),
        or_(
            _d.c.state.in_(_REFUSED),
            and_(_d.c.state.in_(_THROUGH), ~_TO_NOBODY),
            and_(_d.c.state == State.EXPIRED, _d.c.skipped > 0),
        ),
    )
    .limit(LOOKED_AT)
)
_TRIED = _OF_CHANNEL.where(
    _d.c.incident_id.between(bindparam("first"), bindparam("last"))
).order_by(desc(_d.c.incident_id), desc(_d.c.number))
_ACCEPTED = _OF_CHANNEL.where(_d.c.accepted_at.is_not(None)).order_by(desc(_d.c.accepted_at))


@dataclass(frozen=True, slots=True)
class Refusing:
    """The last update ("A7-2") that a channel refused for good, why, and when (UTC) it refused the first in a row."""

    update: str
    because: str
    since: datetime


def refusing(connection: Connection, names: Collection[str]) -> Mapping[str, Refusing]:
    """Those of these channels whose last updates were refused for good, at least `IN_A_ROW`, and none accepted since."""
    found = {name: _in_a_row(connection, name) for name in names}
    return {
        name: Refusing(update_of(last[0]), last[0].detail, last[-1].ended_at)
        for name, last in found.items()
        if len(last) >= IN_A_ROW
    }


def _in_a_row(connection: Connection, name: str) -> list[Any]:
    """What a channel refused since it accepted something, the last first."""
    in_a_row: list[Any] = []
    for row in sorted(_ended(connection, name), key=lambda row: row.ended_at, reverse=True):
        if row.state not in _REFUSED:
            break
        in_a_row.append(row)
    return in_a_row


def _ended(connection: Connection, name: str) -> Iterator[Any]:
    return (row for row in newest(connection, name) if row.state != State.EXPIRED)


def newest(connection: Connection, name: str) -> Iterable[Any]:
    """The newest deliveries of a channel that came to something, in no order: of `LOOKED_AT` incidents, of staff, and what it accepted last."""
    rows: dict[int, Any] = {}
    # The log of staff is one incident with the lowest number: of it the newest words by themselves.
    for first, last in ((STAFF_LOG_ID + 1, _NEWEST), (STAFF_LOG_ID, STAFF_LOG_ID)):
        asked = {"channel": name, "first": first, "last": last}
        rows |= {row.id: row for row in connection.execute(_TRIED, asked)}
    # One that is sent again and accepted ends it, however old it is.
    rows |= {row.id: row for row in connection.execute(_ACCEPTED, {"channel": name})}
    return rows.values()


def update_of(row: Any) -> str:
    """The name ("A7-2") of what such a delivery brings."""
    return f"{incident_name(row.incident_id, row.staff)}-{row.number}"
