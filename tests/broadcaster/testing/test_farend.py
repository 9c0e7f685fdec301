"""The base of every stand-in: it records, misbehaves on command, and its witnesses can be trusted."""

from __future__ import annotations

import contextlib
import gc
import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from broadcaster.testing.servers import (
    FarEnd,
    Fault,
    MastodonServer,
    Reply,
    Request,
    Reset,
    answers,
    deaf,
    drip,
    error_in_success,
    gzip_bomb,
    hang,
    invalid_json,
    late,
    oversized,
    performed_not_answered,
    read_journal,
    redirect,
    reset,
    too_many,
    unavailable,
)
from broadcaster.testing.servers.exchange import json_reply


class Echo(FarEnd):
    """Every POST is an effect; its text comes back."""

    name = "echo"

    def answer(self, request: Request) -> Reply:
        if request.path == "/broken":
            raise RuntimeError("a bug in a stand-in")
        self.effect("said", str(len(self.effects) + 1), request.body.decode())
        return json_reply({"said": request.body.decode()})


@pytest.fixture
def far() -> Iterator[Echo]:
    with Echo() as server:
        yield server


def say(far: FarEnd, text: str = "hej", seconds: float = 5.0) -> requests.Response:
    return requests.post(f"{far.url}/say", data=text.encode(), timeout=seconds)


def connect(far: FarEnd) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(far.url).netloc, timeout=5)


def test_what_arrived_is_recorded_whole(far: Echo) -> None:
    requests.post(f"{far.url}/say?a=1", data="åäö".encode(), headers={"X-Key": "k"}, timeout=5)
    request = far.requests[0]
    assert (request.method, request.path, request.parameters) == ("POST", "/say", {"a": "1"})
    assert request.headers["x-key"] == "k"
    assert request.body == "åäö".encode()
    assert request.received <= time.monotonic()
    assert request.received_at.utcoffset() is not None
    assert far.texts() == ["åäö"]


def test_a_connection_is_kept_and_pipelined_requests_are_answered_in_order(far: Echo) -> None:
    connection = connect(far)
    connection.connect()
    one = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"
    connection.sock.sendall(one + b"1" + one + b"2")
    seen = b""
    while seen.count(b'"said"') < 2:
        seen += connection.sock.recv(4096)
    assert seen.index(b'"1"') < seen.index(b'"2"')
    connection.close()


def test_a_chunked_body_is_put_together(far: Echo) -> None:
    requests.post(far.url, data=iter([b"en ", b"kabel"]), timeout=5)
    assert far.texts() == ["en kabel"]


def test_a_request_that_is_no_http_gets_400(far: Echo) -> None:
    connection = connect(far)
    connection.connect()
    connection.sock.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
    assert connection.sock.recv(100).startswith(b"HTTP/1.1 400")
    connection.close()


def test_a_bug_in_a_stand_in_is_a_500_that_names_it_not_a_hang(far: Echo) -> None:
    reply = requests.get(f"{far.url}/broken", timeout=5)
    assert reply.status_code == 500
    assert "a bug in a stand-in" in reply.text


# -- faults ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status"),
    [(too_many(30), 429), (unavailable(), 503), (answers(401, "no"), 401), (answers(500), 500)],
    ids=lambda case: getattr(case, "name", None),
)
def test_a_planned_refusal_comes_once_and_has_no_effect(
    far: Echo, fault: Fault, status: int
) -> None:
    far.next(fault)
    assert say(far).status_code == status
    assert far.effects == []
    assert say(far).status_code == 200
    assert far.texts() == ["hej"]


@pytest.mark.parametrize("retry_after", ["30", "Sun, 22 Nov 2026 15:00:00 GMT", "-1", "soon"])
def test_retry_after_is_sent_as_written(far: Echo, retry_after: str) -> None:
    far.next(too_many(retry_after))
    assert say(far).headers["Retry-After"] == retry_after


