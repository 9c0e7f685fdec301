"""A node that lost its lease writes nothing any more: what the node that took over writes is what counts."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update as sql_update

from broadcaster.channel import Attempt, Message, Permanent, Receipt, Transient, Uncertain
from broadcaster.domain.delivery import State
from broadcaster.engine import engine as engine_module
from broadcaster.registry import Adapter
from broadcaster.store import tables as t
from broadcaster.testing.rig import Rig, webhook
from broadcaster.testing.servers import WebhookReceiver
from channels.webhook import WebhookAdapter

MakeRig = Callable[..., Rig]
OUTCOMES = [Receipt(handle="42"), Permanent("Never."), Transient("Not now."), Uncertain("Who?")]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_what_a_stale_node_heard_changes_nothing(
    rig: MakeRig, outcome: Receipt | Exception
) -> None:
    called, answer = threading.Event(), threading.Event()

    class Slow(WebhookAdapter):
        def post(self, message: Message, attempt: Attempt) -> Receipt:
            called.set()
            assert answer.wait(10)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

    def slow(built: Adapter) -> Adapter:
        return Slow(built.settings, built.context)

    with WebhookReceiver() as far:
        engine: Rig = rig({"hook": webhook(far)}, swap={"hook": slow})
        engine.say("Strömmen är borta.")
        assert called.wait(10)
        until = engine.clock() + timedelta(minutes=5)
        taken = {"lease_token": "syd", "lease_node": "syd", "lease_until": until}
        engine.store.write(
            lambda c: c.execute(sql_update(t.delivery).values(**taken)).close()
        ).result()
        answer.set()
        engine.until(lambda: not engine.lane("hook").busy)
        step = engine.store.read(lambda c: c.execute(select(t.step)).one())
        delivery = engine.store.read(lambda c: c.execute(select(t.delivery)).one())
        attempt = engine.store.read(lambda c: c.execute(select(t.attempt)).one())
        assert (step.outcome, step.handle, attempt.outcome) == (None, "", None)
        assert (delivery.state, delivery.lease_token) == (State.SENDING, "syd")


def test_what_a_call_comes_to_that_nobody_waits_for_any_more_is_no_error_of_ours(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "DRAIN_SECONDS", 0.1)
    called, answer = threading.Event(), threading.Event()

    class Slow(WebhookAdapter):
        def post(self, message: Message, attempt: Attempt) -> Receipt:
            called.set()
            assert answer.wait(10)
            raise Transient("Not now.")

    complaints: list[str] = []
    with WebhookReceiver() as far:
        engine: Rig = rig(
            {"hook": webhook(far)}, swap={"hook": lambda built: Slow(built.settings, built.context)}
        )
        engine._loop.set_exception_handler(lambda _, told: complaints.append(told["message"]))
        engine.say("Strömmen är borta.")
        assert called.wait(10)
        engine.call(engine.engine.stop())

        async def rest() -> None:
            answer.set()
            mine = {asyncio.current_task()}
            await asyncio.wait(asyncio.all_tasks() - mine)
            gc.collect()

        engine.call(rest())
    assert complaints == []
