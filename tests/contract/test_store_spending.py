"""What was spent is one row for each window, on either database: all is taken or nothing, and it outlives a restart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import func, select

from broadcaster.store import Store, spending, tables as t
from broadcaster.store.spending import Limit, Window
from broadcaster.testing.builders import KEY

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = Window("2026-11-24T12", NOON + timedelta(hours=1))
NEXT = Window("2026-11-24T13", NOON + timedelta(hours=2))


def take(store: Store, *limits: Limit) -> Limit | None:
    return store.write(lambda c: spending.take(c, limits)).result()


def rows(store: Store) -> int:
    return store.read(lambda c: c.scalar(select(func.count()).select_from(t.spent))) or 0


def test_a_window_holds_so_much_and_the_next_begins_anew(store: Store) -> None:
    one = partial(Limit, what="letters", most=3, fuse="confirmations")
    assert [take(store, one(window=HOUR)) is None for _ in range(5)] == [True] * 3 + [False] * 2
    assert take(store, one(window=NEXT)) is None
    assert store.read(lambda c: spending.blown(c, NOON)) == (("confirmations", HOUR.until),)
    assert store.read(lambda c: spending.blown(c, HOUR.until)) == ()


def test_money_is_counted_beside_numbers(store: Store) -> None:
    dear = Limit(what="spend", window=HOUR, money=70, most_money=200)
    assert [take(store, dear) is None for _ in range(3)] == [True, True, False]
    cheap = Limit(what="spend", window=HOUR, money=60, most_money=200)
    assert take(store, cheap) is None


def test_when_one_is_full_nothing_of_the_others_is_spent(store: Store) -> None:
    full = Limit(what="a network", window=HOUR, most=0)
    other = Limit(what="confirmations", window=HOUR, most=1)
    assert take(store, other, full) == full
    assert take(store, other) is None


def test_it_never_takes_more_rows_than_windows(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        limits = [Limit(what=f"w{n % 4}", window=HOUR, most=10_000) for n in range(400)]
        assert set(threads.map(lambda limit: take(store, limit), limits)) == {None}
    assert rows(store) == 4
    counted = store.read(lambda c: c.scalar(select(func.sum(t.spent.c.amount))))
    assert counted == 400


def test_it_outlives_a_restart_and_no_longer_than_its_window(store: Store, store_url: str) -> None:
    take(store, Limit(what="letters", window=HOUR, most=1))
    again = Store(store_url, KEY) if not store.is_sqlite else store
    try:
        assert take(again, Limit(what="letters", window=HOUR, most=1)) is not None
    finally:
        if again is not store:
            again.close()
    assert store.write(lambda c: spending.forget_old(c, HOUR.until)).result() == 1
    assert rows(store) == 0


def test_a_limit_that_is_raised_mends_its_fuse(store: Store) -> None:
    full = Limit(what="words sms", window=HOUR, most=1, fuse="words")
    assert [take(store, full) is None for _ in range(2)] == [True, False]
    assert store.read(lambda c: spending.blown(c, NOON))
    assert take(store, Limit(what="words sms", window=HOUR, most=9, fuse="words")) is None
    assert store.read(lambda c: spending.blown(c, NOON)) == ()


def test_numbers_in_another_row_mend_no_fuse(store: Store) -> None:
    row = Limit(what="row 1", window=HOUR, most=0, fuse="numbers")
    take(store, row)
    assert take(store, Limit(what="row 2", window=HOUR, most=9, fuse="numbers")) is None
    assert store.read(lambda c: spending.blown(c, NOON))
