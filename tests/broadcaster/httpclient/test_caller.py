from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from broadcaster.channel import Failure, Permanent, Scope, Transient, Uncertain
from broadcaster.httpclient import (
    Answer,
    Caller,
    Deadline,
    Reach,
    Transport,
    guard_session,
    web_address,
    within,
)
from broadcaster.testing.servers import (
    FarEnd,
    Reply,
    Request,
    Reset,
    answers,
    drip,
    hang,
    redirect,
    reset,
)
from broadcaster.testing.servers.exchange import json_reply
from broadcaster.testing.servers.faults import gzipped
from broadcaster.testing.tls import Authority, TlsEnd


class Counter(FarEnd):
    """Answers how many requests came, and over how many connections."""

    name = "counter"

    def answer(self, request: Request) -> Reply:
        return json_reply({"requests": self.arrived, "connections": len(self.connections)})


@pytest.fixture
def far() -> Iterator[Counter]:
    with Counter() as far:
        yield far


@pytest.fixture
def caller() -> Iterator[Caller]:
    caller = Caller(allowed_hosts=None, secrets=("a-secret-of-ours",))
    yield caller
    caller.close()


def test_connections_are_kept_between_calls(far: Counter, caller: Caller) -> None:
    for _ in range(5):
        answer = caller.call("POST", far.url, deadline=Deadline(5), json={"text": "åäö"})
    assert answer.json() == {"requests": 5, "connections": 1}


def test_a_connection_dropped_between_calls_is_replaced(far: Counter, caller: Caller) -> None:
    caller.call("GET", far.url, deadline=Deadline(5))
    far.stop()
    far.start()
    assert caller.call("POST", far.url, deadline=Deadline(5)).ok


def test_a_refusal_stands_although_its_words_never_end(far: Counter, caller: Caller) -> None:
    far.next(answers(401, "x" * 5000), drip(0.2))
    with pytest.raises(Permanent):
        caller.call("POST", far.url, deadline=Deadline(5))


@pytest.mark.parametrize("when", list(Reset))
def test_a_broken_connection_is_uncertain_unless_it_may_be_repeated(
    far: Counter, caller: Caller, when: Reset
) -> None:
    far.next(reset(when), reset(when))
    with pytest.raises(Uncertain, match="may have arrived"):
        caller.call("POST", far.url, deadline=Deadline(5))
    with pytest.raises(Transient):
        caller.call("PUT", far.url, deadline=Deadline(5))


def test_several_calls_share_one_deadline(far: Counter, caller: Caller) -> None:
    deadline = Deadline(0.6)
    caller.call("GET", far.url, deadline=deadline)
    far.always(hang())
    for _ in range(3):
        with pytest.raises(Transient):
            caller.call("GET", far.url, deadline=deadline)
    # The first of the three used it up: no other got as far as being sent.
    assert len(far.requests) <= 2


def test_an_honest_packed_answer_is_read(far: Counter, caller: Caller) -> None:
    far.next(gzipped(json_reply({"text": "åäö"})))
    assert caller.call("GET", far.url, deadline=Deadline(5)).json() == {"text": "åäö"}


def test_an_expected_refusal_is_an_answer(far: Counter, caller: Caller) -> None:
    far.next(answers(404), answers(404))
    assert caller.call("DELETE", far.url, deadline=Deadline(5), expect={404}).status == 404
    with pytest.raises(Permanent, match=r"^It is gone\.$"):
        caller.call("GET", far.url, deadline=Deadline(5), sentences={404: "It is gone."})


def test_a_redirect_names_the_new_address_without_its_query(far: Counter, caller: Caller) -> None:
    far.next(redirect("https://new.example/hook?key=a-secret-of-ours", status=301))
    with pytest.raises(Permanent, match=r"redirect to https://new\.example/hook:") as refused:
        caller.call("POST", far.url, deadline=Deadline(5))
    assert refused.value.scope is Scope.CHANNEL


@pytest.mark.parametrize("echo", ["a-secret-of-ours", "A", "a%2Dsecret"])
def test_the_query_is_in_no_exception(far: Counter, caller: Caller, echo: str) -> None:
    far.stop()
    with pytest.raises(Failure) as failed:
        caller.call("GET", f"{far.url}/?password=hunter22", deadline=Deadline(5))
    error: BaseException | None = failed.value
    while error is not None:
        assert "hunter22" not in f"{error!r} {vars(error)}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    "headers",
    [{"X-A": "a\r\nX-Evil: 1"}, {"X-A": "a\x00b"}, {"X\nEvil": "1"}, {"X A": "1"}, {"X-A": "å…"}],
)
def test_a_header_cannot_begin_another(
    far: Counter, caller: Caller, headers: dict[str, str]
) -> None:
    with pytest.raises(Permanent):
        caller.call("GET", far.url, deadline=Deadline(5), headers=headers)
    assert not far.requests


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX-Evil: 1", "/a\x00", "/ HTTP/1.1\r\nHost: evil"])
def test_an_address_cannot_begin_a_header(far: Counter, caller: Caller, path: str) -> None:
    try:
        caller.call("GET", far.url + path, deadline=Deadline(5))
    except Permanent:
        assert not far.requests
    # Where a sign is percent-encoded it is harmless: it arrives as part of the path.
    assert all("x-evil" not in r.headers and "evil" not in r.headers["host"] for r in far.requests)


