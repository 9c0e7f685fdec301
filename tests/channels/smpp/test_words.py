"""What somebody texts comes by the connection of reports, in whichever alphabet, and is answered for once it is kept."""

from __future__ import annotations

import time
from typing import Any

import pytest

from broadcaster.channel import InboundRequest, Incoming
from broadcaster.testing.contract_letters import an_attempt
from broadcaster.testing.smsc import Smsc
from channels.smpp import parts
from channels.smpp.adapter import SmppAdapter


def collected(adapter: SmppAdapter) -> InboundRequest:
    until = time.monotonic() + 15
    while not (found := adapter.collect((), an_attempt())):
        assert time.monotonic() < until
    return found[0]


@pytest.mark.real("smpp")
@pytest.mark.parametrize(
    ("coding", "octets", "esm"),
    [
        (0, b"Start S\x7cdra", 0),
        (3, "Start Södra".encode("latin-1"), 0),
        (8, "Start Södra".encode("utf-16-be"), 0),
        (8, b"\x05\x00\x03\x07\x02\x01" + "Start Södra".encode("utf-16-be"), 0x40),
    ],
)
def test_a_text_is_heard_and_answered_for_once_it_is_kept(
    make: Any, far: Smsc, coding: int, octets: bytes, esm: int
) -> None:
    adapter = make(far)
    adapter.collect((), an_attempt())
    far.order(texted={"from": "46701740605", "coding": coding, "octets": octets.hex(), "esm": esm})
    request = collected(adapter)
    [heard] = adapter.receive(request)
    assert heard == Incoming(address="+46701740605", text="Start Södra")
    assert far.seen("answered") == []
    adapter.collect((request.path,), an_attempt())
    [answered] = far.wait_for("answered")
    assert answered["status"] == 0


@pytest.mark.parametrize("octets", [b"", b"\xff", bytes(range(256))])
@pytest.mark.parametrize("coding", [0, 1, 3, 4, 8, 255])
def test_whatever_comes_is_read_as_something(octets: bytes, coding: int) -> None:
    for headed in (False, True):
        parts.read(octets, coding, headed=headed)
