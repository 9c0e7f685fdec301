"""What people text is heard through the inbox of the engine: STOP is done whatever floods it, and a report beside it too."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select

from broadcaster.channel import InboundRequest, RefusedRequest
from broadcaster.domain.choices import Choices
from broadcaster.service import residents
from broadcaster.store import inbox, tables as t
from broadcaster.testing.rig import Rig, sms
from broadcaster.testing.servers import SmsGateway

MakeRig = Callable[..., Rig]
KIM, SECRET = "+46701740605", "ord-som-ingen-annan-vet"
RESIDENTS: dict[str, Any] = {
    "residents": {"channels": ["sms"], "number": "71120"},
    "inbound": {"listen": "127.0.0.1:8", "url": "https://in.ekbyn.example"},
}
FLOOD = int(os.environ.get("FLOOD", "4000"))


def listening(rig: MakeRig, far: SmsGateway) -> Rig:
    block = sms(far)
    block["suppliers"][0]["words_secret"] = SECRET
    return rig({"sms": block}, **RESIDENTS)


def texted(engine: Rig, text: str, number: str = KIM, handle: str = "") -> InboundRequest:
    name = engine.adapters["sms"].suppliers()[0]
    return InboundRequest(
        method="GET",
        path="/in/sms/words",
        query=f"s={name}&t={SECRET}&from={number.replace('+', '%2B')}&text={text}&id={handle}",
        headers={},
        body=b"",
        received_at=engine.clock(),
    )


def keep(engine: Rig, request: InboundRequest) -> None:
    assert engine.adapters["sms"].verify(request).status == 200
    engine.store.write(lambda c: inbox.keep(c, "sms", request)).result()


def areas(engine: Rig) -> tuple[str, ...]:
    mine = residents.of_address(engine.desk, "sms", KIM)
    return mine.choices.areas if mine else ()


def subscribe(engine: Rig) -> None:
    choices = Choices(areas=("norra-ekbyn",), language="sv")
    residents.subscribe(engine.desk, "sms", KIM, choices, "keyword", "ja")


def test_start_subscribes_and_is_answered_by_the_lane(rig: MakeRig) -> None:
    with SmsGateway() as far:
        engine = listening(rig, far)
        keep(engine, texted(engine, "start+norra+ekbyn"))
        engine.until(lambda: len(far.texts()) == 1)
        assert areas(engine) == ("norra-ekbyn",)
        assert "Norra Ekbyn" in far.texts()[0]


def test_stop_behind_a_flood_is_done_before_the_flood_is(rig: MakeRig) -> None:
    with SmsGateway() as far:
        engine = listening(rig, far)
        subscribe(engine)
        junk = [texted(engine, "START+NORRA", f"+4670{1740000 + n}") for n in range(FLOOD)]
        row = [
            {
                "channel": "sms",
                "received_at": each.received_at,
                "method": each.method,
                "path": each.path,
                "query": each.query,
                "headers": {},
                "body": b"",
                "due_at": each.received_at,
                "tries": 0,
                "state": "waiting",
                "detail": "",
            }
            for each in junk
        ]
        engine.store.write(lambda c: c.execute(insert(t.inbound), row).close()).result()
        keep(engine, texted(engine, "STOPP"))
        begun = time.monotonic()
        engine.until(lambda: areas(engine) == ())
        print(f"STOP behind {FLOOD} words was done after {time.monotonic() - begun:.1f} s")
        waiting = select(t.inbound.c.id).where(t.inbound.c.state == "waiting")
        left = len(engine.store.read(lambda c: c.scalars(waiting).all()))
        assert left > FLOOD / 2, "those before it have had their turns first"


def test_words_that_nobody_may_send_are_refused(rig: MakeRig) -> None:
    with SmsGateway() as far:
        engine = listening(rig, far)
        subscribe(engine)
        good = texted(engine, "STOP")
        for query in (good.query.replace(SECRET, "x"), good.query.replace(f"t={SECRET}", ""), ""):
            with pytest.raises(RefusedRequest):
                engine.adapters["sms"].verify(replace(good, query=query))
