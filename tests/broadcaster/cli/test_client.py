"""A daemon that misbehaves ends a command in bounded time and space."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import pytest

from broadcaster.cli import wire
from broadcaster.cli.client import Client
from broadcaster.cli.failing import Problem, Unreachable


@contextmanager
def answering(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads one request and then does what `talk` does with the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    thread.join()


def sending(answer: bytes) -> AbstractContextManager[str]:
    return answering(lambda connection: connection.sendall(answer))


def test_an_answer_that_drips_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "WHOLE", 0.3)
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not over.wait(0.05):
            connection.sendall(b" ")

    with answering(drip) as server:
        with pytest.raises(Unreachable) as silence:
            Client(server).get("organisation")
        over.set()
    assert silence.value.sent


def test_an_answer_without_end_is_not_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LONGEST", 1000)

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"1" * 5000)

    with answering(flood) as server, pytest.raises(Problem, match="longer than 1000"):
        Client(server).get("organisation")


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}"],
)
def test_no_whole_answer_means_nobody_knows(answer: bytes) -> None:
    with sending(answer) as server, pytest.raises(Unreachable) as silence:
        Client(server).post("incidents", body={})
    assert silence.value.sent


def test_another_server_than_the_daemon_is_recognised() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"
    with sending(page) as server, pytest.raises(Problem, match="is this the daemon"):
        Client(server).get("organisation")


def test_the_token_is_never_carried_to_where_an_answer_points() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with sending(moved) as server, pytest.raises(Problem, match="302"):
        Client(server, "secret").get("organisation")


def test_nobody_listening_means_nothing_was_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(Unreachable) as silence:
            Client(f"http://127.0.0.1:{port}").get("organisation")
    assert not silence.value.sent


def test_the_token_is_in_no_repr() -> None:
    assert "secret" not in repr(Client("http://127.0.0.1:1", "secret"))
