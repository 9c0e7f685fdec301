"""Letters to one person, which are no update: a confirmation to be given, an answer to a word by SMS, a summary.

A letter is leased before the call and ended after it. After a crash one whose repeat harms nobody goes again; of any other it
is not known whether it went, and it stays so. Of what has ended neither words nor address are kept, and the row a week.
"""

from __future__ import annotations

import functools
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Select,
    String,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    union_all,
    update as sql_update,
)

from broadcaster.store import tables as t
from broadcaster.store.addresses import AddressVault
from broadcaster.store.claiming import database_now
from broadcaster.store.tables.following import PERSONAL_OPEN
from broadcaster.store.writer import wake

KEPT = timedelta(days=7)
IN_TURN = ("answer", "confirm", "manage", "summary")
"""What there is, in the order in which it goes: who says STOP waits for nobody's summary."""
MAY_GO_TWICE = frozenset({"answer", "confirm"})
_AT_ONCE = 2_000
_KEY = re.compile(r"p[0-9]{1,9}-[0-9]{1,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """One claimed letter; `address` and `text` are sealed."""

    id: int
    channel: str
    what: str
    address: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    text: bytes = field(repr=False)
    language: str
    attempts: int
    not_after: datetime
    lease_token: str

    def opened(self, vault: AddressVault) -> tuple[str, str, str]:
        """Address, subject and body; raises StoreKeyWrong where the key is not the one they were sealed with."""
        text = json.loads(vault.open(self.channel, self.text))
        return vault.open(self.channel, self.address), text["subject"], text["body"]


@dataclass(frozen=True, slots=True)
class Reader:
    """A subscriber a letter is for. `gone`: the far side has said that there is no such address."""

    id: int
    import_id: int
    gone: bool


# ------------------------------------------------------------------------------------------------------ handing one in
def queue(
    connection: Connection,
    vault: AddressVault,
    *,
    channel: str,
    what: str,
    address: str,
    subject: str,
    body: str,
    language: str,
    now: datetime,
    not_after: datetime,
) -> int:
    """Have one letter sent as soon as may be, and not after `not_after`. Returns its id.

    Args:
        what: "answer", "confirm", "manage" or "summary".
        address: as the channel's adapter writes it.
    """
    if what not in IN_TURN:
        raise ValueError(f"what: {what}")
    key = connection.execute(
        insert(t.personal_letter).values(
            channel=channel,
            what=what,
            address=vault.seal(channel, address),
            key_id=vault.key_id,
            digest=vault.digest(channel, address),
            text=vault.seal(channel, json.dumps({"subject": subject, "body": body})),
            language=language,
            asked_at=now,
            due_at=now,
            not_after=not_after,
            state="waiting",
            attempts=0,
            detail="",
        )
    ).inserted_primary_key
    assert key is not None  # noqa: S101 - the table has one generated key
    wake(connection)
    return int(key[0])


# ----------------------------------------------------------------------------------------------------------- claiming
@functools.cache
def _free() -> Select[Any]:
    """Open letters of :channel that are :what, due :at this time, and nobody's."""
    mine, at = t.personal_letter, bindparam("at", type_=t.UtcTime)
    return (
        select(mine)
        .where(
            mine.c.channel == bindparam("channel", type_=String),
            mine.c.what == bindparam("what", type_=String),
            t.personal_is_open(),
            mine.c.due_at <= at,
            or_(
                mine.c.state == "waiting",
                and_(mine.c.state == "sending", mine.c.lease_until < at),
            ),
        )
        .order_by(mine.c.due_at, mine.c.id)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    )


def claim(
    connection: Connection, channel: str, now: datetime, lease: timedelta, most: int = 20
) -> tuple[Personal, ...]:
    """Claim up to `most` letters of a channel for so long as `lease` says; what is past its time is ended instead.

    Of those whose lease has run out it is not known whether they went: see `MAY_GO_TWICE`.
    """
    at = database_now(connection, now)
    claimed: list[Personal] = []
    for what in IN_TURN:
        asked = {"channel": channel, "what": what, "at": at, "most": most - len(claimed)}
        for row in connection.execute(_free(), asked).all() if asked["most"] else ():
            if row.state == "sending" and what not in MAY_GO_TWICE:
                _end(connection, row.id, "uncertain", now, "broken off while it was sent")
            elif row.not_after <= now:
                lost = row.state == "sending"
                _end(connection, row.id, "uncertain" if lost else "expired", now, "")
            else:
                claimed.append(_taken(connection, row, at + lease))
    return tuple(claimed)


def _taken(connection: Connection, row: Any, until: datetime) -> Personal:
    token = secrets.token_hex(8)
    connection.execute(
        sql_update(t.personal_letter)
        .where(t.personal_letter.c.id == row.id)
        .values(
            state="sending",
            attempts=row.attempts + 1,
            lease_token=token,
            lease_until=until,
            # Those under way are looked at again when their lease is over, and not before.
            due_at=until,
        )
    )
    return Personal(
        id=row.id,
        channel=row.channel,
        what=row.what,
        address=row.address,
        digest=row.digest,
        text=row.text,
        language=row.language,
        attempts=row.attempts + 1,
        not_after=row.not_after,
        lease_token=token,
    )


def next_due_at(connection: Connection, channel: str) -> datetime | None:
    """When the next letter of a channel can be tried, or one under way counts as lost; None: there is none."""
    known = connection.scalars(_next(), {"channel": channel})
    return min((at for at in known if at is not None), default=None)


@functools.cache
def _next() -> CompoundSelect[Any]:
    """One look into the index for each kind of letter."""
    mine, channel = t.personal_letter, bindparam("channel", type_=String)
    of_one = select(func.min(mine.c.due_at)).where(mine.c.channel == channel, t.personal_is_open())
    return union_all(*(of_one.where(mine.c.what == what) for what in IN_TURN))


def unanswered(connection: Connection) -> dict[str, datetime]:
    """Since when the longest waits whom nobody has answered yet, by channel; who waits for a summary asked for nothing."""
    mine = t.personal_letter
    asked = t.personal_is_open(), mine.c.what != "summary"
    since = func.min(mine.c.asked_at, type_=mine.c.asked_at.type)
    rows = connection.execute(select(mine.c.channel, since).where(*asked).group_by(mine.c.channel))
    return {row[0]: row[1] for row in rows}


# ------------------------------------------------------------------------------------------------------ what came of it
def end(connection: Connection, letter: Personal, state: str, now: datetime, why: str = "") -> bool:
    """It is accepted, failed, or uncertain, for good. False: its lease was lost, and whoever has it tells."""
    return _change(connection, letter, state=state, due_at=now, detail=why, **_FORGOTTEN)


def put_back(
    connection: Connection, letter: Personal, due_at: datetime, why: str, *, tried: bool = True
) -> bool:
    """It certainly did not go, or may go twice: again at `due_at`. False: its lease was lost."""
    attempts = letter.attempts if tried else letter.attempts - 1
    changes = {"state": "waiting", "due_at": due_at, "detail": why, "attempts": attempts}
    return _change(connection, letter, **changes, **_NOBODYS)


_NOBODYS = {"lease_token": None, "lease_until": None}
_FORGOTTEN = {"address": b"", "text": b"", **_NOBODYS}


def _change(connection: Connection, letter: Personal, **values: object) -> bool:
    mine = t.personal_letter
    held = mine.c.id == letter.id, mine.c.lease_token == letter.lease_token
    changed = connection.execute(
        sql_update(mine).where(*held, mine.c.state == "sending").values(**values)
    )
    return changed.rowcount == 1


def _end(connection: Connection, key: int, state: str, now: datetime, why: str) -> None:
    values = {"state": state, "due_at": now, "detail": why, **_FORGOTTEN}
    connection.execute(
        sql_update(t.personal_letter).where(t.personal_letter.c.id == key).values(**values)
    )


def readers(connection: Connection, letters: Sequence[Personal]) -> dict[bytes, Reader]:
    """Who of those these letters are for subscribes now, by the digest of his address; all are of one channel."""
    mine, digests = t.subscriber, {letter.digest for letter in letters}
    rows = connection.execute(
        select(mine.c.id, mine.c.import_id, mine.c.digest, mine.c.gone_at).where(
            mine.c.channel.in_({letter.channel for letter in letters}),
            mine.c.digest.in_(digests),
            exists().where(t.subscription.c.subscriber_id == mine.c.id),
        )
    ).all()
    return {row.digest: Reader(row.id, row.import_id, row.gone_at is not None) for row in rows}


def is_named(key: str) -> bool:
    """Whether a letter's key is one of these: what is reported of it is of no use to anybody."""
    return _KEY.fullmatch(key) is not None


# --------------------------------------------------------------------------------------------------------- letting go
def take_back(connection: Connection) -> None:
    """At the start of the only daemon of a store: what was under way when the last one died is looked at at once."""
    connection.execute(
        sql_update(t.personal_letter)
        .where(t.personal_letter.c.state == "sending", t.personal_is_open())
        .values(lease_until=t.personal_letter.c.asked_at, due_at=t.personal_letter.c.asked_at)
    )


def erase(connection: Connection, channel: str, digest: bytes) -> int:
    """Forget every letter to an address, whatever came of it; one under way cannot be called back. Returns how many."""
    mine = t.personal_letter
    which = mine.c.channel == channel, mine.c.digest == digest
    return connection.execute(delete(mine).where(*which)).rowcount


def forget_old(connection: Connection, now: datetime) -> int:
    """Let go of letters that ended more than seven days ago, some at a time, the oldest first. Returns how many.

    Those that nobody sends any more, for their channel is gone or stopped, end here when their time is over.
    """
    mine = t.personal_letter
    over = {"state": "expired", "due_at": now, "detail": "", **_FORGOTTEN}
    waits = t.personal_is_open(), mine.c.state == "waiting", mine.c.not_after <= now
    connection.execute(sql_update(mine).where(*waits).values(**over))
    oldest = connection.execute(
        select(mine.c.id, mine.c.state, mine.c.due_at).order_by(mine.c.id).limit(_AT_ONCE)
    ).all()
    # Of one that has ended, `due_at` is when it did.
    old = [row.id for row in oldest if row.state not in PERSONAL_OPEN and row.due_at < now - KEPT]
    if old:
        connection.execute(delete(mine).where(mine.c.id.in_(old)))
    return len(old)