def test_a_standing_fault_lasts_until_healed(far: Echo) -> None:
    far.always(unavailable())
    assert [say(far).status_code for _ in range(3)] == [503] * 3
    far.heal()
    assert say(far).status_code == 200


def test_a_brown_out_befalls_one_in_so_many(far: Echo) -> None:
    far.always(unavailable(), every=3)
    assert [say(far).status_code for _ in range(6)] == [200, 200, 503, 200, 200, 503]


def test_a_fault_meant_for_one_path_leaves_the_others_alone(far: Echo) -> None:
    far.next(unavailable(), method="POST", path="/say")
    assert requests.post(f"{far.url}/other", timeout=5).status_code == 200
    assert requests.get(f"{far.url}/say", timeout=5).status_code == 200
    assert say(far).status_code == 503


@pytest.mark.parametrize("when", [Reset.BEFORE_BODY, Reset.AFTER_BODY])
def test_a_reset_loses_the_request_and_performs_nothing(far: Echo, when: Reset) -> None:
    far.next(reset(when))
    with pytest.raises(requests.ConnectionError):
        say(far)
    assert far.effects == []
    assert far.arrived == 1


def test_a_reset_in_the_middle_of_the_answer_has_performed(far: Echo) -> None:
    far.next(reset(Reset.MID_ANSWER))
    with pytest.raises(requests.RequestException):
        say(far)
    assert far.texts() == ["hej"]


def test_performed_but_not_answered_leaves_the_effect_behind(far: Echo) -> None:
    far.next(performed_not_answered())
    with pytest.raises(requests.ConnectionError):
        say(far)
    assert far.texts() == ["hej"]


def test_a_hang_says_nothing_until_released(far: Echo) -> None:
    far.next(hang().after_effect())
    outcome: list[int] = []
    caller = threading.Thread(target=lambda: outcome.append(say(far, seconds=20).status_code))
    caller.start()
    far.wait_for(1)
    assert (outcome, far.texts()) == ([], ["hej"])
    far.release()
    caller.join(5)
    assert outcome == [200]


def test_a_hang_that_performs_nothing_ends_in_a_reset(far: Echo) -> None:
    far.next(hang())
    failed = threading.Event()

    def call() -> None:
        with pytest.raises(requests.ConnectionError):
            say(far, seconds=20)
        failed.set()

    caller = threading.Thread(target=call)
    caller.start()
    far.wait_for(1)
    far.release()
    assert failed.wait(5)
    assert far.effects == []


def test_one_hanging_connection_holds_up_no_other(far: Echo) -> None:
    far.next(hang(), path="/say")
    with pytest.raises(requests.Timeout):
        say(far, seconds=0.2)
    assert requests.post(f"{far.url}/other", data=b"x", timeout=5).status_code == 200


def test_a_deaf_far_end_never_reads_the_body(far: Echo) -> None:
    far.next(deaf())
    with pytest.raises(requests.RequestException):
        say(far, "x" * 8_000_000, seconds=0.5)
    assert far.requests[0].body == b""
    assert far.effects == []


def test_a_drip_outlasts_a_time_out_for_each_read(far: Echo) -> None:
    far.next(drip(0.01))
    began = time.monotonic()
    assert say(far, seconds=0.5).json() == {"said": "hej"}
    assert time.monotonic() - began > 0.5


def test_a_late_answer_is_true_but_late(far: Echo) -> None:
    far.next(late(0.2))
    began = time.monotonic()
    assert say(far).json() == {"said": "hej"}
    assert time.monotonic() - began >= 0.2


def test_bodies_that_a_client_must_survive(far: Echo) -> None:
    far.next(oversized(3_000_000), gzip_bomb(8 * 1024 * 1024), invalid_json(), error_in_success())
    assert len(say(far).content) == 3_000_000
    packed = requests.post(far.url, stream=True, timeout=5)
    raw = packed.raw.read(decode_content=False)
    assert len(raw) < 20_000
    assert len(gzip.decompress(raw)) == 8 * 1024 * 1024
    with pytest.raises(requests.JSONDecodeError):
        say(far).json()
    assert say(far).json()["success"] is False
    assert far.effects == []


