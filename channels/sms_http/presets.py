"""The gateways we can speak to, as data: how a request is built, an answer read, a report read, credit asked for.

Each row is written from the gateway's public documents: Kannel User's Guide 1.4.5 (sendsms, delivery reports); 46elks
"Send an SMS", "SMS delivery reports"; Twilio "Messages resource", "Error and warning dictionary"; GatewayAPI "REST".
A text goes to one address per request, also where the gateway takes many: each letter then has its own outcome.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from broadcaster.bulkhttp import Answer, Request
from broadcaster.channel import (
    Failure,
    InboundRequest,
    Letter,
    Permanent,
    Receipt,
    Scope,
    Transient,
)
from broadcaster.domain.text import measure_sms
from broadcaster.httpclient import host_in
from channels.sms_http import generic
from channels.sms_http.answers import failure, refused, understood
from channels.sms_http.callbacks import Callbacks, gatewayapi_signed, twilio_signed
from channels.sms_http.preset import FORM, JSON, Build, Preset, Verdict


def _basic(user: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _at(url: str, path: str) -> str:
    """The address as configured; one without a path gets the gateway's usual one."""
    return url if urlsplit(url).path.strip("/") else url.rstrip("/") + path


@lru_cache(maxsize=128)
def _quoted(text: str) -> str:
    return quote_plus(text)


def _number(letter: Letter) -> str:
    """Quote a number in E.164, which is all that gets here: only its plus needs it."""
    return "%2B" + letter.address[1:]


@lru_cache(maxsize=128)
def _is_ucs2(text: str) -> bool:
    return measure_sms(text).encoding == "UCS-2"


def _verdict(words: Mapping[str, str], word: str, handle: str = "", detail: str = "") -> Verdict:
    if word not in words:
        raise ValueError(
            f'The gateway reports "{word[:40]}", which is none of its documented words.'
        )
    return handle, words[word], detail or word


def _words(*, confirmed: str, failed: str, pending: str) -> dict[str, str]:
    spoken = {"confirmed": confirmed, "failed": failed, "pending": pending}
    return {word: outcome for outcome, said in spoken.items() for word in said.split()}


# ------------------------------------------------------------------------------------------------------------- Kannel
# Delivered, failed, buffered, rejected; not 8 (the network has it).
_KANNEL_REPORTS = 1 | 2 | 4 | 16
_KANNEL_WORDS = _words(confirmed="1", failed="2 16", pending="4 8")
_KANNEL_NUMBER = re.compile(rb"black-lists|'to' field|receiver number")


def _kannel_address(supplier: Any, **more: str) -> str:
    secret = supplier.password.get_secret_value()
    static = urlencode({"username": supplier.username, "password": secret, **more})
    return f"{_at(supplier.url, '/cgi-bin/sendsms')}?{static}"


def _kannel_build(supplier: Any, callbacks: Callbacks) -> Build:
    more = {"from": supplier.sender} if supplier.sender else {}
    begin = _kannel_address(supplier, **more, charset="UTF-8") + "&to="
    headers: tuple[str, ...] = ()
    # %d is Kannel's own escape for the kind of report; a % in our address is doubled so that it is none.
    mask = f"&dlr-mask={_KANNEL_REPORTS}&dlr-url="

    def build(letter: Letter, seconds: int) -> Request[Letter]:
        coding = 2 if _is_ucs2(letter.body) else 0
        address = _number(letter)
        url = f"{begin}{address}&text={_quoted(letter.body)}&coding={coding}&validity={max(1, seconds // 60)}"
        if callbacks.wanted:
            doubled = callbacks.quoted(letter.key).replace("%25", "%25%25")
            url = f"{url}{mask}{doubled}%26d%3D%25d"
        return Request(url, None, headers, letter)

    return build


def _kannel_read(supplier: Any, answer: Answer) -> Receipt | Failure:
    if answer.status == 202 and answer.body[:2] in (b"0:", b"3:"):
        return Receipt(detail=answer.body.decode("ascii", "replace"))
    if answer.status == 400 and _KANNEL_NUMBER.search(answer.body):
        return refused(Permanent, answer, "The gateway does not take this number.", Scope.ADDRESS)
    return failure(answer, host_in(supplier.url))


def _kannel_report(_supplier: Any, said: Mapping[str, Any]) -> Verdict:
    return _verdict(_KANNEL_WORDS, str(said.get("d", "")), detail=f"dlr {said.get('d')}")


# ------------------------------------------------------------------------------------------------------------- 46elks
_ELKS_WORDS = _words(confirmed="delivered", failed="failed", pending="created sent")


