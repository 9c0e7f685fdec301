"""Delivery reports: what the network refused did not arrive, whatever the gateway had accepted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from broadcaster.domain.delivery import Counts, Shape, Variant
from broadcaster.domain.exchange import Report
from broadcaster.store import Store, claiming, finishing, reports, tables as t
from broadcaster.store.expanding import expand
from broadcaster.store.intents import NewAudience
from broadcaster.store.letters import claim_job, end_job
from broadcaster.store.tallying import LetterRow, flush_rows
from broadcaster.testing import builders
from broadcaster.testing.builders import letters as letters_by, subscribe

NOW = datetime.now(UTC)  # leases follow the clock of PostgreSQL, which no test can set
NUMBERS = ["+46701740605", "+46701740606"]


def state(store: Store) -> tuple[str, Counts]:
    row = store.read(lambda c: c.execute(select(t.delivery)).one())
    return row.state, store.read(lambda c: finishing.read_counts(c, row.id))


def report(store: Store, position: int, outcome: str) -> bool:
    said = Report(key=f"1.1.{position}", outcome=outcome)
    return store.write(lambda c: reports.match(c, [("sms", said)])).result() == [True]


def all_accepted(store: Store) -> None:
    """A blast of two letters that the gateway accepted."""
    tried(store, "accepted")
    assert state(store) == ("accepted", Counts(total=2, accepted=2))


def tried(store: Store, outcome: str, retry_at: datetime | None = None) -> None:
    """A blast of two letters that came to `outcome` at the first try; with `retry_at` their job waits until then."""
    subscribe(store, "sms", NUMBERS)
    builders.tell(
        store, letters_by("sms", NewAudience(variant=Variant.NEWS, areas=("norra-ekbyn",))), now=NOW
    )

    def work(connection: Any) -> None:
        (claimed,) = claiming.claim(connection, channel="sms", node="norr", now=NOW, limit=1)
        assert expand(connection, claimed.id, claimed.lease_token, NOW)
        job = claim_job(connection, "sms", "norr", NOW, "kannel")
        assert job is not None
        rows = [LetterRow(job.id, at, 1, who, outcome) for at, who in enumerate(job.subscribers)]
        flush_rows(connection, rows, "kannel", NOW)
        end_job(connection, job, retry_at, NOW)
        finishing.finish(connection, "sms", NOW)

    store.write(work).result()


def test_a_letter_the_network_refused_counts_as_failed(store: Store) -> None:
    all_accepted(store)
    assert report(store, 0, "failed")
    assert report(store, 0, "failed")  # repeated: counted once
    assert state(store) == ("accepted", Counts(total=2, accepted=1, failed=1))


def test_a_delivery_bounces_when_nobody_got_it(store: Store) -> None:
    all_accepted(store)
    report(store, 0, "failed")
    report(store, 1, "failed")
    assert state(store) == ("bounced", Counts(total=2, failed=2))


def test_a_late_confirmation_turns_a_refusal_back(store: Store) -> None:
    all_accepted(store)
    report(store, 0, "failed")
    report(store, 0, "confirmed")
    report(store, 0, "failed")  # delivered never goes back
    assert state(store) == ("accepted", Counts(total=2, accepted=2, confirmed=1))


def test_reports_that_all_failed_end_the_doubt(store: Store) -> None:
    tried(store, "uncertain")
    assert state(store) == ("uncertain", Counts(total=2, uncertain=2))
    report(store, 0, "failed")
    assert state(store) == ("uncertain", Counts(total=2, failed=1, uncertain=1))
    report(store, 1, "failed")
    assert state(store) == ("failed", Counts(total=2, failed=2))


def test_a_confirmation_after_all_turns_a_bounced_delivery_back(store: Store) -> None:
    all_accepted(store)
    report(store, 0, "failed")
    report(store, 1, "failed")
    report(store, 1, "confirmed")
    assert state(store) == ("accepted", Counts(total=2, accepted=1, confirmed=1, failed=1))


@pytest.mark.parametrize("outcome", ["doubtful", "transient"])
def test_a_letter_that_arrived_after_all_is_not_tried_again(store: Store, outcome: str) -> None:
    tried(store, outcome, retry_at=NOW)
    assert report(store, 0, "confirmed")
    assert report(store, 1, "failed")  # what was to be tried again still is
    doubted = int(outcome == "doubtful")
    assert state(store)[1] == Counts(total=2, accepted=1, confirmed=1, uncertain=doubted)
    job = store.write(lambda c: claim_job(c, "sms", "norr", NOW, "kannel")).result()
    assert job is not None
    assert job.todo == (1,)


def test_shapes_without_letters_have_no_reports(store: Store) -> None:
    builders.tell(store, builders.post("mastodon"))
    row = store.read(lambda c: c.execute(select(t.delivery)).one())
    assert row.shape == Shape.POST
    assert not report(store, 0, "confirmed")


@pytest.mark.parametrize("unheard", ["\0", "\ud800"], ids=["NUL", "lone surrogate"])
def test_words_that_no_database_keeps_hold_up_no_report(store: Store, unheard: str) -> None:
    all_accepted(store)
    said = [
        ("sms", Report(key="1.1.0", outcome="failed", detail=f"failed {unheard}")),
        ("sms", Report(handle=f"h{unheard}", outcome="failed")),
        ("sms", Report(key="1.1.1", outcome="confirmed")),
    ]
    assert store.write(lambda c: reports.match(c, said)).result() == [True, False, True]
    assert state(store)[1] == Counts(total=2, accepted=1, confirmed=1, failed=1)
    query = select(t.letter.c.detail).where(t.letter.c.reported == "failed")
    assert store.read(lambda c: c.scalar(query)) == "failed ?"
