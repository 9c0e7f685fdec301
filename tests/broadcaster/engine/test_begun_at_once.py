"""A post's attempt is written down with its claim, what it came to with the delivery's end: two writes, and none between."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from broadcaster.channel import Attempt, Message, Receipt
from broadcaster.domain.delivery import State
from broadcaster.engine.steps import Taking
from broadcaster.store import Rank, tables as t
from broadcaster.store.errors import StoreUnsure
from broadcaster.store.writer import Work
from broadcaster.testing.rig import Rig, webhook
from broadcaster.testing.servers import WebhookReceiver
from channels.webhook import WebhookAdapter

MakeRig = Callable[..., Rig]


def test_a_post_takes_one_write_before_its_call_and_one_after(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    class Telling(WebhookAdapter):
        def post(self, message: Message, attempt: Attempt) -> Receipt:
            told.append("call")
            return Receipt(handle="42", url="http://there.example/42")

    with WebhookReceiver() as far:
        engine: Rig = rig(
            {"hook": webhook(far)},
            swap={"hook": lambda built: Telling(built.settings, built.context)},
        )
        lane = engine.lane("hook")
        write = lane.write

        async def noted(work: Work[Any], rank: Rank = Rank.OUTCOME) -> Any:
            answer = await write(work, rank)
            if answer:  # it may look for work in vain
                told.append("write")
            return answer

        monkeypatch.setattr(lane, "write", noted)
        engine.say("Strömmen är borta.")
        engine.reached(State.ACCEPTED, channel="hook")
        engine.until(lambda: not lane.busy)
        assert told == ["write", "call", "write"]
        assert engine.delivery("hook")["url"] == "http://there.example/42"


def test_a_claim_of_which_nobody_knows_whether_it_was_kept_is_let_go_and_taken_again(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Once(WebhookAdapter):
        repeatable = False  # what may have gone is left to people

    with WebhookReceiver() as far:
        engine: Rig = rig(
            {"hook": webhook(far)}, swap={"hook": lambda built: Once(built.settings, built.context)}
        )
        write, unsure = engine.store.write, list[int]()

        def answer_lost(work: Work[Any], rank: Rank = Rank.OUTCOME) -> Future[Any]:
            future = write(work, rank)
            if isinstance(work, Taking) and not unsure and future.result(10):
                unsure.append(len(future.result()))
                lost: Future[Any] = Future()
                lost.set_exception(StoreUnsure("The connection broke."))
                return lost
            return future

        monkeypatch.setattr(engine.store, "write", answer_lost)
        engine.say("Strömmen är borta.")
        engine.reached(State.ACCEPTED, channel="hook")
        tried = engine.store.read(lambda c: c.scalars(select(t.attempt.c.outcome)).all())
        assert (unsure, list(tried), len(far.texts("webhook"))) == (
            [1],
            ["transient", "accepted"],
            1,
        )


def test_nothing_is_claimed_by_a_time_that_has_gone_back_since_it_was_read(tmp_path: Path) -> None:
    with WebhookReceiver() as far:
        still = Rig(tmp_path, {"hook": webhook(far)})  # no engine runs
        try:
            still.say("Strömmen är borta.")
            now = still.clock() + timedelta(seconds=1)
            times = iter([now, now - timedelta(hours=1)])
            by_old_time = Taking("hook", "n1", lambda: next(times), 4, urgent_only=False)
            assert still.store.write(by_old_time).result(10) == []
            by_true_time = Taking("hook", "n1", lambda: now, 4, urgent_only=False)
            assert len(still.store.write(by_true_time).result(10)) == 1
        finally:
            still.stop()