def _elks_build(supplier: Any, callbacks: Callbacks) -> Build:
    url = _at(supplier.url, "/a1/sms")
    headers = (FORM, _basic(supplier.username, supplier.password.get_secret_value()))
    begin = urlencode({"from": supplier.sender})

    def build(letter: Letter, _seconds: int) -> Request[Letter]:
        body = f"{begin}&to={_number(letter)}&message={_quoted(letter.body)}"
        if callbacks.wanted:
            body = f"{body}&whendelivered={callbacks.quoted(letter.key)}"
        return Request(url, body.encode(), headers, letter)

    return build


def _elks_read(supplier: Any, answer: Answer) -> Receipt | Failure:
    said = understood(answer)
    if answer.status == 200 and said.get("id") and said.get("status") != "failed":
        return Receipt(handle=str(said["id"]), detail=str(said.get("status", "")))
    if answer.status == 400 and re.search(rb"\bto\b(?! many)", answer.body):
        return refused(Permanent, answer, "46elks does not take this number.", Scope.ADDRESS)
    if answer.status == 403:
        sentence = "46elks refuses (403): the account has no credit left or may not send. Mend that, then resume the channel."
        return refused(Permanent, answer, sentence, Scope.CHANNEL)
    return failure(answer, host_in(supplier.url))


def _elks_report(_supplier: Any, said: Mapping[str, Any]) -> Verdict:
    return _verdict(_ELKS_WORDS, str(said.get("status", "")), str(said.get("id", "")))


def _elks_credit(supplier: Any) -> Request[None]:
    url = supplier.url.rstrip("/").removesuffix("/a1/sms") + "/a1/me"
    headers = (_basic(supplier.username, supplier.password.get_secret_value()),)
    return Request(url, None, headers, None)


# ------------------------------------------------------------------------------------------------------------- Twilio
_TWILIO_WORDS = _words(
    confirmed="delivered read",
    failed="failed undelivered canceled",
    pending="accepted scheduled queued sending sent",
)
_TWILIO_ADDRESS = frozenset({21211, 21214, 21217, 21408, 21610, 21612, 21614, 21635})
_TWILIO_CHANNEL = frozenset({20003, 20005, 20006, 21212, 21603, 21606, 21659, 21660, 21705, 63038})
_TWILIO_LATER = frozenset({14107, 20429, 21611, 30001})
_TWILIO_LONGEST = 14_400  # seconds of validity


def _twilio_url(supplier: Any, resource: str) -> str:
    return f"{supplier.url.rstrip('/')}/2010-04-01/Accounts/{supplier.account}/{resource}.json"


def _twilio_build(supplier: Any, callbacks: Callbacks) -> Build:
    url = _twilio_url(supplier, "Messages")
    headers = (FORM, _basic(supplier.account, supplier.token.get_secret_value()))
    service = supplier.sender.startswith("MG") and len(supplier.sender) == 34
    begin = urlencode({"MessagingServiceSid" if service else "From": supplier.sender})

    def build(letter: Letter, seconds: int) -> Request[Letter]:
        validity = min(max(1, seconds), _TWILIO_LONGEST)
        body = f"{begin}&To={_number(letter)}&Body={_quoted(letter.body)}&ValidityPeriod={validity}"
        if callbacks.wanted:
            body = f"{body}&StatusCallback={callbacks.quoted(letter.key)}"
        return Request(url, body.encode(), headers, letter)

    return build


def _twilio_read(supplier: Any, answer: Answer) -> Receipt | Failure:
    said = understood(answer)
    if answer.status in (200, 201) and said.get("sid") and not said.get("error_code"):
        return Receipt(handle=str(said["sid"]), detail=str(said.get("status", "")))
    code = said.get("code")
    if answer.status == 429 or code in _TWILIO_LATER:
        sentence = f"Twilio is asked too often or its queue is full ({code or answer.status})."
        return refused(Transient, answer, sentence)
    if code in _TWILIO_ADDRESS:
        sentence = f"Twilio does not send to this number ({code})."
        return refused(Permanent, answer, sentence, Scope.ADDRESS)
    if code in _TWILIO_CHANNEL:
        sentence = f"Twilio refuses our account, token or sender ({code}): mend that, then resume the channel."
        return refused(Permanent, answer, sentence, Scope.CHANNEL)
    if answer.status == 503:
        # "A retry may send twice": Twilio says so of every 5xx (error 20500), this one too.
        return failure(answer._replace(status=500), host_in(supplier.url))
    return failure(answer, host_in(supplier.url))


def _twilio_report(_supplier: Any, said: Mapping[str, Any]) -> Verdict:
    word = str(said.get("MessageStatus") or said.get("SmsStatus") or "")
    detail = f"{word} {said.get('ErrorCode', '')}".strip()
    return _verdict(_TWILIO_WORDS, word, str(said.get("MessageSid", "")), detail)


