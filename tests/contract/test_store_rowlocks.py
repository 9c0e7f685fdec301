"""Nodes that do everything at once wait for each other, and never in a circle; and every letter is counted once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Barrier, Event
from typing import Any

import pytest
from sqlalchemy import Connection, event, select, update as sql_update
from sqlalchemy.engine import ExceptionContext

from broadcaster.domain.delivery import State
from broadcaster.domain.exchange import Report
from broadcaster.domain.incident import Kind
from broadcaster.store import (
    Store,
    accepting,
    claiming,
    deliveries,
    expanding,
    finishing,
    letters,
    outcomes,
    releasing,
    reports,
    rowlocks,
    sent,
    tables as t,
    tallying,
)
from broadcaster.store.letters import Hold, Job
from broadcaster.store.tallying import LetterRow
from broadcaster.testing.builders import (
    an_acceptance,
    an_update,
    letters as letters_by,
    post,
    subscribe,
    tell,
)
from broadcaster.testing.meanwhile import wait_until_held_up

NOW = datetime.now(UTC)  # leases follow the clock of PostgreSQL, which no test can set
UNTIL = NOW + timedelta(hours=1)
OVER = UNTIL + timedelta(minutes=1)
PAST = NOW - timedelta(seconds=1)
LETTERS, JOBS = 48, 8
THREADS, ACTS = 6, 40
CAME_TO = ("accepted", "accepted", "failed", "uncertain", "transient", "doubtful")


@pytest.fixture
def deadlocks(store: Store) -> list[str]:
    """The statements at which PostgreSQL broke up a circle, until now."""
    seen: list[str] = []

    def note(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", "") == "40P01":
            seen.append(str(context.statement))

    for engine in store._engines:
        event.listen(engine, "handle_error", note)
    return seen


def begin(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two blasts, each in jobs of a few letters."""
    monkeypatch.setattr(expanding, "CHUNK", LETTERS // JOBS)
    subscribe(store, "sms", [f"+4670{number:07}" for number in range(LETTERS)])
    for _ in range(2):
        tell(store, letters_by("sms"), now=NOW, not_after=UNTIL)
    expand_all(store)


def expand_all(store: Store) -> None:
    claims = store.write(
        lambda c: claiming.claim(c, channel="sms", node="norr", now=NOW, limit=4)
    ).result()
    for claim in claims:
        expand = partial(expanding.expand, delivery_id=claim.id, lease_token=claim.lease_token)
        assert store.write(partial(expand, now=NOW)).result()


def taken(store: Store) -> Job | None:
    return store.write(
        lambda c: letters.claim_job(c, channel="sms", node="norr", now=NOW, supplier="first")
    ).result()


def flush(connection: Connection, job: Job, rows: list[LetterRow]) -> None:
    """As a blast does."""
    if letters.hold(connection, job, NOW) is not Hold.LOST:
        tallying.flush_rows(connection, rows, "first", NOW)


def row(job: Job, position: int, outcome: str) -> LetterRow:
    return LetterRow(job.id, position, job.delivery_id, job.subscribers[position], outcome)


# ------------------------------------------------------------------------------------------------- a chosen moment
def meet(
    store: Store,
    first: Callable[[Connection], Any],
    then: Callable[[Connection], Any],
    other: Callable[[Connection], Any],
) -> None:
    """One write does `first` and `then`; between the two, `other` is begun until it is through or held up."""
    met, go = Event(), Event()

    def whole(connection: Connection) -> None:
        first(connection)
        if not store.is_sqlite and not met.is_set():
            met.set()
            assert go.wait(20)
        then(connection)

    begun = store.write(whole)
    assert store.is_sqlite or met.wait(20)
    meanwhile = store.write(other)
    wait_until_held_up(store, meanwhile)
    go.set()
    begun.result(20)
    meanwhile.result(20)


def test_who_ends_a_blast_and_who_still_writes_its_letters_down_do_not_block_each_other(
    store: Store, monkeypatch: pytest.MonkeyPatch, deadlocks: list[str]
) -> None:
    begin(store, monkeypatch)
    job = taken(store)
    assert job is not None
    store.write(partial(letters.advance, job=job, watermark=3, now=NOW)).result()
    store.write(lambda c: c.execute(sql_update(t.job).values(lease_until=PAST)).close()).result()
    meet(
        store,
        lambda c: letters.hold(c, job, NOW),
        lambda c: tallying.flush_rows(c, [row(job, 0, "accepted")], "first", NOW),
        lambda c: finishing.finish(c, "sms", OVER),
    )
    assert deadlocks == []
    check(store)


def test_a_retraction_and_the_end_of_what_it_takes_back_do_not_block_each_other(
    store: Store, deadlocks: list[str]
) -> None:
    subscribe(store, "sms", ["+46701740605"])
    told = tell(store, post("hook"), letters_by("sms"), now=NOW, not_after=UNTIL)
    said = an_update("A1", 2, kind=Kind.RETRACTION, corrects=1, now=OVER)
    retraction = an_acceptance(said, post("hook"), incident_id=told.incident_id)
    meet(
        store,
        lambda c: sent.hold_posts(c, told.incident_id),
        lambda c: accepting.accept(c, retraction, OVER),
        lambda c: deliveries.expire(c, OVER),
    )
    assert deadlocks == []
    states = store.read(lambda c: list(c.scalars(select(t.delivery.c.state).order_by("id"))))
    assert states == [State.WITHDRAWN, State.WITHDRAWN, State.WAITING]


def test_who_holds_a_newer_delivery_may_take_an_older_one_while_all_of_them_end(
    store: Store, deadlocks: list[str]
) -> None:
    tell(store, post("hook"), post("social"), now=NOW, not_after=UNTIL)
    older, newer = store.read(lambda c: list(c.scalars(select(t.delivery.c.id).order_by("id"))))
    meet(
        store,
        lambda c: rowlocks.hold_deliveries(c, t.delivery.c.id == newer),
        lambda c: rowlocks.hold_deliveries(c, t.delivery.c.id == older),
        lambda c: deliveries.expire(c, OVER),
    )
    assert deadlocks == []
    states = store.read(lambda c: list(c.scalars(select(t.delivery.c.state))))
    assert states == [State.EXPIRED, State.EXPIRED]


def test_a_scheduled_word_and_a_new_one_of_its_incident_do_not_block_each_other(
    store: Store, deadlocks: list[str]
) -> None:
    told = tell(store, post("hook"), now=NOW, not_after=UNTIL)
    hold = {"hold": "scheduled", "release_at": NOW}
    held = tell(store, post("hook"), after=told, now=NOW, not_after=UNTIL, rest=hold)
    said = an_update("A1", 3, now=NOW, not_after=UNTIL)
    new = an_acceptance(said, post("hook"), incident_id=held.incident_id, hold="scheduled")
    meet(
        store,
        lambda c: accepting.accept(c, new, NOW),
        lambda c: releasing.release(c, held.update_id + 1, NOW),
        lambda c: releasing.release_held(c, held.update_id, NOW),
    )
    assert deadlocks == []
    revisions = store.read(lambda c: list(c.scalars(select(t.update.c.rev_n).order_by("id"))))
    assert sorted(revisions) == [1, 2, 3]


def test_a_report_by_handle_that_two_nodes_read_while_its_letter_is_written_counts_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(store, monkeypatch)
    job = taken(store)
    assert job is not None
    said = [("sms", Report(handle="H1", outcome="confirmed"))]
    held, flushed, seen, look = Barrier(3), Event(), Barrier(2), reports._letter

    def look_late(*about: Any) -> Any:
        held.wait(20)
        assert flushed.wait(20)
        found = look(*about)
        seen.wait(20)
        return found

    if not store.is_sqlite:
        monkeypatch.setattr(reports, "_letter", look_late)
    nodes = [store.write(partial(reports.match, found=said)) for _ in range(2)]
    if not store.is_sqlite:
        held.wait(20)
    rows = [LetterRow(job.id, 0, job.delivery_id, job.subscribers[0], "accepted", handle="H1")]
    store.write(partial(flush, job=job, rows=rows)).result()
    flushed.set()
    assert [node.result(20) for node in nodes] == [[False], [False]]
    monkeypatch.setattr(reports, "_letter", look)
    for _ in nodes:
        assert store.write(partial(reports.match, found=said)).result() == [True]
    assert store.read(lambda c: finishing.read_counts(c, job.delivery_id)).confirmed == 1
    check(store)


# ------------------------------------------------------------------------------------------------- all at once
def test_nodes_that_do_everything_at_once_wait_in_no_circle_and_count_every_letter_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, deadlocks: list[str]
) -> None:
    begin(store, monkeypatch)
    told = tell(store, post("hook"), now=NOW, not_after=UNTIL)
    for _ in range(THREADS):
        told = tell(store, letters_by("sms"), after=told, now=NOW, not_after=UNTIL)
    with ThreadPoolExecutor(THREADS) as nodes:
        ended = [nodes.submit(live, store, random.Random(seed)) for seed in range(THREADS)]
        for future in ended:
            future.result(120)
    # One circle is left, and rare: a blast ended in the moment in which it gets its first jobs (see `rowlocks`).
    assert len(deadlocks) <= 1
    check(store)


