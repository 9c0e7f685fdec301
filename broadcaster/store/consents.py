"""The proof that a person wanted letters: when he was asked, when and how he said yes, to which words, and when it ended.

It is kept when everything else about him is erased, and names nobody without the store key. A consent that has not ended
also says that its owner chose for himself: no import changes what he chose.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, insert, select, update as sql_update

from broadcaster.store import tables as t

ERASED = "erased"
LEFT = "left"
OPERATOR = "operator"


def give(
    connection: Connection,
    channel: str,
    digest: bytes,
    *,
    asked_at: datetime,
    now: datetime,
    by: str,
    words: str,
) -> None:
    """Note a consent given now, unless one stands.

    Args:
        by: how it was given: "link", "keyword" or "browser".
        words: SHA-256, in hexadecimal, of the sentence that was agreed to.
    """
    if standing(connection, channel, [digest]):
        return
    connection.execute(
        insert(t.consent).values(
            channel=channel,
            digest=digest,
            asked_at=asked_at,
            given_at=now,
            given_by=by,
            words=words,
            ended_at=None,
            ended_by="",
        )
    )


def end(connection: Connection, channel: str, digest: bytes, now: datetime, by: str) -> None:
    """Note that the consent of an address has ended, if one stands: by "left", "operator" or "erased"."""
    connection.execute(
        sql_update(t.consent)
        .where(_of(channel, digest), t.consent.c.ended_at.is_(None))
        .values(ended_at=now, ended_by=by)
    )


def standing(connection: Connection, channel: str, digests: Sequence[bytes]) -> frozenset[bytes]:
    """Those of some thousand addresses whose owners chose for themselves."""
    chosen = connection.scalars(
        select(t.consent.c.digest).where(
            t.consent.c.channel == channel,
            t.consent.c.digest.in_(digests),
            t.consent.c.ended_at.is_(None),
        )
    )
    return frozenset(chosen)


def of(connection: Connection, channel: str, digest: bytes) -> Sequence[Any]:
    """Every consent of an address, oldest first: rows of the table."""
    query = select(t.consent).where(_of(channel, digest)).order_by(t.consent.c.id)
    return connection.execute(query).all()


def count(connection: Connection) -> dict[str, int]:
    """How many of each channel's subscribers chose for themselves."""
    query = select(t.consent.c.channel, func.count()).where(t.consent.c.ended_at.is_(None))
    rows = connection.execute(query.group_by(t.consent.c.channel)).all()
    return {row[0]: int(row[1]) for row in rows}


def _of(channel: str, digest: bytes) -> Any:
    return and_(t.consent.c.channel == channel, t.consent.c.digest == digest)
