"""Who a text goes to, and when that is settled: those who are there at its release, less who left or was erased since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select, update as sql_update

from broadcaster.domain.delivery import Counts, Variant
from broadcaster.domain.incident import Kind
from broadcaster.store import (
    Rank,
    Store,
    claiming,
    expanding,
    finishing,
    letters,
    subscribers,
    tables as t,
    tallying,
)
from broadcaster.store.claiming import Claim
from broadcaster.store.intents import Accepted, NewAudience
from broadcaster.store.letters import Job
from broadcaster.store.subscribers import NewSubscriber
from broadcaster.store.tallying import LetterRow
from broadcaster.testing import builders
from broadcaster.testing.meanwhile import under_way, wait_until_held_up

NOW = datetime.now(UTC)  # leases follow the clock of PostgreSQL, which no test can set
NORRA, SODRA = ("norra-ekbyn",), ("södra-ekbyn",)
KIM, ROBIN, ALEX = "+46701740605", "+46701740606", "+46701740607"


def taking(
    store: Store, *addresses: str, areas: Sequence[str] = NORRA, language: str = "sv"
) -> Any:
    """The write that takes a list of people who want to hear of the same areas."""
    rows = [
        NewSubscriber(
            digest=store.vault.digest("sms", address),
            address=store.vault.seal("sms", address),
            language=language,
            areas=frozenset(areas),
        )
        for address in addresses
    ]
    take_them = partial(subscribers.take, import_id=1, channel="sms", rows=rows, again=False)
    return partial(take_them, key_id=store.vault.key_id)


def take(store: Store, *addresses: str, **how: Any) -> None:
    store.write(taking(store, *addresses, **how), Rank.IMPORT).result()


def erasing(store: Store, address: str) -> Any:
    """The write that erases an address."""
    digest = store.vault.digest("sms", address)
    return partial(subscribers.erase, channel="sms", digest=digest, now=NOW, actor="Kim")


def numbers(count: int, first: int = 0) -> list[str]:
    return [f"+4670{number:07}" for number in range(first, first + count)]


def tell(store: Store, *audiences: NewAudience, **said: Any) -> Accepted:
    return builders.tell(store, builders.letters("sms", *audiences), **({"now": NOW} | said))


def claim(store: Store) -> Claim:
    """Claim the head of the channel."""
    head = partial(claiming.claim, channel="sms", node="norr", now=NOW, limit=1)
    (claimed,) = store.write(head).result()
    return claimed


def expand(store: Store) -> None:
    """Claim the head of the channel and turn its audience into jobs."""
    claimed = claim(store)
    step = partial(expanding.expand, delivery_id=claimed.id, lease_token=claimed.lease_token)
    while not store.write(partial(step, now=NOW, chunks=1)).result():
        pass


def written_to(store: Store) -> list[str]:
    """The addresses in the jobs, in order; who is there twice is here twice."""
    jobs = store.read(lambda c: list(c.scalars(select(t.job.c.subscribers).order_by(t.job.c.id))))
    ids = [number for job in jobs for number in job]
    sealed = store.read(partial(letters.addresses, subscriber_ids=ids))
    return sorted(store.vault.open("sms", sealed[key].address) for key in ids if key in sealed)


def claim_job(connection: Connection) -> Job | None:
    return letters.claim_job(connection, "sms", "norr", NOW, "first")


def send(store: Store, outcomes: Sequence[str]) -> None:
    """Send one job with these outcomes and end its delivery."""

    def work(connection: Connection) -> None:
        job = claim_job(connection)
        assert job is not None
        rows = [
            LetterRow(job.id, position, job.delivery_id, job.subscribers[position], outcome)
            for position, outcome in enumerate(outcomes)
        ]
        tallying.flush_rows(connection, rows, "first", NOW)
        assert letters.end_job(connection, job, None, NOW)
        assert finishing.finish(connection, "sms", NOW)

    store.write(work).result()


def test_as_many_are_reached_as_will_be_written_to(store: Store) -> None:
    both = (*NORRA, *SODRA)
    take(store, KIM, areas=both)
    take(store, ROBIN, areas=SODRA, language="en")
    take(store, ALEX)
    everyone = NewAudience(variant=Variant.NEWS, areas=both)
    reach = partial(subscribers.reached, channel="sms", group=everyone, incident_id=1)
    assert store.read(reach) == {"sv": 2, "en": 1}
    tell(store, everyone, areas=both)
    expand(store)
    assert written_to(store) == [KIM, ROBIN, ALEX]


def test_a_correction_reaches_who_had_the_text_and_the_news_the_others(store: Store) -> None:
    take(store, KIM, ROBIN, ALEX)
    told = tell(store)
    expand(store)
    send(store, ["accepted", "uncertain", "failed"])
    had = NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,))
    rest = NewAudience(variant=Variant.NEWS, areas=NORRA, had_not=(1,))
    reach = partial(subscribers.reached, channel="sms", incident_id=told.incident_id)
    assert store.read(partial(reach, group=had)) == {"sv": 2}
    assert store.read(partial(reach, group=rest)) == {"sv": 1}
    assert store.read(partial(reach, group=had, channel="spare")) == {}


@pytest.mark.parametrize("known", [True, False])
def test_who_comes_to_the_area_after_the_release_gets_the_next_text(
    store: Store, known: bool
) -> None:
    take(store, KIM)
    if known:
        take(store, ROBIN, areas=SODRA)
    told = tell(store)
    take(store, ROBIN)
    expand(store)
    assert written_to(store) == [KIM]
    send(store, ["accepted"])
    tell(store, after=told, kind=Kind.UPDATE)
    expand(store)
    assert written_to(store) == [KIM, KIM, ROBIN]


def test_who_leaves_the_area_after_the_release_gets_nothing(store: Store) -> None:
    take(store, KIM, ROBIN)
    tell(store)
    leave = partial(subscribers.remove, channel="sms", areas=None, now=NOW, actor="Kim")
    store.write(partial(leave, digest=store.vault.digest("sms", KIM))).result()
    expand(store)
    assert written_to(store) == [ROBIN]


def test_who_is_erased_after_his_letter_still_counts_and_gets_no_correction(store: Store) -> None:
    take(store, KIM, ROBIN)
    told = tell(store)
    expand(store)
    send(store, ["accepted", "accepted"])
    assert store.write(erasing(store, KIM)).result()
    counts = store.read(partial(finishing.read_counts, delivery_id=1))
    assert counts == Counts(total=2, accepted=2)
    had = NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,))
    tell(store, had, after=told, kind=Kind.CORRECTION, corrects=1)
    store.write(lambda c: c.execute(sql_update(t.job).values(subscribers=[])).close()).result()
    expand(store)
    assert written_to(store) == [ROBIN]


# ------------------------------------------------------------------------------------------------ two writers at once
def test_a_list_taken_while_a_text_goes_out_holds_nobody_up_and_gives_nobody_two(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expanding, "CHUNK", 7)
    before, after = numbers(30), numbers(10, first=30)
    take(store, *before)
    tell(store)
    both = (*NORRA, *SODRA)
    with under_way(store, taking(store, *before, *after, areas=both)):
        expand(store)
    assert written_to(store) == before


def test_a_text_released_while_a_list_is_taken_goes_once_to_everyone_there_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expanding, "CHUNK", 7)
    before, late, later = numbers(30), numbers(10, first=30), numbers(10, first=40)
    take(store, *before)
    with under_way(store, taking(store, *late)):
        take(store, *later)
        tell(store)
    expand(store)
    # The list taken meanwhile drew its numbers before the release: who is on it is as good as there.
    assert written_to(store) == [*before, *late, *later]


def test_who_is_erased_while_his_letter_is_claimed_is_skipped_and_counted(store: Store) -> None:
    take(store, KIM, ROBIN)
    tell(store)
    expand(store)
    with under_way(store, erasing(store, KIM)):
        job = store.write(claim_job).result(10)  # waits for nobody
    assert job is not None
    sealed = store.read(partial(letters.addresses, subscriber_ids=job.subscribers))
    assert [store.vault.open("sms", row.address) for row in sealed.values()] == [ROBIN]
    rows = [
        LetterRow(job.id, place, job.delivery_id, who, "accepted" if who in sealed else "skipped")
        for place, who in enumerate(job.subscribers)
    ]
    store.write(partial(tallying.flush_rows, rows=rows, supplier="first", now=NOW)).result()
    assert store.write(partial(letters.end_job, job=job, retry_at=None, now=NOW)).result()
    assert store.write(partial(finishing.finish, channel="sms", now=NOW)).result() == [1]
    counts = store.read(partial(finishing.read_counts, delivery_id=1))
    assert counts == Counts(total=2, accepted=1, skipped=1)


def test_a_node_whose_lease_another_takes_in_this_moment_writes_no_jobs(store: Store) -> None:
    take(store, KIM)
    tell(store)
    mine = claim(store)
    step = partial(expanding.expand, delivery_id=mine.id, lease_token=mine.lease_token, now=NOW)
    taken = sql_update(t.delivery).values(lease_token="another's")
    with under_way(store, lambda c: c.execute(taken).close()):
        expanded = store.write(step)
        wait_until_held_up(store, expanded)
    assert expanded.result(10)
    assert written_to(store) == []
