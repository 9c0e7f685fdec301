"""A channel that stands in for another: who has a text, or may have it, is known across all that carried it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, update as sql_update

from broadcaster.domain.delivery import Shape, State, Variant
from broadcaster.domain.exchange import Report
from broadcaster.domain.incident import Kind
from broadcaster.store import (
    Store,
    channels,
    claiming,
    expanding,
    fallbacks,
    finishing,
    letters,
    outcomes,
    reports,
    tables as t,
    tallying,
)
from broadcaster.store.claiming import Claim
from broadcaster.store.intents import Accepted, NewAudience
from broadcaster.store.letters import Job
from broadcaster.store.tallying import LetterRow
from broadcaster.testing import builders

NOW = datetime.now(UTC)  # leases follow the clock of PostgreSQL, which no test can set
MEDIA = {"sms": "sms_http", "sms2": "sms_http", "sms3": "sms_http", "mail": "email"}
SHAPES = dict.fromkeys(MEDIA, Shape.LETTER)
NUMBERS = ["+46701740605", "+46701740606", "+46701740607"]


def tell(store: Store, *fallback: str) -> Accepted:
    builders.subscribe(store, "sms", NUMBERS)
    return builders.tell(store, builders.letters("sms", fallback=fallback), now=NOW)


def claim(store: Store, channel: str) -> tuple[Claim, ...]:
    """Claim what may be claimed and turn it into jobs."""
    find = partial(claiming.claim, channel=channel, node="norr", now=NOW, limit=4)
    claimed = store.write(find).result()
    for one in claimed:
        expand = partial(expanding.expand, delivery_id=one.id, lease_token=one.lease_token)
        assert store.write(partial(expand, now=NOW)).result()
    return claimed


def take(store: Store, channel: str) -> Job:
    find = partial(letters.claim_job, channel=channel, node="norr", now=NOW, supplier="first")
    job = store.write(find).result()
    assert job is not None
    assert store.write(partial(letters.advance, job=job, watermark=3, now=NOW)).result()
    return job


def came_to(store: Store, channel: str, job: Job, *said: str) -> None:
    """What the letters of a job that were still to be sent came to, in their order."""
    rows = [
        LetterRow(job.id, place, job.delivery_id, job.subscribers[place], outcome)
        for place, outcome in zip(job.todo, said, strict=False)
    ]

    def end(connection: Any) -> None:
        tallying.flush_rows(connection, rows, "first", NOW)
        letters.end_job(connection, job, None, NOW)
        finishing.finish(connection, channel, NOW)

    store.write(end).result()


def sweep(store: Store, **sick: str) -> list[tuple[str, str]]:
    return store.write(lambda c: fallbacks.start(c, sick, SHAPES, MEDIA, NOW)).result()


def resend(store: Store) -> bool:
    until = NOW + timedelta(hours=1)
    return store.write(
        partial(outcomes.resend, delivery_id=1, now=NOW, not_after=until, actor="Ann")
    ).result()


def written_to(store: Store, delivery_id: int) -> list[int]:
    mine = select(t.job.c.subscribers).where(t.job.c.delivery_id == delivery_id)
    return sorted(key for job in store.read(lambda c: list(c.scalars(mine))) for key in job)


def state(store: Store, delivery_id: int = 1) -> str:
    mine = select(t.delivery.c.state).where(t.delivery.c.id == delivery_id)
    return str(store.read(lambda c: c.scalar(mine)))


def under_way_beside(store: Store, delivery_id: int) -> str | None:
    return store.read(partial(outcomes.other_under_way, delivery_id=delivery_id))


def failed_by_two(store: Store) -> None:
    """The first gateway brought it to one of three, the one that stood in to one more."""
    tell(store, "sms2", "sms3")
    claim(store, "sms")
    came_to(store, "sms", take(store, "sms"), "accepted", "failed", "failed")
    assert sweep(store) == [("sms", "sms2")]
    claim(store, "sms2")
    came_to(store, "sms2", take(store, "sms2"), "accepted", "failed")


def test_a_third_gateway_that_stands_in_is_known_at_the_first(store: Store) -> None:
    failed_by_two(store)
    assert under_way_beside(store, 1) is None
    assert sweep(store) == [("sms2", "sms3")]
    assert under_way_beside(store, 1) == "sms3"
    assert under_way_beside(store, 2) == "sms3"


def test_while_the_first_gateway_is_sent_again_no_other_is_and_none_stands_in(
    store: Store,
) -> None:
    failed_by_two(store)
    assert resend(store)
    assert under_way_beside(store, 2) == "sms"
    assert sweep(store) == []
    claim(store, "sms")
    came_to(store, "sms", take(store, "sms"), "accepted")
    assert sweep(store) == [("sms2", "sms3")]
    claim(store, "sms3")
    assert written_to(store, 3) == []


def test_a_correction_waits_for_letters_on_their_way_by_a_channel_that_stands_in(
    store: Store,
) -> None:
    told = tell(store, "sms2")
    claim(store, "sms")
    came_to(store, "sms", take(store, "sms"), "failed", "failed", "failed")
    assert sweep(store) == [("sms", "sms2")]
    claim(store, "sms2")
    job = take(store, "sms2")
    had = builders.letters("sms", NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,)))
    builders.tell(store, had, after=told, now=NOW, kind=Kind.RETRACTION, corrects=1)
    assert claim(store, "sms") == ()
    came_to(store, "sms2", job, "accepted", "accepted", "accepted")
    (correction,) = claim(store, "sms")
    assert written_to(store, correction.id) == list(job.subscribers)


def test_whoever_may_have_it_is_left_out_also_when_it_was_to_go_again(store: Store) -> None:
    tell(store, "sms2")
    claim(store, "sms")
    job = take(store, "sms")
    came_to(store, "sms", job, "uncertain", "uncertain", "failed")
    assert resend(store)
    assert sweep(store, sms="parked") == [("sms", "sms2")]
    store.write(lambda c: finishing.finish(c, "sms", NOW)).result()
    (there,) = claim(store, "sms2")
    assert written_to(store, there.id) == [job.subscribers[2]]


def test_a_third_gateway_stands_in_for_the_first_and_not_for_the_mail_between(store: Store) -> None:
    tell(store, "mail", "sms2")
    (theirs,) = builders.subscribe(store, "sms2", ["+46701740608"])
    claim(store, "sms")
    job = take(store, "sms")
    came_to(store, "sms", job, "accepted", "failed", "failed")
    assert sweep(store) == [("sms", "mail")]
    assert sweep(store, mail="parked") == [("mail", "sms2")]
    (there,) = claim(store, "sms2")
    assert written_to(store, there.id) == list(job.subscribers[1:])
    assert theirs not in written_to(store, there.id)


def test_what_the_network_refused_to_all_is_taken_over_too(store: Store) -> None:
    tell(store, "sms2")
    claim(store, "sms")
    job = take(store, "sms")
    came_to(store, "sms", job, "accepted", "accepted", "accepted")
    for place in range(3):
        said = Report(key=f"1.{job.id}.{place}", outcome="failed")
        assert store.write(partial(reports.match, found=[("sms", said)])).result() == [True]
    assert state(store) == "bounced"
    assert sweep(store) == [("sms", "sms2")]
    (there,) = claim(store, "sms2")
    assert written_to(store, there.id) == list(job.subscribers)


def test_what_the_network_refused_to_all_can_be_sent_again(store: Store) -> None:
    tell(store)
    claim(store, "sms")
    job = take(store, "sms")
    came_to(store, "sms", job, "accepted", "accepted", "accepted")
    for place in range(3):
        said = Report(key=f"1.{job.id}.{place}", outcome="failed")
        store.write(partial(reports.match, found=[("sms", said)])).result()
    assert resend(store)
    claim(store, "sms")
    assert take(store, "sms").todo == (0, 1, 2)


def test_what_another_channel_took_over_is_not_sent_again(store: Store) -> None:
    tell(store, "sms2")
    claim(store, "sms")
    job = take(store, "sms")
    assert sweep(store, sms="parked") == [("sms", "sms2")]
    came_to(store, "sms", job, "uncertain", "uncertain", "uncertain")
    assert state(store) == "uncertain"
    assert not resend(store)


@pytest.mark.parametrize("ended", [State.FAILED, State.EXPIRED, State.BOUNCED])
def test_a_letter_that_arrived_after_all_makes_its_delivery_accepted(
    store: Store, ended: State
) -> None:
    tell(store)
    claim(store, "sms")
    job = take(store, "sms")
    came_to(store, "sms", job, "failed", "failed", "failed")
    store.write(lambda c: c.execute(sql_update(t.delivery).values(state=ended)).close()).result()
    said = Report(key=f"1.{job.id}.1", outcome="confirmed")
    assert store.write(partial(reports.match, found=[("sms", said)])).result() == [True]
    assert state(store) == "accepted"


def test_who_got_it_by_the_channel_that_stood_in_is_not_written_to_again(store: Store) -> None:
    tell(store, "sms2")
    claim(store, "sms")
    job = take(store, "sms")
    came_to(store, "sms", job, "accepted", "failed", "failed")
    assert sweep(store) == [("sms", "sms2")]
    (there,) = claim(store, "sms2")
    standing_in = partial(outcomes.other_under_way, delivery_id=1)
    assert store.read(standing_in) == "sms2"
    came_to(store, "sms2", take(store, "sms2"), "accepted", "failed")
    assert state(store, there.id) == "accepted"
    assert store.read(standing_in) is None
    assert resend(store)
    claim(store, "sms")
    assert take(store, "sms").todo == (2,)


def test_where_the_channel_that_stood_in_brought_it_to_all_nothing_goes_again(store: Store) -> None:
    tell(store, "sms2")
    claim(store, "sms")
    came_to(store, "sms", take(store, "sms"), "accepted", "failed", "failed")
    assert sweep(store) == [("sms", "sms2")]
    claim(store, "sms2")
    came_to(store, "sms2", take(store, "sms2"), "accepted", "uncertain")
    assert not resend(store)
    assert state(store) == "accepted"


def brought_by(store: Store) -> tuple[str, ...]:
    return store.read(partial(outcomes.brought_by, delivery_id=1))


def test_what_failed_and_was_brought_to_all_by_the_channel_that_stood_in_is_not_sent_again(
    store: Store,
) -> None:
    tell(store, "sms2")
    claim(store, "sms")
    came_to(store, "sms", take(store, "sms"), "failed", "failed", "failed")
    assert brought_by(store) == ()
    assert sweep(store) == [("sms", "sms2")]
    claim(store, "sms2")
    came_to(store, "sms2", take(store, "sms2"), "accepted", "accepted", "uncertain")
    assert not resend(store)
    assert state(store) == "failed"
    assert brought_by(store) == ("sms2",)


def test_what_failed_goes_again_to_those_whom_the_channel_that_stood_in_did_not_reach(
    store: Store,
) -> None:
    tell(store, "sms2")
    claim(store, "sms")
    came_to(store, "sms", take(store, "sms"), "failed", "failed", "failed")
    assert sweep(store) == [("sms", "sms2")]
    claim(store, "sms2")
    came_to(store, "sms2", take(store, "sms2"), "accepted", "failed", "accepted")
    assert resend(store)
    claim(store, "sms")
    assert take(store, "sms").todo == (1,)


def refused_to_all_and_waiting_for_mail(store: Store) -> None:
    """No gateway took the letters, and the mail that stands in is parked before it has begun."""
    builders.subscribe(store, "mail", ["eva@ekbyn.example"])
    tell(store, "mail")
    store.write(partial(channels.park, channel="mail", now=NOW, because="refused")).result()
    claim(store, "sms")
    came_to(store, "sms", take(store, "sms"), "failed", "failed", "failed")
    assert sweep(store) == [("sms", "mail")]
    assert state(store, 2) == "waiting"


def resume(store: Store, channel: str) -> None:
    store.write(partial(channels.resume, channel=channel, now=NOW, actor="Ann")).result()


def test_what_stands_in_on_a_parked_channel_and_has_not_begun_keeps_nothing_from_going_again(
    store: Store,
) -> None:
    refused_to_all_and_waiting_for_mail(store)
    assert under_way_beside(store, 1) is None
    assert resend(store)
    assert state(store, 2) == "withdrawn"
    resume(store, "mail")
    assert claim(store, "mail") == ()  # nobody gets it from both
    claim(store, "sms")
    came_to(store, "sms", take(store, "sms"), "accepted", "accepted", "accepted")
    assert sweep(store) == []
    assert claim(store, "mail") == ()


def test_and_stands_in_anew_when_it_fails_again(store: Store) -> None:
    refused_to_all_and_waiting_for_mail(store)
    assert resend(store)
    resume(store, "mail")
    claim(store, "sms")
    came_to(store, "sms", take(store, "sms"), "failed", "failed", "failed")
    assert sweep(store) == [("sms", "mail")]
    (there,) = claim(store, "mail")
    assert len(written_to(store, there.id)) == 1


def test_what_stands_in_on_a_parked_channel_and_has_begun_is_waited_for(store: Store) -> None:
    refused_to_all_and_waiting_for_mail(store)
    resume(store, "mail")
    claim(store, "mail")
    store.write(partial(channels.park, channel="mail", now=NOW, because="refused")).result()
    assert under_way_beside(store, 1) == "mail"


def test_what_stands_in_and_is_resumed_while_the_other_is_to_go_again_goes_alone(
    store: Store,
) -> None:
    refused_to_all_and_waiting_for_mail(store)
    resume(store, "mail")  # after `resend` was asked for and before it looks
    assert not resend(store)
    assert under_way_beside(store, 1) == "mail"


def test_what_stands_in_on_an_open_channel_is_waited_for(store: Store) -> None:
    refused_to_all_and_waiting_for_mail(store)
    resume(store, "mail")
    assert under_way_beside(store, 1) == "mail"
