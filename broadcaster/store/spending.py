"""How much of what was spent within which window: one row for each, so that no fuse ever counts rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, delete, or_, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from broadcaster.store import tables as t

BLOWN = "blown "
"""What begins the name of a row that says that a fuse is blown until the row's time."""
_LONGEST = timedelta(days=1)
"""The longest window of a fuse: a row that is blown for longer was written while the clock was ahead."""
_KEPT = timedelta(days=10)
"""Longer than any window."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time by its name, such as "2026-11-24T14", and its end (aware, UTC)."""

    span: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What is to be spent of `what` within a window, and the most there may be.

    `money` is in hundredths. `fuse` is how staff are told that the limit is reached; "" where they are not.
    """

    what: str
    window: Window
    amount: int = 1
    money: int = 0
    most: int | None = None
    most_money: int | None = None
    fuse: str = ""


def take(connection: Connection, limits: Sequence[Limit]) -> Limit | None:
    """Spend all of these, or nothing when one of them would be too much: then that one is returned."""
    # In one order: two that spend the same things lock them one after the other.
    ordered = sorted(limits, key=lambda limit: (limit.what, limit.window.span))
    if not ordered:
        return None
    s = t.spent
    here = or_(*(and_(s.c.what == limit.what, s.c.span == limit.window.span) for limit in ordered))
    rows = {(row.what, row.span): row for row in connection.execute(select(s).where(here))}
    for limit in ordered:
        row = rows.get((limit.what, limit.window.span))
        amount, money = (row.amount, row.money) if row is not None else (0, 0)
        too_many = limit.most is not None and amount + limit.amount > limit.most
        too_dear = limit.most_money is not None and money + limit.money > limit.most_money
        if too_many or too_dear:
            if limit.fuse:
                _add(connection, BLOWN + limit.fuse, limit.window, 1, 0)
            return limit
    for limit in ordered:
        _add(connection, limit.what, limit.window, limit.amount, limit.money)
        if limit.fuse and limit.what.startswith(limit.fuse):  # it was blown, and allows more by now
            mend = s.c.what == BLOWN + limit.fuse, s.c.span == limit.window.span
            connection.execute(delete(s).where(*mend))
    return None


def blown(connection: Connection, now: datetime) -> tuple[tuple[str, datetime], ...]:
    """The fuses that are blown, each with the time (UTC) at which its window ends."""
    s = t.spent
    rows = connection.execute(
        select(s.c.what, s.c.until)
        .where(s.c.what.like(f"{BLOWN}%"), s.c.until > now, s.c.until <= now + _LONGEST)
        .order_by(s.c.what, s.c.until)
    )
    return tuple({row.what.removeprefix(BLOWN): row.until for row in rows}.items())


def forget_old(connection: Connection, now: datetime) -> int:
    """Let go of windows that have ended, and of those of a clock that was ahead. Returns how many."""
    until = t.spent.c.until
    over = or_(until <= now, until > now + _KEPT)
    return connection.execute(delete(t.spent).where(over)).rowcount


def _add(connection: Connection, what: str, window: Window, amount: int, money: int) -> None:
    s = t.spent
    insert = insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql
    connection.execute(
        insert(s)
        .values(what=what, span=window.span, amount=amount, money=money, until=window.until)
        .on_conflict_do_update(
            index_elements=[s.c.what, s.c.span],
            set_={"amount": s.c.amount + amount, "money": s.c.money + money},
        )
    )
