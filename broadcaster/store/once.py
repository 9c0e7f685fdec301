"""Idempotency: the same request gets the same answer for seven days, in the transaction that did its work."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from broadcaster.store import tables as t
from broadcaster.store.errors import Conflict, StoreError
from broadcaster.store.intents import Once

KEPT = timedelta(days=7)


class OtherBody(StoreError):
    """The key was used for another request; answered 409, never carried out."""


def recall(connection: Connection, once: Once) -> tuple[int, Mapping[str, Any]] | None:
    """The status and answer this request got before, or None.

    Raises:
        OtherBody: the same key came with another body.
    """
    kept = connection.execute(
        select(t.idempotency).where(
            t.idempotency.c.token_id == once.token_id,
            t.idempotency.c.method == once.method,
            t.idempotency.c.path == once.path,
            t.idempotency.c.key == once.key,
        )
    ).first()
    if kept is None:
        return None
    if kept.body_digest != once.body_digest:
        raise OtherBody(
            "This Idempotency-Key was used for another request. Nothing was done. "
            "Send a new key with a new request."
        )
    return kept.status, kept.answer


def remember(
    connection: Connection, once: Once, status: int, answer: Mapping[str, Any], now: datetime
) -> None:
    """Keep the answer, in the same transaction as what it answers for.

    Raises:
        Conflict: the same request is being answered at this moment; what this one did must not be kept.
    """
    try:
        connection.execute(
            insert(t.idempotency).values(
                token_id=once.token_id,
                method=once.method,
                path=once.path,
                key=once.key,
                body_digest=once.body_digest,
                status=status,
                answer=dict(answer),
                at=now,
            )
        )
    except IntegrityError as error:
        raise Conflict("The same request is being answered at this moment. Ask again.") from error


def forget_old(connection: Connection, now: datetime) -> int:
    """Let go of answers older than seven days. Returns how many."""
    return connection.execute(delete(t.idempotency).where(t.idempotency.c.at < now - KEPT)).rowcount
