"""What one word wakes is claimed in one write, and no channel is the worse for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from broadcaster.domain.delivery import State
from broadcaster.engine import steps
from broadcaster.engine.gathering import Gathering
from broadcaster.engine.steps import Taken, Taking, take
from broadcaster.store import Rank, deliveries, tables as t
from broadcaster.store.claiming import Claim, Step
from broadcaster.store.writer import Work
from broadcaster.testing.rig import UNHEARD, Rig, webhook
from broadcaster.testing.servers import WebhookReceiver

MakeRig = Callable[..., Rig]
NAMES = ("first", "second", "third")


def _quiet(engine: Rig) -> None:
    """Every lane has looked for work and found none."""
    engine.until(lambda: not any(engine.lane(name).prompted for name in NAMES))


def test_what_one_word_wakes_is_claimed_in_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = Rig(tmp_path, dict.fromkeys(NAMES, UNHEARD))
    taken: list[list[str]] = []

    def noted(connection: Any, takings: Sequence[Taking]) -> Any:
        found = take(connection, takings)
        taken.append([claim.channel for each in found for claim, _ in each])
        return found

    async def ask() -> list[Taken]:
        gathering = Gathering(still.store)
        asked = [Taking(name, "n1", still.clock, 1, urgent_only=False) for name in NAMES]
        return await asyncio.gather(*map(gathering.take, asked))

    monkeypatch.setattr("broadcaster.engine.gathering.take", noted)
    try:
        still.say("Strömmen är borta.")
        found = asyncio.run(ask())
        assert taken == [list(NAMES)]
        assert [claim.channel for each in found for claim, _ in each] == list(NAMES)
    finally:
        still.stop()


def test_a_channel_whose_claim_breaks_holds_up_no_other(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebhookReceiver() as far:
        engine: Rig = rig(dict.fromkeys(NAMES, webhook(far)))
        engine.may_stumble = True
        _quiet(engine)
        begin = deliveries.begin_attempts

        def broken(connection: Any, tries: Sequence[tuple[Claim, Step]], *rest: Any) -> list[int]:
            if any(claim.channel == "second" for claim, _ in tries):
                raise ValueError("a row nobody can read")
            return begin(connection, tries, *rest)

        monkeypatch.setattr(deliveries, "begin_attempts", broken)
        well, hurt = engine.lane("first"), list[Exception]()
        hand_in = well.hand_in

        async def noted(work: Work[Any], rank: Rank) -> Any:
            try:
                return await hand_in(work, rank)
            except ValueError as error:
                hurt.append(error)
                raise

        monkeypatch.setattr(well, "hand_in", noted)
        engine.say("Strömmen är borta.")
        for name in ("first", "third"):
            engine.reached(State.ACCEPTED, channel=name)
        assert (engine.delivery("second")["state"], hurt) == (State.WAITING, [])
        monkeypatch.setattr(deliveries, "begin_attempts", begin)
        engine.reached(State.ACCEPTED, channel="second")
        assert len(far.texts("webhook")) == len(NAMES)


def test_claims_that_wait_for_the_store_when_all_their_lanes_stop_are_not_made(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, go = threading.Event(), threading.Event()
    with WebhookReceiver() as far:
        engine: Rig = rig(dict.fromkeys(NAMES, webhook(far)))
        _quiet(engine)
        write = engine.store.write

        def is_accepted(connection: Any) -> bool:
            return connection.execute(select(t.delivery.c.id)).first() is not None

        def stand(_: Any) -> None:
            held.set()
            go.wait(20)

        def held_up(work: Work[Any], rank: Rank = Rank.OUTCOME) -> Future[Any]:
            claims = isinstance(work, Taking) or getattr(work, "func", None) is take
            if claims and not held.is_set() and engine.store.read(is_accepted):
                write(stand, Rank.RETRACT)
                held.wait(10)
            return write(work, rank)

        monkeypatch.setattr(engine.store, "write", held_up)
        engine.say("Strömmen är borta.")
        assert held.wait(10)
        for name in NAMES:
            engine.call(engine.lane(name).stop(0.1))
        go.set()
        write(lambda _: None).result(10)
        assert {engine.state(name) for name in NAMES} == {State.WAITING}
        assert far.texts("webhook") == []


def test_claims_whose_write_the_store_did_not_take_are_made_by_each_lane_once(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebhookReceiver() as far:
        engine: Rig = rig(dict.fromkeys(NAMES, webhook(far)))
        _quiet(engine)
        write, lost = engine.store.write, list[int]()

        def answer_lost(work: Work[Any], rank: Rank = Rank.OUTCOME) -> Future[Any]:
            future = write(work, rank)
            gathered = getattr(work, "func", None) is steps.take
            if gathered and not lost and any(future.result(10)):
                lost.append(len(future.result()))
                gone: Future[Any] = Future()
                gone.set_exception(OSError("nobody knows whether it was kept"))
                return gone
            return future

        monkeypatch.setattr(engine.store, "write", answer_lost)
        engine.say("Strömmen är borta.")
        for name in NAMES:
            engine.reached(State.ACCEPTED, channel=name)
        assert len(far.texts("webhook")) == len(NAMES)
        tried = engine.store.read(lambda c: c.scalars(select(t.attempt.c.outcome)).all())
        # On a slow machine each lane may have asked alone; then nothing was lost, and nothing is to be made again.
        assert sorted(tried) == ["accepted"] * len(NAMES) + ["transient"] * sum(lost)


def test_two_lanes_of_one_channel_that_ask_at_once_do_not_both_get_a_delivery(
    tmp_path: Path,
) -> None:
    still = Rig(tmp_path, {"hook": UNHEARD})  # no engine runs
    try:
        still.say("Strömmen är borta.")
        asked = [Taking("hook", "n1", still.clock, 4, urgent_only=False) for _ in range(2)]
        found = still.store.write(lambda connection: take(connection, asked)).result(10)
        assert [len(each) for each in found] == [1, 0]
    finally:
        still.stop()
