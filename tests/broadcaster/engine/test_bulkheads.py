"""No channel can delay or silence another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from broadcaster.channel import Attempt, Message, Receipt, Transient
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.engine.calls import Slots
from broadcaster.service.notifying import tell_staff
from broadcaster.testing.ports import free_port
from broadcaster.testing.rig import PATIENCE, Rig, mastodon, webhook
from broadcaster.testing.servers import MastodonServer, WebhookReceiver, hang, unavailable
from channels.webhook import WebhookAdapter

MakeRig = Callable[..., Rig]


def test_a_slow_channel_delays_no_other(rig: MakeRig) -> None:
    with WebhookReceiver() as slow, WebhookReceiver() as quick:
        slow.always(hang(), method="POST")
        engine: Rig = rig({"slow": webhook(slow), "quick": webhook(quick)})
        engine.say("Strömmen är borta.")
        slow.wait_for(lambda far: any(r.method == "POST" for r in far.requests))
        engine.accepted("quick")
        for number in range(2, 6):
            engine.say(f"Läge {number}.", Kind.UPDATE)
            engine.accepted("quick", number)
        assert engine.state("slow") == State.SENDING
        slow.heal()
        slow.release()
        engine.accepted("slow", 5)


def test_each_lane_has_slots_and_threads_of_its_own(rig: MakeRig) -> None:
    with WebhookReceiver() as one, WebhookReceiver() as other:
        engine: Rig = rig({"one": webhook(one), "other": webhook(other)})
        lanes = [engine.lane("one"), engine.lane("other")]
    threads = [lane.slots._threads for lane in lanes]
    assert threads[0] is not threads[1]
    assert lanes[0].slots is not lanes[1].slots
    assert lanes[0].breaker is not lanes[1].breaker


def test_a_channel_that_is_down_silences_no_other(rig: MakeRig) -> None:
    down = MastodonServer(port=free_port())
    with WebhookReceiver() as up:
        engine: Rig = rig({"social": mastodon(down), "hook": webhook(up)})
        engine.say("Strömmen är borta.")
        engine.accepted("hook")
        engine.until(lambda: engine.delivery("social")["attempts"] >= 2)
        with down:
            engine.pass_by(seconds=12)
            engine.accepted("social")
            engine.stop()
    assert len(down.texts("status")) == 1


class Lingering(WebhookAdapter):
    """An adapter that does not come to its end: what it looks up, for instance, is not answered."""

    begun, let_go = threading.Event(), threading.Event()

    def close(self) -> None:
        self.begun.set()
        self.let_go.wait()


def test_an_adapter_that_does_not_close_holds_up_no_other_channel(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        engine: Rig = rig(
            {"old": webhook(far), "hook": webhook(far)},
            swap={"old": lambda built: Lingering(built.settings, built.context)},
        )
        kept = {"hook": engine.adapters["hook"]}
        engine.call(engine.engine.swap(kept, frozenset({"old"}), frozenset(), "reloaded"))
        assert Lingering.begun.wait(PATIENCE)
        engine.say("Strömmen är borta.")
        engine.accepted("hook")
        assert not Lingering.let_go.is_set()
        Lingering.let_go.set()


def test_a_call_for_which_no_thread_begins_is_not_made_later_and_keeps_no_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def calls(slots: Slots) -> None:
        with monkeypatch.context() as crowded:
            crowded.setattr(threading.Thread, "start", refuse)  # as where all are used up
            with pytest.raises(Transient, match="nothing was sent"):
                await slots.call(made.append, "first", deadline=5)
        assert slots.free(urgent=True) == 1
        await slots.call(made.append, "second", deadline=5)

    slots = Slots("hook", 1)
    asyncio.run(calls(slots))
    slots.close()
    assert made == ["second"]


def test_a_call_that_a_thread_takes_while_it_is_refused_is_made_and_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    begun, comes_free, taken = (threading.Event() for _ in range(3))

    def first() -> str:
        begun.set()
        assert comes_free.wait(PATIENCE)
        return "first"

    def second() -> str:
        made.append("second")
        taken.set()
        return "second"

    def refuse(_: threading.Thread) -> None:
        comes_free.set()
        assert taken.wait(PATIENCE)
        raise RuntimeError("can't start new thread")

    async def calls(slots: Slots) -> list[str]:
        busy = asyncio.ensure_future(slots.call(first, deadline=PATIENCE, gives=str))
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        with monkeypatch.context() as crowded:
            crowded.setattr(threading.Thread, "start", refuse)
            answer = await slots.call(second, deadline=PATIENCE, gives=str)
        return [await busy, answer]

    slots = Slots("hook", 2)
    assert asyncio.run(calls(slots)) == ["first", "second"]
    slots.close()
    assert made == ["second"]


class Broken(WebhookAdapter):
    """An adapter with a defect."""

    error: type[Exception] = ValueError

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        raise self.error("a secret of the defect")


class MissingKey(Broken):
    error = KeyError


class Async(WebhookAdapter):
    """An adapter written for the loop."""

    async def post(self, message: Message, attempt: Attempt) -> Receipt:  # type: ignore[override]  # the adapter API takes both
        return Receipt(handle="from the loop")


def test_a_defect_of_an_adapter_fails_its_own_delivery_and_no_other(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        engine: Rig = rig(
            {name: webhook(far) for name in ("value", "key", "good")},
            swap={
                "value": lambda built: Broken(built.settings, built.context),
                "key": lambda built: MissingKey(built.settings, built.context),
            },
        )
        engine.say("Strömmen är borta.")
        engine.reached(State.FAILED, channel="value")
        engine.reached(State.FAILED, channel="key")
        engine.accepted("good")
        for name, error in (("value", "ValueError"), ("key", "KeyError")):
            assert "defect of the adapter" in engine.delivery(name)["detail"]
            assert error in engine.delivery(name)["detail"]
            assert not engine.is_parked(name)


def test_an_async_adapter_works_like_a_plain_one(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        engine: Rig = rig(
            {"hook": webhook(far)},
            swap={"hook": lambda built: Async(built.settings, built.context)},
        )
        engine.say("Strömmen är borta.")
        engine.accepted("hook")
    assert far.texts("webhook") == []


def test_a_sick_lane_leaves_the_notice_of_staff_its_way(rig: MakeRig) -> None:
    with WebhookReceiver() as sick, WebhookReceiver() as staff:
        sick.always(unavailable(), method="POST")
        engine: Rig = rig({"hook": webhook(sick), "duty": webhook(staff, audience="staff")})
        engine.say("Strömmen är borta.")
        first = tell_staff(engine.desk, "{channel} is stopped.", "parked hook", channel="hook")
        again = tell_staff(engine.desk, "{channel} is stopped.", "parked hook", channel="hook")
        staff.wait_for(lambda far: far.texts("webhook") != [])
        engine.until(lambda: engine.state("duty", 1, "S0") == State.ACCEPTED)
    assert first == again == "S0-1"
    assert len(staff.texts("webhook")) == 1
    assert "hook" in staff.texts("webhook")[0]
