"""Clients that are slow, huge, silent or many hold nothing up and are cut off (T45)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import resource
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from broadcaster.api import bounds, serving
from broadcaster.api.guard import Guard
from broadcaster.api.serving import Listener
from broadcaster.service.importing import BATCH
from broadcaster.store import StoreBusy, subscribers
from broadcaster.testing.operators import Daemonless

REPORT = json.dumps({"text": "Strömmen är borta.", "area": ["norra-ekbyn"]}).encode()

HURRY = 1.5  # seconds: a slow machine must get a request through in them


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HEADER_SECONDS", HURRY)
    monkeypatch.setattr(serving, "UNREAD_SECONDS", HURRY)
    monkeypatch.setattr(bounds, "BODY_SECONDS", HURRY)


@pytest.fixture
def client(hurried: None, idle_desk: Daemonless) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", idle_desk.api.port), timeout=10) as opened:
        yield opened


def head(
    desk: Daemonless, *lines: str, method: str = "POST", path: str = "/api/v1/preview"
) -> bytes:
    named = (f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {desk.admin}", *lines)
    return "\r\n".join((*named, "", "")).encode()


def connections(desk: Daemonless) -> list[Any]:
    """The server's side of every connection: uvicorn shows it nowhere else."""
    return list(desk.api._server.server_state.connections)


def healthy(client: socket.socket) -> None:
    """Ask for the health and read the answer, which may come in pieces."""
    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    read = b""
    while not read.endswith(b'{"status":"ok"}'):
        piece = client.recv(65_536)
        assert piece, "the connection was cut off"
        read += piece


def answers(client: socket.socket) -> bytes:
    """Everything until the server closes."""
    read = b""
    try:
        while piece := client.recv(65_536):
            read += piece
    except ConnectionResetError:
        pass
    return read


def test_what_is_answered_is_sent_at_once(client: socket.socket, idle_desk: Daemonless) -> None:
    """Or a connection that is kept waits 40 ms for the body of every answer but the first few."""
    healthy(client)
    ours = connections(idle_desk)[0].transport.get_extra_info("socket")
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def trickle(client: socket.socket, piece: bytes, seconds: float = 20.0) -> bytes:
    """Send a byte at a time until the server cuts the connection; what it said by then."""
    until = time.monotonic() + seconds
    client.settimeout(0.05)
    read = b""
    while time.monotonic() < until:
        try:
            client.sendall(piece)
            got = client.recv(65_536)
            if not got:
                return read
            read += got
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return read
    pytest.fail("the connection was held open")


def test_headers_that_trickle_in_are_cut_off(client: socket.socket) -> None:
    client.sendall(b"GET /healthz HTTP/1.1\r\n")
    assert trickle(client, b"X") == b""


def test_a_client_that_says_nothing_is_cut_off(client: socket.socket) -> None:
    assert answers(client) == b""


def test_a_kept_connection_gets_a_fresh_deadline_and_no_more(client: socket.socket) -> None:
    for _ in range(3):  # longer together than one deadline
        healthy(client)
        time.sleep(0.4 * HURRY)  # it is time that is tried
    client.sendall(b"GET /heal")
    assert trickle(client, b"t") == b""


def test_line_ends_between_requests_do_not_keep_a_connection(client: socket.socket) -> None:
    healthy(client)
    assert trickle(client, b"\r\n") == b""


def test_requests_in_one_piece_are_answered_in_order_and_the_last_half_is_cut_off(
    client: socket.socket,
) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    client.sendall(whole + whole + b"GET /hea")
    said = answers(client)
    assert said.count(b"HTTP/1.1 200") == 2


def test_a_body_that_trickles_in_is_cut_off(client: socket.socket, idle_desk: Daemonless) -> None:
    client.sendall(head(idle_desk, "Content-Type: application/json", "Content-Length: 5000"))
    said = trickle(client, b" ")
    assert b"HTTP/1.1 408" in said
    assert b"application/problem+json" in said


def test_a_body_that_goes_on_after_the_answer_is_cut_off(client: socket.socket) -> None:
    client.sendall(
        b"POST /api/v1/incidents HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
    )
    said = trickle(client, b" ")
    assert b"HTTP/1.1 401" in said
    assert b"connection: close" in said.lower()


@pytest.mark.parametrize(
    "fields",
    [b"X: " + b"a" * 40_000, b"\r\n".join(b"X-%d: 1" % n for n in range(1_000_000))],
    ids=["one long", "a million"],
)
def test_too_many_headers_are_refused(idle_desk: Daemonless, fields: bytes) -> None:
    with socket.create_connection(("127.0.0.1", idle_desk.api.port), timeout=10) as client:
        begun = time.monotonic()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n")
        said = answers(client)
    assert said == b"" or said.startswith(b"HTTP/1.1 400")
    assert time.monotonic() - begun < 20


def test_headers_within_the_limit_pass(idle_desk: Daemonless) -> None:
    assert idle_desk.ask("GET", "/healthz", X_Long="a" * 30_000).status == 200


