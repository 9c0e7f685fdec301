"""From where somebody asks is read from those only who may say so, and only as far as a network."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from broadcaster.inbound.following.askers import network_of

OURS = ("127.0.0.1/32", "10.0.0.0/8")


def request(peer: str, forwarded: str | None) -> Request:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded is not None else []
    return Request({"type": "http", "headers": headers, "client": (peer, 1)})


@pytest.mark.parametrize(
    ("peer", "forwarded", "network"),
    [
        ("192.0.2.9", None, "192.0.2.0/24"),
        ("192.0.2.9", "198.51.100.1", "192.0.2.0/24"),  # nobody asked it
        ("127.0.0.1", "198.51.100.1", "198.51.100.0/24"),
        ("127.0.0.1", "203.0.113.5, 198.51.100.1", "198.51.100.0/24"),
        ("127.0.0.1", "203.0.113.5, 10.1.2.3", "203.0.113.0/24"),
        ("127.0.0.1", "2001:db8:1:2::3", "2001:db8:1::/48"),
        ("127.0.0.1", "::ffff:203.0.113.5", "203.0.113.0/24"),
        ("127.0.0.1", None, ""),
        ("127.0.0.1", "nonsense", ""),
        ("127.0.0.1", "10.0.0.1," * 40, ""),
    ],
)
def test_the_network_of_who_asks(peer: str, forwarded: str | None, network: str) -> None:
    assert network_of(request(peer, forwarded), OURS) == network


def test_a_proxy_that_adds_a_line_of_its_own_is_believed_and_not_the_line_before_it() -> None:
    lines = [(b"x-forwarded-for", each) for each in (b"198.51.100.7", b"203.0.113.9")]
    came = Request({"type": "http", "headers": lines, "client": ("10.1.2.3", 4711)})
    assert network_of(came, ["10.0.0.0/8"]) == "203.0.113.0/24"
