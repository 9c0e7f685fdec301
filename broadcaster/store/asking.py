"""Who asked for letters and has not said yes yet: a row with the SHA-256 of the token that his letter carries.

Whoever asks, and however often: the same rows are written. Within a day only the first letter goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    insert,
    or_,
    select,
    text,
    update as sql_update,
)

from broadcaster.domain.choices import Choices
from broadcaster.store import tables as t
from broadcaster.store.choosing import from_json, to_json

GOOD_FOR = timedelta(hours=48)
"""How long the token of a letter is good."""
ONCE = timedelta(hours=24)
"""Within so long an address gets one letter of a sort."""
_LOCK = text("SELECT pg_advisory_xact_lock(:lock)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """That somebody asked for letters to an address, which is sealed; `asked_at` is aware UTC."""

    channel: str
    address: bytes
    key_id: str
    digest: bytes
    choices: Choices
    asked_at: datetime


def alone(connection: Connection, digest: bytes) -> None:
    """From here to the commit nobody else asks for this address: what is sent once a day is counted before it is sent."""
    if connection.dialect.name == "postgresql":
        lock = int.from_bytes(digest[:8], "big", signed=True)
        connection.execute(_LOCK, {"lock": lock})


def ask(connection: Connection, asked: Asked, token: str) -> bool:
    """Keep that somebody asked, by the SHA-256 (hexadecimal) of his token. Returns whether a letter may go to him.

    It may not where one went within a day; then the token is never good.
    """
    alone(connection, asked.digest)
    row = t.opt_in.c
    within = _within_a_day(row.asked_at, asked.asked_at)
    went = or_(row.used_at.is_(None), row.used_at > row.asked_at)
    mine = and_(row.channel == asked.channel, row.digest == asked.digest)
    again = bool(connection.scalar(select(exists().where(mine, within, went))))
    connection.execute(
        insert(t.opt_in).values(
            channel=asked.channel,
            address=asked.address,
            key_id=asked.key_id,
            digest=asked.digest,
            token=token,
            choices=to_json(asked.choices),
            asked_at=asked.asked_at,
            expires_at=asked.asked_at + GOOD_FOR,
            used_at=asked.asked_at if again else None,
        )
    )
    return not again


def waiting(connection: Connection, token: str, now: datetime) -> Asked | None:
    """What a token would confirm; None when it is not good, or no longer."""
    row = connection.execute(select(t.opt_in).where(_good(token, now))).first()
    if row is None:
        return None
    return Asked(
        channel=row.channel,
        address=row.address,
        key_id=row.key_id,
        digest=row.digest,
        choices=from_json(row.choices),
        asked_at=row.asked_at,
    )


def use(connection: Connection, token: str, now: datetime) -> Asked | None:
    """Use a token up: it is good once, also when it comes twice at the same moment. None when it is not good."""
    asked = waiting(connection, token, now)
    used = connection.execute(
        sql_update(t.opt_in).where(_good(token, now)).values(used_at=now)
    ).rowcount
    return asked if used else None


def went_within(
    connection: Connection, channel: str, digest: bytes, what: str, now: datetime
) -> bool:
    """Whether an address was written a personal letter of this sort within a day."""
    letter = t.personal_letter.c
    mine = and_(letter.channel == channel, letter.digest == digest, letter.what == what)
    return bool(
        connection.scalar(select(exists().where(mine, _within_a_day(letter.asked_at, now))))
    )


def _within_a_day(asked_at: Any, now: datetime) -> ColumnElement[bool]:
    """Whether it was asked within a day; what was asked much later than now was asked while the clock was ahead."""
    return and_(asked_at > now - ONCE, asked_at <= now + ONCE)


def unsend(connection: Connection, letter_id: int, *, really: bool) -> None:
    """Take back a personal letter that was queued in this very write; or do what takes as long and changes nothing."""
    which = letter_id if really else -1
    connection.execute(delete(t.personal_letter).where(t.personal_letter.c.id == which))


def forget_old(connection: Connection, now: datetime) -> int:
    """Let go of what was not confirmed in time. Returns how many."""
    return connection.execute(delete(t.opt_in).where(t.opt_in.c.expires_at <= now)).rowcount


def _good(token: str, now: datetime) -> ColumnElement[bool]:
    row = t.opt_in.c
    return and_(row.token == token, row.used_at.is_(None), row.expires_at > now)
