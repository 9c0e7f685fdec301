"""Nothing that is written in a configuration, an address or a text adds a header, an address or a field to a request.

What cannot be said as it stands is refused when it is configured, not when the first word is to go out.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError

from broadcaster.channel import Letter, LetterAdapter, Permanent, Scope
from broadcaster.testing.contract_letters import an_attempt, run
from broadcaster.testing.notices import context
from broadcaster.testing.servers import WEBHOOK_SECRET, Reply, Request, SmsGateway
from broadcaster.testing.servers.farend import FarEnd
from channels.bluesky import BlueskyAdapter
from channels.email import EmailAdapter
from channels.mastodon import MastodonAdapter
from channels.matrix import MatrixAdapter
from channels.mirror.settings import S3Place, SftpPlace
from channels.modem import ModemAdapter
from channels.mqtt import MqttAdapter
from channels.ntfy import NtfyAdapter
from channels.smpp import SmppAdapter
from channels.sms_http import SmsHttpAdapter
from channels.webhook import WebhookAdapter
from channels.x import XAdapter

HOST = "https://far.example"
BREAKS = {
    "both": "\r\nX-Evil: 1",
    "line feed": "\nX-Evil: 1",
    "carriage return": "\rX-Evil: 1",
    "zero": "\0",
    "at the end": "x\n",
    "next line": "\x85X-Evil: 1",
    "line separator": "\u2028X-Evil: 1",
}


def sms(**supplier: Any) -> tuple[Any, dict[str, Any]]:
    block = {"name": "s", "url": HOST, "sender": "Ekbyn", **supplier}
    return SmsHttpAdapter.Settings, {"kind": "sms_http", "suppliers": [block]}


WHOLE: dict[str, tuple[Any, dict[str, Any]]] = {
    "webhook": (
        WebhookAdapter.Settings,
        {"kind": "webhook", "url": HOST, "secret": WEBHOOK_SECRET, "headers": {"X-Key": "abc"}},
    ),
    "mastodon": (MastodonAdapter.Settings, {"kind": "mastodon", "url": HOST, "token": "abc"}),
    "matrix": (
        MatrixAdapter.Settings,
        {"kind": "matrix", "url": HOST, "token": "abc", "room": "#alerts:far.example"},
    ),
    "ntfy": (
        NtfyAdapter.Settings,
        {"kind": "ntfy", "url": HOST, "token": "abc", "prefix": "ekbyn"},
    ),
    "bluesky": (
        BlueskyAdapter.Settings,
        {"kind": "bluesky", "url": HOST, "account": "did:plc:abc", "password": "p"},
    ),
    "x": (
        XAdapter.Settings,
        {"kind": "x", "url": HOST}
        | dict.fromkeys(
            ("consumer_key", "consumer_secret", "access_token", "access_token_secret"), "a"
        ),
    ),
    "mqtt": (
        MqttAdapter.Settings,
        {"kind": "mqtt", "url": "mqtts://far.example", "prefix": "ekbyn"},
    ),
    "kannel": sms(preset="kannel", username="u", password="p"),
    "46elks": sms(preset="46elks", username="u", password="p"),
    "twilio": sms(preset="twilio", account="AC1", token="t"),
    "gatewayapi": sms(preset="gatewayapi", token="t"),
    "generic": sms(
        preset="generic", headers={"X-Key": "abc"}, json={"to": "{to}", "text": "{text}"}
    ),
    "smpp": (
        SmppAdapter.Settings,
        {
            "kind": "smpp",
            "suppliers": [
                {
                    "name": "s",
                    "host": "far.example",
                    "system_id": "e",
                    "password": "p",
                    "sender": "E",
                }
            ],
        },
    ),
    "email": (
        EmailAdapter.Settings,
        {
            "kind": "email",
            "sender": "kris@ekbyn.example",
            "reply_to": "svar@ekbyn.example",
            "bounces": "studs+{key}@ekbyn.example",
            "unsubscribe": HOST + "/{key}/{token}",
            "secret": "x" * 16,
            "suppliers": [{"host": "far.example", "tls": "starttls"}],
        },
    ),
    "bucket": (
        S3Place,
        {"place": "s3", "bucket": HOST, "region": "eu-1", "access_key": "AK", "secret_key": "s"},
    ),
}
# What leaves only within quotes: percent-encoded, as JSON, base64, a key of HMAC, or by a length before it. An account is
# read without the white space around it.
QUOTED = {
    *(("x", key) for key in WHOLE["x"][1] if key != "url"),
    *((preset, "suppliers.0.username") for preset in ("kannel", "46elks")),
    *((preset, "suppliers.0.password") for preset in ("kannel", "46elks")),
    ("twilio", "suppliers.0.token"),
    ("generic", "suppliers.0.json.to"),
    ("generic", "suppliers.0.json.text"),
    ("bluesky", "account"),
    ("bluesky", "password"),
    ("matrix", "room"),
    ("email", "secret"),
    ("bucket", "secret_key"),
}


def leaves(part: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where a string stands in a block."""
    if isinstance(part, str):
        yield path
        return
    pairs = part.items() if isinstance(part, dict) else enumerate(part)
    for key, child in pairs:
        yield from leaves(child, (*path, key))


def with_end(block: dict[str, Any], path: tuple[str | int, ...], end: str) -> dict[str, Any]:
    """The block with `end` behind the string at `path`."""
    changed = copy.deepcopy(block)
    part: Any = changed
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] += end
    return changed


