"""The fault proxy does what it says, seen from both of its sides; what it says is what other tests rely on."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from broadcaster.testing.faultproxy import (
    ANSWER,
    CLOSE,
    END_OF_HEAD,
    REQUEST,
    RESET,
    SILENCE,
    End,
    FaultProxy,
    deaf,
    dripping,
    not_accepting,
    slow,
    strike,
)
from broadcaster.testing.servers import FarEnd, Reply, Request, hang
from broadcaster.testing.servers.exchange import text_reply

ASKED = b"POST /say HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"


class Echo(FarEnd):
    """Every POST is an effect; its text comes back."""

    name = "echo"

    def answer(self, request: Request) -> Reply:
        self.effect("said", "", request.body.decode())
        return text_reply(request.body.decode())


@pytest.fixture
def far() -> Iterator[Echo]:
    with Echo() as running:
        yield running


@pytest.fixture
def proxy(far: Echo) -> Iterator[FaultProxy]:
    with FaultProxy(far.port) as running:
        yield running


def call(proxy: FaultProxy, asked: bytes = ASKED, patience: float = 5.0) -> tuple[bytes, str]:
    """What came back of one request, and how it ended: "whole", "reset", "closed" or "silent"."""
    got = b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=patience) as client:
        client.sendall(asked)
        try:
            while not got.endswith(b"hello"):
                more = client.recv(4096)
                if not more:
                    return got, "closed"
                got += more
        except ConnectionResetError:
            return got, "reset"
        except TimeoutError:
            return got, "silent"
    return got, "whole"


def test_without_trouble_every_byte_passes(proxy: FaultProxy, far: Echo) -> None:
    answer, end = call(proxy)
    assert (end, far.texts()) == ("whole", ["hello"])
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert proxy.accepted == 1


@pytest.mark.parametrize(("by", "end"), [(RESET, "reset"), (CLOSE, "closed"), (SILENCE, "silent")])
def test_an_answer_ends_at_the_chosen_byte_in_the_chosen_way(
    proxy: FaultProxy, far: Echo, by: End, end: str
) -> None:
    whole, _ = call(proxy)
    for at in (0, 7, whole.index(END_OF_HEAD) + 4):
        proxy.trouble = strike(ANSWER, at, by)
        got, seen = call(proxy, patience=0.3)
        assert seen == end
        if by is not RESET:  # what is on its way when the reset comes may be dropped
            assert got == whole[:at]
    assert far.texts() == ["hello"] * 4


@pytest.mark.parametrize("at", [0, 10, END_OF_HEAD, len(ASKED) - 1])
def test_a_request_that_is_cut_off_has_no_effect(
    proxy: FaultProxy, far: Echo, at: int | bytes
) -> None:
    proxy.trouble = strike(REQUEST, at)
    assert call(proxy) == (b"", "reset")
    proxy.trouble = None
    assert call(proxy)[1] == "whole"
    assert far.texts() == ["hello"]


def test_a_struck_answer_was_a_request_that_took_effect(proxy: FaultProxy, far: Echo) -> None:
    proxy.trouble = strike(ANSWER, END_OF_HEAD, CLOSE)
    got, end = call(proxy)
    assert (end, far.texts()) == ("closed", ["hello"])
    assert got.endswith(END_OF_HEAD)


def test_a_drip_takes_its_time_and_loses_nothing(proxy: FaultProxy, far: Echo) -> None:
    proxy.trouble = dripping(ANSWER, 10, 0.02)
    begun = time.monotonic()
    answer, end = call(proxy)
    assert end == "whole"
    assert time.monotonic() - begun >= len(answer) / 10 * 0.02
    assert far.texts() == ["hello"]


def test_latency_holds_both_ways(proxy: FaultProxy) -> None:
    proxy.trouble = slow(0.1, jitter=0.01)
    begun = time.monotonic()
    assert call(proxy)[1] == "whole"
    assert time.monotonic() - begun >= 0.2


def test_a_deaf_far_end_takes_the_connection_and_no_more(proxy: FaultProxy, far: Echo) -> None:
    proxy.trouble = deaf()
    assert call(proxy, patience=0.3) == (b"", "silent")
    assert far.arrived == 0


def test_a_full_queue_neither_accepts_nor_refuses(proxy: FaultProxy, far: Echo) -> None:
    proxy.trouble = not_accepting()
    with pytest.raises(TimeoutError):
        call(proxy, patience=0.3)
    proxy.trouble = None
    assert call(proxy)[1] == "whole"
    assert far.texts() == ["hello"]


def test_trouble_set_while_a_call_is_under_way_befalls_it(proxy: FaultProxy, far: Echo) -> None:
    far.always(hang().after_effect())
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        client.sendall(ASKED)
        far.wait_for(1)
        proxy.trouble = strike(ANSWER, 0)
        far.release()
        with pytest.raises(ConnectionResetError):
            client.recv(4096)
    assert far.texts() == ["hello"]


def test_it_leaves_nothing_behind(far: Echo) -> None:
    with FaultProxy(far.port, strike(ANSWER, 0, SILENCE)) as proxy:
        assert call(proxy, patience=0.2)[1] == "silent"
        waiting = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(3)]
    for client in waiting:
        with client, contextlib.suppress(ConnectionResetError):
            client.settimeout(5)
            assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port))
    assert not proxy._thread.is_alive()
