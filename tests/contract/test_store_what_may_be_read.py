"""What is put right is put right where it may be read: not where every try certainly came to nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pytest
from sqlalchemy import select

from broadcaster.domain.delivery import Outcome, Scope, State
from broadcaster.store import Store, claiming, deliveries, sent, tables as t
from broadcaster.store.claiming import Claim
from broadcaster.testing.builders import post, tell

NOW = datetime.now(UTC)  # leases follow the clock of PostgreSQL, which no test can set


def claimed(store: Store) -> Claim:
    take = partial(claiming.claim, channel="social", node="norr", now=NOW, limit=1)
    (claim,) = store.write(take).result()
    return claim


def begun(store: Store, claim: Claim) -> int:
    first = claim.steps[0]
    begin = partial(deliveries.begin_attempt, claim=claim, step=first, node="norr", now=NOW)
    attempt = store.write(begin).result()
    assert attempt is not None
    return attempt


def ended(store: Store, claim: Claim, outcome: Outcome) -> None:
    attempt = begun(store, claim)
    end = partial(deliveries.end_attempt, now=NOW, outcome=outcome, scope=Scope.MESSAGE, detail="")
    store.write(partial(end, attempt_id=attempt)).result()
    wait = partial(deliveries.put_back, claim=claim, now=NOW, due_at=NOW, detail="")
    assert store.write(wait).result()


def broken_off(store: Store, claim: Claim) -> None:
    begun(store, claim)
    taken_back(store, claim)


def taken_back(store: Store, _claim: Claim) -> None:
    assert store.write(partial(deliveries.take_back_own, node="norr", now=NOW)).result() == 1


@pytest.mark.parametrize(
    ("meanwhile", "read"),
    [
        (partial(ended, outcome=Outcome.TRANSIENT), 0),
        (partial(ended, outcome=Outcome.UNCERTAIN), 1),
        (broken_off, 1),
        (taken_back, 0),
    ],
    ids=["refused for now", "uncertain", "broken off", "claimed and not begun"],
)
def test_of_what_waits_again_only_what_may_have_gone_may_be_read(
    store: Store, meanwhile: Callable[[Store, Claim], None], read: int
) -> None:
    told = tell(store, post("social", 2), now=NOW)
    meanwhile(store, claimed(store))
    assert store.read(lambda c: c.scalar(select(t.delivery.c.state))) == State.WAITING
    where = store.read(partial(sent.of_updates, incident_id=told.incident_id, numbers=[1]))
    assert where.channels == ("social",)
    assert len(where.posts("social")) == read
