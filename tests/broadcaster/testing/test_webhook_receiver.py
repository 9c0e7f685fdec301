"""The webhook receiver believes only what the Standard Webhooks scheme says it may."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator

import pytest
import requests

from broadcaster.testing.servers import WebhookReceiver

KEY = b"a secret of twenty-four."
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@pytest.fixture
def far() -> Iterator[WebhookReceiver]:
    with WebhookReceiver(secret=SECRET) as server:
        yield server


def signed(id_: str, timestamp: int, body: bytes, key: bytes = KEY) -> dict[str, str]:
    """Headers computed here from the specification, not by the code under test."""
    digest = hmac.new(key, f"{id_}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def send(far: WebhookReceiver, headers: dict[str, str], body: bytes = b"{}") -> int:
    return requests.post(f"{far.url}/hook", data=body, headers=headers, timeout=5).status_code


def test_a_true_signature_is_believed(far: WebhookReceiver) -> None:
    body = '{"text":"Strömmen är borta"}'.encode()
    assert send(far, signed("m1", int(time.time()), body), body) == 200
    assert [(e.kind, e.id, e.text) for e in far.effects] == [("webhook", "m1", body.decode())]


def test_a_repeated_id_is_answered_but_not_acted_on_again(far: WebhookReceiver) -> None:
    now = int(time.time())
    assert [send(far, signed("m1", now + n, b"{}")) for n in range(3)] == [200] * 3
    assert [effect.kind for effect in far.effects] == ["webhook", "repeat", "repeat"]
    assert far.seen == {"m1": 3}


def test_one_of_several_signatures_is_enough(far: WebhookReceiver) -> None:
    headers = signed("m1", int(time.time()), b"{}")
    other = signed("m1", int(time.time()), b"{}", key=b"the key before the rotation")
    headers["webhook-signature"] = other["webhook-signature"] + " " + headers["webhook-signature"]
    assert send(far, headers) == 200


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        ({"webhook-id": "m2"}, "no signature matches"),
        ({"webhook-signature": "v1,AAAA"}, "no signature matches"),
        ({"webhook-signature": ""}, "header is missing"),
        ({"webhook-timestamp": "soon"}, "not in epoch seconds"),
        ({"webhook-timestamp": "1"}, "more than five minutes off"),
    ],
)
def test_anything_else_is_refused(
    far: WebhookReceiver, spoil: dict[str, str], sentence: str
) -> None:
    assert send(far, signed("m1", int(time.time()), b"{}") | spoil) == 401
    assert sentence in far.refused[0]
    assert far.effects == []


def test_a_changed_body_is_refused(far: WebhookReceiver) -> None:
    assert send(far, signed("m1", int(time.time()), b"{}"), b'{"evil":1}') == 401


def test_a_secret_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        WebhookReceiver(secret="not base64!")
