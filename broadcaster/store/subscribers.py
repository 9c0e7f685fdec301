"""Who is written to: addresses as ciphertext, found by their digest, subscribed to areas."""

from __future__ import annotations

from types import SimpleNamespace

from sqlalchemy import Connection, func, select

from broadcaster.store import tables as t
from broadcaster.store.expanding import _members
from broadcaster.store.intents import NewAudience

_NEWEST = 2**62


def reached(
    connection: Connection, channel: str, group: NewAudience, incident_id: int
) -> dict[str, int]:
    """How many addresses an audience would have if it were released now, by their language."""
    audience = SimpleNamespace(
        members_of=channel,
        areas=list(group.areas) if group.areas is not None else None,
        upto=_NEWEST,
        had=list(group.had),
        had_not=list(group.had_not),
    )
    members = _members(SimpleNamespace(incident_id=incident_id), audience, 0).order_by(None)
    rows = connection.execute(
        select(t.subscriber.c.language, func.count())
        .where(t.subscriber.c.id.in_(members))
        .group_by(t.subscriber.c.language)
    ).all()
    return {row[0]: int(row[1]) for row in rows}
