"""Subscribers: taken once however often and by however many they are sent in, and gone for good when they say so."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, wait
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text

from broadcaster.store import (
    Rank,
    Store,
    audit,
    erasures,
    subscribers,
    tables as t,
)
from broadcaster.store.erasures import Erasure
from broadcaster.store.subscribers import NewSubscriber, Taken
from broadcaster.testing.meanwhile import under_way, wait_until_held_up

NOW = datetime.now(UTC)  # leases follow the clock of PostgreSQL, which no test can set
NORRA, SODRA = ("norra-ekbyn",), ("södra-ekbyn",)
KIM, ROBIN, ALEX = "+46701740605", "+46701740606", "+46701740607"
NOTHING = Taken(0, 0, frozenset())


def one(
    store: Store,
    address: str,
    areas: Iterable[str] = NORRA,
    language: str = "sv",
    channel: str = "sms",
) -> NewSubscriber:
    vault = store.vault
    return NewSubscriber(
        digest=vault.digest(channel, address),
        address=vault.seal(channel, address),
        language=language,
        areas=frozenset(areas),
    )


def begin(store: Store, channel: str = "sms", now: datetime = NOW) -> int:
    run = partial(subscribers.begin_import, now=now, actor="Kim", channel=channel)
    named = partial(run, source="Kundregister 2026", legal_basis="Ellagen")
    return store.write(named, Rank.IMPORT).result()


def taking(
    store: Store,
    import_id: int,
    *rows: NewSubscriber,
    again: bool = False,
    channel: str = "sms",
) -> Any:
    """The write that takes a batch."""
    return partial(
        subscribers.take,
        import_id=import_id,
        channel=channel,
        key_id=store.vault.key_id,
        rows=rows,
        again=again,
    )


def take(store: Store, *rows: NewSubscriber, **how: Any) -> Taken:
    import_id = begin(store, how.get("channel", "sms"))
    taken: Taken = store.write(taking(store, import_id, *rows, **how), Rank.IMPORT).result()
    return taken


def removing(store: Store, address: str, areas: Sequence[str] | None = None) -> Any:
    """The write that ends subscriptions."""
    digest = store.vault.digest("sms", address)
    return partial(
        subscribers.remove, channel="sms", digest=digest, areas=areas, now=NOW, actor="Kim"
    )


def erasing(store: Store, address: str) -> Any:
    """The write that erases an address."""
    digest = store.vault.digest("sms", address)
    return partial(subscribers.erase, channel="sms", digest=digest, now=NOW, actor="Kim")


def erase(store: Store, address: str) -> bool:
    gone: bool = store.write(erasing(store, address)).result()
    return gone


def people(store: Store, areas: Iterable[str] | None = None) -> dict[str, tuple[str, str]]:
    """Address → (language, areas) of everyone there is, by way of the export."""
    found, after = {}, 0
    while kept := store.read(partial(subscribers.page, after=after, areas=areas)):
        for row in kept:
            found[store.vault.open(row.channel, row.address)] = row.language, " ".join(row.areas)
        after = kept[-1].id
    return found


def numbers(count: int, first: int = 0) -> list[str]:
    return [f"+4670{number:07}" for number in range(first, first + count)]


# ---------------------------------------------------------------------------------------------------------- taken
def test_a_batch_is_taken_and_opens_again_with_the_key(store: Store) -> None:
    both = (*NORRA, *SODRA)
    assert take(store, one(store, KIM), one(store, ROBIN, both, "en")) == Taken(2, 0, frozenset())
    assert people(store) == {KIM: ("sv", "norra-ekbyn"), ROBIN: ("en", "norra-ekbyn södra-ekbyn")}


def test_the_same_batch_again_changes_nothing(store: Store) -> None:
    batch = one(store, KIM), one(store, ROBIN, SODRA)
    take(store, *batch)
    before = people(store)
    assert take(store, *batch) == NOTHING
    assert people(store) == before


def test_who_is_known_gets_what_he_lacks_and_loses_nothing(store: Store) -> None:
    take(store, one(store, KIM), one(store, ROBIN))
    assert take(store, one(store, KIM, SODRA), one(store, ROBIN, language="en")).changed == 2
    assert people(store) == {KIM: ("sv", "norra-ekbyn södra-ekbyn"), ROBIN: ("en", "norra-ekbyn")}


def test_people_come_out_in_the_order_in_which_they_were_sent_in(store: Store) -> None:
    mixed = [ROBIN, *reversed(numbers(20)), KIM, ALEX]
    take(store, *(one(store, address) for address in mixed))
    assert list(people(store)) == mixed


def test_one_address_on_two_channels_is_two_subscribers(store: Store) -> None:
    take(store, one(store, KIM))
    assert take(store, one(store, KIM, channel="spare"), channel="spare").added == 1
    counted = store.read(subscribers.count)
    assert counted == [("sms", "norra-ekbyn", 1), ("spare", "norra-ekbyn", 1)]


def test_an_empty_batch_is_nothing(store: Store) -> None:
    assert take(store) == NOTHING


def test_an_import_says_who_brought_what_from_where_and_what_came_of_it(store: Store) -> None:
    import_id = begin(store)
    counts = {"added": 2, "changed": 1, "refused": 3}
    end = partial(subscribers.end_import, import_id=import_id, now=NOW, actor="Kim", counts=counts)
    store.write(end).result()
    run = store.read(lambda c: c.execute(select(t.import_run)).mappings().one())
    assert {name: run[name] for name in counts} == counts
    assert (run["actor"], run["source"], run["legal_basis"]) == (
        *("Kim", "Kundregister 2026", "Ellagen"),
    )
    (noted,) = store.read(audit.listing)
    assert (noted.act, noted.subject, noted.detail) == (
        "import subscribers",
        str(import_id),
        counts,
    )


# --------------------------------------------------------------------------------------------------------- leaving
def test_who_leaves_one_area_keeps_the_other(store: Store) -> None:
    take(store, one(store, KIM, (*NORRA, *SODRA)))
    assert store.write(removing(store, KIM, NORRA)).result() == 1
    assert people(store) == {KIM: ("sv", "södra-ekbyn")}
    assert store.write(removing(store, KIM, NORRA)).result() == 0


def test_who_is_no_subscriber_is_told_from_one_without_subscriptions(store: Store) -> None:
    assert store.write(removing(store, KIM)).result() is None
    take(store, one(store, KIM))
    assert [store.write(removing(store, KIM)).result() for _ in range(2)] == [1, 0]


def test_no_list_brings_back_who_said_no_unless_he_asks_for_it(store: Store) -> None:
    take(store, one(store, KIM))
    store.write(removing(store, KIM)).result()
    declined = frozenset({store.vault.digest("sms", KIM)})
    assert take(store, one(store, KIM, SODRA), one(store, ROBIN)) == Taken(1, 0, declined)
    assert people(store)[KIM] == ("sv", "")
    assert take(store, one(store, KIM, SODRA), again=True) == Taken(0, 1, frozenset())
    assert people(store)[KIM] == ("sv", "södra-ekbyn")


def test_who_asked_to_come_back_is_not_erased_by_a_restore(store: Store) -> None:
    take(store, one(store, KIM))
    store.write(removing(store, KIM)).result()
    said_no = Erasure(t.microseconds(NOW), store.vault.digest("sms", KIM))
    import_id = begin(store, now=NOW + timedelta(hours=1))
    store.write(taking(store, import_id, one(store, KIM), again=True)).result()
    assert store.write(partial(erasures.replay, erasures=[said_no])).result() == 0
    assert people(store) == {KIM: ("sv", "norra-ekbyn")}


def test_who_is_erased_leaves_nothing_behind_and_nobody_else_goes(store: Store) -> None:
    take(store, one(store, KIM, (*NORRA, *SODRA)), one(store, ROBIN))
    take(store, one(store, KIM, channel="spare"), channel="spare")
    assert erase(store, KIM)
    assert not erase(store, KIM)
    rest = select(func.count()).select_from(t.subscription)
    assert store.read(lambda c: c.scalar(rest)) == 2
    assert store.read(subscribers.count) == [("sms", "norra-ekbyn", 1), ("spare", "norra-ekbyn", 1)]


def test_a_replayed_erasure_takes_the_subscriptions_along_and_is_done_once(store: Store) -> None:
    take(store, one(store, KIM, (*NORRA, *SODRA)), one(store, ROBIN))
    listed = Erasure(t.microseconds(NOW) + 1, store.vault.digest("sms", KIM))
    again = partial(erasures.replay, erasures=[listed])
    assert [store.write(again).result() for _ in range(2)] == [1, 0]
    assert store.read(subscribers.count) == [("sms", "norra-ekbyn", 1)]


def test_who_comes_and_goes_is_noted_without_his_address(store: Store) -> None:
    take(store, one(store, KIM))
    store.write(removing(store, KIM)).result()
    erase(store, KIM)
    rows = store.read(audit.listing)
    assert [row.act for row in rows] == ["remove subscriber", "erase subscriber"]
    said = str([(row.subject, row.detail) for row in rows])
    assert KIM not in said
    assert store.vault.digest("sms", KIM).hex() not in said


# --------------------------------------------------------------------------------------------------------- reading
def test_counts_are_by_channel_and_area_and_only_of_what_is_asked_for(store: Store) -> None:
    take(store, one(store, KIM, (*NORRA, *SODRA)), one(store, ROBIN, SODRA))
    count = partial(subscribers.count)
    assert store.read(count) == [("sms", "norra-ekbyn", 1), ("sms", "södra-ekbyn", 2)]
    assert store.read(partial(count, areas=SODRA)) == [("sms", "södra-ekbyn", 2)]
    assert store.read(partial(count, areas=())) == []


def test_pages_hold_everyone_once_also_when_people_leave_in_between(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribers, "_PAGE", 3)
    take(store, *(one(store, number) for number in numbers(8)))
    assert sorted(people(store)) == numbers(8)
    first = store.read(partial(subscribers.page, after=0, areas=None))
    erase(store, store.vault.open("sms", first[-1].address))
    rest = store.read(partial(subscribers.page, after=first[-1].id, areas=None))
    assert [row.id for row in rest] == sorted(row.id for row in rest)
    assert not {row.id for row in first} & {row.id for row in rest}
    assert len(rest) == 3


def test_a_page_for_one_area_shows_nothing_of_the_others(store: Store) -> None:
    take(store, one(store, KIM, (*NORRA, *SODRA)), one(store, ROBIN, SODRA))
    assert people(store, NORRA) == {KIM: ("sv", "norra-ekbyn"), ROBIN: ("sv", "")}


# ------------------------------------------------------------------------------------------------ two writers at once
def test_two_imports_of_the_same_people_take_each_of_them_once(store: Store) -> None:
    first, second = begin(store), begin(store)
    everyone = numbers(50)
    rows = [one(store, number) for number in everyone]
    turned = [one(store, number, SODRA) for number in reversed(everyone)]
    with under_way(store, taking(store, first, *rows)) as one_import:
        other_import = store.write(taking(store, second, *turned))
        wait_until_held_up(store, other_import)
    assert one_import.result(10).added + other_import.result(10).added == 50
    assert people(store) == dict.fromkeys(everyone, ("sv", "norra-ekbyn södra-ekbyn"))


def test_two_imports_that_meet_halfway_do_not_wait_for_each_other(store: Store) -> None:
    first, between, second = begin(store), begin(store), begin(store)
    kim, robin, alex = (one(store, address) for address in (KIM, ROBIN, ALEX))
    runs: list[int] = []

    def counted(import_id: int, *rows: NewSubscriber) -> Any:
        take_them = taking(store, import_id, *rows)

        def work(connection: Connection) -> Taken:
            runs.append(import_id)
            taken: Taken = take_them(connection)
            return taken

        return work

    # Both have come as far as the one in the middle when it is let go.
    with under_way(store, taking(store, between, robin)):
        imports = [
            store.write(counted(first, kim, robin, alex)),
            store.write(counted(second, alex, robin, kim)),
        ]
        wait_until_both_are_held_up(store, imports)
    assert sum(future.result(20).added for future in imports) == 2
    assert sorted(runs) == [first, second]
    assert set(people(store)) == {KIM, ROBIN, ALEX}


def wait_until_both_are_held_up(store: Store, imports: Sequence[Future[Taken]]) -> None:
    waiting = select(func.count()).select_from(text("pg_locks")).where(text("NOT granted"))
    deadline = time.monotonic() + 20
    while not all(future.done() for future in imports):
        if not store.is_sqlite and store.read(lambda c: c.scalar(waiting)) == len(imports):
            return
        assert time.monotonic() < deadline, "they neither ended nor waited"
        wait(imports, 0.01)


def test_who_says_no_while_a_list_is_taken_stays_away(store: Store) -> None:
    take(store, one(store, KIM))
    import_id = begin(store)
    with under_way(store, removing(store, KIM)):
        taken = store.write(taking(store, import_id, one(store, KIM, SODRA)))
        wait_until_held_up(store, taken)
    assert taken.result(10) == Taken(0, 0, frozenset({store.vault.digest("sms", KIM)}))
    assert people(store) == {KIM: ("sv", "")}


def test_who_says_no_just_after_a_list_was_taken_is_out_of_all_of_it(store: Store) -> None:
    take(store, one(store, KIM))
    import_id = begin(store)
    with under_way(store, taking(store, import_id, one(store, KIM, SODRA))):
        removed = store.write(removing(store, KIM))
        wait_until_held_up(store, removed)
    assert removed.result(10) == 2
    assert people(store) == {KIM: ("sv", "")}


def test_who_is_erased_while_a_list_is_taken_is_gone_or_whole_and_no_import_breaks(
    store: Store,
) -> None:
    take(store, one(store, KIM), one(store, ROBIN))
    import_id = begin(store)
    with under_way(store, erasing(store, KIM)):
        batch = one(store, KIM, SODRA), one(store, ROBIN, SODRA)
        taken = store.write(taking(store, import_id, *batch))
        wait_until_held_up(store, taken)
    # Whoever reads the list of erasures decides whether he may be taken; the store takes him anew, with his areas.
    assert taken.result(10) == Taken(1, 1, frozenset())
    assert people(store) == {KIM: ("sv", "södra-ekbyn"), ROBIN: ("sv", "norra-ekbyn södra-ekbyn")}


def test_who_is_erased_just_after_a_list_was_taken_is_gone(store: Store) -> None:
    take(store, one(store, KIM), one(store, ROBIN))
    import_id = begin(store)
    batch = one(store, KIM, SODRA), one(store, ROBIN, SODRA)
    with under_way(store, taking(store, import_id, *batch)):
        erased = store.write(erasing(store, KIM))
        wait_until_held_up(store, erased)
    assert erased.result(10)
    assert people(store) == {ROBIN: ("sv", "norra-ekbyn södra-ekbyn")}
