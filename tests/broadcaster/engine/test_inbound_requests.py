"""Delivery reports that come in: one that is not what it should be holds up no other."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from broadcaster.channel import InboundRequest, Incoming, Report
from broadcaster.store import inbox, tables as t
from broadcaster.testing.rig import Rig, numbers, sms
from broadcaster.testing.servers import SmsGateway
from channels.sms_http import SmsHttpAdapter

MakeRig = Callable[..., Rig]
LISTENING = {"listen": "127.0.0.1:10", "url": "http://127.0.0.1:10"}
DELIVERED = b'{"id":2,"status":"DELIVERED"}'


def deliver(engine: Rig, key: str, body: bytes) -> None:
    """A gateway says what became of a letter, at the address that it was given."""
    gateway = engine.adapters["sms"]._gateways["g1"]
    address = urlsplit(gateway.callbacks.url(key))
    request = InboundRequest(
        method="POST",
        path=address.path,
        query=address.query,
        headers={"content-type": "application/json"},
        body=body,
        received_at=engine.clock(),
    )
    engine.store.write(lambda c: inbox.keep(c, "sms", request)).result()


def accepted(rig: MakeRig, far: SmsGateway, adapter: type[SmsHttpAdapter] = SmsHttpAdapter) -> Rig:
    """A blast of two letters that the gateway accepted."""
    supplier = {"name": "g1", "preset": "gatewayapi", "url": far.url, "sender": "Ekbyn"}
    more = {"token": "p", "callback_secret": "x" * 20}
    engine: Rig = rig(
        {"sms": sms() | {"suppliers": [supplier | more]}},
        swap={"sms": lambda built: adapter(built.settings, built.context)},
        inbound=LISTENING,
    )
    engine.subscribe("sms", numbers(2))
    engine.say("Strömmen är borta.")
    engine.accepted("sms")
    return engine


def settled(engine: Rig) -> list[str]:
    query = select(t.inbound.c.state).order_by(t.inbound.c.id)
    return list(engine.store.read(lambda c: c.scalars(query).all()))


def test_a_report_with_half_a_letter_in_it_holds_up_no_other(rig: MakeRig) -> None:
    with SmsGateway(preset="gatewayapi") as far:
        engine = accepted(rig, far)
        deliver(engine, "1.1.0", b'{"id":1,"status":"UNDELIVERABLE","error":"\\ud800"}')
        deliver(engine, "1.1.1", DELIVERED)
        engine.until(lambda: settled(engine) == ["done", "done"])
        counts = engine.delivery("sms")["counts"]
        assert (counts["confirmed"], counts["failed"]) == (1, 1)


class Odd(SmsHttpAdapter):
    """An adapter with faults of its own."""

    def receive(self, request: InboundRequest) -> tuple[Report | Incoming, ...]:
        """Break over the one, and give what is no report of the other."""
        if request.body == b"nested too deeply":
            raise RecursionError
        if request.body == b"no text":
            return (Report(key="1.1.0", outcome="failed", detail=None),)  # type: ignore[arg-type]  # what it should not
        return super().receive(request)


@pytest.mark.parametrize("body", [b"nested too deeply", b"no text"])
def test_what_an_adapter_makes_nothing_of_is_kept_flagged_and_the_rest_is_counted(
    rig: MakeRig, body: bytes
) -> None:
    with SmsGateway(preset="gatewayapi") as far:
        engine = accepted(rig, far, Odd)
        deliver(engine, "1.1.0", body)
        deliver(engine, "1.1.1", DELIVERED)
        engine.until(lambda: settled(engine) == ["unreadable", "done"])
        assert engine.delivery("sms")["counts"]["confirmed"] == 1
