"""Delivery reports as the stand-ins send them: early, late, repeated, backwards, one set per part; and forged ones."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from broadcaster.channel import InboundRequest, RefusedRequest, Report
from broadcaster.testing.contract_letters import an_attempt, letters, run
from broadcaster.testing.servers import FarEnd, Reply, Reports, Request, SmsGateway, When
from channels.sms_http import SmsHttpAdapter

SECRET = "hemligt-losen-ord"
NUMBERS = ("+46701740605", "+46701740606", "+46701740607")
SUPPLIERS: dict[str, dict[str, Any]] = {
    "kannel": {"username": "ekbyn", "sender": "Ekbyn"},
    "46elks": {"username": "ekbyn", "sender": "Ekbyn"},
    "twilio": {"account": "AC1234", "token": SECRET, "sender": "Ekbyn"},
    "gatewayapi": {"token": SECRET, "callback_secret": SECRET, "sender": "Ekbyn"},
    "generic": {
        "headers": {"Authorization": f"Bearer {SECRET}"},
        "json": {"to": "{to}", "text": "{text}", "ref": "{key}", "callback": "{callback}"},
        "id": "$.id",
    },
}
TIMES = {
    "as they come": Reports(),
    "before the answer": Reports(when=When.EARLY),
    "repeated": Reports(times=5),
    "backwards": Reports(backwards=True),
    "one set per part": Reports(per_part=True),
}


class ReportTaker(FarEnd):
    """Stands where the inbound listener will stand."""

    name = "inbound"

    def answer(self, request: Request) -> Reply:
        return Reply(200)


@pytest.fixture
def inbound() -> Iterator[ReportTaker]:
    with ReportTaker() as taker:
        yield taker


def gateway(preset: str, reports: Reports | None = None) -> SmsGateway:
    user = {"twilio": "AC1234", "generic": "", "gatewayapi": None}.get(preset, "ekbyn")
    return SmsGateway(
        preset=preset,
        user=user,
        password=SECRET,
        callback_secret=SECRET,
        reports=reports or Reports(),
    )


def wait_for_reports(far: SmsGateway, preset: str, sets: int) -> None:
    """Wait until every report has been answered: a set is sent and final, where the gateway reports both to us."""
    each = 1 if preset in ("kannel", "46elks") else 2
    far.wait_for(lambda end: len(end.reported) >= sets * each)


def pointed(make: Any, preset: str, far: FarEnd, inbound: FarEnd) -> SmsHttpAdapter:
    url = far.url + ("/send" if preset == "generic" else "")
    supplier = {"preset": preset, "url": url} | SUPPLIERS[preset]
    adapter: SmsHttpAdapter = make(supplier, inbound_url=f"{inbound.url}/in/sms")
    return adapter


def arrived(request: Request) -> InboundRequest:
    return InboundRequest(
        method=request.method,
        path=request.path,
        query=request.query,
        headers=request.headers,
        body=request.body,
        received_at=datetime.now(UTC),
    )


def understood(adapter: SmsHttpAdapter, requests: Iterable[Request]) -> list[Report]:
    found: list[Report] = []
    for request in list(requests):
        assert adapter.verify(arrived(request)).status == 200
        found += [each for each in adapter.receive(arrived(request)) if isinstance(each, Report)]
    return found


def final(reports: Iterable[Report]) -> dict[str, str]:
    """Each letter's news, as a store would keep it: pending never takes back a word that came before."""
    kept: dict[str, str] = {}
    for report in reports:
        if report.outcome != "pending":
            kept[report.key] = report.outcome
    return kept


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("preset", SUPPLIERS)
def test_every_letter_learns_what_became_of_it(
    make: Any, inbound: ReportTaker, preset: str, times: str
) -> None:
    reports = dataclasses.replace(TIMES[times], failing=frozenset({NUMBERS[2]}))
    with gateway(preset, reports) as far:
        adapter = pointed(make, preset, far, inbound)
        given = letters(NUMBERS, 6, "å" * 170)
        ran = run(adapter, given, an_attempt())
        assert all(outcome.receipt for _, outcome in ran.outcomes)
        wait_for_reports(far, preset, 6 * reports.times * (2 if reports.per_part else 1))
        expected = {
            letter.key: "failed" if letter.address == NUMBERS[2] else "confirmed"
            for letter in given
        }
        assert final(understood(adapter, inbound.requests)) == expected


@pytest.mark.parametrize("preset", ["46elks", "twilio", "gatewayapi"])
def test_a_handle_in_a_report_is_the_one_in_the_receipt(
    make: Any, inbound: ReportTaker, preset: str
) -> None:
    with gateway(preset) as far:
        adapter = pointed(make, preset, far, inbound)
        [(_, outcome)] = run(adapter, letters(NUMBERS, 1), an_attempt()).outcomes
        assert outcome.receipt is not None
        assert outcome.receipt.handle == far.effects[0].id
        wait_for_reports(far, preset, 1)
        [report] = understood(adapter, [inbound.requests[0]])
        assert report.handle == outcome.receipt.handle


@pytest.mark.parametrize("preset", SUPPLIERS)
def test_a_key_of_any_letters_comes_back_whole(
    make: Any, inbound: ReportTaker, preset: str
) -> None:
    keys = ["A7-2/sms:17", "blåbär %d %% &k=x", "~tilde", "a+b c", "A7", "100%d"]
    with gateway(preset) as far:
        adapter = pointed(make, preset, far, inbound)
        given = [
            dataclasses.replace(letter, key=key)
            for letter, key in zip(letters(NUMBERS, len(keys)), keys, strict=True)
        ]
        run(adapter, given, an_attempt())
        wait_for_reports(far, preset, len(keys))
        assert final(understood(adapter, inbound.requests)).keys() == {*keys}


