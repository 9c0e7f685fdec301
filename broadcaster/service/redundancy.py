"""By how many independent ways an update is to go, and has gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from broadcaster.domain.redundancy import Arrival, Quorum, have_it, reached
from broadcaster.service.desk import Configuration
from broadcaster.service.notices import iso
from broadcaster.store import Connection, quorums
from broadcaster.store.accepting import incident_name
from broadcaster.store.incidents import UpdateRecord
from broadcaster.store.intents import NewDelivery


def quorum(configuration: Configuration, deliveries: Iterable[NewDelivery]) -> Quorum | None:
    """What makes an update out that goes by these deliveries.

    Channels that may stand in are known beforehand, since their texts are. What is read by staff alone is no way to
    residents: None for an update that has no other, so for each that only staff are told.
    """
    names = {name for each in deliveries for name in (each.channel, *each.fallback)}
    domains = {name: way.domains for name, way in configuration.ways.items() if name in names}
    wanted = configuration.settings.redundancy
    return Quorum(wanted.out, wanted.within, domains) if domains else None


NOT_OUT = (
    "{update} is not out after {minutes} min: {ways} of {needed} independent ways have it, {channels} not yet. "
    "What is wrong: broadcaster status {incident}"
)


def not_out(connection: Connection, now: datetime) -> Iterator[Mapping[str, object]]:
    """Updates that are not out though it is past their time, as the blanks of `NOT_OUT`."""
    for one in quorums.overdue(connection, now):
        incident = incident_name(one.incident_id, staff=False)
        yield {
            "update": f"{incident}-{one.number}",
            "incident": incident,
            "minutes": int((now - one.released_at).total_seconds() // 60),
            "ways": one.reached.ways,
            "needed": one.reached.needed,
            "channels": ", ".join(one.reached.lacking),
        }


def out_answer(
    record: UpdateRecord, arrivals: Iterable[Arrival], now: datetime
) -> dict[str, Any] | None:
    """By how many ways an update is out, or what it lacks; None where that is not counted or it has not gone out yet.

    What was written down is told as it was then. What was not yet is counted in the same way. Beside it stands how many
    have it by now.
    """
    wanted, released = record.quorum, record.said.released_at
    if wanted is None or released is None:
        return None
    known = list(arrivals)
    found = reached(wanted, known)
    channels_now, ways_now = have_it(wanted, known)
    noted = record.out_at is not None
    at = record.out_at or found.at
    late = at is None and found.needed > 0 and now - released > timedelta(seconds=wanted.within)
    return {
        "update": record.said.number,
        "at": iso(at),
        "channels": record.out_channels if noted else len(found.channels),
        "ways": record.out_ways if noted else found.ways,
        "channels_now": channels_now,
        "ways_now": ways_now,
        "needed": found.needed,
        "wanted": wanted.out,
        "by": iso(released + timedelta(seconds=wanted.within)),
        "late": late,
        "accepted": list(found.channels),
        "lacking": list(found.lacking) if at is None else [],
    }
