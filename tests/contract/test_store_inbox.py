"""What arrives is kept raw; what matches nothing yet is looked at again for a week."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import select

from broadcaster.channel import InboundRequest
from broadcaster.store import Store, inbox, tables as t
from broadcaster.testing.clock import NOON

WEEK = timedelta(days=7)
REQUEST = InboundRequest(
    method="POST",
    path="/in/sms",
    query="id=1",
    headers={"content-type": "text/plain"},
    body=b"\x00\xff\xe5",
    received_at=NOON,
)


def keep(store: Store) -> int:
    return store.write(partial(inbox.keep, channel="sms", request=REQUEST)).result()


def waiting(store: Store, now: datetime = NOON) -> list[int]:
    return [row.id for row in store.read(partial(inbox.waiting, now=now))]


def unmatched(store: Store, inbound_id: int, now: datetime) -> bool:
    return store.write(partial(inbox.unmatched, inbound_id=inbound_id, now=now)).result()


def states(store: Store) -> list[tuple[str, str]]:
    query = select(t.inbound.c.state, t.inbound.c.detail).order_by(t.inbound.c.id)
    return [(row.state, row.detail) for row in store.read(lambda c: c.execute(query).all())]


def test_a_request_is_given_back_as_it_came_byte_for_byte(store: Store) -> None:
    keep(store)
    (row,) = store.read(partial(inbox.waiting, now=NOON))
    assert (row.channel, row.request) == ("sms", REQUEST)


def test_keeping_a_request_wakes_whoever_understands_it(store: Store) -> None:
    from threading import Event

    woken = Event()
    store.on_wake(woken.set)
    if store._listener:  # what is notified before it listens is rightly not heard
        assert store._listener.listening.wait(10)
    keep(store)
    assert woken.wait(10)


def test_what_was_understood_or_cannot_be_is_not_shown_again(store: Store) -> None:
    first, second = keep(store), keep(store)
    store.write(partial(inbox.done, inbound_id=first)).result()
    store.write(partial(inbox.unreadable, inbound_id=second, why="no id")).result()
    assert waiting(store, NOON + WEEK) == []
    assert states(store) == [("done", ""), ("unreadable", "no id")]


def test_an_early_receipt_is_looked_at_again_with_growing_pauses_for_seven_days(
    store: Store,
) -> None:
    inbound_id, now, pauses = keep(store), NOON, []
    while unmatched(store, inbound_id, now):
        assert waiting(store, now) == []
        (due_at,) = store.read(lambda c: c.execute(select(t.inbound.c.due_at)).scalars().all())
        assert waiting(store, due_at) == [inbound_id]
        pauses.append(due_at - now)
        now = due_at
    assert pauses == sorted(pauses)
    assert pauses[0] <= timedelta(seconds=10)
    assert NOON + WEEK - timedelta(hours=6) <= now < NOON + WEEK
    assert len(pauses) < 60
    assert waiting(store, NOON + WEEK) == []
    assert states(store) == [("unmatched", "no letter answers to it")]


def test_two_nodes_that_read_the_same_request_settle_it_once(store: Store) -> None:
    inbound_id = keep(store)
    store.write(partial(inbox.done, inbound_id=inbound_id)).result()
    assert not unmatched(store, inbound_id, NOON)
    store.write(partial(inbox.unreadable, inbound_id=inbound_id, why="late")).result()
    assert states(store) == [("done", "")]


def test_what_arrived_more_than_a_week_ago_is_forgotten(store: Store) -> None:
    keep(store)
    assert store.write(partial(inbox.forget_old, now=NOON + WEEK)).result() == 0
    later = NOON + WEEK + timedelta(seconds=1)
    assert store.write(partial(inbox.forget_old, now=later)).result() == 1
    assert states(store) == []


def test_the_oldest_are_taken_first_and_no_more_than_asked_for(store: Store) -> None:
    ids = [keep(store) for _ in range(3)]
    rows = store.read(partial(inbox.waiting, now=NOON, limit=2))
    assert [row.id for row in rows] == ids[:2]
