"""What people text us, as each gateway hands it on: taken with its secret and signature, and in no other case."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from broadcaster.channel import InboundRequest, Incoming, RefusedRequest
from channels.sms_http import SmsHttpAdapter

SECRET, WORDS = "hemligt-losen-ord", "ord-som-ingen-annan-vet"
AT = "https://in.ekbyn.example/in/sms"
HEARD = Incoming(address="+46701740605", text="START NORRA & SÖDRA", handle="m-1")
FORM = {"content-type": "application/x-www-form-urlencoded"}
SUPPLIERS: dict[str, dict[str, Any]] = {
    "kannel": {"url": "http://127.0.0.1:1", "username": "ekbyn", "password": SECRET},
    "46elks": {"username": "ekbyn", "password": SECRET, "sender": "Ekbyn"},
    "twilio": {"account": "AC1234", "token": SECRET, "sender": "Ekbyn"},
    "gatewayapi": {"token": SECRET, "callback_secret": SECRET, "sender": "Ekbyn"},
    "generic": {
        "url": "https://gateway.example",
        "json": {"to": "{to}", "text": "{text}"},
        "words": {"sender": "who", "text": "what", "id": "n"},
    },
}


def request(query: str, body: bytes = b"", **headers: str) -> InboundRequest:
    return InboundRequest(
        method="POST",
        path="/in/sms/words",
        query=query,
        headers=headers,
        body=body,
        received_at=datetime.now(UTC),
    )


def signed(claims: dict[str, Any]) -> str:
    def packed(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    text = f"{packed(b'{}')}.{packed(json.dumps(claims).encode())}"
    return f"{text}.{packed(hmac.digest(SECRET.encode(), text.encode(), 'sha256'))}"


def told(preset: str) -> InboundRequest:
    """What this gateway sends."""
    query = f"s={preset}&t={WORDS}"
    text = HEARD.text
    if preset == "kannel":
        return request(query + "&" + urlencode({"from": "+46701740605", "text": text, "id": "m-1"}))
    if preset == "46elks":
        fields = {"direction": "incoming", "id": "m-1", "from": "+46701740605", "to": "+46766861004", "message": text}  # fmt: skip
        return request(query, urlencode(fields).encode(), **FORM)
    if preset == "twilio":
        fields = {"MessageSid": "m-1", "From": "+46701740605", "To": "+4671", "Body": text}
        whole = f"{AT}/words?{query}" + "".join(name + fields[name] for name in sorted(fields))
        proof = base64.b64encode(hmac.digest(SECRET.encode(), whole.encode(), "sha1")).decode()
        return request(query, urlencode(fields).encode(), **FORM, **{"x-twilio-signature": proof})
    if preset == "gatewayapi":
        claims = {"id": "m-1", "msisdn": 46701740605, "receiver": 451204, "message": text}
        head = {"content-type": "application/json", "x-gwapi-signature": signed(claims)}
        return request(query, json.dumps(claims).encode(), **head)
    return request(query, json.dumps({"who": "46701740605", "what": text, "n": "m-1"}).encode(), **{"content-type": "application/json"})  # fmt: skip


@pytest.fixture(params=SUPPLIERS)
def preset(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def adapter(make: Any, preset: str, words: str = WORDS) -> SmsHttpAdapter:
    supplier = {"preset": preset, "words_secret": words} | SUPPLIERS[preset]
    made: SmsHttpAdapter = make(supplier, inbound_url=AT)
    return made


def test_each_gateways_way_of_telling_is_understood(make: Any, preset: str) -> None:
    built, came = adapter(make, preset), told(preset)
    assert built.verify(came).status == 200
    assert built.receive(came) == (HEARD,)


def test_without_the_secret_nothing_is_taken(make: Any, preset: str) -> None:
    came = told(preset)
    for words in ("", "ett-annat-ord-an-detta"):
        with pytest.raises(RefusedRequest):
            adapter(make, preset, words).verify(came)


def test_what_a_gateway_signs_is_looked_at(make: Any) -> None:
    for preset in ("twilio", "gatewayapi"):
        came = told(preset)
        forged = request(came.query, came.body.replace(b"NORRA", b"XXXXX"), **came.headers)
        with pytest.raises(RefusedRequest):
            adapter(make, preset).verify(forged)


def test_the_secret_is_taken_out_of_every_log(make: Any, preset: str) -> None:
    assert WORDS in adapter(make, preset).secrets()


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b'{"who": {}}', b'{"who": true}'])
def test_what_cannot_be_read_is_kept_flagged(make: Any, body: bytes) -> None:
    came = request(f"s=generic&t={WORDS}", body, **{"content-type": "application/json"})
    built = adapter(make, "generic")
    built.verify(came)
    with pytest.raises(ValueError, match=r"\w"):
        built.receive(came)
