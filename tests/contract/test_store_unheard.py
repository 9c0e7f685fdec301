"""Which words of an incident nobody has read on a channel, on either database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update as sql_update

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.store import Store, tables as t, unheard
from broadcaster.store.accepting import delivery_row
from broadcaster.store.intents import Accepted, NewDelivery
from broadcaster.testing.builders import board, letters, post, tell

NOW = datetime.now(UTC)


def words(store: Store, *planned: NewDelivery, **said: Any) -> Accepted:
    return tell(store, *planned, now=NOW, **said)


def change(store: Store, told: Accepted, channel: str, **values: Any) -> None:
    mine = sql_update(t.delivery).where(
        t.delivery.c.update_id == told.update_id, t.delivery.c.channel == channel
    )
    store.write(lambda c: c.execute(mine.values(**values)).close()).result()


def never_read(store: Store) -> dict[str, list[bool]]:
    """By channel, of each word nobody has read there, whether it waits."""
    found = store.read(lambda c: unheard.of_incident(c, 1))
    return {channel: [word.waits for word in words] for channel, words in found.items()}


def test_what_waits_or_came_to_nothing_was_read_by_nobody(store: Store) -> None:
    told = words(store, post("social"), post("x"), letters("sms"), board("page"))
    change(store, told, "x", state=State.EXPIRED)
    assert never_read(store) == {"social": [True], "x": [False], "sms": [True]}


@pytest.mark.parametrize(
    "state", [State.SENDING, State.ACCEPTED, State.CONFIRMED, State.UNCERTAIN, State.WITHDRAWN]
)
def test_what_may_have_been_read_is_not_among_them(store: Store, state: State) -> None:
    change(store, words(store, post("social")), "social", state=state)
    assert never_read(store) == {}


@pytest.mark.parametrize("counted", ["accepted", "uncertain"])
def test_nor_are_letters_of_which_some_went_out(store: Store, counted: str) -> None:
    told = words(store, letters("sms"))
    change(store, told, "sms", state=State.EXPIRED, **{counted: 1})
    assert never_read(store) == {}


@pytest.mark.parametrize("total", [2, 0], ids=["everybody had enough", "nobody was there"])
def test_nor_letters_for_which_nobody_was_left_while_there_was_time(
    store: Store, total: int
) -> None:
    told = words(store, letters("sms"))
    at = {"ended_at": NOW, "not_after": NOW + timedelta(hours=1)}
    counts = {"expanded": True, "total": total, "skipped": total}
    change(store, told, "sms", state=State.EXPIRED, **counts, **at)
    assert never_read(store) == {}
    change(store, told, "sms", ended_at=at["not_after"])
    assert never_read(store) == {"sms": [False]}  # its time was over before the channel came back


def test_nor_a_thread_whose_first_post_stands(store: Store) -> None:
    told = words(store, post("social", 2))
    change(store, told, "social", state=State.FAILED)
    assert never_read(store) == {"social": [False]}
    first = sql_update(t.step).where(t.step.c.position == 0).values(outcome="accepted")
    store.write(lambda c: c.execute(first).close()).result()
    assert never_read(store) == {}


def test_nor_what_another_channel_took_over(store: Store) -> None:
    told = words(store, letters("sms"))
    change(store, told, "sms", state=State.FAILED)
    [first] = told.delivery_ids
    row = delivery_row(told.update_id, told.incident_id, told.number, "mail", letters("mail").shape)
    row |= {"priority": 2, "life_safety": False, "due_at": NOW, "not_after": NOW, "fallback": []}
    row |= {"fallback_for": first, "released": True, "state": State.ACCEPTED}
    store.write(lambda c: c.execute(insert(t.delivery).values(row)).close()).result()
    assert never_read(store) == {}


def test_what_was_read_ends_what_was_missed_before(store: Store) -> None:
    first = words(store, post("social"))
    told = words(store, post("social"), after=first, kind=Kind.UPDATE)
    change(store, told, "social", state=State.ACCEPTED)
    assert never_read(store) == {}
