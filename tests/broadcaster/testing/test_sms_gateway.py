"""The SMS stand-in speaks five dialects, and its delivery reports come as scripted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, quote

import pytest
import requests

from broadcaster.testing.servers import (
    FarEnd,
    Reply,
    Reports,
    Request,
    SmsGateway,
    When,
    hang,
    performed_not_answered,
    unavailable,
)

TO = "+46701234567"
TEXT = "Strömmen är borta i Norra Ekbyn."
BASIC = ("user", "secret")


class Inbound(FarEnd):
    """Stands where delivery reports are sent to."""

    name = "inbound"

    def answer(self, request: Request) -> Reply:
        return Reply(200)


@pytest.fixture
def inbound() -> Iterator[Inbound]:
    with Inbound() as server:
        yield server


@pytest.fixture
def far() -> Iterator[SmsGateway]:
    with SmsGateway(user="user", password="secret") as server:
        yield server


def kannel(far: SmsGateway, text: str = TEXT, callback: str = "", **more: str) -> requests.Response:
    fields = {"username": "user", "password": "secret", "from": "Ekbyn", "to": TO}
    fields |= {"text": text, "dlr-mask": "31", "dlr-url": callback} | more
    return requests.get(f"{far.url}/cgi-bin/sendsms", params=fields, timeout=5)


def elks(far: SmsGateway, text: str = TEXT, callback: str = "", to: str = TO) -> requests.Response:
    fields = {"from": "Ekbyn", "to": to, "message": text, "whendelivered": callback}
    return requests.post(f"{far.url}/a1/sms", data=fields, auth=BASIC, timeout=5)


def twilio(
    far: SmsGateway, text: str = TEXT, callback: str = "", to: str = TO
) -> requests.Response:
    fields = {"From": "Ekbyn", "To": to, "Body": text, "StatusCallback": callback}
    url = f"{far.url}/2010-04-01/Accounts/user/Messages.json"
    return requests.post(url, data=fields, auth=BASIC, timeout=5)


def gatewayapi(
    far: SmsGateway, text: str = TEXT, callback: str = "", to: str = TO, **more: Any
) -> requests.Response:
    content = {"message": text, "recipients": [{"msisdn": int(to.strip("+"))}], "sender": "Ekbyn"}
    content |= {"callback_url": callback, "userref": "A7-1/1", **more}
    headers = {"Authorization": "Token secret"}
    return requests.post(f"{far.url}/rest/mtsms", json=content, headers=headers, timeout=5)


def generic(
    far: SmsGateway, text: str = TEXT, callback: str = "", to: str = TO
) -> requests.Response:
    content = {"to": to, "text": text, "ref": "A7-1/1", "callback": callback}
    return requests.post(f"{far.url}/send", json=content, auth=BASIC, timeout=5)


SUBMITS: dict[str, Callable[..., requests.Response]] = {
    "kannel": kannel,
    "46elks": elks,
    "twilio": twilio,
    "gatewayapi": gatewayapi,
    "generic": generic,
}
each_dialect = pytest.mark.parametrize("name", SUBMITS)


@each_dialect
def test_the_phone_shows_the_text_that_was_sent(far: SmsGateway, name: str) -> None:
    assert SUBMITS[name](far).ok
    (received,) = far.inbox(TO)
    assert received.text == TEXT
    assert received.more["dialect"] == name
    assert (received.more["encoding"], received.more["parts"]) == ("GSM-7", 1)


@each_dialect
def test_wrong_credentials_are_refused_and_reach_no_phone(name: str) -> None:
    with SmsGateway(user="another", password="another") as far:
        assert SUBMITS[name](far).status_code in (401, 403)
        assert far.effects == []


@each_dialect
def test_a_number_the_gateway_cannot_reach_is_refused(far: SmsGateway, name: str) -> None:
    far.refusing.add(TO)
    assert SUBMITS[name](far).status_code in (400, 422)
    assert far.effects == []


def test_a_preset_answers_any_path_in_its_dialect() -> None:
    with SmsGateway(preset="46elks") as far:
        fields = {"from": "Ekbyn", "to": TO, "message": TEXT}
        assert requests.post(far.url, data=fields, auth=BASIC, timeout=5).json()["to"] == TO


# -- what each answers ----------------------------------------------------------------------


def test_kannel_queues_with_202_and_names_no_id(far: SmsGateway) -> None:
    reply = kannel(far)
    assert (reply.status_code, reply.text) == (202, "0: Accepted for delivery")


def test_kannel_takes_several_receivers(far: SmsGateway) -> None:
    kannel(far, to="+46701234567 0046701234568")
    assert [effect.to for effect in far.effects] == ["+46701234567", "+46701234568"]


def test_kannel_without_coding_two_shows_question_marks(far: SmsGateway) -> None:
    kannel(far, "Elen – åter €")
    kannel(far, "Elen – åter", coding="2", charset="UTF-8")
    assert far.texts() == ["Elen ? åter €", "Elen – åter"]
    assert [effect.more["encoding"] for effect in far.effects] == ["GSM-7", "UCS-2"]


def test_kannel_reads_coding_two_as_utf_16_unless_told(far: SmsGateway) -> None:
    text = quote("Elen – åter".encode("utf-16-be"))
    requests.get(
        f"{far.url}/cgi-bin/sendsms?username=user&password=secret&from=E&to={quote(TO)}"
        f"&coding=2&text={text}",
        timeout=5,
    )
    assert far.texts() == ["Elen – åter"]


def test_46elks_answers_id_parts_and_cost(far: SmsGateway) -> None:
    reply = elks(far, "x" * 161).json()
    assert reply["id"] == far.effects[0].id
    assert (reply["status"], reply["parts"], reply["cost"]) == ("created", 2, 10400)
    assert elks(far, to="0701234567").status_code == 400


def test_46elks_tells_what_is_left_and_takes_no_message_by_it(far: SmsGateway) -> None:
    reply = requests.get(f"{far.url}/a1/me", auth=BASIC, timeout=5)
    assert (reply.json()["balance"], reply.json()["currency"]) == (10_000_000, "SEK")
    assert requests.get(f"{far.url}/a1/me", timeout=5).status_code == 401
    assert far.effects == []


def test_twilio_answers_201_and_refuses_with_a_code(far: SmsGateway) -> None:
    reply = twilio(far, "x" * 161)
    assert reply.status_code == 201
    assert (reply.json()["status"], reply.json()["num_segments"]) == ("queued", "2")
    refused = twilio(far, to="+1")
    assert refused.json() == {
        "code": 21211,
        "message": "The 'To' number +1 is not a valid phone number.",
        "more_info": "https://www.twilio.com/docs/errors/21211",
        "status": 400,
    }
    assert twilio(far, "x" * 1601).json()["code"] == 21617


def test_gatewayapi_takes_many_receivers_each_with_its_own_words(far: SmsGateway) -> None:
    receivers = [
        {"msisdn": 46701234567, "tagvalues": ["Norra"]},
        {"msisdn": "46701234568", "tagvalues": ["Östra"]},
    ]
    reply = gatewayapi(far, "%area% är utan ström", tags=["%area%"], recipients=receivers).json()
    assert [str(id_) for id_ in reply["ids"]] == [effect.id for effect in far.effects]
    assert reply["usage"]["countries"] == {"SE": 2}
    assert far.texts() == ["Norra är utan ström", "Östra är utan ström"]
    too_many = gatewayapi(far, recipients=[{"msisdn": 46701234567}] * 10_001)
    assert too_many.status_code == 400
    assert len(far.effects) == 2


@pytest.mark.parametrize(
    ("text", "encoding", "parts"),
    [
        ("å" * 160, "GSM-7", 1),
        ("å" * 161, "GSM-7", 2),
        ("€" * 80, "GSM-7", 1),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 3),
        ("–" * 70, "UCS-2", 1),
        ("–" * 71, "UCS-2", 2),
        ("–" * 66 + "🔥" + "–" * 66, "UCS-2", 3),
    ],
)
def test_parts_are_counted_without_tearing_a_letter(
    far: SmsGateway, text: str, encoding: str, parts: int
) -> None:
    generic(far, text)
    assert (far.effects[0].more["encoding"], far.effects[0].more["parts"]) == (encoding, parts)


def test_a_gateway_may_cut_a_long_text_and_still_accept_it(far: SmsGateway) -> None:
    far.cuts_at = 1
    assert kannel(far, "x" * 161).status_code == 202
    assert far.texts() == ["x" * 160]


# -- delivery reports -----------------------------------------------------------------------


def states(inbound: Inbound) -> list[str]:
    return [json.loads(request.body)["status"] for request in inbound.requests]


@pytest.mark.parametrize(
    ("name", "reports"),
    [("kannel", 2), ("46elks", 1), ("twilio", 2), ("gatewayapi", 2), ("generic", 2)],
)
def test_reports_follow_the_answer(
    far: SmsGateway, inbound: Inbound, name: str, reports: int
) -> None:
    assert SUBMITS[name](far, callback=f"{inbound.url}/in/sms?ref=1&state=%d").ok
    far.wait_for(lambda gateway: len(gateway.reported) == reports)
    assert [report.status for report in far.reported] == [200] * reports
    assert far.reported[-1].state == "delivered"
    assert inbound.arrived == reports


def test_kannel_fills_in_the_callback_address(far: SmsGateway, inbound: Inbound) -> None:
    kannel(far, callback=f"{inbound.url}/in/sms?ref=A7%2D1&state=%d&to=%p")
    inbound.wait_for(2)
    asked = [parse_qs(request.query) for request in inbound.requests]
    assert [query["state"] for query in asked] == [["8"], ["1"]]
    assert asked[0]["to"] == [TO]
    assert inbound.requests[0].method == "GET"


def test_kannel_reports_only_what_the_mask_asks_for(far: SmsGateway, inbound: Inbound) -> None:
    kannel(far, callback=f"{inbound.url}/?%d", **{"dlr-mask": "1"})
    far.wait_for(lambda gateway: len(gateway.reported) == 1)
    assert inbound.requests[0].query == "1"


def test_twilio_signs_its_callbacks(far: SmsGateway, inbound: Inbound) -> None:
    callback = f"{inbound.url}/in/sms?ref=1"
    far.reports = Reports(failing=frozenset({TO}))
    twilio(far, callback=callback)
    inbound.wait_for(2)
    for request in inbound.requests:
        fields = request.form()
        signed = callback + "".join(name + fields[name] for name in sorted(fields))
        digest = hmac.new(b"secret", signed.encode(), hashlib.sha1).digest()
        assert request.headers["x-twilio-signature"] == base64.b64encode(digest).decode()
    words = [request.form()["MessageStatus"] for request in inbound.requests]
    assert words == ["sent", "undelivered"]


def test_gatewayapi_signs_its_callbacks_with_a_token(far: SmsGateway, inbound: Inbound) -> None:
    gatewayapi(far, callback=f"{inbound.url}/in/sms")
    inbound.wait_for(2)
    head, claims, digest = inbound.requests[1].headers["x-gwapi-signature"].split(".")
    right = hmac.new(b"secret", f"{head}.{claims}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(digest + "=") == right
    content = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert content == json.loads(inbound.requests[1].body)
    assert (content["status"], content["userref"]) == ("DELIVERED", "A7-1/1")


def test_a_report_may_come_before_the_answer(far: SmsGateway, inbound: Inbound) -> None:
    far.reports = Reports(When.EARLY)
    generic(far, callback=inbound.url)
    assert states(inbound) == ["sent", "delivered"]


def test_an_early_report_holds_back_the_answer_until_it_is_taken(
    far: SmsGateway, inbound: Inbound
) -> None:
    far.reports = Reports(When.EARLY)
    inbound.next(hang().after_effect())
    answered = threading.Event()

    def submit() -> None:
        generic(far, callback=inbound.url)
        answered.set()

    caller = threading.Thread(target=submit)
    caller.start()
    inbound.wait_for(1)
    assert not answered.is_set()
    inbound.release()
    assert answered.wait(5)
    caller.join()


def test_late_reports_wait_for_the_word(far: SmsGateway, inbound: Inbound) -> None:
    far.reports = Reports(When.HELD)
    for number in ("1", "2"):
        generic(far, callback=f"{inbound.url}/{number}")
    assert inbound.arrived == 0
    far.release_reports(newest_first=True)
    inbound.wait_for(4)
    assert [request.path for request in inbound.requests] == ["/2", "/2", "/1", "/1"]


def test_reports_may_repeat_five_times(far: SmsGateway, inbound: Inbound) -> None:
    far.reports = Reports(times=5)
    generic(far, callback=inbound.url)
    inbound.wait_for(10)
    assert states(inbound) == ["sent"] * 5 + ["delivered"] * 5


def test_reports_may_come_backwards(far: SmsGateway, inbound: Inbound) -> None:
    far.reports = Reports(backwards=True)
    generic(far, callback=inbound.url)
    inbound.wait_for(2)
    assert states(inbound) == ["delivered", "sent"]


def test_a_long_text_may_get_a_set_of_reports_for_each_part(
    far: SmsGateway, inbound: Inbound
) -> None:
    far.reports = Reports(per_part=True)
    generic(far, "x" * 161, callback=inbound.url)
    inbound.wait_for(4)
    assert states(inbound) == ["sent", "delivered"] * 2


def test_reports_may_never_come(far: SmsGateway, inbound: Inbound) -> None:
    far.reports = Reports(When.NEVER)
    generic(far, callback=inbound.url)
    far.reports = Reports()
    generic(far, callback=f"{inbound.url}/second")
    inbound.wait_for(2)
    assert {request.path for request in inbound.requests} == {"/second"}


@pytest.mark.parametrize(
    ("name", "word"),
    [("46elks", "failed"), ("twilio", "undelivered"), ("gatewayapi", "UNDELIVERABLE")],
)
def test_a_phone_that_is_off_is_reported_failed(
    far: SmsGateway, inbound: Inbound, name: str, word: str
) -> None:
    far.reports = Reports(failing=frozenset({TO}))
    SUBMITS[name](far, callback=inbound.url)
    far.wait_for(lambda gateway: any(r.state == "failed" for r in gateway.reported))
    assert word in inbound.requests[-1].body.decode()


def test_a_report_the_receiver_refuses_is_seen_as_refused(
    far: SmsGateway, inbound: Inbound
) -> None:
    inbound.always(unavailable())
    elks(far, callback=inbound.url)
    far.wait_for(lambda gateway: len(gateway.reported) == 1)
    assert far.reported[0].status == 503


def test_a_password_in_the_callback_address_is_used(far: SmsGateway, inbound: Inbound) -> None:
    elks(far, callback=inbound.url.replace("http://", "http://u:p@"))
    inbound.wait_for(1)
    assert inbound.requests[0].basic() == ("u", "p")
    assert inbound.requests[0].headers["host"] == inbound.url.removeprefix("http://")


@pytest.mark.parametrize(
    "address",
    ["http://192.0.2.1/in", "https://127.0.0.1/in", "http://in.ekbyn.example/", "nonsense"],
)
def test_no_report_leaves_this_machine(far: SmsGateway, address: str) -> None:
    generic(far, callback=address)
    far.wait_for(lambda gateway: len(gateway.reported) == 2)
    assert [report.status for report in far.reported] == [0, 0]


def test_a_submit_performed_but_not_answered_still_reaches_the_phone(far: SmsGateway) -> None:
    far.next(performed_not_answered())
    with pytest.raises(requests.ConnectionError):
        kannel(far)
    assert far.texts() == [TEXT]
