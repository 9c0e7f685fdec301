"""What leaves for a gateway, and what its own words mean."""

from __future__ import annotations

import base64
import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import CanProbe, CanReceive, Outcome, Permanent, Remaining, Scope
from broadcaster.testing.contract_letters import BODY, an_attempt, letters, run
from broadcaster.testing.outage import OUTAGE, agrees, as_json, first_attempt, measure
from broadcaster.testing.servers import SmsGateway, answers, error_in_success
from channels.sms_http import SmsHttpAdapter

GOLDEN = Path(__file__).parent / "golden"
SECRET = "hemligt-losen-ord"
NUMBERS = ("+46701740605", "+46701740606", "+46701740607")
SUPPLIERS: dict[str, dict[str, Any]] = {
    "kannel": {"username": "ekbyn", "sender": "Ekbyn"},
    "46elks": {"username": "ekbyn", "sender": "Ekbyn"},
    "twilio": {"account": "AC1234", "token": SECRET, "sender": "Ekbyn"},
    "gatewayapi": {"token": SECRET, "sender": "Ekbyn"},
    "generic": {
        "json": {"to": "{to}", "text": "{text}", "ref": "{key}", "from": "{sender}"},
        "sender": "Ekbyn",
    },
}


@pytest.fixture
def far() -> Iterator[SmsGateway]:
    with SmsGateway() as far:
        yield far


def pointed(make: Any, far: SmsGateway, preset: str, **changes: Any) -> SmsHttpAdapter:
    url = far.url + ("/send" if preset == "generic" else "")
    adapter: SmsHttpAdapter = make({"preset": preset, "url": url} | SUPPLIERS[preset] | changes)
    return adapter


@pytest.mark.parametrize("preset", SUPPLIERS)
@pytest.mark.parametrize("body", [BODY, "Čáhppes – 😀 & = % +"], ids=["GSM-7", "UCS-2"])
def test_the_phone_shows_the_text_and_the_sender(
    make: Any, far: SmsGateway, preset: str, body: str
) -> None:
    run(pointed(make, far, preset), letters(NUMBERS, 1, body), an_attempt())
    [effect] = far.effects
    assert (effect.text, effect.to) == (body, NUMBERS[0])
    assert effect.more["sender"] == "Ekbyn"
    assert effect.more["encoding"] == ("GSM-7" if body is BODY else "UCS-2")


@pytest.mark.parametrize("name", OUTAGE)
def test_what_goes_out_stands_word_for_word_in_a_file(
    make: Any, far: SmsGateway, name: str
) -> None:
    shown = []
    for preset in SUPPLIERS:
        adapter = pointed(make, far, preset)
        rendered = adapter.render(OUTAGE[name].notice, {})
        shown.append(measure(rendered))
        run(adapter, letters(NUMBERS, 1, rendered.texts[0].body), first_attempt())
    # How long it is worth delivering is counted down while it goes out: no file can hold it.
    phones = [e.more | {"to": e.to, "text": e.text, "validity": "-"} for e in far.effects]
    agrees(GOLDEN / f"{name}.txt", *dict.fromkeys(shown), *map(as_json, phones))


@pytest.mark.parametrize("name", OUTAGE)
@pytest.mark.parametrize("preset", SUPPLIERS)
def test_an_sms_of_the_field_reaches_the_phone_as_one_part(
    make: Any, far: SmsGateway, preset: str, name: str
) -> None:
    run(pointed(make, far, preset), letters(NUMBERS, 1, OUTAGE[name].sms), an_attempt())
    [effect] = far.effects
    assert effect.text == OUTAGE[name].sms
    assert (effect.more["encoding"], effect.more["parts"]) == ("GSM-7", 1)


@pytest.mark.parametrize(
    ("preset", "validity"), [("kannel", "2"), ("twilio", "150"), ("gatewayapi", 150)]
)
def test_the_gateway_is_told_how_long_the_text_is_worth_delivering(
    make: Any, far: SmsGateway, preset: str, validity: object
) -> None:
    run(pointed(make, far, preset), letters(NUMBERS, 1), an_attempt(seconds=150.9))
    assert far.effects[0].more["validity"] == validity


def test_our_key_is_the_reference_where_one_can_be_given(make: Any, far: SmsGateway) -> None:
    for preset in ("gatewayapi", "generic"):
        run(pointed(make, far, preset), letters(NUMBERS, 1), an_attempt())
        assert far.effects[-1].more["reference"] == "A7-2.sms.0"


