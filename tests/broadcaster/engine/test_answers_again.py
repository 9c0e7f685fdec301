"""A far side that took nothing answers again: what rests goes out then, and what was asked to wait goes on waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select, update as sql_update

from broadcaster.domain.incident import Severity
from broadcaster.store import tables as t
from broadcaster.testing.rig import Rig, mastodon, numbers, sms
from broadcaster.testing.servers import (
    FarEnd,
    MastodonServer,
    SmsGateway,
    answers,
    performed_not_answered,
    unavailable,
)

MakeRig = Callable[..., Rig]
LONG = timedelta(seconds=280)
ASKED_AGAIN = 31


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real("postgresql"))])
def url(request: pytest.FixtureRequest) -> str:
    """Of a fresh store."""
    return "" if request.param == "sqlite" else str(request.getfixturevalue("postgresql_url"))


def down(far: FarEnd) -> None:
    far.always(unavailable())


def rests_long(engine: Rig, table: Any) -> None:
    """As after so many tries that the next is minutes away."""
    lane = next(iter(engine.engine.lanes.values()))
    engine.until(lambda: lane.breaker.opened_at and not lane.busy)
    later = engine.clock() + LONG

    def work(connection: Connection) -> None:
        waits = table.c.state == "waiting"
        connection.execute(sql_update(table).where(waits).values(due_at=later))

    engine.store.write(work).result()


def asked_again(engine: Rig) -> None:
    engine.clock_only(seconds=ASKED_AGAIN)
    engine.call(engine.engine.probe_due())
    engine.call(what_follows(engine))


async def what_follows(engine: Rig) -> None:
    for lane in engine.engine.lanes.values():
        await asyncio.gather(*lane._asides)  # an effect comes after its answer


def due_in(engine: Rig, table: Any) -> float:
    """Seconds until the first of them is due; 0 while none is known to be."""
    known = select(table.c.due_at).where(table.c.due_at.is_not(None))
    at = engine.store.read(lambda c: c.scalar(known))
    return float((at - engine.clock()).total_seconds()) if at else 0.0


def test_a_post_that_rests_for_minutes_goes_out_when_its_far_side_answers(
    rig: MakeRig, url: str
) -> None:
    with MastodonServer() as far:
        engine: Rig = rig({"social": mastodon(far)}, url=url)
        down(far)
        engine.say("Strömmen är borta.", severity=Severity.SEVERE)
        rests_long(engine, t.delivery)
        asked_again(engine)
        assert due_in(engine, t.delivery) > 200  # it does not answer yet
        far.heal()
        asked_again(engine)
        engine.accepted("social")
        assert len(far.texts("status")) == 1


def test_letters_that_rest_for_minutes_go_out_when_their_gateway_answers(
    rig: MakeRig, url: str
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)}, url=url)
        engine.subscribe("sms", numbers(3))
        down(far)
        engine.say("Strömmen är borta.")
        rests_long(engine, t.job)
        far.heal()
        asked_again(engine)
        engine.accepted("sms")
        assert len(far.effects) == 3


def test_a_far_side_that_answers_but_takes_nothing_is_tried_once_for_it(rig: MakeRig) -> None:
    """Else each good answer would cost a try, and the tries of a post would be over in minutes."""
    with MastodonServer() as far:
        engine: Rig = rig({"social": mastodon(far)})
        far.always(unavailable(), method="POST")
        engine.say("Strömmen är borta.", severity=Severity.SEVERE)
        rests_long(engine, t.delivery)
        asked_again(engine)
        tries = tried(far)
        engine.until(lambda: tried(far) == tries + 1)
        rests_long(engine, t.delivery)
        asked_again(engine)
        assert due_in(engine, t.delivery) > 200
        far.always(unavailable())  # now it answers nothing at all
        asked_again(engine)
        far.heal()
        far.always(unavailable(), method="POST")
        asked_again(engine)
        engine.until(lambda: tried(far) == tries + 2)


def tried(far: MastodonServer) -> int:
    return sum(request.method == "POST" for request in far.requests)


def test_the_first_word_that_is_taken_brings_what_waited_behind_it(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine: Rig = rig({"social": mastodon(far)})
        down(far)
        engine.say("Strömmen är borta.")
        rests_long(engine, t.delivery)
        far.heal()
        engine.pass_by(seconds=6)  # the breaker lets one try through
        engine.say("Vattnet är borta.")
        engine.accepted("social", incident="A2")
        engine.accepted("social")


def test_what_the_far_side_asked_to_wait_waits(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine: Rig = rig({"social": mastodon(far)})
        far.always(answers(503, headers={"Retry-After": "600"}), method="POST")
        engine.say("Strömmen är borta.")
        engine.until(lambda: due_in(engine, t.delivery) > 500)
        assert hastened(engine, "social") == 0


def test_letters_that_their_gateway_asked_to_wait_wait(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(1))
        far.always(answers(503, headers={"Retry-After": "600"}), path="sendsms")
        engine.say("Strömmen är borta.")
        engine.until(lambda: due_in(engine, t.job) > 500)
        assert hastened(engine, "sms") == 0


def test_what_may_have_gone_rests_for_its_readers_sake(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(1))
        far.always(performed_not_answered(), path="sendsms")
        engine.say("Koka vattnet.", severity=Severity.EXTREME)
        engine.until(lambda: len(far.effects) == 3)
        engine.until(lambda: due_in(engine, t.job) > 200)
        assert hastened(engine, "sms") == 0


def hastened(engine: Rig, channel: str) -> int:
    lane = engine.lane(channel)
    return engine.store.write(lambda c: lane.hasten(c, engine.clock())).result()
