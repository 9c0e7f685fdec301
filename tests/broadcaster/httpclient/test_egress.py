from __future__ import annotations

import ipaddress
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from broadcaster.channel import Permanent, Scope, Transient
from broadcaster.httpclient import Deadline, Reach, guard_address, is_public
from broadcaster.httpclient.egress import connect, tls_context
from broadcaster.testing.tls import Authority

NOT_PUBLIC = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.0.9", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.0.9", "192.0.0.170", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "198.18.0.1", "198.51.100.7", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "fc00::1",
    "fd00::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "3fff::1", "5f00::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_of_a_machine_or_its_network_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "100.63.255.255", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "2a00::1"],
)
def test_an_address_of_the_open_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "localhost",
        "[::1]",
        "0",
        "[::ffff:127.0.0.1]",
    ],
)
def test_a_stranger_cannot_name_this_machine(host: str) -> None:
    with pytest.raises(Permanent) as refused:
        guard_address(host, 80, Reach(public_only=True), Deadline(5))
    assert refused.value.scope is Scope.CHANNEL


def test_one_bad_address_among_good_ones_refuses_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolve_to(monkeypatch, "1.1.1.1", "127.0.0.1")
    with pytest.raises(Permanent):
        guard_address("rebinding.example", 80, Reach(public_only=True), Deadline(5))


def test_the_address_judged_is_the_address_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as here:
        looked = _resolve_to(monkeypatch, "127.0.0.1")
        port = here.getsockname()[1]
        connect("rebinding.example", port, Reach(allowed_hosts=()), Deadline(5)).close()
    assert looked == ["rebinding.example"]


def test_a_drill_reaches_loopback_and_what_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolve_to(monkeypatch, "1.1.1.1")
    reach = Reach(allowed_hosts=("Gateway.Example.",))
    assert guard_address("gateway.example", 80, reach, Deadline(5))
    with pytest.raises(Permanent, match=r"allowed_hosts; other\.example is neither"):
        guard_address("other.example", 80, reach, Deadline(5))


def test_in_live_a_gateway_on_the_own_network_may_be_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _resolve_to(monkeypatch, "10.0.0.7")
    assert guard_address("gateway.lan", 80, Reach(), Deadline(5))


def test_a_resolver_that_hangs_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        released.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = time.monotonic()
    with pytest.raises(Transient, match="was not found: nothing was sent"):
        guard_address("slow.example", 80, Reach(), Deadline(0.3))
    assert time.monotonic() - began < 10  # half of what the resolver takes
    released.set()


def test_where_no_thread_begins_a_name_is_looked_up_at_the_next_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Transient, match="nothing was sent") as refused:
            guard_address("localhost", 80, Reach(), Deadline(5))
    assert refused.value.scope is Scope.CHANNEL


def test_an_address_that_never_answers_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as here, socket.socket() as full:
        full.bind(("127.0.0.2", here.getsockname()[1]))
        full.listen(0)
        # Its queue is full: it answers no more.
        waiting = [_knock(full.getsockname()) for _ in range(4)]
        _resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")
        connect("two.example", here.getsockname()[1], Reach(), Deadline(1)).close()
        for knock in waiting:
            knock.close()


def _knock(address: tuple[str, int]) -> socket.socket:
    knock = socket.socket()
    knock.setblocking(False)
    knock.connect_ex(address)
    return knock


def _resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    looked: list[str] = []

    def look_up(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        looked.append(host)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return looked


def test_the_certificates_of_the_system_are_read_once_until_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = tmp_path / "authority.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    known = []
    for day in (1, 2):
        Authority(tmp_path)
        os.utime(trusted, (day, day))
        assert tls_context() is tls_context()
        known.append(tls_context().get_ca_certs(binary_form=True))
    assert [len(each) for each in known] == [1, 1]
    assert known[0] != known[1]
