"""Whatever is sent, the API's memory stays what it was: 50 MiB more at most, weighed in a process of its own (T45)."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import pytest

from broadcaster.testing.apart import MEBIBYTE, Apart

MOST = 50 * MEBIBYTE
AT_ONCE = 8
JSON = "Content-Type: application/json"
IMPORT = "/api/v1/subscribers/import?channel=sms&source=list&legal_basis=law"
HEAD = b"address,area,language\n"
TAKING = {  # every route that reads a body
    "/incidents": "POST",
    "/incidents/A1/updates": "POST",
    "/preview": "POST",
    "/scheduled": "POST",
    "/scheduled/A1-2": "PATCH",
    "/channels/hook/reroute": "POST",
    "/tokens": "POST",
    "/backups": "POST",
    "/subscribers/remove": "POST",
    "/subscribers/erase": "POST",
}
OTHERS = (
    "/channels/hook/probe",
    "/channels/hook/pause",
    "/channels/hook/resume",
    "/channels/hook/drop",
    "/deliveries/9/resend",
    "/audit/verify",
)
HOSTILE = {
    "fields": json.dumps({f"k{number}": 0 for number in range(78_000)}),
    "languages": json.dumps({"texts": {f"k{number}": 0 for number in range(78_000)}}),
    "objects": f"[{'{},' * 340_000}{{}}]",
    "lists": f'{{"area": [{"[]," * 340_000}[]]}}',
    "depth": '{"planned":' * 90_000,
    "numbers": f'{{"area": [{"0," * 500_000}0]}}',
}


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    with Apart(tmp_path_factory.mktemp("apart")) as running:
        for path, method in TAKING.items():  # what is made once at the first request is no growth
            ask(running, path, "{}", method=method)
        yield running


def answer_of(client: socket.socket) -> bytes:
    """Everything until the server closes."""
    read = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65_536):
            read += piece
    return read


def ask(apart: Apart, path: str, body: str, *, method: str = "POST", token: str = "") -> bytes:
    length = f"Content-Length: {len(body)}"
    with apart.connect() as client:
        head = apart.head(
            f"/api/v1{path}", JSON, length, "Connection: close", method=method, token=token
        )
        client.sendall(head + body.encode())
        return answer_of(client)


def many_ask(apart: Apart, ask_once: Callable[[object], bytes]) -> list[bytes]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(ask_once, repeat(None, AT_ONCE)))


def pour(apart: Apart, path: str, pieces: Iterator[bytes], *lines: str) -> tuple[int, bytes]:
    """Send pieces in chunks until they end or the server has enough: bytes sent, and the answer."""
    sent = 0
    with apart.connect() as client:
        client.sendall(apart.head(path, "Transfer-Encoding: chunked", "Connection: close", *lines))
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for piece in pieces:
                client.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
                sent += len(piece)
            client.sendall(b"0\r\n\r\n")
        return sent, answer_of(client)


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("path", TAKING)
def test_eight_hostile_mebibytes_at_once_weigh_little_on_every_route(
    apart: Apart, path: str, what: str
) -> None:
    body = HOSTILE[what]
    assert len(body) < MEBIBYTE
    with apart.weighing() as grown:
        said = many_ask(apart, lambda _: ask(apart, path, body, method=TAKING[path]))
    assert max(grown) < MOST
    assert {one[:12] for one in said} <= {b"HTTP/1.1 422", b"HTTP/1.1 400"}
    assert max(map(len, said)) < 5_000


def test_a_viewer_costs_no_more_than_a_refusal(apart: Apart) -> None:
    with apart.weighing() as grown:
        said = many_ask(
            apart, lambda _: ask(apart, "/incidents", HOSTILE["fields"], token=apart.viewer)
        )
    assert max(grown) < MOST
    assert {one[:12] for one in said} == {b"HTTP/1.1 403"}


@pytest.mark.parametrize("path", [*(p for p, m in TAKING.items() if m == "POST"), *OTHERS])
def test_a_gibibyte_in_chunks_is_cut_off_and_not_kept_on_every_route(
    apart: Apart, path: str
) -> None:
    with apart.weighing() as grown:
        sent, said = pour(apart, f"/api/v1{path}", repeat(b" " * MEBIBYTE, 1_024), JSON)
    assert max(grown) < MOST
    assert sent < 64 * MEBIBYTE
    assert not said or path in OTHERS or said.startswith(b"HTTP/1.1 413")


def test_a_million_headers_are_not_kept(apart: Apart) -> None:
    fields = b"\r\n".join(b"X-%d: 1" % number for number in range(1_000_000))
    with apart.weighing() as grown, apart.connect() as client:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(apart.head("/healthz", method="GET")[:-2] + fields + b"\r\n\r\n")
        answer_of(client)
    assert max(grown) < MOST


LINE = b"x" * 9_000 + b"\n"
IMPORTS: dict[str, tuple[Callable[[], Iterator[bytes]], bytes]] = {
    "one line without an end": (lambda: repeat(b"x" * MEBIBYTE, 300), b'"refused": 1'),
    "a quotation mark that stays open": (
        lambda: iter([b'"', *repeat(LINE * 116, 64)]),
        b'"refused": 7424',
    ),
    "three million columns": (lambda: iter([b"x," * 3_000_000 + b"\n"]), b'"refused": 1'),
    "three million short rows of nothing": (lambda: iter([b"\n" * 3_000_000]), b'"total": 0'),
}


@pytest.mark.parametrize("what", IMPORTS)
def test_an_import_keeps_nothing_of_what_is_no_row(apart: Apart, what: str) -> None:
    pieces, result = IMPORTS[what]
    with apart.weighing() as grown:
        sent, said = pour(apart, IMPORT, iter([HEAD, *pieces()]))
    assert max(grown) < MOST
    assert sent > MEBIBYTE
    assert result in said


@pytest.mark.parametrize(
    "header",
    [b"address," * 3_000_000 + b"\n", b'"' + b"a\n" * 1_000_000, b"a" * 60 * MEBIBYTE],
    ids=["three million columns", "an open quotation mark", "no end"],
)
def test_an_import_keeps_nothing_of_what_is_no_header(apart: Apart, header: bytes) -> None:
    with apart.weighing() as grown:
        _, said = pour(apart, IMPORT, iter([header]))
    assert max(grown) < MOST
    assert not said or said.startswith(b"HTTP/1.1 422")
