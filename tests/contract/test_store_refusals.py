"""Which channels refuse one word after the other: known of each by itself, however much goes out on the others."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import update as sql_update

from broadcaster.domain.delivery import State
from broadcaster.store import Store, refusals, tables as t
from broadcaster.store.intents import Accepted
from broadcaster.store.refusals import Refusing
from broadcaster.testing.builders import letters as letters_by, post, tell
from broadcaster.testing.clock import NOON

CHANNELS = ("hook", "busy", "sms", "duty")


def ended(
    store: Store, told: Accepted, channel: str, state: State, at: datetime, detail: str = "no"
) -> None:
    """What came of an update on a channel."""
    accepted_at = at if state in (State.ACCEPTED, State.CONFIRMED, State.BOUNCED) else None
    mine = t.delivery.c.id.in_(told.delivery_ids), t.delivery.c.channel == channel
    values = {"state": state, "ended_at": at, "detail": detail, "accepted_at": accepted_at}
    change = sql_update(t.delivery).where(*mine).values(values)
    store.write(lambda c: c.execute(change).close()).result()


def found(store: Store, names: Collection[str] = CHANNELS) -> dict[str, Refusing]:
    return dict(store.read(partial(refusals.refusing, names=names)))


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def said(store: Store, state: State, minutes: int, channel: str = "hook") -> Accepted:
    told = tell(store, post(channel))
    ended(store, told, channel, state, at(minutes))
    return told


def test_two_refusals_in_a_row_are_a_trouble_since_the_first_of_them(store: Store) -> None:
    said(store, State.ACCEPTED, 1)
    said(store, State.FAILED, 2)
    assert found(store) == {}
    said(store, State.BOUNCED, 3)
    assert found(store) == {"hook": Refusing("A3-1", "no", at(2))}
    assert found(store, ["busy"]) == {}


def test_what_was_refused_before_a_busy_channel_said_much_is_known_still(store: Store) -> None:
    for minutes in (1, 2):
        said(store, State.FAILED, minutes)
    for minutes in range(3, refusals.LOOKED_AT + 5):
        said(store, State.ACCEPTED, minutes, "busy")
    assert found(store) == {"hook": Refusing("A2-1", "no", at(1))}


def test_an_old_word_that_is_sent_again_and_accepted_ends_it(store: Store) -> None:
    first = said(store, State.FAILED, 1)
    for minutes in range(2, refusals.LOOKED_AT + 5):
        said(store, State.FAILED, minutes)
    assert set(found(store)) == {"hook"}
    ended(store, first, "hook", State.ACCEPTED, at(200))
    assert found(store) == {}


def test_refused_notices_to_staff_are_known_behind_all_that_residents_were_told(
    store: Store,
) -> None:
    for minutes in range(1, refusals.LOOKED_AT + 2):
        said(store, State.CONFIRMED, minutes, "duty")
    log = None
    for minutes in (100, 101):
        log = tell(store, post("duty"), after=log, rest={"staff_log": True})
        ended(store, log, "duty", State.FAILED, at(minutes))
    assert set(found(store)) == {"duty"}


def test_letters_to_nobody_neither_begin_it_nor_end_it(store: Store) -> None:
    for minutes in (1, 2):
        told = tell(store, letters_by("sms"))
        ended(store, told, "sms", State.FAILED, at(minutes))
    nobody = tell(store, letters_by("sms"))
    ended(store, nobody, "sms", State.ACCEPTED, at(3))
    assert set(found(store)) == {"sms"}


@pytest.mark.parametrize("state", [State.SUPERSEDED, State.WITHDRAWN, State.WAITING])
def test_refusals_are_known_behind_all_that_never_was_tried(store: Store, state: State) -> None:
    for minutes in (1, 2):
        said(store, State.FAILED, minutes)
    for minutes in range(3, refusals.LOOKED_AT + 5):
        said(store, state, minutes)
    assert found(store) == {"hook": Refusing("A2-1", "no", at(1))}


def test_and_behind_all_the_letters_to_nobody(store: Store) -> None:
    for minutes in range(1, refusals.LOOKED_AT + 5):
        told = tell(store, letters_by("sms"))
        ended(store, told, "sms", State.FAILED if minutes < 3 else State.ACCEPTED, at(minutes))
    assert found(store) == {"sms": Refusing("A2-1", "no", at(1))}


def test_an_old_word_that_was_sent_again_is_found_behind_all_the_letters_to_nobody(
    store: Store,
) -> None:
    told = [tell(store, letters_by("sms")) for _ in range(2 * refusals.LOOKED_AT + 5)]
    ended(store, told[0], "sms", State.ACCEPTED, at(200))
    reached = sql_update(t.delivery).where(t.delivery.c.id.in_(told[0].delivery_ids))
    store.write(lambda c: c.execute(reached.values(total=1, accepted=1)).close()).result()
    for minutes, word in enumerate(told[1:]):
        state = State.FAILED if minutes < refusals.LOOKED_AT else State.ACCEPTED
        ended(store, word, "sms", state, at(minutes if state is State.FAILED else 300 + minutes))
    assert found(store) == {}
