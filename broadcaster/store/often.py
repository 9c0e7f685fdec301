"""How many letters people had within the hour: the last fuse against whatever says word after word without end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, select

from broadcaster.domain.delivery import Shape
from broadcaster.store import tables as t

WITHIN = timedelta(hours=1)
REASON = "has had as many letters within the hour as one person may get"
"""The detail of a letter that is left out for it."""
_FOUND = (
    "SELECT subscriber_id FROM letter WHERE delivery_id IN ({those})"
    " AND subscriber_id IN ({these}) AND at > {since} AND outcome IN ('accepted', 'uncertain', 'doubtful')"
    " GROUP BY subscriber_id HAVING count(*) >= {most}"
)


def lately(connection: Connection, channel: str, delivery_id: int, now: datetime) -> list[int]:
    """The other deliveries of a letter channel by which letters may have gone within the hour: few, and found by index."""
    d = t.delivery
    done = and_(d.c.accepted_at.is_not(None), d.c.accepted_at > now - WITHIN)
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
    sqlite = connection.dialect.name == "sqlite"
    asked = "SELECT value FROM json_each(?)" if sqlite else "SELECT unnest(%s::bigint[])"
    mark = "?" if sqlite else "%s"
    statement = _FOUND.format(those=asked, these=asked, since=mark, most=mark)
    lists: list[Any] = [list(deliveries), list(subscriber_ids)]
    if sqlite:
        lists = [json.dumps(each) for each in lists]
    # The driver's own statement, as for the addresses themselves: one value for all ids.
    rows = connection.exec_driver_sql(
        statement, (*lists, t.microseconds(now - WITHIN), most)
    ).fetchall()
    return frozenset(int(row[0]) for row in rows)