CELLS = [
    pytest.param(name, path, id=f"{name}, {'.'.join(map(str, path))}")
    for name, (_, block) in WHOLE.items()
    for path in leaves(block)
    if (name, ".".join(map(str, path))) not in QUOTED
    and path[-1] not in ("kind", "preset", "place")
]


@pytest.mark.parametrize("name", WHOLE)
def test_each_block_can_be_configured_as_it_is(name: str) -> None:
    settings, block = WHOLE[name]
    settings.model_validate(block)


@pytest.mark.parametrize(("name", "path"), CELLS)
def test_what_would_stand_in_a_header_or_an_address_holds_no_line_break(
    name: str, path: tuple[str | int, ...]
) -> None:
    settings, block = WHOLE[name]
    taken = []
    for what, end in BREAKS.items():
        try:
            settings.model_validate(with_end(block, path, end))
        except ValidationError:
            continue
        taken.append(what)
    assert taken == []


@pytest.mark.parametrize("header", ["X Key", "X-Key:", "X\r\nY", "X\0", "X\n", "å", ""])
@pytest.mark.parametrize("name", ["webhook", "generic"])
def test_the_name_of_a_header_is_one_word(name: str, header: str) -> None:
    settings, block = WHOLE[name]
    changed = copy.deepcopy(block)
    (changed if name == "webhook" else changed["suppliers"][0])["headers"] = {header: "abc"}
    with pytest.raises(ValidationError):
        settings.model_validate(changed)


def test_a_server_that_is_reached_by_sftp_has_a_plain_name() -> None:
    pattern = SftpPlace.model_json_schema()["properties"]["host"]["pattern"]
    assert pattern == "^[A-Za-z0-9.:-]+$"


# ------------------------------------------------------------------------------------------------------------------- SMS
NUMBERS = (
    "+46701740605\r\nX-Evil: 1",
    "+46701740605\n",
    "+46701740605\0",
    "+46701740605 ",
    "+46 70 174 06 05",
    "0701740605",
    "46701740605",
    "+46701740605,+46701740606",
    "+46701740605&mclass=0",
    "+467017406O5",
    "+٤٦٧٠١٧٤٠٦٠٥",
    "+0701740605",
    "",
)
WORDS = "Koka vattnet. &mclass=0&udh=%05%00%03&flashsms=yes&from=Falsk&to=%2B4670\r\nX-Evil: 1 {to}{password}"
FIELDS = {
    "kannel": {"username", "password", "from", "charset", "to", "text", "coding", "validity"},
    "46elks": {"from", "to", "message"},
    "twilio": {"From", "To", "Body", "ValidityPeriod"},
    "gatewayapi": {"sender", "message", "recipients", "userref", "encoding", "validity_period"},
    "generic": {"to", "text"},
}


class Gateway(FarEnd):
    """Takes everything, and keeps it."""

    name = "gateway"

    def answer(self, request: Request) -> Reply:
        return Reply(202, body=b"0: Accepted for delivery")


def sms_channel(name: str, url: str) -> LetterAdapter:
    settings, block = WHOLE[name]
    changed = copy.deepcopy(block)
    changed["suppliers"][0]["url"] = url
    return SmsHttpAdapter(settings.model_validate(changed), context())


def letter(address: str, body: str = "Koka vattnet.") -> Letter:
    return Letter(key="1.1.0", address=address, body=body, language="sv")


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("preset", FIELDS)
def test_only_a_whole_number_in_international_form_leaves(preset: str, number: str) -> None:
    with SmsGateway() as far:
        adapter = sms_channel(preset, far.url)
        ran = run(adapter, [letter(number)], an_attempt())
        adapter.close()
        [failure] = ran.failures()
        assert isinstance(failure, Permanent)
        assert failure.scope is Scope.ADDRESS
        assert far.requests == []


@pytest.mark.parametrize("preset", FIELDS)
def test_no_text_becomes_a_field_a_class_or_a_header_of_the_request(preset: str) -> None:
    with Gateway() as far:
        adapter = sms_channel(preset, far.url)
        run(adapter, [letter("+46701740605", WORDS)], an_attempt())
        adapter.close()
        [request] = far.requests
    said: dict[str, Any]
    if preset in {"gatewayapi", "generic"}:
        said = json.loads(request.body)
    else:
        said = parse_qs(request.body.decode() or request.query, strict_parsing=True)
        assert all(len(values) == 1 for values in said.values())
    assert set(said) == FIELDS[preset]
    texts = [one[0] if isinstance(one, list) else one for one in said.values()]
    assert texts.count(WORDS) == 1
    assert "x-evil" not in request.headers


def test_no_key_of_any_sms_channel_sets_a_class_or_a_user_header() -> None:
    """`generic` alone says its whole request, in the configuration; an operator's command reaches none of it."""
    for adapter in (SmsHttpAdapter, SmppAdapter, ModemAdapter):
        keys = set(
            json.dumps(adapter.Settings.model_json_schema()["properties"]).lower().split('"')
        )
        keys |= {
            key.lower()
            for model in adapter.Settings.model_json_schema()["$defs"].values()
            for key in model.get("properties", {})
        }
        assert not {
            key for key in keys for word in ("udh", "flash", "mclass", "coding") if key == word
        }