def test_a_gibibyte_in_chunks_is_refused_and_not_kept_in_memory(idle_desk: Daemonless) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chunk = b"%x\r\n" % 2**20 + b" " * 2**20 + b"\r\n"
    with socket.create_connection(("127.0.0.1", idle_desk.api.port), timeout=10) as client:
        client.sendall(
            head(idle_desk, "Content-Type: application/json", "Transfer-Encoding: chunked")
        )
        sent = 0
        try:
            while sent < 1024:
                client.sendall(chunk)
                sent += 1
        except (ConnectionResetError, BrokenPipeError):
            pass
        said = answers(client)
    assert said.startswith(b"HTTP/1.1 413") or not said
    assert sent < 64
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 50 * 1024  # KiB


@pytest.mark.parametrize(
    "path", ["/preview", "/subscribers/import?channel=sms&source=x&legal_basis=y"]
)
def test_who_goes_before_he_has_said_everything_is_no_failure_of_ours(
    idle_desk: Daemonless, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    over, enter = threading.Event(), Guard.__call__

    async def noted(guard: Guard, scope: Any, receive: Any, send: Any) -> None:
        try:
            await enter(guard, scope, receive, send)
        finally:
            over.set()

    monkeypatch.setattr(Guard, "__call__", noted)
    with capture_logs() as logged:
        with socket.create_connection(("127.0.0.1", idle_desk.api.port), timeout=10) as client:
            lines = ("Content-Type: application/json", "Content-Length: 5000")
            client.sendall(head(idle_desk, *lines, path=f"/api/v1{path}") + b"{")
        assert over.wait(10)
    assert [one for one in logged if one["event"] == "request failed"] == []


def test_what_is_a_little_too_large_is_told_so(idle_desk: Daemonless) -> None:
    answer = idle_desk.ask("POST", "/api/v1/preview", b" " * (4 * 2**20))
    assert answer.status == 413
    assert "för stor" in answer.detail


@pytest.mark.parametrize("wrong", [b"", b"no request at all\r\n\r\n"], ids=["whole", "broken"])
def test_answers_nobody_reads_are_given_up(
    hurried: None, idle_desk: Daemonless, wrong: bytes
) -> None:
    ask = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", idle_desk.api.port))
        client.sendall(ask * 1_000 + wrong)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            time.sleep(0.05)  # a reset is seen by who sends
            try:
                client.send(b"G")
            except (ConnectionResetError, BrokenPipeError):
                return
    pytest.fail("the connection was held open")


def test_a_little_that_nobody_reads_is_given_up_too(hurried: None, idle_desk: Daemonless) -> None:
    ask = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", idle_desk.api.port))
        healthy(client)
        (served,) = [one for one in connections(idle_desk) if one.client == client.getsockname()]
        until = time.monotonic() + 15
        while not served.transport.get_write_buffer_size():  # only the server knows what is unread
            assert time.monotonic() < until
            client.sendall(ask)
            time.sleep(0.005)
        while served in connections(idle_desk):
            assert time.monotonic() < until, "the connection was held open"
            time.sleep(0.05)


def test_a_stream_that_goes_on_after_its_answer_is_cut_off(
    client: socket.socket, idle_desk: Daemonless, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise StoreBusy("Another program holds the database file. Nothing was stored.")

    monkeypatch.setattr(subscribers, "take", busy)
    path = "/api/v1/subscribers/import?channel=sms&source=x&legal_basis=y"
    client.sendall(head(idle_desk, "Content-Length: 100000000", path=path))
    numbers = b"".join(b"+4673%07d,norra-ekbyn,sv\n" % n for n in range(BATCH))
    client.sendall(b"address,area,language\n")
    read = b""
    while b'"done"' not in read:
        read += client.recv(65_536)
    client.sendall(numbers)
    assert b'"broken"' in trickle(client, b"x")


def test_more_connections_than_there_is_room_for_are_told_to_come_again(
    idle_desk: Daemonless, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "MOST_CONNECTIONS", 3)
    crowd = [socket.create_connection(("127.0.0.1", idle_desk.api.port)) for _ in range(5)]
    try:
        answer = idle_desk.ask("GET", "/healthz")
        assert answer.status == 503
        assert answer.headers["retry-after"] == "2"
        assert answer.detail.startswith("För många anslutningar på en gång.")
        asked = idle_desk.ask("GET", "/healthz", accept_language="en")
        assert asked.detail.startswith("Too many connections at once.")
    finally:
        for one in crowd:
            one.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(idle_desk: Daemonless, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", idle_desk.api.port), timeout=10) as client:
        client.sendall(raw + b"\r\n" * 4)
        assert answers(client).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/healthz", 200), ("GET", "/nix", 404), ("PUT", "/healthz", 405), ("BREW", "/", 400)],
)
def test_every_answer_is_safe_to_show_and_names_no_program(
    idle_desk: Daemonless, method: str, path: str, status: int
) -> None:
    answer = idle_desk.ask(method, path)
    assert answer.status == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "server" not in answer.headers
    assert not re.search(rb"uvicorn|starlette|fastapi|python", answer.content, re.IGNORECASE)


def test_an_address_that_is_taken_is_said_at_once(idle_desk: Daemonless) -> None:
    async def start() -> None:
        await Listener(idle_desk.app, "127.0.0.1", idle_desk.api.port).start()

    with pytest.raises(OSError, match="in use"):
        asyncio.run(start())
