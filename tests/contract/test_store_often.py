"""Who had many letters within the hour is found on either database, and without reading what is older."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection, update as sql_update

from broadcaster.domain.delivery import State, Variant
from broadcaster.store import Store, claiming, expanding, letters, often, tables as t, tallying
from broadcaster.store.intents import NewAudience
from broadcaster.store.tallying import LetterRow
from broadcaster.testing import builders
from broadcaster.testing.builders import subscribe

NOW = datetime.now(UTC)  # leases follow the clock of PostgreSQL, which no test can set
HOUR = timedelta(hours=1)


def bring(store: Store, outcome: str) -> int:
    """One update to all three subscribers, each of whose letters comes to this; gives its delivery."""
    builders.tell(
        store, builders.letters("sms", NewAudience(variant=Variant.NEWS, areas=None)), now=NOW
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
    assert too_often(2) == set(who[:2])
    assert too_often(3) == set(), "what failed or was left out is no letter"
    assert too_often(2, NOW + HOUR) == set()
    assert too_often(0) == set(), "0 is any number"