def _twilio_signed(supplier: Any, url: str, request: InboundRequest) -> bool:
    return twilio_signed(supplier.secrets(), url, request)


def _twilio_credit(supplier: Any) -> Request[None]:
    headers = (_basic(supplier.account, supplier.token.get_secret_value()),)
    return Request(_twilio_url(supplier, "Balance"), None, headers, None)


# --------------------------------------------------------------------------------------------------------- GatewayAPI
_GATEWAYAPI_WORDS = _words(
    confirmed="DELIVERED",
    failed="UNDELIVERABLE EXPIRED REJECTED DELETED SKIPPED",
    pending="UNKNOWN SCHEDULED ENROUTE BUFFERED ACCEPTED",
)
_GATEWAYAPI_SHORTEST = 60  # seconds of validity


def _gatewayapi_build(supplier: Any, callbacks: Callbacks) -> Build:
    url = _at(supplier.url, "/rest/mtsms")
    headers = (JSON, f"Authorization: Token {supplier.token.get_secret_value()}")
    static = {"sender": supplier.sender} if supplier.sender else {}

    def build(letter: Letter, seconds: int) -> Request[Letter]:
        content: dict[str, Any] = {
            **static,
            "message": letter.body,
            "recipients": [{"msisdn": int(letter.address[1:])}],
            "userref": letter.key,
            "encoding": "UCS2" if _is_ucs2(letter.body) else "UTF8",
            "validity_period": max(_GATEWAYAPI_SHORTEST, seconds),
        }
        if callbacks.wanted:
            content["callback_url"] = callbacks.url(letter.key)
        return Request(url, json.dumps(content).encode(), headers, letter)

    return build


def _gatewayapi_read(supplier: Any, answer: Answer) -> Receipt | Failure:
    said = understood(answer)
    ids = said.get("ids")
    if answer.status == 200 and isinstance(ids, list) and len(ids) == 1:
        return Receipt(handle=str(ids[0]))
    message = str(said.get("message", "")).lower()
    if 400 <= answer.status < 500 and ("msisdn" in message or "recipient" in message):
        return refused(Permanent, answer, "GatewayAPI does not take this number.", Scope.ADDRESS)
    if 400 <= answer.status < 500 and "credit" in message:
        sentence = (
            "The account at GatewayAPI has no credit left: fill it up, then resume the channel."
        )
        return refused(Permanent, answer, sentence, Scope.CHANNEL)
    return failure(answer, host_in(supplier.url))


def _gatewayapi_report(_supplier: Any, said: Mapping[str, Any]) -> Verdict:
    detail = f"{said.get('status')} {said.get('error') or ''}".strip()
    return _verdict(_GATEWAYAPI_WORDS, str(said.get("status", "")), str(said.get("id", "")), detail)


def _gatewayapi_signed(supplier: Any, _url: str, request: InboundRequest) -> bool:
    secret = supplier.callback_secret.get_secret_value()
    return not secret or gatewayapi_signed((secret, *supplier.earlier()), request)


def _gatewayapi_credit(supplier: Any) -> Request[None]:
    url = supplier.url.rstrip("/").removesuffix("/rest/mtsms") + "/rest/me"
    headers = (f"Authorization: Token {supplier.token.get_secret_value()}",)
    return Request(url, None, headers, None)


# -------------------------------------------------------------------------------------------------------- the table
PRESETS: Mapping[str, Preset] = {
    "kannel": Preset(
        build=_kannel_build,
        read=_kannel_read,
        report=_kannel_report,
        # Without a receiver nothing can be sent, and credentials are checked first.
        credit=lambda supplier: Request(_kannel_address(supplier), None, (), None),
        asked=(400,),
    ),
    "46elks": Preset(
        build=_elks_build,
        read=_elks_read,
        report=_elks_report,
        credit=_elks_credit,
        words=("from", "message", "id"),
        left=lambda said: (said["balance"] / 10_000, str(said["currency"])),
    ),
    "twilio": Preset(
        build=_twilio_build,
        read=_twilio_read,
        report=_twilio_report,
        signed=_twilio_signed,
        credit=_twilio_credit,
        words=("From", "Body", "MessageSid"),
        left=lambda said: (float(said["balance"]), str(said["currency"])),
    ),
    "gatewayapi": Preset(
        build=_gatewayapi_build,
        read=_gatewayapi_read,
        report=_gatewayapi_report,
        signed=_gatewayapi_signed,
        credit=_gatewayapi_credit,
        words=("msisdn", "message", "id"),
        left=lambda said: (float(said["credit"]), str(said["currency"])),
    ),
    "generic": Preset(build=generic.build, read=generic.read, report=generic.report),
}
