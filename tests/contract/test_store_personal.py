"""Letters to one person: each goes once, also after a crash, unless a repeat harms nobody; what has ended is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, update as sql_update

from broadcaster.store import Store, StoreKeyWrong, personal, tables as t
from broadcaster.store.personal import Personal

NOW = datetime.now(UTC)  # leases follow the clock of PostgreSQL, which no test can set
LEASE, SECOND, HOUR = timedelta(seconds=30), timedelta(seconds=1), timedelta(hours=1)
KIM, ROBIN = "+46701740605", "+46701740606"


def hand_in(store: Store, what: str = "answer", address: str = KIM, **other: Any) -> int:
    letter = {"subject": "", "body": "Du får inga fler besked.", "language": "sv"}
    times = {"now": NOW - HOUR, "not_after": NOW + HOUR}
    given = {"channel": "sms", "what": what, "address": address} | letter | times | other
    return store.write(partial(personal.queue, vault=store.vault, **given)).result()


def claim(store: Store, now: datetime = NOW, most: int = 20) -> list[Personal]:
    work = partial(personal.claim, channel="sms", now=now, lease=LEASE, most=most)
    return list(store.write(work).result())


def told(store: Store, act: Callable[..., bool], letter: Personal, *said: Any) -> bool:
    return store.write(lambda connection: act(connection, letter, *said)).result()


def rows(store: Store) -> list[Any]:
    table = t.personal_letter
    return list(store.read(lambda c: c.execute(select(table).order_by(table.c.id)).all()))


def states(store: Store) -> list[str]:
    return [row.state for row in rows(store)]


def leases_run_out(store: Store) -> None:
    """As if so much time had gone by for whoever held them."""
    gone = {"lease_until": NOW - SECOND, "due_at": NOW - SECOND}
    sending = t.personal_letter.c.state == "sending"
    store.write(
        lambda c: c.execute(sql_update(t.personal_letter).where(sending).values(**gone))
    ).result()


def test_a_letter_is_claimed_once_and_says_what_was_handed_in(store: Store) -> None:
    hand_in(store, subject="Bekräfta", body="Öppna länken")
    [letter] = claim(store)
    assert letter.opened(store.vault) == (KIM, "Bekräfta", "Öppna länken")
    assert (letter.what, letter.language, letter.attempts) == ("answer", "sv", 1)
    assert claim(store) == []


def test_neither_address_nor_words_stand_in_the_store_or_in_a_line_of_the_log(store: Store) -> None:
    hand_in(store, body="hemlig-token")
    [row], [letter] = rows(store), claim(store)
    for shown in (repr(tuple(row)), repr(letter)):
        assert KIM not in shown
        assert "hemlig" not in shown


def test_a_letter_of_another_channel_is_not_claimed_and_does_not_open_as_one_of_this(
    store: Store,
) -> None:
    hand_in(store, channel="email", address="kim@example.org")
    assert claim(store) == []
    store.write(lambda c: c.execute(sql_update(t.personal_letter).values(channel="sms"))).result()
    [letter] = claim(store)
    with pytest.raises(StoreKeyWrong):
        letter.opened(store.vault)


def test_only_known_kinds_of_letters_are_taken(store: Store) -> None:
    with pytest.raises(ValueError, match="advert"):
        hand_in(store, "advert")


def test_who_says_stop_is_answered_before_every_summary_however_old(store: Store) -> None:
    for number in range(5):
        hand_in(store, "summary", now=NOW - 2 * HOUR, body=str(number))
    hand_in(store, "manage")
    hand_in(store, "confirm")
    hand_in(store, "answer")
    found = [letter.what for letter in claim(store, most=4)]
    assert found == ["answer", "confirm", "manage", "summary"]


def test_what_is_not_due_yet_waits_and_says_when_it_is(store: Store) -> None:
    hand_in(store)
    [letter] = claim(store)
    assert told(store, personal.put_back, letter, NOW + HOUR / 2, "the gateway is full")
    assert claim(store) == []
    due = store.read(partial(personal.next_due_at, channel="sms"))
    assert due == NOW + HOUR / 2
    assert rows(store)[0].detail == "the gateway is full"
    [again] = claim(store, NOW + HOUR / 2) if store.is_sqlite else [letter]
    assert again.attempts == (2 if store.is_sqlite else 1)


def test_of_what_has_ended_neither_address_nor_words_are_kept(store: Store) -> None:
    for what in ("answer", "confirm", "summary"):
        hand_in(store, what)
    first, second, third = claim(store)
    assert told(store, personal.end, first, "accepted", NOW)
    assert told(store, personal.end, second, "failed", NOW, "no such number")
    assert told(store, personal.end, third, "uncertain", NOW, "no answer")
    assert states(store) == ["accepted", "failed", "uncertain"]
    assert {(row.address, row.text) for row in rows(store)} == {(b"", b"")}
    assert store.read(partial(personal.next_due_at, channel="sms")) is None
    assert claim(store) == []


@pytest.mark.parametrize("what", ["answer", "confirm"])
def test_after_a_crash_a_letter_whose_repeat_harms_nobody_goes_again(
    store: Store, what: str
) -> None:
    hand_in(store, what)
    [first] = claim(store)
    leases_run_out(store)
    [again] = claim(store)
    assert again.attempts == 2
    assert not told(store, personal.end, first, "accepted", NOW), "its lease is another's by now"
    assert told(store, personal.end, again, "accepted", NOW)


@pytest.mark.parametrize("what", ["summary", "manage"])
def test_after_a_crash_any_other_letter_is_in_doubt_and_goes_to_nobody_twice(
    store: Store, what: str
) -> None:
    hand_in(store, what)
    [first] = claim(store)
    leases_run_out(store)
    assert claim(store) == []
    assert states(store) == ["uncertain"]
    assert not told(store, personal.end, first, "accepted", NOW)


def test_the_only_daemon_of_a_store_looks_at_once_at_what_was_under_way(store: Store) -> None:
    hand_in(store)
    claim(store)
    assert claim(store) == []
    store.write(personal.take_back).result()
    assert [letter.attempts for letter in claim(store)] == [2]


def test_what_is_past_its_time_is_never_claimed(store: Store) -> None:
    hand_in(store, not_after=NOW - SECOND)
    hand_in(store, "summary", not_after=NOW - SECOND)
    assert claim(store) == []
    assert states(store) == ["expired", "expired"]
    assert {row.text for row in rows(store)} == {b""}


def test_a_letter_under_way_when_its_time_was_over_is_in_doubt(store: Store) -> None:
    hand_in(store, not_after=NOW + SECOND)
    claim(store)
    leases_run_out(store)
    assert claim(store, NOW + 2 * SECOND) == []
    assert states(store) == ["uncertain"]


def test_the_row_of_a_letter_is_kept_a_week_after_its_end(store: Store) -> None:
    for address in (KIM, ROBIN):
        hand_in(store, address=address)
    [letter, _] = claim(store)
    assert told(store, personal.end, letter, "accepted", NOW)
    later = NOW + timedelta(days=7)
    forget = partial(personal.forget_old, now=later)
    assert store.write(forget).result() == 0
    assert store.write(partial(personal.forget_old, now=later + SECOND)).result() == 1
    assert states(store) == ["sending"], "what is open is never forgotten"


def test_erasing_an_address_takes_every_letter_to_it_whatever_came_of_it(store: Store) -> None:
    for address in (KIM, KIM, ROBIN):
        hand_in(store, address=address)
    [first, second, other] = claim(store)
    assert told(store, personal.end, first, "accepted", NOW)
    work = partial(personal.erase, channel="sms", digest=store.vault.digest("sms", KIM))
    assert store.write(work).result() == 2
    assert not told(store, personal.put_back, second, NOW, "")
    assert told(store, personal.end, other, "accepted", NOW)


def test_a_claim_costs_the_same_beside_a_hundred_thousand_summaries(store: Store) -> None:
    """Read from the plan: an index range a kind, and no sorting."""
    if not store.is_sqlite:
        pytest.skip("the planner of PostgreSQL goes by the rows that are there")
    asked = {"channel": "sms", "what": "answer", "at": NOW, "most": 20}
    statement = personal._free().compile(
        dialect=store.read(lambda c: c.dialect), compile_kwargs={"render_postcompile": True}
    )
    values = statement.construct_params(asked)
    bound = tuple(
        t.microseconds(values[name]) if name.startswith("at") else values[name]
        for name in statement.positiontup or ()
    )
    plan = store.read(lambda c: c.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", bound).all())
    said = " ".join(str(row[3]) for row in plan)
    assert "ix_personal_letter_open (channel=? AND what=? AND due_at<?)" in said
