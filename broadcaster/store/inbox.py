"""What far sides sent us, kept raw and answered before it is understood; receipts that match nothing wait a week."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update as sql_update

from broadcaster.domain.exchange import InboundRequest
from broadcaster.store import tables as t
from broadcaster.store.writer import wake

KEPT = timedelta(days=7)
_IN_TURN = timedelta(hours=1)
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(hours=6)
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class InboundRow:
    """One stored request that is still to be understood."""

    id: int
    channel: str
    request: InboundRequest


def keep(connection: Connection, channel: str, request: InboundRequest) -> int:
    """Store a verified request, due at once. Returns its id."""
    key = connection.execute(
        insert(t.inbound).values(
            channel=channel,
            received_at=request.received_at,
            method=request.method,
            path=request.path,
            query=request.query,
            headers=dict(request.headers),
            body=request.body,
            due_at=request.received_at,
            tries=0,
            state="waiting",
            detail="",
        )
    ).inserted_primary_key
    assert key is not None  # noqa: S101 - the table has one generated key
    wake(connection)
    return int(key[0])


def waiting(connection: Connection, now: datetime, limit: int = 200) -> tuple[InboundRow, ...]:
    """What is due to be understood, oldest first. Reads only: what is settled twice is settled once."""
    rows = connection.execute(
        select(t.inbound)
        .where(t.inbound.c.state == "waiting", t.inbound.c.due_at <= now)
        .order_by(t.inbound.c.due_at, t.inbound.c.id)
        .limit(limit)
    ).all()
    return tuple(
        InboundRow(
            row.id,
            row.channel,
            InboundRequest(
                method=row.method,
                path=row.path,
                query=row.query,
                headers=row.headers,
                body=row.body,
                received_at=row.received_at,
            ),
        )
        for row in rows
    )


def done(connection: Connection, inbound_id: int) -> None:
    """It was understood, and what it says was written."""
    _settle(connection, inbound_id, state="done")


def unreadable(connection: Connection, inbound_id: int, why: str) -> None:
    """It cannot be understood; it is kept a week for a person to look at."""
    _settle(connection, inbound_id, state="unreadable", detail=storable(why))


def later(connection: Connection, inbound_id: int, now: datetime) -> None:
    """It is understood and its turn has not come: there are too many at once. After an hour it is let go."""
    row = connection.execute(
        select(t.inbound.c.received_at).where(t.inbound.c.id == inbound_id)
    ).first()
    if row is not None and now - row.received_at < _IN_TURN:
        _settle(connection, inbound_id, due_at=now + _FIRST_PAUSE)
    else:
        _settle(connection, inbound_id, state="done", detail="too many came at once")


def unmatched(connection: Connection, inbound_id: int, now: datetime) -> bool:
    """It speaks of a letter nobody knows yet: look again later. False when its week is over, or it was settled."""
    row = connection.execute(
        select(t.inbound.c.tries, t.inbound.c.received_at).where(
            t.inbound.c.id == inbound_id, t.inbound.c.state == "waiting"
        )
    ).first()
    if row is None:
        return False
    # A receipt can overtake the flush of the outcome it belongs to by seconds, after a crash by hours.
    due_at = now + min(_FIRST_PAUSE * 2 ** min(row.tries, 16), _LONGEST_PAUSE)
    if due_at >= row.received_at + KEPT:
        _settle(connection, inbound_id, state="unmatched", detail="no letter answers to it")
        return False
    _settle(connection, inbound_id, due_at=due_at, tries=row.tries + 1)
    return True


def forget_old(connection: Connection, now: datetime) -> int:
    """Let go of what arrived more than seven days ago. Returns how many requests."""
    return connection.execute(
        delete(t.inbound).where(t.inbound.c.received_at < now - KEPT)
    ).rowcount


def naming(
    connection: Connection, needles: Sequence[bytes], after: int
) -> tuple[list[int], int | None]:
    """Which of the next thousand requests with ids above `after` hold one of these lower-case needles, in any case.

    Also the last id that was looked at, None at the end.
    """
    rows = connection.execute(
        select(
            t.inbound.c.id,
            t.inbound.c.path,
            t.inbound.c.query,
            t.inbound.c.headers,
            t.inbound.c.body,
        )
        .where(t.inbound.c.id > after)
        .order_by(t.inbound.c.id)
        .limit(_PAGE)
    ).all()
    found = []
    for row in rows:
        said = json.dumps([row.path, row.query, row.headers], ensure_ascii=False).encode()
        said += bytes(row.body)
        if any(needle in said.lower() for needle in needles):
            found.append(row.id)
    return found, rows[-1].id if rows else None


def erase(connection: Connection, ids: Sequence[int]) -> None:
    """Delete requests for good: their sender is erased."""
    connection.execute(delete(t.inbound).where(t.inbound.c.id.in_(ids)))
    connection.info["checkpoint"] = True


def storable(text: str) -> str:
    """Words of a far side as both databases keep them: "?" for each lone surrogate and NUL."""
    if text.isprintable() and text.isascii():
        return text  # nearly all are: this stands on the way of every letter
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")


def _settle(connection: Connection, inbound_id: int, **values: Any) -> None:
    connection.execute(
        sql_update(t.inbound)
        .where(t.inbound.c.id == inbound_id, t.inbound.c.state == "waiting")
        .values(**values)
    )
