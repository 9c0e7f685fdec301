"""A run of letters goes on from job to job: whatever happens to the job that follows costs no reader his letter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from broadcaster.channel import Attempt, Letter, LetterOutcome, Receipt
from broadcaster.domain.delivery import State
from broadcaster.engine.under_way import Written
from broadcaster.store import Rank, letters, tables as t
from broadcaster.store.claiming import LEASE
from broadcaster.store.errors import StoreUnsure
from broadcaster.store.writer import Work
from broadcaster.testing.rig import Rig, numbers, sms
from broadcaster.testing.servers import SmsGateway
from channels.sms_http.adapter import SmsHttpAdapter

MakeRig = Callable[..., Rig]


class Stalling(SmsHttpAdapter):
    """Takes letters at once, but for one in the last block of the first job: its gateway is silent for a while."""

    at = 450
    stalled: threading.Event
    go_on: threading.Event
    sent: list[str]

    def send(
        self, letters: Iterable[Letter], attempt: Attempt
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        for letter in letters:
            if len(self.sent) == self.at:
                self.stalled.set()
                assert self.go_on.wait(60)
            self.sent.append(letter.key)
            yield letter, LetterOutcome(receipt=Receipt(handle=letter.key))


def stalling(adapter: Any, **how: Any) -> Any:
    made = Stalling(adapter.settings, adapter.context)
    made.stalled, made.go_on, made.sent = threading.Event(), threading.Event(), []
    for name, value in how.items():
        setattr(made, name, value)
    return made


def a_stalled_blast(engine: Rig, adapter: Any, **said: Any) -> Any:
    """Sixteen seconds into the silence of a gateway; returns what another node may claim."""
    engine.subscribe("sms", numbers(1000))
    engine.say("Strömmen är borta.", **said)
    assert adapter.stalled.wait(30)
    engine.until(lambda: job(engine, 2).state == "sending")
    for _ in range(4):
        engine.clock_only(seconds=4)
        now = engine.clock()
        engine.until(lambda now=now: job(engine, 1).lease_until > now + LEASE / 2)  # type: ignore[misc]  # bound now
    claim = partial(
        letters.claim_job, channel="sms", node="syd", now=engine.clock(), supplier="gateway"
    )
    return engine.store.write(claim).result()


def job(engine: Rig, number: int) -> Any:
    return engine.store.read(lambda c: c.execute(select(t.job).where(t.job.c.id == number)).one())


def test_the_lease_of_a_job_that_was_made_ready_is_kept_while_its_gateway_is_silent(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)}, swap={"sms": stalling})
        adapter = engine.adapters["sms"]
        try:
            assert a_stalled_blast(engine, adapter) is None
        finally:
            adapter.go_on.set()


def test_no_reader_is_in_doubt_whose_letter_was_never_pulled(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)}, swap={"sms": stalling})
        adapter = engine.adapters["sms"]
        try:
            a_stalled_blast(engine, adapter)
        finally:
            adapter.go_on.set()
        engine.until(lambda: not engine.lane("sms").busy)
        pulled = {tuple(map(int, key.split(".")[1:])) for key in adapter.sent}
        query = select(t.letter.c.job_id, t.letter.c.position).where(
            t.letter.c.outcome == "uncertain"
        )
        doubted = {tuple(row) for row in engine.store.read(lambda c: c.execute(query).all())}
        assert len(doubted - pulled) == 0


def test_a_commit_of_which_nobody_knows_whether_it_was_kept_costs_no_reader_his_letter(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)}, swap={"sms": partial(stalling, at=-1)})
        adapter = engine.adapters["sms"]
        write, unsure = engine.store.write, list[int]()

        def answer_lost(work: Work[Any], rank: Rank = Rank.OUTCOME) -> Future[Any]:
            future = write(work, rank)
            if threading.current_thread().name.startswith("lane-sms") and not unsure:
                written = future.result(10)
                if (
                    isinstance(written, Written)
                    and written.following
                    and written.following.job.id == 2
                ):
                    unsure.append(2)
                    lost: Future[Any] = Future()
                    lost.set_exception(StoreUnsure("The connection broke."))
                    return lost
            return future

        monkeypatch.setattr(engine.store, "write", answer_lost)
        engine.subscribe("sms", numbers(1500))
        engine.say("Strömmen är borta.")
        engine.until(lambda: unsure and not engine.lane("sms").busy)
        engine.pass_by(seconds=16)  # the lease that nobody knows of runs out
        engine.reached(State.ACCEPTED, channel="sms")
        counts = engine.delivery("sms")["counts"]
        assert (unsure, counts["accepted"], counts["uncertain"]) == ([2], 1500, 0)
        assert len(set(adapter.sent)) == len(adapter.sent) == 1500