@pytest.mark.parametrize("preset", SUPPLIERS)
def test_without_an_inbound_address_no_report_is_asked_for(make: Any, preset: str) -> None:
    with gateway(preset) as far:
        url = far.url + ("/send" if preset == "generic" else "")
        adapter = make({"preset": preset, "url": url} | SUPPLIERS[preset])
        run(adapter, letters(NUMBERS, 1), an_attempt())
        [request] = far.requests
        assert b"http" not in request.query.encode() + request.body


# --------------------------------------------------------------------------------------------------------------- forged
@pytest.fixture
def report(make: Any, inbound: ReportTaker, request: Any) -> tuple[SmsHttpAdapter, InboundRequest]:
    """An authentic final report of the preset a test names."""
    with gateway(request.param) as far:
        adapter = pointed(make, request.param, far, inbound)
        run(adapter, letters(NUMBERS, 1), an_attempt())
        wait_for_reports(far, request.param, 1)
        return adapter, arrived(inbound.requests[-1])


def refused(adapter: SmsHttpAdapter, request: InboundRequest) -> bool:
    try:
        adapter.verify(request)
    except RefusedRequest as refusal:
        return refusal.status == 403
    return False


@pytest.mark.parametrize("report", SUPPLIERS, indirect=True)
def test_a_report_for_another_letter_is_refused(
    report: tuple[SmsHttpAdapter, InboundRequest],
) -> None:
    adapter, request = report
    assert not refused(adapter, request)
    for query in (
        request.query.replace("A7-2.sms.0", "A7-2.sms.1"),
        request.query.replace("&t=", "&t=0"),
        request.query.partition("&t=")[0],
        request.query.replace("s=", "s=x"),
        "",
        "s=kannel&k=&t=",
        "s=kannel&k=å&t=å",
        request.query + "&k=A7-2.sms.1",
    ):
        assert refused(adapter, dataclasses.replace(request, query=query)), query


@pytest.mark.parametrize("report", SUPPLIERS, indirect=True)
def test_a_report_that_rests_on_a_secret_of_before_is_taken_as_long_as_that_is_configured(
    make: Any, inbound: ReportTaker, report: tuple[SmsHttpAdapter, InboundRequest]
) -> None:
    adapter, request = report
    preset = adapter.settings.suppliers[0].preset
    today = json.loads(json.dumps(SUPPLIERS[preset]).replace(SECRET, "nytt-losen-ord"))
    today |= {"preset": preset, "url": "http://127.0.0.1:1"}
    if preset in ("kannel", "46elks"):
        today["password"] = "nytt-losen-ord"
    address = {"inbound_url": f"{inbound.url}/in/sms"}
    before = adapter.settings.suppliers[0].secrets()
    assert not refused(make(today | {"previous": before}, **address), request)
    assert refused(make(today, **address), request)


@pytest.mark.parametrize("report", ["twilio", "gatewayapi"], indirect=True)
def test_a_report_that_is_not_signed_is_refused(
    report: tuple[SmsHttpAdapter, InboundRequest],
) -> None:
    adapter, request = report
    name = next(n for n in request.headers if n in ("x-twilio-signature", "x-gwapi-signature"))
    signature = request.headers[name]
    for wrong in ("", "x", "a.b.c", signature[:-3] + "AAA", "å", signature[::-1]):
        headers = {**request.headers, name: wrong}
        assert refused(adapter, dataclasses.replace(request, headers=headers)), wrong
    headers = {key: value for key, value in request.headers.items() if key != name}
    assert refused(adapter, dataclasses.replace(request, headers=headers))
    changed = request.body.replace(b"delivered", b"failed").replace(b"DELIVERED", b"EXPIRED")
    assert refused(adapter, dataclasses.replace(request, body=changed))


@pytest.mark.parametrize("report", ["gatewayapi"], indirect=True)
def test_a_token_that_says_it_needs_no_signature_is_refused(
    report: tuple[SmsHttpAdapter, InboundRequest],
) -> None:
    adapter, request = report
    _, claims, signature = request.headers["x-gwapi-signature"].split(".")
    for head in ("eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzUxMiJ9"):  # {"alg":"none"}, {"alg":"HS512"}
        for mark in ("", signature):
            headers = {**request.headers, "x-gwapi-signature": f"{head}.{claims}.{mark}"}
            assert refused(adapter, dataclasses.replace(request, headers=headers))


@pytest.mark.parametrize("report", ["46elks", "gatewayapi", "generic"], indirect=True)
@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"", "json"), (b"[" * 9000, "json"), (b"[]", "json"), (b'{"status": "so', "json")],
    ids=["empty", "deep", "list", "cut"],
)
def test_a_body_that_cannot_be_read_is_a_value_error(
    report: tuple[SmsHttpAdapter, InboundRequest], body: bytes, kind: str
) -> None:
    adapter, request = report
    headers = {**request.headers, "content-type": f"application/{kind}"}
    with pytest.raises(ValueError, match=r"."):
        adapter.receive(dataclasses.replace(request, body=body, headers=headers))


@pytest.mark.parametrize("report", ["46elks"], indirect=True)
def test_a_word_nobody_documented_is_kept_for_a_person(
    report: tuple[SmsHttpAdapter, InboundRequest],
) -> None:
    adapter, request = report
    content = json.dumps({"id": "s1", "status": "teleported"}).encode()
    headers = {**request.headers, "content-type": "application/json"}
    with pytest.raises(ValueError, match="teleported"):
        adapter.receive(dataclasses.replace(request, body=content, headers=headers))
