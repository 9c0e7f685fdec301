"""A node that lost its lease writes nothing any more: what the node that took over writes is what counts."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update as sql_update

from broadcaster.channel import Attempt, Message, Permanent, Receipt, Transient, Uncertain
from broadcaster.domain.delivery import State
from broadcaster.engine import blast, engine as engine_module
from broadcaster.registry import Adapter
from broadcaster.store import Rank, deliveries, tables as t
from broadcaster.store.writer import Work
from broadcaster.testing.rig import Rig, numbers, sms, webhook
from broadcaster.testing.servers import SmsGateway, WebhookReceiver
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


def test_a_lease_runs_from_when_it_was_asked_for_however_late_the_answer_comes(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blast, "LEASE_SECONDS", 0.5)
    with SmsGateway(preset="kannel") as phones:
        engine: Rig = rig({"sms": sms(phones)})
        engine.subscribe("sms", numbers(3))
        write, late = engine.store.write, threading.Event()

        def answered_late(work: Work[Any], rank: Rank = Rank.OUTCOME) -> Future[Any]:
            future = write(work, rank)
            sender = threading.current_thread().name.startswith("lane-sms")
            if sender and not late.is_set():
                future.result()
                late.wait(0.6)  # the machine stands still, and its lease runs out
                late.set()
            return future

        monkeypatch.setattr(engine.store, "write", answered_late)
        engine.say("Strömmen är borta.")
        engine.accepted("sms")
        assert len(phones.texts("sms")) == 3
        # Nothing was sent on the lease that was over: it took another claim.
        assert engine.store.read(lambda c: c.scalar(select(t.job.c.attempts))) == 2


def test_a_post_is_not_made_on_a_lease_that_ran_out_while_its_attempt_was_written_down(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blast, "LEASE_SECONDS", 0.5)
    begin, late, called = deliveries.begin_attempts, threading.Event(), list[int]()

    def written_late(*args: Any) -> list[int]:
        attempt_ids = begin(*args)
        if not late.is_set():
            late.wait(0.6)
            late.set()
            called.append(len(far.texts("webhook")))
        return attempt_ids

    monkeypatch.setattr(deliveries, "begin_attempts", written_late)
    with WebhookReceiver() as far:
        engine: Rig = rig({"hook": webhook(far)})
        engine.say("Strömmen är borta.")
        engine.accepted("hook")
        tried = engine.store.read(lambda c: c.execute(select(t.attempt.c.outcome)).scalars().all())
        assert (called, list(tried), len(far.texts("webhook"))) == (
            [0],
            ["transient", "accepted"],
            1,
        )
