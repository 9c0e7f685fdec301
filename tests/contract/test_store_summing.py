"""Whoever waits for a summary is taken once, with all that he waits for, by one node."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, delete, func, insert, select, update as sql_update

from broadcaster.store import Store, dues, personal, reviving, summing, tables as t
from broadcaster.store.summing import Waiting
from broadcaster.testing import builders
from broadcaster.testing.meanwhile import under_way

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)


def subscribers(store: Store, count: int, **chosen: int) -> list[int]:
    ids = builders.subscribe(store, "sms", [f"+4670{number:07}" for number in range(count)])
    if chosen:
        run(store, sql_update(t.subscriber).values(**chosen))
    return ids


def clock(at: datetime) -> time:
    return at.astimezone(UTC).time().replace(second=0, microsecond=0)


def quiet(hours: int) -> dict[str, int]:
    """Two quiet hours of the clock in UTC, which begin so many hours from now."""
    begin, end = clock(NOW + timedelta(hours=hours)), clock(NOW + timedelta(hours=hours + 2))
    return {
        "quiet_from": begin.hour * 60 + begin.minute,
        "quiet_to": end.hour * 60 + end.minute,
    }


def run(store: Store, statement: Any) -> None:
    def work(connection: Connection) -> None:
        connection.execute(statement)

    store.write(work).result()


def leave_out(store: Store, ids: Iterable[int], update: int, at: datetime = NOW) -> None:
    rows = [{"subscriber_id": who, "update_id": update, "due_at": at} for who in ids]
    run(store, insert(t.left_out).values(rows))


def word(store: Store, number: int = 1) -> int:
    """An update of an incident of its own; its id."""
    told = builders.tell(store, builders.letters("sms"), now=NOW + number * MINUTE)
    query = select(t.update.c.id).where(t.update.c.incident_id == told.incident_id)
    return int(store.read(lambda c: c.scalar(query)) or 0)


def taking(now: datetime = NOW, most: int = 10) -> Any:
    return partial(summing.take_due, now=now, most=most, zone=ZoneInfo("UTC"))


def take(store: Store, now: datetime = NOW, most: int = 10) -> tuple[list[Waiting], int]:
    taken: tuple[list[Waiting], int] = store.write(taking(now, most)).result()
    return taken


def left(store: Store) -> int:
    """How many words wait to be told."""
    count = select(func.count()).select_from(t.left_out).where(t.left_out.c.due_at.is_not(None))
    return int(store.read(lambda c: c.scalar(count)) or 0)


def test_one_is_taken_with_all_that_he_waits_for_the_newest_first(store: Store) -> None:
    [kim] = subscribers(store, 1, **quiet(hours=2))
    first, second = word(store, 1), word(store, 2)
    leave_out(store, [kim], first)
    leave_out(store, [kim], second, NOW + 5 * MINUTE)
    [waiting], taken = take(store)
    assert (waiting.subscriber_id, taken) == (kim, 1)
    assert waiting.quiet is not None
    assert waiting.quiet.start == clock(NOW + timedelta(hours=2))
    assert waiting.incidents == (2, 1)
    assert store.vault.open("sms", waiting.address) == "+46700000000"
    assert left(store) == 0
    assert take(store) == ([], 0)


def test_who_is_not_due_waits_and_the_row_that_wakes_says_until_when(store: Store) -> None:
    [kim] = subscribers(store, 1)
    leave_out(store, [kim], word(store), NOW + MINUTE)
    assert take(store) == ([], 0)
    store.write(summing.plan_next).result()
    query = select(t.due.c.due_at).where(t.due.c.what == dues.SUMMARY)
    assert store.read(lambda c: c.scalar(query)) == NOW + MINUTE


def test_who_is_left_out_while_summaries_are_sent_is_not_forgotten(store: Store) -> None:
    kim, robin = subscribers(store, 2)
    first, second = word(store, 1), word(store, 2)
    leave_out(store, [kim], first)
    store.write(summing.plan_next).result()

    def expands(connection: Connection) -> None:
        row = {"subscriber_id": robin, "update_id": second, "due_at": NOW + MINUTE}
        connection.execute(insert(t.left_out).values(**row))
        dues.plan_summary(connection, NOW + MINUTE)

    with under_way(store, expands):
        found = store.write(partial(dues.claim, now=NOW + timedelta(seconds=1))).result()
        for due in found:
            take(store)
            store.write(summing.plan_next).result()
            store.write(partial(dues.settle, due=due, now=NOW, outcome="sent")).result()
    at = store.read(dues.next_due_at)
    assert at is not None, "nobody would ever look for Robin"
    assert at <= NOW + MINUTE


def test_who_sleeps_when_it_comes_late_is_not_woken_by_it(store: Store) -> None:
    asleep, awake = subscribers(store, 2)
    mine = t.subscriber.c.id == asleep
    run(store, sql_update(t.subscriber).where(mine).values(**quiet(hours=-1)))
    leave_out(store, [asleep, awake], word(store), NOW - timedelta(hours=3))
    waiting, taken = take(store)
    assert ([each.subscriber_id for each in waiting], taken) == ([awake], 2)
    [at] = store.read(
        lambda c: c.scalars(select(t.left_out.c.due_at).where(t.left_out.c.due_at > NOW)).all()
    )
    assert clock(at) == clock(NOW + timedelta(hours=1))
    assert take(store) == ([], 0)
    assert [each.subscriber_id for each in take(store, at)[0]] == [asleep]


def test_what_was_told_in_a_summary_is_told_in_no_other(store: Store) -> None:
    [kim] = subscribers(store, 1)
    leave_out(store, [kim], word(store, 1))
    take(store)
    leave_out(store, [kim], word(store, 2))
    [waiting] = take(store)[0]
    assert waiting.incidents == (2,)


def test_they_are_taken_in_pages_and_nobody_twice(store: Store) -> None:
    ids = subscribers(store, 7)
    leave_out(store, ids, word(store))
    found: list[int] = []
    while (page := take(store, most=3))[1]:
        found += [waiting.subscriber_id for waiting in page[0]]
    assert sorted(found) == ids


def test_who_has_left_or_has_no_such_address_waits_for_nothing(store: Store) -> None:
    left_, gone, stays = subscribers(store, 3)
    leave_out(store, (left_, gone, stays), word(store))
    run(store, delete(t.subscription).where(t.subscription.c.subscriber_id == left_))
    run(store, sql_update(t.subscriber).where(t.subscriber.c.id == gone).values(gone_at=NOW))
    waiting, taken = take(store)
    assert [each.subscriber_id for each in waiting] == [stays]
    assert (taken, left(store)) == (3, 0)


def test_of_two_nodes_one_takes_him_and_the_other_does_not_wait(store: Store) -> None:
    ids = subscribers(store, 4)
    leave_out(store, ids, word(store))
    with under_way(store, taking(most=2)) as one:
        other, _ = take(store, most=4)
    both = [each.subscriber_id for each in (*one.result()[0], *other)]
    rest = [each.subscriber_id for each in take(store)[0]]
    assert sorted(both + rest) == ids
    assert len(set(both + rest)) == 4


def test_a_write_that_fails_forgets_of_nobody_that_he_waits(store: Store) -> None:
    leave_out(store, subscribers(store, 2), word(store))

    def breaks(connection: Connection) -> None:
        taking()(connection)
        raise RuntimeError("the machine fails here")

    assert isinstance(store.write(breaks).exception(), RuntimeError)
    assert left(store) == 2


def test_of_a_restored_backup_nobody_is_written_what_was_to_be_told_then(store: Store) -> None:
    [kim] = subscribers(store, 1)
    leave_out(store, [kim], word(store))
    letter = {"address": "+46700000000", "subject": "", "body": "Bekräfta", "language": "sv"}
    times = {"now": NOW, "not_after": NOW + 60 * MINUTE}
    queue = partial(personal.queue, vault=store.vault, channel="sms", what="confirm")
    store.write(partial(queue, **letter, **times)).result()
    revive = partial(reviving.revive, used=reviving.Used(), erasures=(), now=NOW)
    store.write(revive).result()
    assert left(store) == 0
    claim = partial(personal.claim, channel="sms", now=NOW + MINUTE, lease=MINUTE)
    assert store.write(claim).result() == ()
