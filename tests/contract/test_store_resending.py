"""What failed may be sent once more; what was in doubt is settled by what is found; every attempt is on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select, update as sql_update

from broadcaster.domain.delivery import Counts, Outcome, State, StepKind
from broadcaster.domain.incident import Kind
from broadcaster.store import (
    Store,
    audit,
    claiming,
    deliveries,
    expanding,
    finishing,
    letters,
    moving,
    outcomes,
    rowlocks,
    tables as t,
    tallying,
    withdrawing,
)
from broadcaster.store.claiming import Claim
from broadcaster.store.letters import Hold, Job
from broadcaster.store.tallying import LetterRow
from broadcaster.testing.builders import letters as letters_by, post, subscribe, tell
from broadcaster.testing.meanwhile import under_way, wait_until_held_up

NOW = datetime.now(UTC)  # leases follow the clock of PostgreSQL, which no test can set
LATER = NOW + timedelta(hours=3)


def claim(store: Store, channel: str = "hook") -> Claim:
    take = partial(claiming.claim, channel=channel, node="norr", now=NOW, limit=1)
    (claimed,) = store.write(take).result()
    return claimed


def end(store: Store, delivery_id: int, state: State) -> None:
    ended = partial(moving.end, delivery_id=delivery_id, state=state, now=NOW, detail="refused")
    assert store.write(ended).result()


def end_step(store: Store, step_id: int, outcome: str, handle: str = "") -> None:
    ended = partial(deliveries.end_step, step_id=step_id, outcome=outcome, handle=handle)
    store.write(ended).result()


def resend(store: Store, delivery_id: int = 1) -> bool:
    again = partial(outcomes.resend, delivery_id=delivery_id, now=NOW, actor="Kim")
    return store.write(partial(again, not_after=LATER)).result()


def begin(store: Store, claimed: Claim, step: int = 0) -> int:
    attempt = partial(deliveries.begin_attempt, claim=claimed, step=claimed.steps[step], now=NOW)
    attempt_id = store.write(partial(attempt, node="norr")).result()
    assert attempt_id is not None
    return attempt_id


# ---------------------------------------------------------------------------------------------------------- posts
def test_what_failed_goes_once_more_and_only_the_steps_that_failed(store: Store) -> None:
    tell(store, post("hook", 2), now=NOW)
    claimed = claim(store)
    end_step(store, claimed.steps[0].id, "accepted", "h0")
    end_step(store, claimed.steps[1].id, "failed")
    end(store, claimed.id, State.FAILED)
    assert [resend(store), resend(store)] == [True, False]
    again = claim(store)
    assert [(step.position, step.uncertain) for step in again.steps] == [(1, False)]
    assert again.not_after == LATER
    acts = [(row.actor, row.act) for row in store.read(audit.listing)]
    assert acts[-1] == ("Kim", "resend")


@pytest.mark.parametrize("came_to", ["failed", "uncertain"])
def test_what_is_sent_again_begins_anew_and_has_until_its_new_time(
    store: Store, came_to: str
) -> None:
    tell(store, post("hook"), now=NOW - timedelta(hours=1))
    claimed = claim(store)
    begin(store, claimed)
    end_step(store, claimed.steps[0].id, came_to)
    end(store, claimed.id, State.FAILED)
    assert resend(store)
    row = store.read(partial(outcomes.one, delivery_id=1))
    assert (row.state, row.due_at, row.not_after) == (State.WAITING, NOW, LATER)
    assert (row.attempts, row.ended_at) == (0, None)
    step = store.read(lambda c: c.execute(select(t.step)).one())
    assert (step.outcome, step.attempts, step.first_tried_at, step.reply_to) == (
        *(None, 0, None, None),
    )


@pytest.mark.parametrize(
    "state", sorted(set(State) - {State.FAILED, State.BOUNCED, State.UNCERTAIN})
)
def test_what_neither_failed_nor_is_in_doubt_is_not_sent_again(store: Store, state: State) -> None:
    tell(store, post("hook"), now=NOW)
    end_step(store, claim(store).steps[0].id, "uncertain")
    before = change_to(store, state)
    assert not resend(store)
    assert store.read(partial(outcomes.one, delivery_id=1)) == before
    assert store.read(lambda c: c.scalar(select(t.step.c.outcome))) == "uncertain"
    assert [row.act for row in store.read(audit.listing) if row.act == "resend"] == []


def change_to(store: Store, state: State) -> Any:
    """Put the one delivery there, whatever led to it."""
    store.write(lambda c: c.execute(sql_update(t.delivery).values(state=state)).close()).result()
    return store.read(partial(outcomes.one, delivery_id=1))


def leave_in_doubt(store: Store, claimed: Claim) -> None:
    back = partial(deliveries.put_back, claim=claimed, now=NOW, due_at=NOW, detail="timed out")
    assert store.write(partial(back, state=State.UNCERTAIN)).result()


def test_what_is_in_doubt_is_sent_again_unless_it_is_just_being_looked_for(store: Store) -> None:
    tell(store, post("hook"), now=NOW)
    leave_in_doubt(store, claim(store))
    looked_for = claim(store)
    assert looked_for.state is State.UNCERTAIN
    assert not resend(store)
    leave_in_doubt(store, looked_for)
    assert resend(store)
    assert claim(store).state is State.SENDING


def test_what_a_node_begins_to_look_for_is_not_sent_again_in_the_same_moment(store: Store) -> None:
    tell(store, post("hook"), now=NOW)
    leave_in_doubt(store, claim(store))
    look = partial(claiming.claim, channel="hook", node="norr", now=NOW, limit=1)
    again = partial(outcomes.resend, delivery_id=1, now=NOW, not_after=LATER, actor="Kim")
    with under_way(store, look):
        asked = store.write(again)
        wait_until_held_up(store, asked)
    assert not asked.result(10)
    assert outcomes_of(store)[0] == State.UNCERTAIN


def test_a_step_that_did_not_happen_is_done_again_and_its_broken_attempt_is_on_record(
    store: Store,
) -> None:
    tell(store, post("hook"), now=NOW)
    claimed = claim(store)
    step = claimed.steps[0]
    begin(store, claimed)
    end_step(store, step.id, "uncertain")
    ended = partial(deliveries.end_open_attempts, step_id=step.id, now=LATER)
    store.write(ended).result()
    store.write(partial(deliveries.reopen_step, step_id=step.id)).result()
    row = store.read(lambda c: c.execute(select(t.attempt)).one())
    assert (row.outcome, row.detail, row.ended_at) == (Outcome.UNCERTAIN, "broken off", LATER)
    assert store.write(partial(deliveries.take_back_own, node="norr", now=NOW)).result() == 1
    assert [(one.attempts, one.uncertain) for one in claim(store).steps] == [(1, False)]


def test_what_was_seen_from_outside_is_confirmed_if_it_was_accepted(store: Store) -> None:
    tell(store, post("hook"), post("x"), now=NOW)
    end(store, claim(store).id, State.ACCEPTED)
    ids = [row.id for row in store.read(partial(outcomes.of_update, update_id=1))]
    store.write(partial(deliveries.confirm, delivery_ids=ids)).result()
    states = [row.state for row in store.read(partial(outcomes.of_update, update_id=1))]
    assert states == [State.CONFIRMED, State.WAITING]


def test_why_a_channel_waits_is_said_on_everything_that_waits_there(store: Store) -> None:
    tell(store, post("hook"), post("x"), now=NOW)
    held = {"hold": "scheduled", "release_at": LATER}
    tell(store, post("hook"), now=NOW, rest=held)
    said = partial(deliveries.note_detail, channel="hook", detail="its token is refused")
    store.write(said).result()
    query = select(t.delivery.c.detail, t.delivery.c.attempts).order_by(t.delivery.c.id)
    rows = [tuple(row) for row in store.read(lambda c: c.execute(query).all())]
    assert rows == [("its token is refused", 1), ("", 0), ("", 0)]


def test_a_post_found_after_its_retraction_is_taken_away_and_nothing_more_is_posted(
    store: Store,
) -> None:
    told = tell(store, post("hook", 2), now=NOW)
    claimed = claim(store)
    found, unsaid = claimed.steps
    begin(store, claimed)
    end_step(store, found.id, "accepted", "h0")
    take_away = partial(withdrawing.take_away_found, delivery_id=claimed.id, step_id=found.id)
    assert not store.write(take_away).result()
    tell(store, after=told, kind=Kind.RETRACTION, corrects=1, now=NOW)
    assert store.write(take_away).result()
    query = select(t.step).where(t.step.c.delivery_id == claimed.id).order_by(t.step.c.position)
    rows = store.read(lambda c: c.execute(query).all())
    assert [(row.kind, row.outcome, row.target_step) for row in rows] == [
        (StepKind.POST, "accepted", None),
        (StepKind.POST, "skipped", None),
        (StepKind.WITHDRAW, None, found.id),
    ]
    assert rows[1].id == unsaid.id
    assert not store.read(partial(outcomes.one, delivery_id=claimed.id)).stopped


def test_a_post_found_after_its_correction_was_retracted_is_taken_away_too(store: Store) -> None:
    told = tell(store, post("hook"), now=NOW)
    claimed = claim(store)
    (found,) = claimed.steps
    begin(store, claimed)
    end_step(store, found.id, "accepted", "h0")
    corrected = tell(store, after=told, kind=Kind.CORRECTION, corrects=1, now=NOW)
    take_away = partial(withdrawing.take_away_found, delivery_id=claimed.id, step_id=found.id)
    assert not store.write(take_away).result()
    tell(store, after=corrected, kind=Kind.RETRACTION, corrects=2, now=NOW)
    assert store.write(take_away).result()


# ---------------------------------------------------------------------------------------------------------- letters
def blast(store: Store, count: int = 4) -> Job:
    """Letters on their way, their one job claimed and its watermark at the end."""
    subscribe(store, "sms", [f"+4670174060{number}" for number in range(count)])
    tell(store, letters_by("sms"), now=NOW)
    claimed = claim(store, "sms")
    step = partial(expanding.expand, delivery_id=claimed.id, lease_token=claimed.lease_token)
    assert store.write(partial(step, now=NOW)).result()
    return advanced(store)


def advanced(store: Store) -> Job:
    take = partial(letters.claim_job, channel="sms", node="norr", now=NOW, supplier="first")
    job = store.write(take).result()
    assert job is not None
    ahead = partial(letters.advance, job=job, watermark=len(job.subscribers), now=NOW)
    assert store.write(ahead).result()
    return job


def flush(store: Store, job: Job, *came_to: str) -> None:
    flush_these(store, job, dict(enumerate(came_to)))


def flush_these(store: Store, job: Job, came_to: dict[int, str]) -> None:
    rows = [
        LetterRow(job.id, position, job.delivery_id, job.subscribers[position], outcome)
        for position, outcome in came_to.items()
    ]
    store.write(partial(tallying.flush_rows, rows=rows, supplier="first", now=NOW)).result()


def finish(store: Store, job: Job) -> None:
    def work(connection: Connection) -> None:
        assert letters.end_job(connection, job, None, NOW)
        assert finishing.finish(connection, "sms", NOW) == [job.delivery_id]

    store.write(work).result()


def counts(store: Store) -> Counts:
    return store.read(partial(finishing.read_counts, delivery_id=1))


def test_of_a_failed_blast_everyone_who_lacks_the_text_is_written_to_again(store: Store) -> None:
    job = blast(store)
    flush(store, job, *["failed"] * 4)
    finish(store, job)
    assert outcomes_of(store) == (State.FAILED, Counts(total=4, failed=4))
    assert resend(store)
    assert counts(store) == Counts(total=4)
    claim(store, "sms")
    again = advanced(store)
    assert again.todo == (0, 1, 2, 3)
    flush(store, again, "accepted", "skipped", "failed", "accepted")
    finish(store, again)
    assert outcomes_of(store) == (
        *(State.ACCEPTED, Counts(total=4, accepted=2, failed=1, skipped=1)),
    )


def outcomes_of(store: Store) -> tuple[str, Counts]:
    return store.read(partial(outcomes.one, delivery_id=1)).state, counts(store)


def expire(store: Store) -> None:
    """The time of the blast is over, and so are the leases of its jobs."""
    late, gone = {"not_after": NOW}, {"lease_until": None}
    store.write(lambda c: c.execute(sql_update(t.job).values(**gone)).close()).result()
    store.write(lambda c: c.execute(sql_update(t.delivery).values(**late)).close()).result()
    assert store.write(partial(finishing.finish, channel="sms", now=NOW)).result() == [1]


def test_letters_in_doubt_refused_or_never_pulled_go_again_and_who_was_left_out_stays_out(
    store: Store,
) -> None:
    job = blast(store)
    flush(store, job, "uncertain", "skipped", "failed")
    pulled = {"watermark": 3}
    store.write(lambda c: c.execute(sql_update(t.job).values(**pulled)).close()).result()
    expire(store)
    assert outcomes_of(store) == (
        *(State.UNCERTAIN, Counts(total=4, failed=1, uncertain=1, skipped=2)),
    )
    assert {row.state for row in jobs(store)} == {"done"}
    assert resend(store)
    assert counts(store) == Counts(total=4, uncertain=1, skipped=1)
    assert [row.watermark for row in jobs(store)] == [0]
    claim(store, "sms")
    again = advanced(store)
    assert again.todo == (0, 2, 3)
    flush_these(store, again, {0: "accepted", 2: "accepted", 3: "accepted"})
    finish(store, again)
    assert outcomes_of(store) == (State.ACCEPTED, Counts(total=4, accepted=3, skipped=1))


def jobs(store: Store) -> list[Any]:
    return list(store.read(lambda c: c.execute(select(t.job).order_by(t.job.c.id)).all()))


def test_letters_that_are_all_in_doubt_go_again(store: Store) -> None:
    job = blast(store)
    flush(store, job, *["uncertain"] * 4)
    finish(store, job)
    assert outcomes_of(store) == (State.UNCERTAIN, Counts(total=4, uncertain=4))
    assert resend(store)
    claim(store, "sms")
    assert advanced(store).todo == (0, 1, 2, 3)


def test_a_job_of_which_nothing_is_left_to_send_is_not_done_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expanding, "CHUNK", 2)
    left_out = blast(store)
    flush(store, left_out, "skipped", "skipped")
    assert store.write(partial(letters.end_job, job=left_out, retry_at=None, now=NOW)).result()
    refused = advanced(store)
    flush(store, refused, "failed", "failed")
    finish(store, refused)
    assert resend(store)
    assert [row.state for row in jobs(store)] == ["done", "waiting"]


def test_a_blast_ends_only_when_everyone_it_is_for_has_been_found(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expanding, "CHUNK", 2)
    subscribe(store, "sms", [f"+4670174060{number}" for number in range(4)])
    tell(store, letters_by("sms"), now=NOW)
    claimed = claim(store, "sms")
    step = partial(expanding.expand, delivery_id=claimed.id, lease_token=claimed.lease_token)
    assert not store.write(partial(step, now=NOW, chunks=1)).result()
    job = advanced(store)
    flush(store, job, "accepted", "accepted")
    assert store.write(partial(letters.end_job, job=job, retry_at=None, now=NOW)).result()
    assert store.write(partial(finishing.finish, channel="sms", now=NOW)).result() == []


def test_a_blast_whose_time_ran_out_has_expired_if_not_everyone_was_tried(store: Store) -> None:
    job = blast(store)
    flush(store, job, "failed", "failed", "failed")
    pulled = {"watermark": 3}
    store.write(lambda c: c.execute(sql_update(t.job).values(**pulled)).close()).result()
    expire(store)
    assert outcomes_of(store) == (State.EXPIRED, Counts(total=4, failed=3, skipped=1))


def test_a_blast_of_which_everybody_is_gone_has_refused_nobody(store: Store) -> None:
    job = blast(store)
    flush(store, job, *["skipped"] * 4)
    finish(store, job)
    assert outcomes_of(store) == (State.EXPIRED, Counts(total=4, skipped=4))


def test_a_job_given_up_while_its_calls_hang_is_nobodys_and_its_letters_are_in_doubt(
    store: Store,
) -> None:
    job = blast(store)
    flush(store, job, "accepted", "failed")
    store.write(partial(letters.abandon_job, job=job)).result()
    assert store.write(partial(letters.hold, job=job, now=NOW)).result() is Hold.LOST
    assert not store.write(partial(letters.end_job, job=job, retry_at=None, now=NOW)).result()
    late = {"not_after": NOW}
    store.write(lambda c: c.execute(sql_update(t.delivery).values(**late)).close()).result()
    assert store.write(partial(finishing.finish, channel="sms", now=NOW)).result() == [1]
    assert counts(store) == Counts(total=4, accepted=1, failed=1, uncertain=2)


def test_a_blast_whose_letters_were_refused_has_failed_also_where_one_was_left_out(
    store: Store,
) -> None:
    job = blast(store)
    flush(store, job, "failed", "failed", "skipped", "failed")
    finish(store, job)
    assert outcomes_of(store) == (State.FAILED, Counts(total=4, failed=3, skipped=1))
    assert resend(store)


def test_of_two_nodes_that_end_a_stopped_blast_one_counts_what_is_left(store: Store) -> None:
    blast(store)
    gone = {"lease_until": None, "watermark": 1}
    store.write(lambda c: c.execute(sql_update(t.job).values(**gone)).close()).result()
    store.write(lambda c: c.execute(sql_update(t.delivery).values(stopped=True)).close()).result()
    ending = partial(finishing.finish, channel="sms", now=NOW)
    with under_way(store, ending) as mine:
        assert store.write(ending).result(10) == []  # waits for nobody
    assert mine.result(10) == [1]
    assert counts(store) == Counts(total=4, uncertain=1, skipped=3)


# --------------------------------------------------------------------------- letters of a delivery that is accepted
def accepted_but(store: Store, *came_to: str) -> Job:
    """A blast that is accepted as a whole, whatever came of each letter."""
    job = blast(store, len(came_to))
    flush(store, job, *came_to)
    finish(store, job)
    assert outcomes_of(store)[0] == State.ACCEPTED
    return job


def test_of_an_accepted_blast_the_letters_in_doubt_or_refused_go_again_and_no_others(
    store: Store,
) -> None:
    accepted_but(store, "accepted", "uncertain", "failed", "skipped", "accepted")
    assert resend(store)
    row = store.read(partial(outcomes.one, delivery_id=1))
    assert (row.state, row.not_after, row.ended_at) == (State.WAITING, LATER, None)
    assert counts(store) == Counts(total=5, accepted=2, uncertain=1, skipped=1)
    claim(store, "sms")
    again = advanced(store)
    assert again.todo == (1, 2)
    flush_these(store, again, {1: "accepted", 2: "failed"})
    finish(store, again)
    assert outcomes_of(store) == (
        *(State.ACCEPTED, Counts(total=5, accepted=3, failed=1, skipped=1)),
    )


def test_how_many_letters_were_to_go_again_is_in_the_audit(store: Store) -> None:
    accepted_but(store, "accepted", "uncertain", "failed", "uncertain")
    assert resend(store)
    last = store.read(audit.listing)[-1]
    assert (last.actor, last.act, last.subject, last.detail) == (
        "Kim",
        "resend",
        "1",
        {"letters": 3},
    )


def test_a_letter_in_doubt_that_is_refused_the_second_time_stays_in_doubt(store: Store) -> None:
    accepted_but(store, "accepted", "uncertain", "accepted")
    assert resend(store)
    claim(store, "sms")
    again = advanced(store)
    flush_these(store, again, {1: "failed"})
    finish(store, again)
    assert outcomes_of(store) == (State.ACCEPTED, Counts(total=3, accepted=2, uncertain=1))


def test_an_accepted_blast_of_which_every_letter_is_through_is_not_sent_again(store: Store) -> None:
    accepted_but(store, "accepted", "skipped", "accepted")
    assert not resend(store)
    assert outcomes_of(store) == (State.ACCEPTED, Counts(total=3, accepted=2, skipped=1))


@pytest.mark.parametrize("because", ["its time is over", "it was stopped"])
def test_letters_in_doubt_stay_as_they_are_when(store: Store, because: str) -> None:
    accepted_but(store, "accepted", "uncertain")
    change = {"not_after": NOW} if because == "its time is over" else {"stopped": True}
    store.write(lambda c: c.execute(sql_update(t.delivery).values(**change)).close()).result()
    assert not resend(store)
    assert outcomes_of(store) == (State.ACCEPTED, Counts(total=2, accepted=1, uncertain=1))


def test_letters_that_wait_to_go_again_are_accepted_as_before_once_their_time_is_over(
    store: Store,
) -> None:
    accepted_but(store, "accepted", "uncertain", "failed")
    assert resend(store)
    late = {"not_after": NOW}
    store.write(lambda c: c.execute(sql_update(t.delivery).values(**late)).close()).result()
    store.write(partial(deliveries.expire, now=NOW)).result()
    assert store.write(partial(finishing.finish, channel="sms", now=NOW)).result() == [1]
    assert outcomes_of(store) == (
        *(State.ACCEPTED, Counts(total=3, accepted=1, uncertain=1, skipped=1)),
    )


def test_letters_that_wait_to_go_again_do_not_go_once_their_text_is_corrected(store: Store) -> None:
    subscribe(store, "sms", ["+46701740600", "+46701740601"])
    told = tell(store, letters_by("sms"), now=NOW)
    claimed = claim(store, "sms")
    step = partial(expanding.expand, delivery_id=claimed.id, lease_token=claimed.lease_token)
    assert store.write(partial(step, now=NOW)).result()
    job = advanced(store)
    flush(store, job, "accepted", "uncertain")
    finish(store, job)
    assert resend(store)
    tell(store, after=told, kind=Kind.CORRECTION, corrects=1, now=NOW)
    take = partial(letters.claim_job, channel="sms", node="norr", now=NOW, supplier="first")
    assert store.write(take).result() is None
    assert store.write(partial(finishing.finish, channel="sms", now=NOW)).result() == [1]
    assert outcomes_of(store) == (State.ACCEPTED, Counts(total=2, accepted=1, uncertain=1))


def test_what_is_to_go_again_is_looked_at_before_a_correction_of_it_or_after(store: Store) -> None:
    accepted_but(store, "accepted", "uncertain")

    def strike(connection: Connection) -> None:
        rowlocks.hold_incident(connection, 1)
        connection.execute(sql_update(t.delivery).values(stopped=True))

    with under_way(store, strike):
        looked_at = store.write(partial(outcomes.held, delivery_id=1))
        wait_until_held_up(store, looked_at)
    assert looked_at.result(10).stopped
