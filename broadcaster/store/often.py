"""How many letters people had within the hour: the last fuse against whatever says word after word without end."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, exists, or_, select

from broadcaster.domain.delivery import Shape
from broadcaster.domain.incident import Audience, Kind
from broadcaster.store import refusals, tables as t

WITHIN = timedelta(hours=1)
APART = timedelta(minutes=1)
"""What is of a later time than this from now was written while the clock was ahead: nobody knows in which hour."""
REASON = "has had as many letters within the hour as one person may get"
"""The detail of a letter that is left out for it."""
LEFT_OUT = (
    "left out was who had as many letters within the hour as one person may get (most_per_hour)"
)
"""The detail of a delivery of which letters were left out for it."""
_HAD = ("accepted", "uncertain", "doubtful")
_FOUND = (
    "SELECT subscriber_id FROM letter WHERE delivery_id {those} AND subscriber_id {those} AND at > {mark} AND at <= {mark}"
    " AND outcome IN ('accepted', 'uncertain', 'doubtful') GROUP BY subscriber_id HAVING count(*) >= {mark}"
)
_ON_SQLITE = _FOUND.format(those="IN (SELECT value FROM json_each(?))", mark="?")
# PostgreSQL knows how long an array is, and nothing of a subquery's rows: by that it would read all letters of the hour.
_ON_POSTGRESQL = _FOUND.format(those="= ANY(%s::bigint[])", mark="%s")


def lately(connection: Connection, channel: str, delivery_id: int, now: datetime) -> list[int]:
    """The other deliveries of a letter channel by which letters may have gone within the hour: few, and found by index."""
    d = t.delivery
    done = and_(
        d.c.accepted_at.is_not(None), d.c.accepted_at > now - WITHIN, d.c.accepted_at <= now + APART
    )
    mine = (d.c.channel == channel, d.c.shape == Shape.LETTER, d.c.id != delivery_id)
    found = {
        row
        for which in (done, t.is_open())
        for row in connection.scalars(select(d.c.id).where(*mine, which))
    }
    return sorted(found)


def too_often(
    connection: Connection,
    deliveries: Sequence[int],
    subscriber_ids: Sequence[int],
    now: datetime,
    most: int,
) -> frozenset[int]:
    """Those of these subscribers who had as many letters of these deliveries within the hour as they may get."""
    if not most or len(deliveries) < most:
        return frozenset()
    lists: list[Any] = [list(deliveries), list(subscriber_ids)]
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        lists = [json.dumps(each) for each in lists]
    statement = _ON_SQLITE if sqlite else _ON_POSTGRESQL
    since, until = t.microseconds(now - WITHIN), t.microseconds(now + APART)
    # The driver's own statement, as for the addresses themselves: one value for all ids.
    rows = connection.exec_driver_sql(statement, (*lists, since, until, most)).fetchall()
    return frozenset(int(row[0]) for row in rows)


def told_all_the_same(
    connection: Connection, incident: int, number: int, subscriber_ids: Collection[int]
) -> frozenset[int]:
    """Those of these subscribers who get an update though they had enough: nobody keeps a worse text as the last word.

    Staff get each; who had a letter of the incident, that it is over; who last had one that life depended on, what follows.
    """
    u, d = t.update, t.delivery
    said = connection.execute(
        select(u.c.kind, u.c.audience).where(u.c.incident_id == incident, u.c.number == number)
    ).one()
    if said.audience == Audience.STAFF:
        return frozenset(subscriber_ids)
    before = and_(d.c.incident_id == incident, d.c.number < number, d.c.shape == Shape.LETTER)
    gone = or_(d.c.accepted > 0, d.c.uncertain > 0)  # few: the others were left out as well
    had = (
        select(t.letter.c.subscriber_id, d.c.life_safety)
        .join(d, d.c.id == t.letter.c.delivery_id)
        .where(before, gone)
        .where(t.letter.c.subscriber_id.in_(subscriber_ids), t.letter.c.outcome.in_(_HAD))
        .order_by(d.c.number)
    )
    last = {row.subscriber_id: row.life_safety for row in connection.execute(had)}
    return frozenset(
        who for who, life_safety in last.items() if life_safety or said.kind == Kind.RESTORED
    )


def was_left_out(connection: Connection, delivery_id: int) -> bool:
    """Whether letters of a delivery were left out for it. Looks through its letters: for when it ends."""
    mine = and_(t.letter.c.delivery_id == delivery_id, t.letter.c.outcome == "skipped")
    return bool(connection.scalar(select(exists().where(mine, t.letter.c.detail == REASON))))


def leaving_out(connection: Connection, names: Collection[str], now: datetime) -> Mapping[str, str]:
    """Those of these channels by which people were left out for it within the hour, and of which update ("A7-2") last."""
    found = {}
    for name in names:
        for row in sorted(refusals.newest(connection, name), key=lambda row: row.ended_at):
            lately = now - WITHIN < row.ended_at <= now + APART
            if lately and row.detail == LEFT_OUT:
                found[name] = refusals.update_of(row)
    return found