def test_a_generic_gateway_gets_exactly_what_was_written(make: Any, far: SmsGateway) -> None:
    adapter = pointed(
        make,
        far,
        "generic",
        headers={"X-Api-Key": "nyckel"},
        password="hemligt",
        json={
            "to": "{to}",
            "text": "{text}",
            "more": ["{key}", {"n": 1, "for": "{validity} s", "p": "{password}"}, "{other}"],
        },
    )
    run(adapter, letters(NUMBERS, 1, "Hej {key} {to}"), an_attempt(seconds=60.9))
    [request] = far.requests
    assert request.headers["x-api-key"] == "nyckel"
    assert request.json() == {
        "to": NUMBERS[0],
        "text": "Hej {key} {to}",
        "more": ["A7-2.sms.0", {"n": 1, "for": "60 s", "p": "hemligt"}, "{other}"],
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_generic_gateway_may_want_a_form(make: Any, far: SmsGateway, method: str) -> None:
    form = {"to": "{to}", "text": "{text}"}
    adapter = pointed(make, far, "generic", method=method, json=None, form=form)
    run(adapter, letters(NUMBERS, 1), an_attempt())
    assert far.texts() == [BODY]
    assert far.requests[0].method == method


@pytest.mark.parametrize(
    "address",
    ["", "0701740605", "+46701740605 +46701740606", "+4670174060a", "+0701740605", "+46701740605\r\nX: y",
     "+46701740605&text=x", "46701740605", "+467017406051234567"],
)  # fmt: skip
def test_only_numbers_in_international_form_leave(make: Any, far: SmsGateway, address: str) -> None:
    given = letters(NUMBERS, 3)
    given[1] = dataclasses.replace(given[1], address=address)
    ran = run(pointed(make, far, "kannel"), given, an_attempt())
    [failure] = ran.failures()
    assert isinstance(failure, Permanent)
    assert failure.scope is Scope.ADDRESS
    assert len(ran.outcomes) == 3
    assert far.arrived == 2
    assert ran.ended is None


@pytest.mark.parametrize("preset", ["kannel", "46elks", "twilio", "gatewayapi"])
def test_a_number_the_gateway_refuses_is_only_that_number(
    make: Any, far: SmsGateway, preset: str
) -> None:
    far.refusing.update(NUMBERS[1:])
    given = letters(NUMBERS[1:], 30) + letters(NUMBERS[:1], 5)
    ran = run(pointed(make, far, preset), given, an_attempt())
    assert ran.ended is None, "thirty refused numbers in a row say nothing about the gateway"
    assert {failure.scope for failure in ran.failures()} == {Scope.ADDRESS}
    assert {failure.outcome for failure in ran.failures()} == {Outcome.PERMANENT}
    assert (len(ran.failures()), len(far.effects)) == (30, 5)


def twilio_says(status: int, code: int) -> Any:
    return answers(status, json.dumps({"code": code, "message": "…", "status": status}))


@pytest.mark.parametrize(
    ("preset", "fault", "letter", "scope", "parks"),
    [
        ("twilio", twilio_says(429, 20429), Outcome.TRANSIENT, Scope.MESSAGE, False),
        ("twilio", twilio_says(400, 21611), Outcome.TRANSIENT, Scope.MESSAGE, False),
        ("twilio", twilio_says(500, 20500), Outcome.UNCERTAIN, Scope.MESSAGE, False),
        ("twilio", twilio_says(400, 21610), Outcome.PERMANENT, Scope.ADDRESS, False),
        ("twilio", twilio_says(400, 21617), Outcome.PERMANENT, Scope.MESSAGE, False),
        ("twilio", twilio_says(400, 21606), Outcome.TRANSIENT, Scope.MESSAGE, True),
        ("46elks", answers(403, "Not enough credits"), Outcome.TRANSIENT, Scope.MESSAGE, True),
        ("46elks", answers(400, "Invalid to number"), Outcome.PERMANENT, Scope.ADDRESS, False),
        ("46elks", answers(200, '{"id":"s1","status":"failed"}'), Outcome.PERMANENT, Scope.MESSAGE, False),
        ("gatewayapi", answers(403, '{"message":"Insufficient credit"}'), Outcome.TRANSIENT, Scope.MESSAGE, True),
        ("gatewayapi", answers(200, '{"ids":[]}'), Outcome.UNCERTAIN, Scope.MESSAGE, False),
        ("kannel", answers(503, "Temporal failure, try again later."), Outcome.TRANSIENT, Scope.MESSAGE, False),
        ("kannel", answers(202, "Sent."), Outcome.UNCERTAIN, Scope.MESSAGE, False),
        ("kannel", answers(400, "Empty receiver number not allowed, rejected"), Outcome.PERMANENT, Scope.ADDRESS, False),
        ("generic", error_in_success(), Outcome.PERMANENT, Scope.MESSAGE, False),
    ],
)  # fmt: skip
def test_a_gateways_own_words_are_understood(
    make: Any, far: SmsGateway, preset: str, fault: Any, letter: Outcome, scope: Scope, parks: bool
) -> None:
    far.next(fault)
    changes = {"id": "$.id"} if preset == "generic" else {}
    ran = run(pointed(make, far, preset, **changes), letters(NUMBERS, 1), an_attempt())
    [failure] = ran.failures()
    assert (failure.outcome, failure.scope) == (letter, scope)
    assert (ran.ended is not None) == parks
    if ran.ended is not None:
        assert (ran.ended.outcome, ran.ended.scope) == (Outcome.PERMANENT, Scope.CHANNEL)


def test_queued_by_kannel_without_a_network_is_accepted(make: Any, far: SmsGateway) -> None:
    far.next(answers(202, "3: Queued for later delivery"))
    ran = run(pointed(make, far, "kannel"), letters(NUMBERS, 1), an_attempt())
    assert ran.outcomes[0][1].receipt is not None


def test_failures_between_successes_do_not_end_a_run(make: Any, far: SmsGateway) -> None:
    adapter = pointed(make, far, "kannel", window=1)
    far.next(*([answers(500)] * 9))
    given = letters(NUMBERS, 30)
    assert run(adapter, given, an_attempt()).ended is None
    far.next(*([answers(500)] * 10))
    ran = run(adapter, given, an_attempt())
    assert ran.ended is not None
    assert ran.pulled == 10


def test_the_attempt_names_the_supplier(make: Any, far: SmsGateway) -> None:
    first = {"preset": "kannel", "url": f"{far.url}/cgi-bin/sendsms"} | SUPPLIERS["kannel"]
    second = {"preset": "46elks", "url": far.url} | SUPPLIERS["46elks"]
    adapter = make(first, second)
    run(adapter, letters(NUMBERS, 1), an_attempt("46elks"))
    run(adapter, letters(NUMBERS, 1), an_attempt())
    assert [effect.more["dialect"] for effect in far.effects] == ["46elks", "kannel"]


def test_a_rate_is_kept(make: Any, far: SmsGateway) -> None:
    adapter = pointed(make, far, "kannel", rate=50)
    began = time.monotonic()
    run(adapter, letters(NUMBERS, 20), an_attempt())
    assert far.requests[-1].received - began > 0.28


# -------------------------------------------------------------------------------------------------------------- probing
CREDIT: dict[str, tuple[str, dict[str, Any], float]] = {
    "46elks": ("/a1/me", {"balance": 123_4500, "currency": "SEK"}, 123.45),
    "twilio": ("/2010-04-01/Accounts/AC1234/Balance.json", {"balance": "12.5", "currency": "SEK"}, 12.5),
    "gatewayapi": ("/rest/me", {"credit": 99.5, "currency": "SEK", "id": 1}, 99.5),
}  # fmt: skip


@pytest.mark.parametrize("preset", CREDIT)
def test_a_probe_asks_for_credit_and_sends_nothing(make: Any, far: SmsGateway, preset: str) -> None:
    path, content, amount = CREDIT[preset]
    far.next(answers(200, json.dumps(content)), path=path)
    probe = pointed(make, far, preset).probe(an_attempt())
    assert probe.good
    assert probe.limits == {"credit": {preset: {"amount": amount, "currency": "SEK"}}}
    left = Remaining(what="credit", of=preset, amount=amount, unit="SEK", least=0.0)
    assert probe.remaining == (left,)
    assert far.effects == []
    assert [(request.method, request.path) for request in far.requests] == [("GET", path)]
    if preset != "gatewayapi":
        user = SUPPLIERS[preset].get("account", "ekbyn")
        credentials = base64.b64encode(f"{user}:{SECRET}".encode()).decode()
        assert far.requests[0].headers["authorization"] == f"Basic {credentials}"


def test_what_a_supplier_does_not_say_to_a_probe_is_no_message_refused(
    make: Any, far: SmsGateway
) -> None:
    far.next(answers(400, "no"), path="/a1/me")
    probe = pointed(make, far, "46elks").probe(an_attempt())
    assert not probe.good
    assert probe.sentence.endswith("refuses what it was asked (400 Bad Request).")


def test_below_what_credit_is_little_stands_in_the_configuration(
    make: Any, far: SmsGateway
) -> None:
    path, content, _ = CREDIT["46elks"]
    far.next(answers(200, json.dumps(content)), path=path)
    probe = pointed(make, far, "46elks", credit_minimum=500).probe(an_attempt())
    assert probe.good  # it works: whoever is on duty fills it up in daylight
    assert [left.least for left in probe.remaining] == [500]


@pytest.mark.parametrize("preset", CREDIT)
def test_a_probe_says_what_to_mend(make: Any, far: SmsGateway, preset: str) -> None:
    _, content, _ = CREDIT[preset]
    empty = {key: 0 if key in ("balance", "credit") else each for key, each in content.items()}
    far.next(answers(200, json.dumps(empty)), answers(401, "no"))
    adapter = pointed(make, far, preset)
    assert "no credit left" in adapter.probe(an_attempt()).sentence
    refused = adapter.probe(an_attempt())
    assert not refused.good
    assert "credentials" in refused.sentence
    assert SECRET not in refused.sentence


def test_a_supplier_that_is_down_is_named_by_the_probe(make: Any, far: SmsGateway) -> None:
    far.next(answers(200, '{"balance": 10000, "currency": "SEK"}'))
    up = {"preset": "46elks", "url": far.url} | SUPPLIERS["46elks"]
    down = {"preset": "kannel", "url": "http://127.0.0.1:9"} | SUPPLIERS["kannel"]
    probe = make(up, down).probe(an_attempt())
    assert not probe.good
    assert probe.sentence.startswith("kannel: ")


def test_it_can_probe_and_receive(make: Any) -> None:
    adapter = make()
    assert isinstance(adapter, CanProbe)
    assert isinstance(adapter, CanReceive)
