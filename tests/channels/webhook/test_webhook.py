from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from broadcaster.channel import Attempt, Kind, Mode, Permanent, Scope
from broadcaster.testing.notices import again, attempt, context, message, notice
from broadcaster.testing.outage import AT, OUTAGE, agrees, measure, post as say, sent
from broadcaster.testing.servers import WEBHOOK_SECRET, WebhookReceiver, answers, redirect
from channels.webhook import WebhookAdapter

GOLDEN = Path(__file__).parent / "golden"


def webhook(url: str, **written: Any) -> WebhookAdapter:
    settings = {"kind": "webhook", "url": url, "secret": WEBHOOK_SECRET, **written}
    return WebhookAdapter(WebhookAdapter.Settings.model_validate(settings), context())


@pytest.fixture
def far() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as far:
        yield far


@pytest.fixture
def tried(far: WebhookReceiver) -> Iterator[WebhookAdapter]:
    adapter = webhook(f"{far.url}/hook")
    yield adapter
    adapter.close()


def test_the_signature_is_that_of_the_specifications_own_example(far: WebhookReceiver) -> None:
    # The example that the reference libraries of Standard Webhooks are tested with.
    adapter = webhook(far.url, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    far.next(answers(200))
    said = message(key="msg_p5jXN8AQM9LWM0D4loKWxJek", payload='{"test": 2432232314}')
    adapter.post(said, attempt(at=datetime.fromtimestamp(1614265330, UTC)))
    assert far.requests[0].headers["webhook-timestamp"] == "1614265330"
    assert (
        far.requests[0].headers["webhook-signature"]
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def attempt_now() -> Attempt:
    """The receiver refuses a signature that is five minutes old, and this file may be run long after its import."""
    return attempt(at=datetime.now(UTC))


def test_the_receiver_gets_the_document_that_was_previewed(
    far: WebhookReceiver, tried: WebhookAdapter
) -> None:
    text = tried.render(
        notice(kind=Kind.CORRECTION, mode=Mode.DRILL, mode_label="ÖVNING"), {}
    ).texts[0]
    tried.post(message(body=text.body, payload=text.payload), attempt_now())
    assert far.effects[0].text == text.payload
    document = json.loads(text.payload)
    assert document["type"] == "incident.correction"
    assert document["mode"] == "drill"
    assert document["data"] == dict(notice().facts)
    assert far.requests[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize("name", OUTAGE)
def test_what_goes_out_stands_word_for_word_in_a_file(name: str) -> None:
    with WebhookReceiver(clock=lambda: AT) as far:
        said = measure(say(webhook(f"{far.url}/hook"), OUTAGE[name].notice))
        signed = ("webhook-id", "webhook-timestamp", "webhook-signature")
        agrees(GOLDEN / f"{name}.txt", said, *sent(far, headers=signed))


def test_a_repeat_has_the_same_id_and_a_time_of_its_own(
    far: WebhookReceiver, tried: WebhookAdapter
) -> None:
    tried.post(message(), attempt_now())
    tried.post(message(), again(at=datetime.now(UTC)))
    assert far.seen == {message().key: 2}
    assert far.texts("webhook") == [message().payload]
    assert not far.refused


def test_further_headers_go_along(far: WebhookReceiver) -> None:
    webhook(far.url, headers={"X-Api-Key": "key-of-theirs"}).post(message(), attempt_now())
    assert far.requests[0].headers["x-api-key"] == "key-of-theirs"


def test_a_wrong_secret_parks_the_channel_and_says_what_to_compare(far: WebhookReceiver) -> None:
    other = "whsec_" + base64.b64encode(b"another secret, just as long").decode()
    with pytest.raises(Permanent, match="same secret and the right time") as refused:
        webhook(far.url, secret=other).post(message(), attempt())
    assert refused.value.scope is Scope.CHANNEL


def test_a_probe_says_only_what_it_knows(far: WebhookReceiver, tried: WebhookAdapter) -> None:
    probe = tried.probe(attempt())
    assert probe.good
    assert "known when one is sent" in probe.sentence
    assert not far.seen


def test_a_probe_finds_a_receiver_that_has_moved(
    far: WebhookReceiver, tried: WebhookAdapter
) -> None:
    far.next(redirect("https://new.example/hook"))
    probe = tried.probe(attempt())
    assert not probe.good
    assert "https://new.example/hook" in probe.sentence


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "whsec_dG9vIHNob3J0"},
        {"secret": "a plain password, long enough to be one"},
        {"headers": {"Webhook-Id": "theirs"}},
        {"headers": {"Content-Length": "0"}},
        {"url": "receiver.example/hook"},
        {"urll": "https://receiver.example/hook"},
    ],
)
def test_wrong_settings_are_refused_without_their_values(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        webhook(**{"url": "https://receiver.example", **wrong})
    assert "too_short" not in str(refused.value)
    assert "dG9vIHNob3J0" not in str(refused.value)
    assert "plain password" not in str(refused.value)
