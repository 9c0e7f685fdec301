"""What is called off before it has begun to leave never leaves; what has left in part only has brought nothing about."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from broadcaster.bulkhttp import BulkClient, Problem, Request
from broadcaster.channel import Failure, Transient, Uncertain
from broadcaster.httpclient import Answer, Caller, Deadline
from broadcaster.httpclient.calling_off import ask_before_sending
from broadcaster.testing.faultproxy import (
    ANSWER,
    SILENCE,
    FaultProxy,
    deaf,
    not_accepting,
    strike,
)
from broadcaster.testing.servers import WebhookReceiver


@pytest.fixture
def far() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


@pytest.fixture
def proxy(far: WebhookReceiver) -> Iterator[FaultProxy]:
    with FaultProxy(far.port) as running:
        yield running


def post(proxy: FaultProxy, body: bytes = b"{}", seconds: float = 20.0) -> Answer | Failure:
    caller = Caller(allowed_hosts=None)
    try:
        return caller.call("POST", proxy.url, deadline=Deadline(seconds), body=body, expect=(401,))
    except Failure as failure:
        return failure
    finally:
        caller.close()


def send(proxy: FaultProxy) -> Failure:
    client = BulkClient(deadline=20.0)
    [(_, answer)] = client.run([Request(proxy.url, b"{}", (), None)])
    client.close()
    assert isinstance(answer, Problem)
    return answer.failure()


@pytest.mark.parametrize("make", [post, send])
def test_a_call_that_is_called_off_while_it_connects_sends_nothing(
    make: Callable[[FaultProxy], object], proxy: FaultProxy, far: WebhookReceiver
) -> None:
    off, asked = threading.Event(), threading.Event()

    def ask() -> bool:
        asked.set()
        return off.is_set()

    def under_the_question() -> object:
        with ask_before_sending(ask):
            asked.set()
            return make(proxy)

    proxy.trouble = not_accepting()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(under_the_question)
        assert asked.wait(10)
        off.set()
        proxy.trouble = None
        failure = call.result(20)
    assert isinstance(failure, Transient)
    assert "called off" in failure.sentence
    assert far.arrived == 0


def test_what_has_begun_to_leave_is_not_called_off(proxy: FaultProxy) -> None:
    first = iter([False])
    with ask_before_sending(lambda: next(first, True)):
        assert isinstance(post(proxy), Answer)


def test_of_a_body_that_was_not_taken_to_its_end_nothing_can_come(
    proxy: FaultProxy, far: WebhookReceiver
) -> None:
    proxy.trouble = deaf()
    failure = post(proxy, bytes(32 * 1024 * 1024), seconds=1.0)
    assert isinstance(failure, Transient)
    assert "part" in failure.sentence
    assert far.arrived == 0


def test_what_was_taken_whole_and_not_answered_may_have_arrived(
    proxy: FaultProxy, far: WebhookReceiver
) -> None:
    proxy.trouble = strike(ANSWER, 0, SILENCE)
    assert isinstance(post(proxy, bytes(1024 * 1024), seconds=1.0), Uncertain)
    assert far.arrived == 1