@pytest.mark.parametrize(
    "url", ["ftp://a.example/", "file:///etc/passwd", "http://u:p@127.0.0.1/", "https://", "x"]
)
def test_what_is_no_web_address_is_not_called(caller: Caller, url: str) -> None:
    with pytest.raises(Permanent):
        caller.call("GET", url, deadline=Deadline(5))
    with pytest.raises(ValueError, match=r"^(is not|must hold)"):
        web_address(url)


def test_neither_proxy_nor_password_is_taken_from_the_environment(
    far: Counter, caller: Caller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {far.host} login user password from-netrc")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:1")
    assert caller.call("GET", far.url, deadline=Deadline(5)).ok
    assert "authorization" not in far.requests[-1].headers


def test_no_cookie_is_kept(far: Counter, caller: Caller) -> None:
    far.next(answers(200, "", {"Set-Cookie": "id=1"}))
    caller.call("GET", far.url, deadline=Deadline(5))
    caller.call("GET", far.url, deadline=Deadline(5))
    assert "cookie" not in far.requests[-1].headers


def test_an_answer_without_end_is_left_at_its_cap(caller: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        pouring = threading.Thread(target=_pour, args=(listening,))
        pouring.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        answer = caller.call("GET", url, deadline=Deadline(5), cap=1000)
        pouring.join(5)
    assert (len(answer.body), answer.whole) == (1000, False)


def _pour(listening: socket.socket) -> None:
    """Answer with a body that ends only when the reader hangs up."""
    connection, _ = listening.accept()
    with connection, suppress(OSError):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)


# ------------------------------------------------------------------------------------- a session that a library made
@pytest.fixture
def session() -> Iterator[requests.Session]:
    session = guard_session(requests.Session(), Transport(Reach(allowed_hosts=())))
    yield session
    session.close()


def test_a_librarys_session_follows_no_redirect(far: Counter, session: requests.Session) -> None:
    far.next(redirect(f"{far.url}/elsewhere"))
    with pytest.raises(Permanent, match="redirect"), within(Deadline(5), idempotent=True, cap=100):
        session.get(far.url)
    assert len(far.requests) == 1


def test_a_librarys_session_sends_no_stray_header(far: Counter, session: requests.Session) -> None:
    for header in ({"X-A": "a\x00b"}, {"X A": "1"}):
        with pytest.raises(Permanent), within(Deadline(5), idempotent=True, cap=100):
            session.get(far.url, headers=header)
    assert not far.requests


def test_a_librarys_session_keeps_to_the_hosts_of_a_drill(session: requests.Session) -> None:
    with pytest.raises(Permanent), within(Deadline(5), idempotent=True, cap=100):
        session.get("http://192.0.2.1/")


def test_without_a_deadline_nothing_is_called(far: Counter, session: requests.Session) -> None:
    with pytest.raises(LookupError):
        session.get(far.url)
    assert not far.requests


# ------------------------------------------------------------------------------------------------------------ TLS
def test_a_good_certificate_is_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with TlsEnd(authority.certificate()) as far:
        assert _call_anew(far.url).json() == {}
        assert len(far.requests) == 1


@pytest.mark.parametrize(
    ("host", "expired", "why"),
    [
        ("127.0.0.1", True, "expired"),
        ("127.0.0.9", False, "mismatch"),
        (None, False, "127.0.0.1"),
    ],
)
def test_a_certificate_that_is_wrong_parks_the_channel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str | None, expired: bool, why: str
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with TlsEnd(authority.certificate(host=host, expired=expired)) as far:
        with pytest.raises(Permanent, match=why) as refused:
            _call_anew(far.url)
        assert not far.requests
    assert refused.value.scope is Scope.CHANNEL


def test_a_handshake_that_hangs_ends_at_the_deadline() -> None:
    with TlsEnd(None, mute=True) as far:
        began = time.monotonic()
        with pytest.raises(Transient, match="nothing was sent"):
            _call_anew(far.url, seconds=0.5)
        assert time.monotonic() - began < 10  # it would hang for ever


def test_plain_http_where_tls_was_meant_sends_nothing(far: Counter) -> None:
    with pytest.raises(Transient, match="nothing was sent"):
        _call_anew(far.url.replace("http:", "https:"))
    assert not far.requests


def _call_anew(url: str, seconds: float = 5.0) -> Answer:
    caller = Caller(allowed_hosts=None)
    try:
        return caller.call("POST", url, deadline=Deadline(seconds), json={})
    finally:
        caller.close()


def test_who_only_asked_is_not_told_of_a_message(far: FarEnd, caller: Caller) -> None:
    """A probe sends none."""
    far.always(answers(400, "no"))
    with pytest.raises(Permanent, match=r"refuses what it was asked \(400 Bad Request\)"):
        caller.call("GET", far.url, deadline=Deadline(5))
    with pytest.raises(Permanent, match=r"does not take this message \(400 Bad Request\)"):
        caller.call("POST", far.url, deadline=Deadline(5))