def test_a_redirect_names_another_place(far: Echo) -> None:
    far.next(redirect("http://127.0.0.1:1/elsewhere"))
    reply = requests.post(far.url, allow_redirects=False, timeout=5)
    assert (reply.status_code, reply.headers["Location"]) == (302, "http://127.0.0.1:1/elsewhere")


def test_a_stopped_far_end_refuses_and_comes_back_on_its_port() -> None:
    with Echo() as far:
        say(far, "före")
        url = far.url
        far.stop()
        with pytest.raises(requests.ConnectionError):
            say(far)
        far.start()
        assert far.url == url
        say(far, "efter")
        assert far.texts() == ["före", "efter"]


def test_a_stopped_far_end_refuses_though_a_program_that_just_begins_holds_its_socket() -> None:
    with Echo() as far, copy_of_listener(far.port):
        far.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", far.port), timeout=5)


def copy_of_listener(port: int) -> socket.socket:
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # no socket, or not open any more
            one = socket.socket(fileno=int(descriptor.name))
            try:
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and (
                    one.getsockname()[1] == port
                ):
                    return one.dup()
            finally:
                one.detach()
    raise AssertionError(f"nothing listens on {port}")


# -- witnesses ------------------------------------------------------------------------------


def test_waiting_ends_when_the_thing_happens(far: Echo) -> None:
    threading.Timer(0.05, say, (far, "nu")).start()
    far.wait_for(lambda f: "nu" in f.texts(), seconds=5)
    assert far.arrived == 1


def test_waiting_in_vain_says_what_did_arrive(far: Echo) -> None:
    say(far)
    with pytest.raises(TimeoutError, match=r"1 requests and 1 effects .*POST /say"):
        far.wait_for(2, seconds=0.05)


def test_the_journal_outlives_a_killed_process(tmp_path: Path) -> None:
    journal = tmp_path / "effects.jsonl"
    command = [sys.executable, "-m", "broadcaster.testing.servers", "mastodon"]
    with subprocess.Popen([*command, "--journal", str(journal)], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        url = server.stdout.readline().decode().strip()
        requests.post(
            f"{url}/api/v1/statuses",
            data={"status": "Strömmen är borta"},
            headers={"Authorization": "Bearer token"},
            timeout=5,
        ).raise_for_status()
        os.kill(server.pid, signal.SIGKILL)
    effects = read_journal(journal)
    assert [(e.server, e.kind, e.text) for e in effects] == [
        ("mastodon", "status", "Strömmen är borta")
    ]
    assert effects[0].at.utcoffset() is not None


def test_a_line_torn_by_a_kill_is_left_out(tmp_path: Path) -> None:
    journal = tmp_path / "effects.jsonl"
    with Echo(journal=journal) as far:
        say(far, "hel")
    with journal.open("a", encoding="utf-8") as torn:
        torn.write('{"server":"echo","ki')
    assert [effect.text for effect in read_journal(journal)] == ["hel"]


def test_the_journal_is_one_json_object_a_line(tmp_path: Path) -> None:
    journal = tmp_path / "effects.jsonl"
    with Echo(journal=journal) as far:
        say(far, "en rad\noch en till")
        say(far, "två")
    lines = journal.read_text("utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["en rad\noch en till", "två"]


def test_a_far_end_that_stops_leaves_nothing_open_of_what_it_was_just_accepting() -> None:
    def keep_calling(port: int) -> None:
        with contextlib.suppress(OSError):  # refused: it has stopped
            while True:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()

    for _ in range(5):
        far = MastodonServer().start()
        caller = threading.Thread(target=keep_calling, args=(far.port,))
        caller.start()
        for _ in range(5):
            socket.create_connection(("127.0.0.1", far.port), timeout=5).close()
        far.stop()
        caller.join()
    with warnings.catch_warnings(record=True) as unclosed:
        warnings.simplefilter("always", ResourceWarning)
        gc.collect()
    assert unclosed == []
