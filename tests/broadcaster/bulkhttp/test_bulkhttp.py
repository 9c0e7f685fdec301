"""What bulk calls promise, against far ends that misbehave."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.bulkhttp import Answer, BulkClient, Problem, Request
from broadcaster.channel import Permanent, Scope, Transient, Uncertain
from broadcaster.testing.ports import free_port
from broadcaster.testing.servers import (
    Reset,
    SmsGateway,
    deaf,
    drip,
    gzip_bomb,
    hang,
    late,
    oversized,
    redirect,
    reset,
    too_many,
)
from broadcaster.testing.servers.exchange import json_reply
from broadcaster.testing.servers.faults import gzipped
from broadcaster.testing.tls import Authority, TlsEnd

JSON = ("Content-Type: application/json",)
BODY = b'{"to": "+46701740605", "text": "Hej"}'


@pytest.fixture
def far() -> Iterator[SmsGateway]:
    with SmsGateway(preset="generic") as gateway:
        yield gateway


@pytest.fixture
def client() -> Iterator[BulkClient]:
    made = BulkClient(window=4, deadline=5, connect_timeout=2)
    yield made
    made.close()


def ask(url: str, count: int = 1, body: bytes | None = BODY) -> Iterator[Request[int]]:
    return (Request(f"{url}/send", body, JSON, number) for number in range(count))


def only(client: BulkClient, url: str, *, deadline: float | None = None) -> Answer | Problem:
    [(_, outcome)] = client.run(ask(url), deadline=deadline)
    return outcome


def problem(outcome: Answer | Problem) -> Problem:
    assert isinstance(outcome, Problem), outcome
    return outcome


# ------------------------------------------------------------------------------------------------ window and reuse
def test_every_request_is_sent_once_and_answered(far: SmsGateway, client: BulkClient) -> None:
    outcomes = dict(client.run(ask(far.url, 100)))
    assert sorted(request.about for request in outcomes) == list(range(100))
    assert {outcome.status for outcome in outcomes.values() if isinstance(outcome, Answer)} == {202}
    assert far.arrived == 100


def test_no_more_than_the_window_is_pulled_and_open(far: SmsGateway, client: BulkClient) -> None:
    far.always(hang())
    pulled: list[int] = []

    def source() -> Iterator[Request[int]]:
        for request in ask(far.url, 50):
            pulled.append(request.about)
            yield request

    thread = threading.Thread(target=lambda: list(client.run(source())))
    thread.start()
    far.wait_for(4)
    client.close()
    thread.join(5)
    assert not thread.is_alive()
    assert len(pulled) == 4
    assert far.arrived == 4


def test_connections_are_reused_over_runs(far: SmsGateway, client: BulkClient) -> None:
    for _ in range(5):
        assert len(list(client.run(ask(far.url, 20)))) == 20
        assert len(far.connections) <= 4


def test_post_and_get_share_a_handle(far: SmsGateway) -> None:
    client = BulkClient(window=1)
    requests = itertools.chain(ask(far.url), ask(far.url, body=None), ask(far.url))
    assert len(list(client.run(requests))) == 3
    assert [request.method for request in far.requests] == ["POST", "GET", "POST"]
    assert [len(request.body) for request in far.requests] == [len(BODY), 0, len(BODY)]
    client.close()


def test_the_rate_is_kept(far: SmsGateway) -> None:
    client = BulkClient(window=8, rate=50)
    list(client.run(ask(far.url, 20)))
    times = [request.received for request in far.requests]
    # A burst of five, then fifty a second: fifteen more cannot come within 0.3 s.
    assert times[-1] - times[0] > 0.28
    client.close()


# ------------------------------------------------------------------------------- what has gone, and what certainly not
def test_a_request_is_never_sent_twice_when_a_kept_connection_dies() -> None:
    """libcurl by itself sends a POST again when a reused connection is closed without an answer."""
    seen: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection:
                    seen.append(connection.recv(65_536))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    seen.append(connection.recv(65_536))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        client = BulkClient(window=1, deadline=5)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        first, second = (outcome for _, outcome in client.run(ask(url, 2)))
        assert isinstance(first, Answer)
        assert problem(second).may_have_gone
        assert isinstance(problem(second).failure(), Uncertain)
        assert len([request for request in seen if request]) == 2
        client.close()


def test_a_refused_connection_has_sent_nothing(client: BulkClient) -> None:
    outcome = problem(only(client, f"http://127.0.0.1:{free_port()}"))
    assert not outcome.may_have_gone
    assert "nothing was sent" in outcome.sentence
    failure = outcome.failure()
    assert isinstance(failure, Transient)
    assert failure.scope is Scope.CHANNEL


def test_a_name_that_does_not_exist_has_sent_nothing(client: BulkClient) -> None:
    outcome = problem(only(client, "http://gateway.invalid"))
    assert not outcome.may_have_gone
    assert not outcome.lasting


def test_a_connection_that_is_never_answered_by_the_network_has_sent_nothing() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        client = BulkClient(deadline=0.5, connect_timeout=5)
        outcome = problem(only(client, f"http://127.0.0.1:{address[1]}"))
        assert not outcome.may_have_gone
        for filler in fillers:
            filler.close()
        client.close()


@pytest.mark.parametrize("fault", [hang(), deaf(), late(30), drip(0.2)], ids=str)
def test_a_call_ends_at_its_total_deadline_and_may_have_gone(
    far: SmsGateway, client: BulkClient, fault: object
) -> None:
    far.always(fault)  # type: ignore[arg-type]  # parametrised: pytest hands in a fault
    begun = time.monotonic()
    outcome = problem(only(client, far.url, deadline=0.5))
    assert outcome.may_have_gone
    assert time.monotonic() - begun < 15  # none of them is over before twenty


@pytest.mark.parametrize("when", list(Reset))
def test_a_reset_after_the_request_was_on_its_way_is_uncertain(
    far: SmsGateway, client: BulkClient, when: Reset
) -> None:
    far.next(reset(when))
    assert problem(only(client, far.url)).may_have_gone


def test_a_named_time_to_wait_is_told(far: SmsGateway, client: BulkClient) -> None:
    far.next(too_many(7), too_many(None), too_many("garbage"))
    answers = [outcome for _, outcome in client.run(ask(far.url, 3))]
    assert sorted(a.retry_after or 0 for a in answers if isinstance(a, Answer)) == [0, 0, 7]


# -------------------------------------------------------------------------------------------------- untrusted answers
@pytest.mark.parametrize("fault", [oversized(), gzip_bomb()], ids=["huge", "gzip bomb"])
def test_an_endless_answer_is_cut_off(far: SmsGateway, client: BulkClient, fault: object) -> None:
    far.next(fault)  # type: ignore[arg-type]  # parametrised: pytest hands in a fault
    outcome = problem(only(client, far.url))
    assert outcome.may_have_gone
    assert "more than is read" in outcome.sentence


def test_an_honest_gzip_answer_is_unpacked(far: SmsGateway, client: BulkClient) -> None:
    far.next(gzipped(json_reply({"id": "m1"})))
    outcome = only(client, far.url)
    assert isinstance(outcome, Answer)
    assert outcome.body == b'{"id":"m1"}'


def test_redirects_are_not_followed(far: SmsGateway, client: BulkClient) -> None:
    far.next(redirect(f"{far.url}/elsewhere"))
    outcome = only(client, far.url)
    assert isinstance(outcome, Answer)
    assert outcome.status == 302
    assert far.arrived == 1


def test_proxies_of_the_environment_are_not_used(
    far: SmsGateway, client: BulkClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert isinstance(only(client, far.url), Answer)


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "gopher://127.0.0.1:1", "http://a b", "", "http://x\r\ny"]
)
def test_what_is_no_http_address_is_refused_for_good(client: BulkClient, url: str) -> None:
    outcome = problem(only(client, url))
    assert outcome.lasting
    assert isinstance(outcome.failure(), Permanent)


def test_a_header_cannot_smuggle_another(far: SmsGateway, client: BulkClient) -> None:
    request = Request(f"{far.url}/send", BODY, ("X-Sender: a\r\nX-Evil: b",), None)
    [(_, outcome)] = client.run([request])
    assert problem(outcome).lasting
    assert far.arrived == 0


# ------------------------------------------------------------------------------------------------------- drill and demo
def test_drill_reaches_no_host_that_is_not_listed() -> None:
    client = BulkClient(allowed_hosts=("gateway.example",), deadline=2)
    outcome = problem(only(client, "http://192.0.2.1"))
    assert outcome.lasting
    assert not outcome.may_have_gone
    assert "allowed_hosts" in outcome.sentence
    client.close()


def test_drill_reaches_listed_hosts_and_this_machine(far: SmsGateway) -> None:
    client = BulkClient(allowed_hosts=("192.0.2.1",), deadline=0.3)
    assert isinstance(only(client, f"http://localhost:{far.port}", deadline=5), Answer)
    assert "allowed_hosts" not in problem(only(client, "http://192.0.2.1")).sentence
    client.close()


# --------------------------------------------------------------------------------------------------------------- ending
def test_closing_the_generator_breaks_off_what_is_open(far: SmsGateway, client: BulkClient) -> None:
    far.next(hang())
    run = client.run(ask(far.url, 2))
    next(run)
    begun = time.monotonic()
    run.close()  # type: ignore[attr-defined]  # an iterator that is a generator
    assert time.monotonic() - begun < 4  # its time would be over after five seconds
    assert isinstance(only(client, far.url), Answer)
    far.wait_for(lambda end: len(end.connections) == 1)


def test_an_iterator_that_fails_ends_the_run_and_leaves_the_client_good(
    far: SmsGateway, client: BulkClient
) -> None:
    def broken() -> Iterator[Request[int]]:
        yield from ask(far.url)
        raise LookupError

    with pytest.raises(LookupError):
        list(client.run(broken()))
    assert isinstance(only(client, far.url), Answer)


# ------------------------------------------------------------------------------------------------------------------ TLS
@pytest.mark.parametrize(
    ("host", "expired", "trusted"),
    [
        ("127.0.0.1", False, False),
        ("127.0.0.2", False, True),
        ("127.0.0.1", True, True),
    ],
    ids=["unknown issuer", "wrong host", "expired"],
)
def test_a_bad_certificate_is_refused_before_anything_is_sent(
    tmp_path: Path, host: str, expired: bool, trusted: bool
) -> None:
    authority = Authority(tmp_path)
    with TlsEnd(authority.certificate(host=host, expired=expired)) as end:
        client = BulkClient(ca_file=str(authority.file) if trusted else "")
        outcome = problem(only(client, end.url))
        assert outcome.lasting
        assert not outcome.may_have_gone
        assert "certificate" in outcome.sentence
        client.close()
    assert b"".join(end.requests) == b""


def test_a_good_certificate_is_accepted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with TlsEnd(authority.certificate()) as end:
        client = BulkClient(ca_file=str(authority.file))
        assert isinstance(only(client, end.url), Answer)
        client.close()
    assert len(end.requests) == 1


def test_a_server_that_is_mute_before_tls_has_got_nothing(tmp_path: Path) -> None:
    with TlsEnd(None, mute=True) as end:
        client = BulkClient(deadline=0.5)
        assert not problem(only(client, end.url)).may_have_gone
        client.close()
