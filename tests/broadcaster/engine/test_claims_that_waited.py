"""A claim that waited for the store is made by the time at which it is made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from broadcaster.channel import Attempt, Message, Receipt
from broadcaster.domain.delivery import State
from broadcaster.engine.steps import Taking
from broadcaster.store import Rank
from broadcaster.store.errors import StoreBusy
from broadcaster.store.writer import Work
from broadcaster.testing.rig import Rig, webhook
from broadcaster.testing.servers import WebhookReceiver
from channels.webhook import WebhookAdapter

MakeRig = Callable[..., Rig]


def test_a_post_claimed_after_the_store_was_held_for_twenty_seconds_is_made_once(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, answer, posts = threading.Event(), threading.Event(), list[str]()

    class Slow(WebhookAdapter):
        repeatable = True

        def post(self, message: Message, attempt: Attempt) -> Receipt:
            posts.append(message.body)
            called.set()
            assert answer.wait(20)
            return Receipt(handle="42")

    with WebhookReceiver() as far:
        engine: Rig = rig(
            {"hook": webhook(far)}, swap={"hook": lambda built: Slow(built.settings, built.context)}
        )
        engine.until(lambda: not engine.lane("hook").prompted)
        write, held = engine.store.write, list[int]()

        def held_by_another_program(work: Work[Any], rank: Rank = Rank.OUTCOME) -> Future[Any]:
            if isinstance(work, Taking) and not held:
                held.append(1)
                engine.clock_only(seconds=20)
                busy: Future[Any] = Future()
                busy.set_exception(StoreBusy("Another program holds the database file."))
                return busy
            return write(work, rank)

        monkeypatch.setattr(engine.store, "write", held_by_another_program)
        engine.say("Strömmen är borta.")
        assert called.wait(20)
        engine.sweep()
        answer.set()
        engine.reached(State.ACCEPTED, State.CONFIRMED, channel="hook")
        engine.until(lambda: not engine.lane("hook").busy)
        assert len(posts) == 1
