"""How long corrections and retractions took, derived from when deliveries were accepted: nothing more is written for it.

A channel has a wrong text from when its far side accepted it; of letters from when the first was sent, for each is read
as it comes. Only such a channel has anything to correct: elsewhere a correction is plain news.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select

from broadcaster.domain.delivery import Shape
from broadcaster.domain.incident import Kind
from broadcaster.store import tables as t

_D = t.delivery.c
_SINCE = func.min(case((_D.shape == Shape.LETTER, _D.started_at), else_=_D.accepted_at))
# Letters that were stopped before any was accepted have no `accepted_at`, nor has a blast that still runs its end.
_HAD = or_(_D.accepted_at.is_not(None), _D.accepted > 0)
_OF = or_(
    _D.number == bindparam("corrects"), and_(bindparam("whole"), _D.number < bindparam("number"))
)
_WRONG = (
    select(_D.channel, _SINCE.label("since"))
    .where(_D.incident_id == bindparam("incident"), _D.released, _HAD, _OF)
    .group_by(_D.channel)
)
_RIGHT = (
    select(_D.id, _D.channel, _D.accepted_at)
    .where(_D.update_id == bindparam("update"))
    .order_by(_D.id)
)
_OF_CHANGES = select(t.update).where(
    t.update.c.id.in_(
        select(_D.update_id).where(_D.id.in_(bindparam("deliveries", expanding=True)))
    ),
    t.update.c.kind.in_([Kind.CORRECTION, Kind.RETRACTION]),
)


@dataclass(frozen=True, slots=True)
class Correcting:
    """A correction or retraction of an incident: its update, which number it corrects (None with `whole`), and since when."""

    update_id: int
    incident_id: int
    number: int
    corrects: int | None
    whole: bool
    accepted_at: datetime


@dataclass(frozen=True, slots=True)
class Took:
    """How long one channel took, in seconds: from when we accepted the correction, and from when the wrong text was there.

    Both None: it is not corrected there yet. `delivery_id` is the correction's own, None where none carries it.
    """

    channel: str
    delivery_id: int | None
    seconds: float | None = None
    wrong_for: float | None = None


def took(connection: Connection, correcting: Correcting) -> list[Took]:
    """Each channel that had the wrong text, in the order of the correction's deliveries."""
    asked = {
        "incident": correcting.incident_id,
        "number": correcting.number,
        "corrects": correcting.corrects,
        "whole": correcting.whole,
    }
    since = {row.channel: row.since for row in connection.execute(_WRONG, asked)}
    found: dict[str, Took] = {}
    for row in connection.execute(_RIGHT, {"update": correcting.update_id}):
        if row.channel in since:
            found[row.channel] = _took(correcting, row, since[row.channel])
    missing = [Took(channel, None) for channel in sorted(since) if channel not in found]
    return [*found.values(), *missing]


def _took(correcting: Correcting, row: object, since: datetime | None) -> Took:
    channel, delivery_id, at = (getattr(row, name) for name in ("channel", "id", "accepted_at"))
    if at is None:
        return Took(channel, delivery_id)
    stood = _seconds(since or at, at)
    return Took(channel, delivery_id, _seconds(correcting.accepted_at, at), stood)


def _seconds(begin: datetime, end: datetime) -> float:
    return round(max(0.0, (end - begin).total_seconds()), 3)  # a clock may have gone back


def of_deliveries(connection: Connection, delivery_ids: Sequence[int]) -> Mapping[int, Took]:
    """Of these deliveries those that carry a correction to where the wrong text was, each with how long it took."""
    found: dict[int, Took] = {}
    for row in connection.execute(_OF_CHANGES, {"deliveries": list(delivery_ids)}).all():
        change = Correcting(
            row.id, row.incident_id, row.number, row.corrects, row.corrects_all, row.accepted_at
        )
        found |= by_delivery(took(connection, change))
    return {key: one for key, one in found.items() if key in set(delivery_ids)}


def by_delivery(found: Iterable[Took]) -> dict[int, Took]:
    """The same by the id of the delivery."""
    return {one.delivery_id: one for one in found if one.delivery_id is not None}
