"""The wall clock jumps while something waits or is under way: nothing goes early, twice, late by the jump or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Audience, Kind, Planned
from broadcaster.engine.steps import Taking
from broadcaster.store import dues, tables as t
from broadcaster.testing.rig import Rig, numbers, sms, webhook
from broadcaster.testing.servers import SmsGateway, WebhookReceiver, answers, hang, unavailable

MakeRig = Callable[..., Rig]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
JUMPS = [timedelta(seconds=1), timedelta(seconds=-1), -HOUR, -DAY, HOUR]
both_ways = pytest.mark.parametrize("by", [-HOUR, HOUR], ids=str)


def jump(engine: Rig, by: timedelta) -> None:
    engine.jump(seconds=by.total_seconds())


def posts(far: WebhookReceiver) -> int:
    return sum(request.method == "POST" for request in far.requests)


@pytest.fixture
def far() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
def engine(rig: MakeRig, far: WebhookReceiver) -> Rig:
    """One channel to a far end that keeps the same time."""
    running = rig({"hook": webhook(far)})
    far.clock = running.clock
    return running


@both_ways
def test_a_call_that_is_under_way_is_not_made_a_second_time(
    engine: Rig, far: WebhookReceiver, by: timedelta
) -> None:
    far.always(hang(), method="POST")
    engine.say("Strömmen är borta.")
    far.wait_for(lambda far: posts(far) == 1)
    held_by = lease(engine)
    jump(engine, by)
    engine.sweep()
    assert lease(engine) == held_by
    assert posts(far) == 1
    far.release()


def test_a_sweep_that_began_before_the_clock_was_set_back_takes_nobodys_work(
    engine: Rig, far: WebhookReceiver
) -> None:
    far.always(hang(), method="POST")
    engine.say("Strömmen är borta.")
    far.wait_for(lambda far: posts(far) == 1)
    held_by, began = lease(engine), engine.clock()
    jump(engine, -HOUR)
    taken = engine.store.write(partial(engine.engine._take_back, began)).result()
    assert (taken, lease(engine)) == (0, held_by)
    far.release()


@both_ways
def test_a_pause_lasts_as_long_as_it_would_have(rig: MakeRig, by: timedelta) -> None:
    with WebhookReceiver() as far:
        far.next(answers(503, headers={"Retry-After": "60"}), method="POST")
        engine: Rig = rig({"hook": webhook(far)})
        far.clock = engine.clock
        engine.say("Strömmen är borta.", until=engine.clock() + timedelta(hours=10))
        engine.until(lambda: engine.delivery("hook").get("attempts") == 1 and due_in(engine) > 30)
        jump(engine, by)
        engine.wake()
        engine.sweep()
        engine.until(
            lambda: 30 < due_in(engine) <= 60
        )  # who saw the jump first may be writing still
        assert posts(far) == 1
        engine.pass_by(seconds=61)
        engine.accepted("hook")
        assert far.texts("webhook").count(far.texts("webhook")[0]) == 1


@both_ways
def test_a_claim_that_is_being_written_while_the_clock_is_set_takes_nothing(
    engine: Rig, far: WebhookReceiver, by: timedelta
) -> None:
    far.next(answers(503, headers={"Retry-After": "60"}), method="POST")
    engine.say("Strömmen är borta.", until=engine.clock() + timedelta(hours=10))
    engine.until(lambda: engine.delivery("hook").get("attempts") == 1 and due_in(engine) > 30)
    looked = iter(range(2))

    def clock() -> datetime:
        if next(looked) == 1:  # in the write, where pauses cannot follow before it is over
            jump(engine, by)
        return engine.clock()

    claim = Taking("hook", "n1", clock, 1, urgent_only=False)
    assert engine.store.write(claim).result() == []


def due_in(engine: Rig) -> float:
    """Seconds until the first word is tried again; a holding word may have come after it."""
    first = select(t.delivery.c.due_at).where(t.delivery.c.number == 1)
    at = engine.store.read(lambda c: c.execute(first).scalar_one())
    return float((at - engine.clock()).total_seconds())


def lease(engine: Rig) -> str | None:
    return engine.store.read(lambda c: c.scalar(select(t.delivery.c.lease_token)))


def test_what_was_accepted_before_the_clock_was_set_back_goes_out_at_once(engine: Rig) -> None:
    engine.pause("hook")
    engine.say("Strömmen är borta.")
    jump(engine, -HOUR)
    engine.sweep()
    assert due_in(engine) <= 0
    engine.resume("hook")
    engine.accepted("hook")


def test_a_word_that_was_being_written_while_the_clock_was_set_back_does_not_wait(
    engine: Rig,
) -> None:
    engine.pause("hook")
    jump(engine, -HOUR)
    engine.clock_only(hours=1)  # the time it took before the jump
    engine.say("Strömmen är borta.")
    engine.clock_only(hours=-1)
    assert due_in(engine) > 3000
    engine.until(lambda: due_in(engine) <= 0)


@both_ways
def test_a_breaker_rests_as_long_as_it_would_have(rig: MakeRig, by: timedelta) -> None:
    with WebhookReceiver() as far:
        far.always(unavailable(), method="POST")
        engine: Rig = rig({"hook": webhook(far)})
        far.clock = engine.clock
        engine.say("Strömmen är borta.", until=engine.clock() + timedelta(hours=10))
        breaker = engine.lane("hook").breaker
        engine.until(lambda: breaker.opened_at is not None)
        jump(engine, by)
        engine.call(nothing())
        again_at = breaker.allows_again_at()
        assert again_at is not None
        assert timedelta(0) < again_at - engine.clock() <= timedelta(seconds=10)
        far.heal()
        engine.pass_by(seconds=11)
        engine.accepted("hook")


async def nothing() -> None:
    """What was handed to the loop before has run when this has."""


@both_ways
def test_letters_under_way_are_not_sent_again(rig: MakeRig, by: timedelta) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(5))
        far.always(hang())
        engine.say("Koka vattnet.", until=engine.clock() + timedelta(hours=10))
        far.wait_for(lambda far: len(far.requests) >= 5)
        jump(engine, by)
        engine.wake()
        engine.sweep()
        far.heal()
        far.release()
        engine.reached(State.ACCEPTED, State.UNCERTAIN, channel="sms")
        often = Counter(effect.to for effect in far.effects)
        assert not [to for to, times in often.items() if times > 1]


# ------------------------------------------------------------------------------------------------ promises and planned work
def notices(engine: Rig) -> list[str]:
    rows = engine.store.read(
        lambda c: c.scalars(
            select(t.update.c.texts).where(t.update.c.audience == Audience.STAFF)
        ).all()
    )
    return [str(row) for row in rows]


def said(engine: Rig) -> list[tuple[str, Any, Any]]:
    """Kind, release time and promise of every public update, oldest first."""
    rows = engine.store.read(
        lambda c: c.execute(
            select(t.update.c.kind, t.update.c.released_at, t.update.c.promise)
            .where(t.update.c.audience == Audience.PUBLIC, t.update.c.released_at.is_not(None))
            .order_by(t.update.c.number)
        ).all()
    )
    return [tuple(row) for row in rows]


def look(engine: Rig) -> None:
    """Everything that is due by now has been done."""
    engine.wake()
    engine.until(lambda: not open_before(engine), lambda: str(said(engine)))


def open_before(engine: Rig) -> bool:
    at = engine.store.read(dues.next_due_at)
    return at is not None and at <= engine.clock()


def jump_about(engine: Rig, jumps: list[timedelta]) -> None:
    """Jump each way and be put right again, with everything done that is due by each time."""
    for by in jumps:
        for step in (by, -by):
            jump(engine, step)
            look(engine)


@pytest.mark.parametrize("minute", [30, 36, 46, 51])
def test_a_promise_is_reminded_broken_and_held_once_whatever_the_clock_does(
    rig: MakeRig, minute: int
) -> None:
    """Before the reminder, after it, after the promise, after the grace: the clock jumps and is put right again."""
    with WebhookReceiver() as far, WebhookReceiver() as staff:
        engine: Rig = rig({"hook": webhook(far), "duty": webhook(staff, audience="staff")})
        far.clock = staff.clock = engine.clock
        promise = engine.clock() + timedelta(minutes=45)
        engine.say("Strömmen är borta.", next=promise)
        engine.pass_by(minutes=minute)
        look(engine)
        jump_about(engine, JUMPS)
        engine.pass_by(minutes=52 - minute)
        look(engine)
        holdings = [row for row in said(engine) if row[0] == Kind.HOLDING]
        assert holdings
        assert len(notices(engine)) == len(set(notices(engine)))
        # Each of them after a promise of its own was broken.
        broken = [promise, *(promised for _, _, promised in holdings)]
        late = [released >= then for (_, released, _), then in zip(holdings, broken, strict=False)]
        assert all(late)


def test_a_day_after_its_promise_staff_are_told_and_nobody_says_that_work_goes_on(
    rig: MakeRig,
) -> None:
    with WebhookReceiver() as far, WebhookReceiver() as staff:
        engine: Rig = rig({"hook": webhook(far), "duty": webhook(staff, audience="staff")})
        far.clock = staff.clock = engine.clock
        engine.say("Strömmen är borta.")
        jump(engine, DAY)
        look(engine)
        assert [row[0] for row in said(engine)] == [Kind.REPORT]
        assert sum("HAR INTE KOMMIT" in text for text in notices(engine)) == 1


@pytest.mark.parametrize("minute", [50, 90])
def test_planned_work_is_never_said_before_its_time_and_never_twice(
    rig: MakeRig, minute: int
) -> None:
    with WebhookReceiver() as far, WebhookReceiver() as staff:
        engine: Rig = rig({"hook": webhook(far), "duty": webhook(staff, audience="staff")})
        far.clock = staff.clock = engine.clock
        now = engine.clock()
        work = Planned(now + timedelta(hours=1), now + timedelta(hours=2))
        engine.say("Planerat arbete.", planned=work)
        engine.pass_by(minutes=minute)
        look(engine)
        jump_about(engine, JUMPS)
        engine.pass_by(minutes=121 - minute)
        look(engine)
        begun = [at for kind, at, _ in said(engine) if kind == Kind.UPDATE]
        ended = [at for kind, at, _ in said(engine) if kind == Kind.RESTORED]
        assert len(begun) == len(ended) == 1
        assert begun[0] >= work.start
        assert ended[0] >= work.end


def test_a_scheduled_word_waits_for_its_time_of_day_when_the_clock_is_set_back(
    engine: Rig,
) -> None:
    at = engine.clock() + timedelta(minutes=30)
    engine.say("Vi stänger av vattnet.", at=at, next=at + timedelta(hours=1))
    engine.pass_by(minutes=29)
    jump(engine, -HOUR)
    engine.pass_by(minutes=30)
    engine.sweep()
    assert said(engine) == []
    engine.pass_by(minutes=32)
    engine.accepted("hook")
    assert [released >= at for _, released, _ in said(engine)] == [True]


def test_a_node_off_for_nine_months_says_nothing_stale(rig: MakeRig) -> None:
    with (
        WebhookReceiver() as far,
        WebhookReceiver() as staff,
        SmsGateway(preset="kannel") as phones,
    ):
        engine: Rig = rig(
            {"hook": webhook(far), "sms": sms(phones), "duty": webhook(staff, audience="staff")}
        )
        far.clock = staff.clock = engine.clock
        engine.subscribe("sms", numbers(3))
        for name in ("hook", "sms"):
            engine.pause(name)
        now = engine.clock()
        at = now + timedelta(minutes=30)
        engine.say("Strömmen är borta.", next=now + timedelta(minutes=45))
        engine.say("Vattnet stängs.", at=at, next=at + HOUR)
        work = Planned(now + timedelta(hours=1), now + timedelta(hours=2))
        engine.say("Planerat arbete.", planned=work)
        engine.clock_only(days=270)
        for name in ("hook", "sms"):
            engine.resume(name)
        engine.sweep()
        look(engine)
        for incident, state in (
            ("A1", State.EXPIRED),
            ("A2", State.WITHDRAWN),
            ("A3", State.EXPIRED),
        ):
            for channel in ("hook", "sms"):
                engine.reached(state, channel=channel, incident=incident)
                assert engine.delivery(channel, 1, incident)["detail"]
        assert [row[0] for row in said(engine)] == [Kind.REPORT, Kind.REPORT]
        assert posts(far) == 0
        assert phones.effects == []
        told = notices(engine)
        for words in ("A1: beskedet", "A2-1 SKICKADES INTE", "A3: det planerade arbetet"):
            assert sum(words in text for text in told) == 1, told
        audited = engine.store.read(
            lambda c: c.scalars(select(t.audit.c.act).order_by(t.audit.c.id)).all()
        )
        assert "promise broken" in audited


def test_a_clock_set_back_while_the_daemon_was_off_holds_up_nothing(engine: Rig) -> None:
    engine.pause("hook")
    engine.say("Strömmen är borta.")
    engine.call(engine.engine.stop())
    engine.clock_only(hours=-1)
    configured = engine.desk.configuration
    set_back = engine.call(engine.engine.start(configured.adapters, configured.digest))
    assert set_back is not None
    assert -HOUR - timedelta(seconds=60) < set_back <= -HOUR + timedelta(seconds=60)
    assert due_in(engine) < 5  # it was last seen a second before it ended
