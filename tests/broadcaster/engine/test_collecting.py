"""Reports that an adapter is told of by a way of its own: kept first, answered for afterwards, counted as all others."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from broadcaster.channel import (
    Attempt,
    InboundReply,
    InboundRequest,
    RefusedRequest,
    Report,
    Transient,
)
from broadcaster.engine import collecting
from broadcaster.engine.lane import Lane
from broadcaster.store import StoreError, tables as t
from broadcaster.testing.rig import PATIENCE, Rig, numbers, sms
from broadcaster.testing.servers import SmsGateway
from channels.sms_http import SmsHttpAdapter

MakeRig = Callable[..., Rig]


class Collects(SmsHttpAdapter):
    """Knows of reports by no listener: the test puts them in, and sees what was answered for."""

    def __init__(self, built: SmsHttpAdapter) -> None:
        super().__init__(built.settings, built.context)
        self.there: list[tuple[str, bytes]] = []
        self.answered: list[str] = []
        self.fails = 0
        self.failed, self.heard = threading.Event(), threading.Event()

    def collect(self, kept: tuple[str, ...], attempt: Attempt) -> tuple[InboundRequest, ...]:
        if kept and self.fails:
            self.fails -= 1
            self.failed.set()
            raise Transient("The connection broke.")
        self.answered += kept
        self.heard.set()
        self.there = [each for each in self.there if each[0] not in kept]
        return tuple(
            InboundRequest(
                method="report",
                path=path,
                query="",
                headers={},
                body=body,
                received_at=attempt.at,
            )
            for path, body in self.there
        )

    def verify(self, request: InboundRequest) -> InboundReply:
        raise RefusedRequest("Nobody reports here.", 404)

    def receive(self, request: InboundRequest) -> tuple[Report, ...]:
        return (Report(key=request.body.decode(), outcome="confirmed"),)


def accepted(rig: MakeRig, far: SmsGateway) -> tuple[Rig, Collects]:
    """A blast of two letters that were accepted, and the adapter that will tell of them."""
    engine: Rig = rig({"sms": sms(far)}, swap={"sms": Collects})
    engine.subscribe("sms", numbers(2))
    engine.say("Strömmen är borta.")
    engine.accepted("sms")
    return engine, engine.adapters["sms"]


def test_what_is_collected_is_counted_and_answered_for(rig: MakeRig) -> None:
    with SmsGateway() as far:
        engine, adapter = accepted(rig, far)
        adapter.there = [("r/1", b"1.1.0"), ("r/2", b"1.1.1")]
        engine.until(lambda: engine.delivery("sms")["counts"]["confirmed"] == 2)
        assert adapter.answered == ["r/1", "r/2"]


def test_what_the_store_did_not_take_is_not_answered_for(
    rig: MakeRig,
) -> None:
    with SmsGateway() as far:
        engine, adapter = accepted(rig, far)
        answered_when_refused: list[list[str]] = []
        write, refused = engine.store.write, threading.Event()

        def full(work: object, *rest: object) -> object:
            if "_keep" in str(getattr(work, "func", "")) and not refused.is_set():
                answered_when_refused.append(list(adapter.answered))
                refused.set()
                raise StoreError("The disk is full.")
            return write(work, *rest)  # type: ignore[arg-type]  # passed on as it came

        engine.store.write = full  # type: ignore[method-assign,assignment]  # the one write that fails
        adapter.there = [("r/1", b"1.1.0")]
        engine.until(lambda: engine.delivery("sms")["counts"]["confirmed"] == 1)
        assert refused.is_set()
        assert answered_when_refused == [[]]


def test_an_adapter_that_fails_over_what_is_kept_is_told_again_and_it_is_kept_once(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "PAUSE", 0.0)
    with SmsGateway() as far:
        engine, adapter = accepted(rig, far)
        adapter.fails = 3
        adapter.there = [("r/1", b"1.1.1")]
        engine.until(lambda: engine.delivery("sms")["counts"]["confirmed"] == 1)
        engine.until(lambda: adapter.answered == ["r/1"])
        kept = engine.store.read(lambda c: c.scalar(select(func.count()).select_from(t.inbound)))
        assert kept == 1


class HandsInNonsense(Collects):
    """Once, before it does as it should."""

    nonsense = 1

    def collect(self, kept: tuple[str, ...], attempt: Attempt) -> tuple[InboundRequest, ...]:
        if self.there and self.nonsense:
            self.nonsense -= 1
            raise RefusedRequest("Not now.", 404)
        return super().collect(kept, attempt)


def test_reports_come_again_after_an_adapter_raised_what_it_should_not(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "PAUSE", 0.0)
    with SmsGateway() as far:
        engine = rig({"sms": sms(far)}, swap={"sms": HandsInNonsense})
        engine.subscribe("sms", numbers(2))
        engine.say("Strömmen är borta.")
        engine.accepted("sms")
        adapter: Collects = engine.adapters["sms"]
        adapter.there = [("r/1", b"1.1.0")]
        engine.until(lambda: engine.delivery("sms")["counts"]["confirmed"] == 1)


class NeverWell(Collects):
    """Raises each time what it should not, and tells when it did so often."""

    def __init__(self, built: SmsHttpAdapter) -> None:
        super().__init__(built)
        self.calls, self.often = 0, threading.Event()

    def collect(self, kept: tuple[str, ...], attempt: Attempt) -> tuple[InboundRequest, ...]:
        self.calls += 1
        if self.calls == 5:
            self.often.set()
        raise RefusedRequest("Not now.", 404)


def test_what_breaks_at_each_try_is_logged_once(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "PAUSE", 0.0)
    with SmsGateway() as far, capture_logs() as logged:
        engine = rig({"sms": sms(far)}, swap={"sms": NeverWell})
        adapter: NeverWell = engine.adapters["sms"]
        assert adapter.often.wait(PATIENCE)
    told = [one for one in logged if one["event"] == "reports cannot be collected"]
    assert len(told) == 1


def because(lane: Lane) -> str:
    """Why reports cannot be collected, "" when they can."""
    return lane.deaf.because if lane.deaf else ""


def test_since_when_reports_cannot_be_collected_is_known_until_they_can(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "PAUSE", 0.0)
    with SmsGateway() as far:
        engine, adapter = accepted(rig, far)
        lane = engine.lane("sms")
        assert because(lane) == ""
        adapter.there = [("r/1", b"1.1.0")]
        adapter.fails = 10**6
        engine.until(lambda: engine.delivery("sms")["counts"]["confirmed"] == 1)
        for _ in range(2):  # the first may have been on its way to the lane
            adapter.failed.clear()
            assert adapter.failed.wait(10)
        assert because(lane) == "The connection broke."
        adapter.fails = 0
        for _ in range(2):
            adapter.heard.clear()
            assert adapter.heard.wait(10)
        assert because(lane) == ""
