"""What changes between looking and acting: a slow store, a full row of calls, a post that leaves while it is retracted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from broadcaster.channel import Attempt, Message, Receipt, Report, Transient
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.engine.calls import Slots
from broadcaster.registry import Adapter
from broadcaster.service import planning, saying
from broadcaster.store import deliveries, reports
from broadcaster.testing.rig import Rig, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import MastodonServer, SmsGateway, WebhookReceiver, hang
from channels.webhook import WebhookAdapter

MakeRig = Callable[..., Rig]


def test_a_call_that_had_not_begun_at_its_deadline_is_never_made() -> None:
    made = threading.Event()

    async def calls() -> tuple[int, int]:
        slots, gate = Slots("hook", 1), threading.Event()
        first = asyncio.ensure_future(slots.call(gate.wait, deadline=60.0))
        await asyncio.sleep(0)  # it takes the only thread
        with pytest.raises(Transient):
            await slots.call(made.set, deadline=0.0)
        gate.set()
        assert await first
        await slots.call(lambda: None, deadline=60.0)  # the thread has come to what was queued
        slots.close()
        return slots.running, slots.hung

    assert asyncio.run(calls()) == (0, 0)
    assert not made.is_set()


class Counting(WebhookAdapter):
    """Counts its calls."""

    posted: list[str]

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        self.posted.append(message.key)
        return Receipt(handle="here")


def counting(built: Adapter) -> Adapter:
    adapter = Counting(built.settings, built.context)
    adapter.posted = []
    return adapter


def test_nothing_leaves_after_its_time_though_the_store_was_slow(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebhookReceiver() as far:
        engine: Rig = rig({"hook": webhook(far)}, swap={"hook": counting})
        begin = deliveries.begin_attempts

        def slow(*args: Any) -> list[int]:
            engine.clock.shift += timedelta(hours=5)
            return begin(*args)

        monkeypatch.setattr(deliveries, "begin_attempts", slow)
        engine.say("Strömmen är borta.", until=engine.clock() + timedelta(minutes=5))
        engine.reached(State.EXPIRED, channel="hook")
        assert engine.adapters["hook"].posted == []


def test_a_post_that_leaves_while_its_retraction_is_written_is_taken_away(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MastodonServer() as far:
        engine: Rig = rig({"social": mastodon(far)})
        engine.pause("social")
        engine.say("Koka vattnet.")
        lay_out = planning.plan

        def meanwhile(*args: Any) -> Any:
            laid_out = lay_out(*args)
            if not far.texts("status"):
                engine.resume("social")
                engine.accepted("social")
            return laid_out

        monkeypatch.setattr(saying, "plan", meanwhile)
        engine.say(kind=Kind.RETRACTION)
        engine.reached(State.WITHDRAWN, channel="social")


def posts(far: WebhookReceiver) -> int:
    return sum(request.method == "POST" for request in far.requests)


def test_a_retraction_has_a_slot_of_its_own_when_all_others_hang(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        engine: Rig = rig({"hook": webhook(far)})
        engine.say("Koka vattnet.")
        engine.accepted("hook")
        far.always(hang(), method="POST")
        for number in range(4):
            engine.say(f"Avbrott {number}.")
        slots = engine.lane("hook").slots
        engine.until(lambda: not slots.free(urgent=False))
        assert slots.free(urgent=True) == 1
        far.wait_for(lambda far: posts(far) >= 1 + 3)
        assert posts(far) == 1 + 3
        far.heal()  # what hangs goes on hanging
        engine.say(kind=Kind.RETRACTION, incident="A1")
        engine.accepted("hook", 2)
        far.release()


def test_a_report_from_before_a_restored_backup_is_not_counted_on_another_letter(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(1))
        engine.say("Koka vattnet.")
        engine.accepted("sms")
        for epoch, known in (("2", False), ("1", True)):
            report = Report(key=f"{epoch}.1.0", handle="", outcome="confirmed")
            match = partial(reports.match, found=[("sms", report)])
            assert engine.store.write(match).result() == [known]
        assert engine.delivery("sms")["counts"]["confirmed"] == 1
