"""Letters: a watermark before, outcomes after; a crash, a retraction or a lost lease leave nobody in doubt twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, select, text, update as sql_update

from broadcaster.domain.delivery import Counts, State, Variant
from broadcaster.domain.incident import Kind
from broadcaster.store import (
    Store,
    StoreFull,
    channels,
    claiming,
    deliveries,
    expanding,
    finishing,
    letters,
    next_job,
    outcomes as outcomes_of,
    tables as t,
    tallying,
)
from broadcaster.store.intents import Accepted, NewAudience
from broadcaster.store.letters import Hold, Job
from broadcaster.store.tallying import LetterRow
from broadcaster.testing import builders
from broadcaster.testing.builders import subscribe

NOW = datetime.now(UTC)  # leases follow the clock of PostgreSQL, which no test can set
PAST = NOW - timedelta(seconds=1)
NO_ROOM = {
    "sqlite": ["PRAGMA max_page_count = 1"],  # SQLite reads that as: no more than there are
    "postgresql": [
        "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE '53100'; END $$",
        "CREATE TRIGGER no_room BEFORE INSERT ON letter FOR EACH ROW EXECUTE FUNCTION no_room()",
    ],
}


def numbers(count: int, first: int = 0) -> list[str]:
    return [f"+4670{number:07}" for number in range(first, first + count)]


def tell(store: Store, *audiences: NewAudience, life_safety: bool = False, **said: Any) -> Accepted:
    planned = builders.letters("sms", *audiences, life_safety=life_safety)
    return builders.tell(store, planned, **({"now": NOW} | said))


def blast(store: Store, **said: Any) -> Accepted:
    """Accept an update, claim its letters and turn its audience into jobs."""
    told = tell(store, **said)
    begin(store)
    return told


def begin(store: Store, chunks: int = 20) -> int:
    """Claim the head of the channel and expand it whole; returns in how many writes."""
    claim = partial(claiming.claim, channel="sms", node="norr", now=NOW, limit=1)
    (claimed,) = store.write(claim).result()
    expand = partial(expanding.expand, delivery_id=claimed.id, lease_token=claimed.lease_token)
    writes = 1
    while not store.write(partial(expand, now=NOW, chunks=chunks)).result():
        writes += 1
    return writes


def take(store: Store, now: datetime = NOW, node: str = "norr") -> Job | None:
    return store.write(
        partial(letters.claim_job, channel="sms", node=node, now=now, supplier="first")
    ).result()


def taken(store: Store, **how: Any) -> Job:
    job = take(store, **how)
    assert job is not None
    return job


def advance(store: Store, job: Job, watermark: int) -> bool:
    return store.write(partial(letters.advance, job=job, watermark=watermark, now=NOW)).result()


def flush(store: Store, job: Job, outcomes: dict[int, str]) -> None:
    rows = [
        LetterRow(job.id, position, job.delivery_id, job.subscribers[position], outcome)
        for position, outcome in outcomes.items()
    ]
    store.write(partial(tallying.flush_rows, rows=rows, supplier="first", now=NOW)).result()


def end_job(store: Store, job: Job, retry_at: datetime | None = None) -> bool:
    return store.write(partial(letters.end_job, job=job, retry_at=retry_at, now=NOW)).result()


def finish(store: Store, now: datetime = NOW) -> list[int]:
    return store.write(partial(finishing.finish, channel="sms", now=now)).result()


def send_all(store: Store, outcomes: dict[int, str]) -> None:
    """Send one job with these outcomes by position."""
    job = taken(store)
    assert advance(store, job, len(job.subscribers))
    flush(store, job, outcomes)
    assert end_job(store, job)


def counts(store: Store, delivery_id: int = 1) -> Counts:
    return store.read(partial(finishing.read_counts, delivery_id=delivery_id))


def states(store: Store) -> list[str]:
    query = select(t.delivery.c.state).order_by(t.delivery.c.id)
    return store.read(lambda c: list(c.scalars(query)))


def outcomes(store: Store) -> dict[int, str]:
    """The outcome of every letter by position (of one job)."""
    rows = store.read(lambda c: c.execute(select(t.letter)).all())
    return {row.position: row.outcome for row in rows}


def die(store: Store) -> None:
    """The node that holds the jobs is gone, and its leases have run out."""
    store.write(lambda c: c.execute(sql_update(t.job).values(lease_until=PAST)).close()).result()


# -------------------------------------------------------------------------------------------- audience to jobs
@pytest.mark.parametrize("chunks", [1, 20])
def test_everybody_is_in_exactly_one_job_of_at_most_five_hundred(
    store: Store, chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert expanding.CHUNK == 500
    monkeypatch.setattr(expanding, "CHUNK", 20)  # a thousand would prove no more
    ids = subscribe(store, "sms", numbers(90))
    tell(store)
    assert (begin(store, chunks) > 4) is (chunks == 1)
    jobs = store.read(lambda c: list(c.scalars(select(t.job.c.subscribers).order_by(t.job.c.id))))
    assert [len(job) for job in jobs] == [20, 20, 20, 20, 10]
    assert [number for job in jobs for number in job] == ids
    assert counts(store) == Counts(total=90)


def test_who_subscribes_to_two_of_its_areas_gets_one_letter(store: Store) -> None:
    subscribe(store, "sms", numbers(2), areas=("norra-ekbyn", "södra-ekbyn"))
    subscribe(store, "sms", numbers(1, first=2), areas=("östra-ekbyn",))
    both = NewAudience(variant=Variant.NEWS, areas=("norra-ekbyn", "södra-ekbyn"))
    tell(store, both)
    begin(store)
    assert len(taken(store).subscribers) == 2


def test_who_subscribes_after_the_release_is_not_written_to(store: Store) -> None:
    before = subscribe(store, "sms", numbers(1))
    tell(store)
    subscribe(store, "sms", numbers(1, first=1))
    begin(store)
    assert taken(store).subscribers == tuple(before)


def test_who_has_left_is_found_missing_when_the_address_is_read(store: Store) -> None:
    here, gone = subscribe(store, "sms", numbers(2))
    blast(store)
    job = taken(store)
    store.write(
        lambda c: c.execute(delete(t.subscriber).where(t.subscriber.c.id == gone)).close()
    ).result()
    sealed = store.read(partial(letters.addresses, subscriber_ids=job.subscribers))
    assert {key: store.vault.open(row.channel, row.address) for key, row in sealed.items()} == {
        here: numbers(1)[0]
    }


def test_a_job_brings_the_text_as_it_was_accepted(store: Store) -> None:
    subscribe(store, "sms", numbers(1))
    blast(store)
    job = taken(store)
    assert (job.texts, job.todo, job.number) == ({"sv": ("", "A1-1 news 0 sms")}, (0,), 1)


def test_a_blast_to_nobody_ends_at_once_and_says_so(store: Store) -> None:
    blast(store)
    assert (take(store), len(finish(store)), states(store)) == (None, 1, ["accepted"])
    detail = store.read(lambda c: c.scalar(select(t.delivery.c.detail)))
    assert detail == "nobody to write to"


# ----------------------------------------------------------------------------------------------- through to the end
@pytest.mark.parametrize(
    ("came_to", "state"),
    [
        ({0: "accepted", 1: "failed", 2: "skipped"}, "accepted"),
        ({0: "failed", 1: "failed", 2: "failed"}, "failed"),
        ({0: "failed", 1: "uncertain", 2: "failed"}, "uncertain"),
        ({0: "accepted", 1: "uncertain", 2: "uncertain"}, "accepted"),
    ],
)
def test_a_blast_ends_as_its_letters_did(store: Store, came_to: dict[int, str], state: str) -> None:
    subscribe(store, "sms", numbers(3))
    blast(store)
    assert finish(store) == []
    send_all(store, came_to)
    assert finish(store) == [1]
    assert states(store) == [state]
    found = counts(store)
    assert found.final
    assert (found.accepted, found.failed, found.uncertain, found.skipped) == tuple(
        list(came_to.values()).count(what)
        for what in ("accepted", "failed", "uncertain", "skipped")
    )


def test_a_job_is_held_by_one_node_at_a_time(store: Store) -> None:
    subscribe(store, "sms", numbers(2))
    blast(store)
    taken(store)
    assert take(store, node="syd") is None


def test_what_was_refused_for_now_is_tried_again_and_nothing_else(store: Store) -> None:
    subscribe(store, "sms", numbers(4))
    blast(store)
    job = taken(store)
    advance(store, job, 4)
    flush(store, job, {0: "accepted", 1: "transient", 2: "failed", 3: "transient"})
    assert end_job(store, job, retry_at=NOW + timedelta(hours=1))
    assert take(store) is None
    due_at = store.read(partial(next_job.next_job_due, channel="sms"))
    assert due_at == NOW + timedelta(hours=1)
    assert finish(store) == []
    store.write(lambda c: c.execute(sql_update(t.job).values(due_at=NOW)).close()).result()
    again = taken(store)
    assert (again.todo, again.attempts) == ((1, 3), 2)
    assert counts(store) == Counts(total=4, accepted=1, failed=1)


def test_outcomes_that_the_disk_refuses_are_a_full_disk_and_no_defect_of_the_adapter(
    store: Store,
) -> None:
    subscribe(store, "sms", numbers(1))
    blast(store)
    job = taken(store)
    for statement in NO_ROOM[store.url.get_backend_name()]:
        store.write(partial(Connection.execute, statement=text(statement))).result()
    row = LetterRow(job.id, 0, job.delivery_id, job.subscribers[0], "failed", "", "x" * 100_000)
    flushed = store.write(partial(tallying.flush_rows, rows=[row], supplier="first", now=NOW))
    assert isinstance(flushed.exception(), StoreFull)


# --------------------------------------------------------------------------------------------------- after a crash
def crash(store: Store, **said: Any) -> Job:
    """Six letters: the watermark at four, outcomes for two, then the node dies. Returns the job as the next has it."""
    subscribe(store, "sms", numbers(6))
    blast(store, **said)
    job = taken(store)
    assert advance(store, job, 4)
    flush(store, job, {0: "accepted", 1: "failed"})
    die(store)
    return taken(store, node="syd")


def test_after_a_crash_what_may_have_gone_is_uncertain_and_the_rest_is_sent(store: Store) -> None:
    job = crash(store)
    assert job.todo == (4, 5)
    assert outcomes(store) == {0: "accepted", 1: "failed", 2: "uncertain", 3: "uncertain"}
    assert counts(store) == Counts(total=6, accepted=1, failed=1, uncertain=2)


def test_after_a_crash_what_life_depends_on_is_sent_again(store: Store) -> None:
    job = crash(store, life_safety=True)
    assert job.todo == (2, 3, 4, 5)
    assert counts(store) == Counts(total=6, accepted=1, failed=1, uncertain=2)


def again(store: Store, job: Job, came_to: dict[int, str], *, last: bool = False) -> None:
    """One more try of a job, which ends it or leaves it waiting."""
    advance(store, job, len(job.subscribers))
    flush(store, job, came_to)
    assert end_job(store, job, retry_at=None if last else NOW)


def in_doubt(store: Store, **said: Any) -> Accepted:
    """Three letters on which life depends: one accepted, one in doubt, one refused for now; their job waits."""
    subscribe(store, "sms", numbers(3))
    told = blast(store, life_safety=True, **said)
    again(store, taken(store), {0: "accepted", 1: "doubtful", 2: "transient"})
    return told


@pytest.mark.parametrize(
    ("came_to", "ends"),
    [
        ("accepted", "accepted"),
        ("failed", "uncertain"),
        ("skipped", "uncertain"),
        ("transient", "uncertain"),
        ("doubtful", "uncertain"),
    ],
)
def test_a_doubt_ends_in_accepted_or_uncertain_never_in_failed(
    store: Store, came_to: str, ends: str
) -> None:
    in_doubt(store)
    job = taken(store)
    assert job.todo == (1, 2)
    again(store, job, {1: came_to, 2: "transient"}, last=True)
    assert outcomes(store) == {0: "accepted", 1: ends, 2: "failed"}
    assert finish(store) == [1]
    sure = 1 + (ends == "accepted")
    assert counts(store) == Counts(total=3, accepted=sure, failed=1, uncertain=2 - sure)


def test_who_was_in_doubt_until_the_end_gets_the_correction(store: Store) -> None:
    ids = subscribe(store, "sms", numbers(3))
    told = blast(store, life_safety=True)
    again(store, taken(store), {0: "doubtful", 1: "transient", 2: "transient"})
    again(store, taken(store), {0: "transient", 1: "transient", 2: "failed"}, last=True)
    finish(store)
    had = NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,))
    tell(store, had, after=told, kind=Kind.CORRECTION, corrects=1)
    begin(store)
    assert list(taken(store).subscribers) == ids[:1]


@pytest.mark.parametrize("stopped", [True, False])
def test_a_blast_that_ends_early_tells_doubt_from_never_gone(store: Store, stopped: bool) -> None:
    told = in_doubt(store, not_after=NOW + timedelta(minutes=1))
    if stopped:
        tell(store, after=told, kind=Kind.RETRACTION, corrects=1)
    later = NOW + timedelta(minutes=1)
    assert finish(store, now=NOW if stopped else later) == [1]
    assert outcomes(store) == {0: "accepted", 1: "uncertain"}
    assert counts(store) == Counts(total=3, accepted=1, uncertain=1, skipped=1)


def test_a_crash_in_the_second_try_keeps_the_doubt_of_the_first(store: Store) -> None:
    in_doubt(store)
    job = taken(store)
    advance(store, job, 2)
    die(store)
    job = taken(store, node="syd")
    assert job.todo == (1, 2)
    again(store, job, {1: "failed", 2: "accepted"}, last=True)
    assert outcomes(store) == {0: "accepted", 1: "uncertain", 2: "accepted"}


def resend(store: Store) -> None:
    until = NOW + timedelta(hours=1)
    work = partial(outcomes_of.resend, delivery_id=1, now=NOW, not_after=until, actor="Ann")
    assert store.write(work).result()


def test_a_resend_writes_to_all_who_have_no_letter_and_keeps_their_doubt(store: Store) -> None:
    subscribe(store, "sms", numbers(4))
    blast(store)
    send_all(store, {0: "failed", 1: "uncertain", 2: "failed", 3: "skipped"})
    finish(store)
    resend(store)
    begin(store)
    job = taken(store)
    assert job.todo == (0, 1, 2)
    again(store, job, {0: "accepted", 1: "failed", 2: "failed"}, last=True)
    finish(store)
    assert outcomes(store) == {0: "accepted", 1: "uncertain", 2: "failed", 3: "skipped"}
    assert counts(store) == Counts(total=4, accepted=1, uncertain=1, failed=1, skipped=1)


def test_a_resend_also_takes_up_the_jobs_that_were_never_begun(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expanding, "CHUNK", 2)
    subscribe(store, "sms", numbers(4))
    blast(store, not_after=NOW + timedelta(minutes=1))
    send_all(store, {0: "uncertain", 1: "uncertain"})
    finish(store, now=NOW + timedelta(minutes=1))
    assert counts(store) == Counts(total=4, uncertain=2, skipped=2)
    resend(store)
    begin(store)
    assert [taken(store).todo, taken(store).todo] == [(0, 1), (0, 1)]
    assert counts(store) == Counts(total=4, uncertain=2)


def doubted(store: Store) -> Accepted:
    """Three letters, two of them in doubt, one refused; they are to be sent again and wait."""
    subscribe(store, "sms", numbers(3))
    told = blast(store)
    send_all(store, {0: "uncertain", 1: "uncertain", 2: "failed"})
    finish(store)
    resend(store)
    return told


END_WAITING: dict[str, Callable[[Store, Accepted], object]] = {
    "retracted": lambda store, told: tell(store, after=told, kind=Kind.RETRACTION, corrects=1),
    "past its time": lambda store, _: store.write(
        partial(deliveries.expire, now=NOW + timedelta(hours=2))
    ).result(),
    "dropped": lambda store, _: store.write(
        partial(channels.drop, channel="sms", now=NOW, actor="Ann")
    ).result(),
}


@pytest.mark.parametrize("how", END_WAITING)
def test_what_was_to_go_again_and_never_did_is_accounted_for(store: Store, how: str) -> None:
    END_WAITING[how](store, doubted(store))
    finish(store, now=NOW + timedelta(hours=2))
    assert states(store)[0] == "uncertain"
    assert counts(store) == Counts(total=3, uncertain=2, skipped=1)


def test_who_may_have_had_it_gets_the_retraction_also_when_it_was_to_go_again(store: Store) -> None:
    told = doubted(store)
    had = NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,))
    tell(store, had, after=told, kind=Kind.RETRACTION, corrects=1)
    finish(store)
    begin(store)
    assert len(taken(store).subscribers) == 2


def test_letters_in_flight_on_a_delivery_that_waits_again_get_the_retraction(store: Store) -> None:
    """The node died in the middle and another has not claimed it yet when the retraction comes."""
    subscribe(store, "sms", numbers(3))
    told = blast(store)
    job = taken(store)
    advance(store, job, 2)
    flush(store, job, {0: "accepted"})
    die(store)
    store.write(
        lambda c: c.execute(sql_update(t.delivery).values(state="waiting")).close()
    ).result()
    had = NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,))
    tell(store, had, after=told, kind=Kind.RETRACTION, corrects=1)
    finish(store)
    assert counts(store) == Counts(total=3, accepted=1, uncertain=1, skipped=1)
    begin(store)
    assert len(taken(store).subscribers) == 2


def test_a_crash_before_the_first_watermark_leaves_everybody_waiting(store: Store) -> None:
    subscribe(store, "sms", numbers(3))
    blast(store)
    taken(store)
    die(store)
    assert taken(store).todo == (0, 1, 2)


def test_a_run_goes_on_with_the_next_job_of_its_own_delivery_only(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expanding, "CHUNK", 2)
    subscribe(store, "sms", numbers(4))
    blast(store)
    blast(store)
    first = taken(store)
    more = partial(letters.claim_job, channel="sms", node="norr", now=NOW, supplier="first")
    second = store.write(partial(more, after=first)).result()
    assert second is not None
    assert (second.delivery_id, second.id) == (first.delivery_id, first.id + 1)
    assert store.write(partial(more, after=second)).result() is None  # another delivery's is next
    end_job(store, first, retry_at=NOW)
    assert store.write(partial(more, after=second)).result() is None  # it was tried before
    assert taken(store).id == first.id


def test_of_several_blasts_the_oldest_job_goes_first_and_a_retractions_before_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expanding, "CHUNK", 2)
    subscribe(store, "sms", numbers(4))
    told = blast(store)
    blast(store)
    older, younger = taken(store), taken(store)
    end_job(store, younger, retry_at=NOW)
    end_job(store, older, retry_at=NOW)
    assert [taken(store).id, taken(store).id] == [older.id, younger.id]
    flush(store, older, {0: "accepted"})
    had = NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,))
    tell(store, had, after=told, kind=Kind.RETRACTION, corrects=1)
    die(store)
    finish(store)
    begin(store)
    assert [taken(store).delivery_id, taken(store).delivery_id] == [3, 2]


def test_of_the_jobs_of_a_run_it_is_known_which_is_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expanding, "CHUNK", 2)
    subscribe(store, "sms", numbers(4))
    told = blast(store)
    kept, lost = taken(store), taken(store)
    store.write(partial(letters.abandon_job, job=lost)).result()
    hold_both = partial(letters.hold_all, jobs=(lost, kept), now=NOW)
    assert store.write(hold_both).result() == {kept.id: Hold.HELD, lost.id: Hold.LOST}
    tell(store, after=told, kind=Kind.RETRACTION, corrects=1)
    assert store.write(hold_both).result() == {kept.id: Hold.STOPPED, lost.id: Hold.LOST}


def test_a_node_that_lost_its_lease_may_neither_pull_nor_end(store: Store) -> None:
    subscribe(store, "sms", numbers(3))
    blast(store)
    lost = taken(store)
    die(store)
    held = taken(store, node="syd")
    assert not advance(store, lost, 3)
    assert store.write(partial(letters.hold, job=lost, now=NOW)).result() is Hold.LOST
    assert not end_job(store, lost)
    assert advance(store, held, 3)
    assert store.write(partial(letters.hold, job=held, now=NOW)).result() is Hold.HELD


def test_what_a_gateway_said_is_written_down_as_it_said_it(store: Store) -> None:
    subscribe(store, "sms", numbers(1))
    blast(store)
    job = taken(store)
    handle, detail = '{"id": "å\\"\n\t😀,}', "'; DROP TABLE letter; --"
    row = LetterRow(job.id, 0, job.delivery_id, job.subscribers[0], "failed", handle, detail)
    store.write(partial(tallying.flush_rows, rows=[row], supplier="g{1}", now=NOW)).result()
    written = select(t.letter.c.handle, t.letter.c.detail, t.letter.c.supplier, t.letter.c.at)
    assert store.read(lambda c: c.execute(written).one()) == (handle, detail, "g{1}", NOW)


def test_an_outcome_once_written_is_never_overwritten(store: Store) -> None:
    subscribe(store, "sms", numbers(1))
    blast(store)
    job = taken(store)
    flush(store, job, {0: "accepted"})
    flush(store, job, {0: "failed"})
    assert outcomes(store) == {0: "accepted"}
    assert counts(store) == Counts(total=1, accepted=1)


# -------------------------------------------------------------------------------------------- stopped in the middle
def test_a_retraction_stops_a_blast_and_what_comes_back_is_still_counted(store: Store) -> None:
    subscribe(store, "sms", numbers(6))
    told = blast(store)
    job = taken(store)
    assert advance(store, job, 3)
    tell(store, after=told, kind=Kind.RETRACTION, corrects=1)
    assert not advance(store, job, 6)
    assert store.write(partial(letters.hold, job=job, now=NOW)).result() is Hold.STOPPED
    assert finish(store) == []  # letters are still coming back
    flush(store, job, {0: "accepted", 1: "accepted"})
    die(store)
    assert take(store) is None
    assert finish(store) == [1]
    assert states(store)[0] == "accepted"
    assert counts(store) == Counts(total=6, accepted=2, uncertain=1, skipped=3)


def test_dropping_the_queue_stops_a_blast_in_the_middle(store: Store) -> None:
    subscribe(store, "sms", numbers(6))
    blast(store)
    job = taken(store)
    assert advance(store, job, 2)
    flush(store, job, {0: "accepted", 1: "accepted"})
    drop = partial(channels.drop, channel="sms", now=NOW, actor="Ann")
    assert store.write(drop).result() == 1
    assert store.write(drop).result() == 0
    assert not advance(store, job, 6)
    die(store)
    assert finish(store) == [1]
    assert counts(store) == Counts(total=6, accepted=2, skipped=4)


def test_a_blast_stopped_before_its_first_letter_is_withdrawn(store: Store) -> None:
    subscribe(store, "sms", numbers(3))
    told = blast(store)
    tell(store, after=told, kind=Kind.RETRACTION, corrects=1)
    assert take(store) is None
    assert finish(store) == [1]
    assert states(store)[0] == "withdrawn"
    assert counts(store) == Counts(total=3, skipped=3)


def test_a_blast_that_did_not_end_in_time_skips_the_rest(store: Store) -> None:
    subscribe(store, "sms", numbers(3))
    blast(store, not_after=NOW + timedelta(minutes=1))
    job = taken(store)
    advance(store, job, 1)
    flush(store, job, {0: "accepted"})
    die(store)
    later = NOW + timedelta(minutes=1)
    assert take(store, now=later) is None
    assert finish(store, now=later) == [1]
    assert counts(store) == Counts(total=3, accepted=1, skipped=2)


# ----------------------------------------------------------------------------------------------------- corrections
def test_who_may_have_read_the_wrong_text_gets_the_correction_and_the_rest_the_news(
    store: Store,
) -> None:
    ids = subscribe(store, "sms", numbers(5))
    new = subscribe(store, "sms", numbers(1, first=5), areas=("södra-ekbyn",))
    told = blast(store)
    send_all(store, {0: "accepted", 1: "accepted", 2: "uncertain", 3: "failed", 4: "skipped"})
    assert finish(store) == [1]
    areas = ("norra-ekbyn", "södra-ekbyn")
    tell(
        store,
        NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,)),
        NewAudience(variant=Variant.NEWS, areas=areas, had_not=(1,)),
        after=told,
        kind=Kind.CORRECTION,
        corrects=1,
        areas=areas,
    )
    begin(store)
    first, second = taken(store), taken(store)
    assert (first.variant, list(first.subscribers)) == ("correction", ids[:3])
    assert (second.variant, list(second.subscribers)) == ("news", [*ids[3:], *new])
    assert first.texts["sv"] != second.texts["sv"]


def test_letters_of_an_earlier_incident_count_for_nothing(store: Store) -> None:
    subscribe(store, "sms", numbers(1))
    blast(store)
    send_all(store, {0: "accepted"})
    finish(store)
    tell(store, NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,)))
    begin(store)
    assert take(store) is None


def test_a_correction_waits_until_the_wrong_text_has_stopped(store: Store) -> None:
    subscribe(store, "sms", numbers(2))
    told = blast(store)
    job = taken(store)
    advance(store, job, 2)
    had = NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,))
    tell(store, had, after=told, kind=Kind.CORRECTION, corrects=1)
    claim = partial(claiming.claim, channel="sms", node="norr", now=NOW, limit=1)
    assert store.write(claim).result() == ()
    flush(store, job, {0: "accepted"})
    die(store)
    finish(store)
    begin(store)
    assert len(taken(store).subscribers) == 2  # one had it, one may have


def test_the_cost_of_accepting_does_not_grow_with_the_subscribers(store: Store) -> None:
    subscribe(store, "sms", numbers(50))
    tell(store)
    count = select(func.count()).select_from(t.job)
    assert store.read(lambda c: c.scalar(count)) == 0
    assert states(store) == [State.WAITING]


def resting(
    store: Store, tries: int = 3, left: str = "doubtful", others: str = "accepted"
) -> Accepted:
    """An update whose letters went to all but one, which was left in doubt that often and rests now."""
    subscribe(store, "sms", numbers(3))
    told = blast(store, life_safety=True)
    for _ in range(tries):
        job = taken(store)
        assert advance(store, job, 3)
        flush(store, job, {0: others, 1: others, 2: left})
        assert end_job(store, job, NOW)
    store.write(
        lambda c: c.execute(sql_update(t.job).values(due_at=NOW + timedelta(hours=1))).close()
    ).result()
    return told


@pytest.mark.parametrize("kind", [Kind.UPDATE, Kind.RESTORED, Kind.HOLDING])
def test_letters_that_only_rest_give_way_to_a_later_word_of_their_incident(
    store: Store, kind: Kind
) -> None:
    told = resting(store)
    assert finish(store) == []
    tell(store, after=told, kind=kind)
    assert finish(store) == [1]
    assert states(store) == [State.ACCEPTED, State.WAITING]
    assert counts(store) == Counts(total=3, accepted=2, uncertain=1)
    begin(store)
    assert states(store) == [State.ACCEPTED, State.SENDING]


def test_letters_that_were_not_tried_or_surely_did_not_go_give_way_to_no_later_word(
    store: Store,
) -> None:
    told = resting(store, left="transient")
    tell(store, after=told, kind=Kind.UPDATE)
    assert finish(store) == []
    store.write(lambda c: c.execute(delete(t.letter).where(t.letter.c.position == 2)).close())
    assert finish(store) == []


def test_letters_in_doubt_that_go_again_at_once_give_way_to_no_later_word(store: Store) -> None:
    told = resting(store, tries=2)
    tell(store, after=told, kind=Kind.UPDATE)
    assert finish(store) == []


def test_letters_that_rest_give_way_to_no_word_that_waits_for_its_time_or_is_of_another_incident(
    store: Store,
) -> None:
    told = resting(store)
    tell(store, after=tell(store), kind=Kind.UPDATE)
    assert finish(store) == []
    tell(store, after=told, kind=Kind.UPDATE, rest={"hold": "scheduled"})
    assert finish(store) == []


def test_letters_that_all_rest_give_way_to_what_is_new_and_to_no_holding_word(store: Store) -> None:
    told = resting(store, others="doubtful")
    held = tell(store, after=told, kind=Kind.HOLDING)
    assert finish(store) == []
    tell(store, after=held, kind=Kind.UPDATE)
    assert finish(store) == [1]
    assert states(store)[0] == State.UNCERTAIN
    assert counts(store) == Counts(total=3, uncertain=3)


def test_letters_that_mostly_rest_give_way_to_no_holding_word(store: Store) -> None:
    """One of two hundred was answered: that nothing new is said does not spare the others what they may not have."""
    subscribe(store, "sms", numbers(200))
    told = blast(store, life_safety=True)
    for _ in range(3):
        job = taken(store)
        assert advance(store, job, 200)
        flush(store, job, {n: "accepted" if n == 0 else "doubtful" for n in range(200)})
        assert end_job(store, job, NOW)
    held = tell(store, after=told, kind=Kind.HOLDING)
    assert finish(store) == []
    tell(store, after=held, kind=Kind.UPDATE)
    assert finish(store) == [1]


def test_letters_that_all_rest_give_way_to_no_word_for_others(store: Store) -> None:
    told = resting(store, others="doubtful")
    told = tell(store, after=told, kind=Kind.UPDATE, areas=("sodra-ekbyn",))
    assert finish(store) == []
    tell(store, after=told, kind=Kind.UPDATE)
    assert finish(store) == [1]


def test_letters_that_an_operator_sends_once_more_give_way_to_no_later_word(store: Store) -> None:
    told = resting(store)
    had = sql_update(t.delivery).values(accepted_at=NOW)
    store.write(lambda c: c.execute(had).close()).result()
    tell(store, after=told, kind=Kind.UPDATE)
    assert finish(store) == []
