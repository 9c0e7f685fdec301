"""Who had many letters within the hour is found on either database, and without reading what is older."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, update as sql_update

from broadcaster.domain.delivery import State, Variant
from broadcaster.domain.incident import Audience, Kind
from broadcaster.store import Store, claiming, expanding, letters, often, tables as t, tallying
from broadcaster.store.intents import Accepted, NewAudience
from broadcaster.store.tallying import LetterRow
from broadcaster.testing import builders
from broadcaster.testing.builders import subscribe

NOW = datetime.now(UTC)  # leases follow the clock of PostgreSQL, which no test can set
HOUR = timedelta(hours=1)


def bring(store: Store, outcome: str, *, life_safety: bool = False, **said: Any) -> int:
    """One update to all three subscribers, each of whose letters comes to this; gives its delivery."""
    everyone = NewAudience(variant=Variant.NEWS, areas=None)
    builders.tell(
        store, builders.letters("sms", everyone, life_safety=life_safety), now=NOW, **said
    )

    def work(connection: Connection) -> int:
        [claim] = claiming.claim(connection, channel="sms", node="norr", now=NOW, limit=1)
        expanding.expand(connection, claim.id, claim.lease_token, NOW)
        job = letters.claim_job(connection, "sms", "norr", NOW, "first")
        assert job is not None
        rows = [
            LetterRow(job.id, place, job.delivery_id, who, outcome)
            for place, who in enumerate(job.subscribers)
        ]
        tallying.flush_rows(connection, rows, "first", NOW)
        letters.end_job(connection, job, None, NOW, through=True)
        done = sql_update(t.delivery).where(t.delivery.c.id == claim.id)
        connection.execute(done.values(state=State.ACCEPTED, accepted_at=NOW))
        return claim.id

    return store.write(work).result()


def test_letters_that_left_or_may_have_are_counted_for_an_hour_and_no_others(store: Store) -> None:
    who = subscribe(store, "sms", [f"+4670174060{n}" for n in range(3)])
    brought = [bring(store, outcome) for outcome in ("accepted", "uncertain", "failed", "skipped")]

    def lately(now: datetime, but: int = 0) -> list[int]:
        return store.read(partial(often.lately, channel="sms", delivery_id=but, now=now))

    def too_often(most: int, now: datetime = NOW) -> set[int]:
        found = partial(often.too_often, deliveries=brought, subscriber_ids=who[:2], now=now)
        return set(store.read(partial(found, most=most)))

    assert lately(NOW) == brought
    assert lately(NOW, but=brought[0]) == brought[1:]
    assert lately(NOW + HOUR) == []
    assert lately(NOW - HOUR) == [], "they are of a clock that was ahead"
    assert too_often(2) == set(who[:2])
    assert too_often(3) == set(), "what failed or was left out is no letter"
    assert too_often(2, NOW + HOUR) == set()
    assert too_often(2, NOW - HOUR) == set()
    assert too_often(0) == set(), "0 is any number"


def told(store: Store, word: Accepted, who: list[int]) -> set[int]:
    work = partial(
        often.told_all_the_same,
        incident=word.incident_id,
        number=word.number,
        subscriber_ids=who,
    )
    return set(store.read(work))


def test_the_end_is_for_who_had_the_beginning_and_what_follows_danger_for_who_had_that_last(
    store: Store,
) -> None:
    who = subscribe(store, "sms", [f"+4670174060{n}" for n in range(3)])
    first = builders.tell(store, now=NOW)
    bring(store, "accepted", after=first)
    second = replace(first, number=2)
    update = builders.tell(store, now=NOW, after=second, kind=Kind.UPDATE)
    assert told(store, update, who) == set()
    bring(store, "uncertain", after=update, life_safety=True)
    [stranger] = subscribe(store, "sms", ["+46701740609"])
    calmer = builders.tell(store, now=NOW, after=replace(first, number=4), kind=Kind.UPDATE)
    assert told(store, calmer, [*who[:2], stranger]) == set(who[:2])
    over = builders.tell(store, now=NOW, after=calmer, kind=Kind.RESTORED)
    assert told(store, over, [*who, stranger]) == set(who)


def test_staff_are_told_each_word(store: Store) -> None:
    who = subscribe(store, "duty", ["+46701740600"])
    alarm = builders.tell(
        store, now=NOW, rest={"staff_log": True}, audience=Audience.STAFF, kind=Kind.NOTICE
    )
    assert told(store, alarm, who) == set(who)
