"""What is due is done once, at its time, by an injected clock: promises, planned work, scheduled updates."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind, Planned
from broadcaster.service import follow_up
from broadcaster.service.saying import say
from broadcaster.store import dues, releasing, tables as t
from broadcaster.store.dues import LEASE
from broadcaster.testing.rig import Rig, webhook
from broadcaster.testing.servers import WebhookReceiver

MakeRig = Callable[..., Rig]


def two(rig: MakeRig, public: WebhookReceiver, staff: WebhookReceiver, **rest: Any) -> Rig:
    return rig({"hook": webhook(public), "duty": webhook(staff, audience="staff")}, **rest)


def kinds(engine: Rig, incident: str = "A1") -> list[str]:
    rows = engine.store.read(
        lambda c: c.execute(
            select(t.update.c.kind, t.update.c.incident_id)
            .where(t.update.c.released_at.is_not(None))
            .order_by(t.update.c.number)
        ).all()
    )
    return [row.kind for row in rows if row.incident_id == int(incident[1:])]


def settled(engine: Rig, what: str) -> list[str]:
    rows = engine.store.read(
        lambda c: c.execute(
            select(t.due.c.outcome).where(t.due.c.what == what, t.due.c.done_at.is_not(None))
        ).all()
    )
    return [row.outcome for row in rows]


def advance(engine: Rig, far: WebhookReceiver, **spans: float) -> None:
    far.clock = engine.clock
    engine.pass_by(**spans)


def test_staff_is_reminded_before_a_promise_and_told_when_it_is_broken(rig: MakeRig) -> None:
    with WebhookReceiver() as public, WebhookReceiver() as staff:
        engine = two(rig, public, staff)
        now = engine.clock()
        engine.say("Strömmen är borta.", next=now + timedelta(minutes=45))
        engine.accepted("hook")
        advance(engine, staff, minutes=36)
        engine.accepted("duty", 1, "S0")
        assert "broadcaster update A1" in staff.texts("webhook")[0]
        advance(engine, staff, minutes=10)
        engine.accepted("duty", 2, "S0")
        assert len(staff.texts("webhook")) == 2
        assert settled(engine, "due") == ["promise broken, staff told"]
        assert kinds(engine) == ["report"]


def test_the_honest_holding_message_goes_out_when_the_grace_is_over(rig: MakeRig) -> None:
    with WebhookReceiver() as public, WebhookReceiver() as staff:
        engine = two(rig, public, staff)
        engine.say("Strömmen är borta.", next=engine.clock() + timedelta(minutes=45))
        engine.accepted("hook")
        public.clock = engine.clock
        # The daemon slept past all three: one action, not three.
        advance(engine, staff, minutes=51)
        engine.until(lambda: kinds(engine) == ["report", "holding"])
        engine.accepted("hook", 2)
        assert staff.texts("webhook") == []
        promises = engine.store.read(
            lambda c: c.scalars(select(t.update.c.promise).order_by(t.update.c.number)).all()
        )
        assert promises[1] > engine.clock()


def test_a_kept_promise_wakes_nobody(rig: MakeRig) -> None:
    with WebhookReceiver() as public, WebhookReceiver() as staff:
        engine = two(rig, public, staff)
        engine.say("Läge 1.", next=engine.clock() + timedelta(minutes=45))
        engine.accepted("hook")
        engine.say("Läge 2.", Kind.UPDATE, next=engine.clock() + timedelta(minutes=120))
        engine.accepted("hook", 2)
        advance(engine, staff, minutes=60)
        engine.sweep()
        assert kinds(engine) == ["report", "update"]
        assert staff.texts("webhook") == []


def test_no_holding_message_where_the_rule_does_not_allow_it(rig: MakeRig) -> None:
    with WebhookReceiver() as public, WebhookReceiver() as staff:
        rule = {"next": "45m", "remind": "10m", "grace": "5m", "holding": False}
        engine = two(rig, public, staff, follow_up=rule)
        engine.say("Strömmen är borta.", next=engine.clock() + timedelta(minutes=45))
        engine.accepted("hook")
        advance(engine, staff, minutes=51)
        engine.until(lambda: settled(engine, "grace"))
        assert kinds(engine) == ["report"]


def test_a_scheduled_update_goes_out_at_its_time_and_not_before(rig: MakeRig) -> None:
    with WebhookReceiver() as public, WebhookReceiver() as staff:
        engine = two(rig, public, staff)
        public.clock = engine.clock
        at = engine.clock() + timedelta(minutes=30)
        engine.say("Vi stänger av vattnet.", at=at, next=at + timedelta(hours=1))
        advance(engine, staff, minutes=29)
        engine.sweep()
        assert public.texts("webhook") == []
        advance(engine, staff, minutes=2)
        engine.accepted("hook")
        assert len(public.texts("webhook")) == 1


def test_what_was_being_released_when_the_daemon_died_goes_out_at_its_next_start(
    tmp_path: Path,
) -> None:
    with WebhookReceiver() as public:
        engine = Rig(tmp_path, {"hook": webhook(public)})
        at = engine.clock() + timedelta(minutes=30)
        engine.say("Vi stänger av vattnet.", at=at, next=at + timedelta(hours=1))
        public.clock = engine.clock
        engine.clock_only(minutes=31)
        died = engine.clock()
        assert engine.store.write(partial(dues.claim, now=died)).result()
        with engine:
            engine.accepted("hook")
            started = datetime.fromisoformat(engine.delivery("hook")["started_at"])
        assert started < died + LEASE


def test_a_cancelled_scheduled_update_never_goes_out(rig: MakeRig) -> None:
    with WebhookReceiver() as public, WebhookReceiver() as staff:
        engine = two(rig, public, staff)
        at = engine.clock() + timedelta(minutes=30)
        engine.say("Vi stänger av vattnet.", at=at, next=at + timedelta(hours=1))
        now = engine.clock()
        assert engine.store.write(lambda c: releasing.cancel(c, 1, now, "Eva")).result()
        advance(engine, staff, minutes=40)
        engine.sweep()
        assert engine.state("hook") == State.WITHDRAWN
        assert public.texts("webhook") == []


def test_planned_work_opens_and_closes_by_itself(rig: MakeRig) -> None:
    with WebhookReceiver() as public, WebhookReceiver() as staff:
        engine = two(rig, public, staff)
        public.clock = engine.clock
        now = engine.clock()
        work = Planned(now + timedelta(hours=1), now + timedelta(hours=2))
        engine.say("Planerat arbete.", planned=work, next=now + timedelta(hours=3))
        engine.accepted("hook")
        advance(engine, staff, minutes=61)
        engine.until(lambda: kinds(engine) == ["report", "update"])
        engine.accepted("hook", 2)
        advance(engine, staff, minutes=61)
        engine.until(
            lambda: kinds(engine)[-1] == "restored",
            lambda: str(kinds(engine)) + str(settled(engine, "close")),
        )
        assert [kind for kind in kinds(engine) if kind != "holding"] == [
            "report",
            "update",
            "restored",
        ]


def test_two_machines_that_are_at_the_same_begin_of_work_say_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebhookReceiver() as public:
        engine = Rig(tmp_path, {"hook": webhook(public)})
        begins = engine.clock() + timedelta(hours=1)
        work = Planned(begins, begins + timedelta(hours=1))
        engine.say("Vi byter en kabel.", planned=work, next=begins + timedelta(hours=2))
        engine.clock_only(minutes=61)
        (due,) = engine.store.write(partial(dues.claim, now=engine.clock())).result()
        both = threading.Barrier(2, timeout=20)

        def say_together(*said: Any) -> Any:
            both.wait()
            return say(*said)

        monkeypatch.setattr(follow_up, "say", say_together)
        act = follow_up.acts(engine.desk)[due.what]
        with ThreadPoolExecutor(2) as machines:
            acts = [machines.submit(act, due) for _ in range(2)]
        assert len([one for one in acts if one.exception() is None]) == 1
        assert kinds(engine) == ["report", "update"]
        engine.stop()


def test_a_scheduled_word_that_goes_out_late_answers_the_promise_before_it(rig: MakeRig) -> None:
    """The machine was away over both: first the scheduled word goes out, then nothing is broken any more."""
    with WebhookReceiver() as public, WebhookReceiver() as staff:
        engine = two(rig, public, staff)
        now = engine.clock()
        engine.say("Strömmen är borta.", next=now + timedelta(minutes=45))
        engine.accepted("hook")
        engine.say("Felet är hittat.", Kind.UPDATE, at=now + timedelta(minutes=20))
        advance(engine, public, minutes=56)
        engine.until(lambda: settled(engine, "grace"), lambda: "the grace is not over")
        assert settled(engine, "grace") == ["no promise stands"]
        assert kinds(engine) == ["report", "update"]
        assert staff.texts("webhook") == []
