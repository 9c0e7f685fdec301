"""What gateways report is verified, kept durably and only then answered for; everything else is turned away."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from copy import copy
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from broadcaster.channel import InboundReply, InboundRequest, RefusedRequest
from broadcaster.store import inbox
from broadcaster.store.inbox import InboundRow
from broadcaster.testing.operators import Daemonless, Reply


def call(
    desk: Daemonless, method: str, path: str, body: bytes | None = None, **headers: str
) -> Reply:
    return desk.ask(method, path, body, token="", port=desk.inbound.port, **headers)


def kept(desk: Daemonless) -> tuple[InboundRow, ...]:
    return desk.store.read(lambda connection: inbox.waiting(connection, desk.clock()))


@pytest.fixture
def open_door(desk: Daemonless, monkeypatch: pytest.MonkeyPatch) -> Daemonless:
    """Its SMS channel believes everybody but who sends "forged"."""

    def verify(request: InboundRequest) -> InboundReply:
        if b"forged" in request.body:
            raise RefusedRequest("The signature does not fit.", 401)
        return InboundReply(status=202, body=b"OK", media_type="text/plain")

    monkeypatch.setattr(desk.desk.configuration.adapters["sms"], "verify", verify)
    return desk


def test_a_report_is_kept_as_it_came(open_door: Daemonless) -> None:
    answer = call(open_door, "POST", "/in/sms/kannel?k=1&t=2", b"status=8", X_Signature="abc")
    assert (answer.status, answer.content) == (202, b"OK")
    (row,) = kept(open_door)
    assert row.channel == "sms"
    assert (row.request.method, row.request.path, row.request.query) == (
        "POST",
        "/in/sms/kannel",
        "k=1&t=2",
    )
    assert row.request.body == b"status=8"
    assert row.request.headers["x-signature"] == "abc"
    assert row.request.received_at == open_door.clock()


def test_a_report_may_come_as_a_get(open_door: Daemonless) -> None:
    assert call(open_door, "GET", "/in/sms?k=1").status == 202
    assert len(kept(open_door)) == 1


def test_a_forged_report_is_refused_and_not_kept(desk: Daemonless, open_door: Daemonless) -> None:
    answer = call(open_door, "POST", "/in/sms", b"forged")
    assert answer.status == 401
    assert answer.content == b""
    assert kept(open_door) == ()


def test_without_an_address_of_ours_the_real_adapter_refuses(idle_desk: Daemonless) -> None:
    assert call(idle_desk, "GET", "/in/sms?s=kannel&k=1.1&t=00").status == 403
    assert kept(idle_desk) == ()


@pytest.mark.parametrize(
    "path",
    [
        "/in/nix",
        "/in/page",
        "/in/hook",
        "/",
        "/in",
        "/in/",
        "/api/v1/organisation",
        "/healthz",
        "/docs",
        "/openapi.json",
        "/in/%2e%2e/healthz",
    ],
)
def test_there_is_nothing_else(idle_desk: Daemonless, path: str) -> None:
    assert call(idle_desk, "GET", path).status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_else_can_be_asked(idle_desk: Daemonless, method: str) -> None:
    assert call(idle_desk, method, "/in/sms").status == 405


def test_a_report_has_64_kib_and_no_more(open_door: Daemonless) -> None:
    assert call(open_door, "POST", "/in/sms", b"x" * 65_536).status == 202
    assert call(open_door, "POST", "/in/sms", b"x" * 65_537).status == 413
    assert call(open_door, "POST", "/in/sms", b"x" * 5_000_000).status == 413
    assert len(kept(open_door)) == 1


def test_a_report_that_cannot_be_kept_is_not_answered_for(
    open_door: Daemonless, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "broadcaster.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        answer = call(open_door, "POST", "/in/sms", b"status=8")
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert answer.status == 503
    assert answer.headers["retry-after"]
    assert kept(open_door) == ()


def test_an_adapter_that_breaks_tells_nothing(
    desk: Daemonless, monkeypatch: pytest.MonkeyPatch
) -> None:
    def burst(_: Any) -> None:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(desk.desk.configuration.adapters["sms"], "verify", burst)
    answer = call(desk, "POST", "/in/sms", b"x")
    assert (answer.status, answer.content) == (500, b"")
    assert kept(desk) == ()


@pytest.mark.parametrize(("path", "status"), [("/in/sms", 403), ("/nix", 404)])
def test_every_answer_is_safe_and_names_no_program(
    idle_desk: Daemonless, path: str, status: int
) -> None:
    answer = call(idle_desk, "GET", path)
    assert answer.status == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "server" not in answer.headers


def test_an_adapter_that_hangs_over_its_reports_holds_up_no_other_channels(
    open_door: Daemonless, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapters: Any = open_door.desk.configuration.adapters
    hanging, over = copy(adapters["sms"]), Event()

    def verify(request: InboundRequest) -> InboundReply:
        over.wait(60)
        return InboundReply()

    monkeypatch.setattr(hanging, "verify", verify)
    monkeypatch.setitem(adapters, "hanging", hanging)
    # More than the threads that the whole daemon shares for its reads.
    with ThreadPoolExecutor(40) as pool:
        stuck = [pool.submit(call, open_door, "GET", "/in/hanging?k=1") for _ in range(40)]
        wait(stuck, timeout=1.0)
        assert call(open_door, "GET", "/in/sms?k=1").status == 202
        answers = {answer.result().status for answer in stuck}
        over.set()
    assert answers <= {500, 503}
    assert [row.channel for row in kept(open_door)] == ["sms"]
