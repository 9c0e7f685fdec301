"""The numbers at /metrics are what happened, through a whole daemon: calls, texts, letters, stops, and what stands in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from broadcaster.store import Store
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.daemons import Client, token, wait_until, whole
from broadcaster.testing.ports import free_port
from broadcaster.testing.rig import configuration, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import MastodonServer, SmsGateway, WebhookReceiver, answers

PEOPLE = 7
PAGE = ("attempts_total", "page", "accepted")
pytestmark = [pytest.mark.scenario, pytest.mark.slow]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A daemon with a channel that is refused and one that stands in for it, a paused one, and people with telephones."""
    with (
        WebhookReceiver() as refusing,
        WebhookReceiver() as open_hook,
        MastodonServer() as social,
        SmsGateway(preset="kannel") as phones,
    ):
        refusing.always(answers(401), method="POST")
        channels = {
            "page": {"kind": "page"},
            "hook": webhook(refusing, fallback=["social"]),
            "social": mastodon(social),
            "later": webhook(open_hook),
            "sms": sms(phones),
        }
        listen = f"127.0.0.1:{free_port()}"
        document = configuration(tmp_path, channels) | {"api": {"listen": listen}}
        path = tmp_path / "broadcaster.yaml"
        path.write_text(json.dumps(document), "utf-8")
        store = Store(document["store"]["url"], KEY)
        secret = token(store)
        subscribe(store, "sms", numbers(PEOPLE), ["norra-ekbyn"])
        store.close()
        daemon = whole(path, tmp_path / "daemon.log")
        said = Client(listen, secret)
        try:
            wait_until(said.answers, (tmp_path / "daemon.log").read_text)
            yield said
        finally:
            daemon.end(15)


def shown(client: Client) -> dict[tuple[str, ...], float]:
    """What /metrics shows: (name without prefix, label values) → value; how often the page was written is its own affair.

    How ready everything is changes by itself, and is looked at where it is made.
    """
    text = requests.get(f"{client.root}/metrics", timeout=10).text
    values = {
        (sample.name.removeprefix("broadcaster_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith(("_created", "_readiness_score", "_channel_ready"))
    }
    values.pop(PAGE, None)
    return values


def test_what_happened_is_what_the_numbers_say(client: Client) -> None:
    by = {("supplier_in_force", "sms", "g1"): 1.0, ("supplier_health", "sms", "g1"): 1.0}
    wait_until(lambda: shown(client) == by, lambda: str(shown(client)))
    assert client.ask("POST", "/channels/later/pause").status_code == 200
    body = {"text": "Strömmen är borta.", "area": ["norra-ekbyn"], "severity": "severe"}
    assert client.ask("POST", "/incidents", json=body).status_code == 201
    expected: dict[tuple[str, ...], float] = by | {
        ("attempts_total", "hook", "permanent"): 1.0,
        ("attempts_total", "social", "accepted"): 1.0,
        ("attempts_total", "sms", "accepted"): 1.0,
        ("deliveries_accepted_total", "page"): 1.0,
        ("deliveries_accepted_total", "social"): 1.0,
        ("deliveries_accepted_total", "sms"): 1.0,
        ("letters_accepted_total", "sms"): float(PEOPLE),
        ("fallbacks_total", "hook"): 1.0,
        ("deliveries_open", "later"): 1.0,
        ("degraded", "parked", "hook"): 1.0,
    }
    wait_until(lambda: shown(client) == expected, lambda: str(shown(client)))
    assert client.ask("POST", "/channels/hook/resume").status_code == 200
    assert client.ask("POST", "/channels/later/resume").status_code == 200
    after = {
        key: value
        for key, value in expected.items()
        if key[0] not in {"deliveries_open", "degraded"}
    } | {
        ("attempts_total", "later", "accepted"): 1.0,
        ("deliveries_accepted_total", "later"): 1.0,
    }
    wait_until(lambda: shown(client) == after, lambda: str(shown(client)))