def live(store: Store, chance: random.Random) -> None:
    """One node of several, for some acts."""
    for _ in range(ACTS):
        act = chance.choice((blast, blast, report, report, end, again, keep_house, die))
        act(store, chance)


def blast(store: Store, chance: random.Random) -> None:
    """A job, sent in two flushes; now and then the node dies in the middle."""
    job = taken(store)
    if job is None:
        return
    store.write(partial(letters.advance, job=job, watermark=len(job.subscribers), now=NOW)).result()
    for part in (job.todo[::2], job.todo[1::2]):
        rows = [row(job, position, chance.choice(CAME_TO)) for position in part]
        store.write(partial(flush, job=job, rows=rows)).result()
        if chance.random() < 0.2:
            return
    again_at = chance.choice((None, NOW))
    store.write(partial(letters.end_job, job=job, retry_at=again_at, now=NOW)).result()


def report(store: Store, chance: random.Random) -> None:
    """Some requests of the network's, each with what came of a letter."""
    found = [
        Report(
            key=f"1.{chance.randint(1, 2 * JOBS)}.{chance.randrange(LETTERS // JOBS)}",
            outcome=chance.choice(("confirmed", "failed")),
        )
        for _ in range(6)
    ]
    store.write(lambda c: reports.match(c, [("sms", each) for each in found])).result()


def end(store: Store, chance: random.Random) -> None:
    """End what is through; or, by a clock that is ahead, everything."""
    store.write(lambda c: finishing.finish(c, "sms", chance.choice((NOW, NOW, OVER)))).result()


def again(store: Store, chance: random.Random) -> None:
    delivery_id = chance.choice((1, 2))
    resend = partial(
        outcomes.resend, delivery_id=delivery_id, now=NOW, not_after=UNTIL, actor="Eva"
    )
    store.write(resend).result()
    expand_all(store)


def start(connection: Connection, now: datetime) -> int:
    return deliveries.take_back_own(connection, "norr", now)


def keep_house(store: Store, chance: random.Random) -> None:
    act = chance.choice((deliveries.expire, deliveries.take_back_orphans, start))
    store.write(partial(act, now=NOW)).result()
    expand_all(store)


def die(store: Store, chance: random.Random) -> None:
    """The lease of one job runs out."""
    mine = t.job.c.id == chance.randint(1, 2 * JOBS)
    end_lease = sql_update(t.job).where(mine, t.job.c.state == "sending").values(lease_until=PAST)
    store.write(lambda c: c.execute(end_lease).close()).result()


def check(store: Store) -> None:
    """Every count is what the rows say, but for letters never pulled, which are skipped without a row."""
    rows = store.read(lambda c: c.execute(select(t.letter)).all())
    for delivery in store.read(lambda c: c.execute(select(t.delivery)).all()):
        mine = Counter(each.outcome for each in rows if each.delivery_id == delivery.id)
        assert delivery.accepted == mine["accepted"]
        assert delivery.failed == mine["failed"]
        assert delivery.uncertain == mine["uncertain"] + mine["doubtful"]
        assert delivery.skipped >= mine["skipped"]
        said = [each for each in rows if each.reported == "confirmed"]
        assert delivery.confirmed == sum(each.delivery_id == delivery.id for each in said)
        whole = delivery.accepted + delivery.failed + delivery.uncertain + delivery.skipped
        assert whole <= delivery.total
        if delivery.ended_at is not None and delivery.expanded:
            assert whole == delivery.total
