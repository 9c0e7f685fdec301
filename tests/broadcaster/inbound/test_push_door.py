"""Browsers subscribe at the front door: one page with a script, a worker that keeps nothing, and a way out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from broadcaster.store import tables as t
from broadcaster.testing.operators import CONFIGURATION, Daemonless, Reply
from broadcaster.testing.servers import PushService

KEY = "UOkk9ZyN2-BWgqzLhBBmNvS2-pm2GnyuwGD2Y_1gjyQ"
PUBLIC = "BFev6mwoU9CXOIPfAEvmywmeegTzthN_NKd1fw3LF2wrv3fWnJCrtDLjOrCICXg9P3unTyKaPKTGauxIeJo1JjQ"


@pytest.fixture
def far() -> Iterator[PushService]:
    with PushService() as far:
        yield far


def configured(far: PushService, residents: str = "residents: {channels: [push]}\n") -> str:
    push = f"  push: {{kind: webpush, key: {KEY}, contact: 'mailto:drift@ekbyn.example', services: ['127.0.0.1:{far.port}']}}\n"
    text = CONFIGURATION.replace("  sms:\n", push + "  sms:\n")
    return (
        text.replace("channels: [page, hook, sms]", "channels: [page, hook, push, sms]") + residents
    )


@pytest.fixture
def door(tmp_path: Path, far: PushService) -> Iterator[Daemonless]:
    with Daemonless(tmp_path, configured(far)) as running:
        yield running


def call(desk: Daemonless, path: str, form: object = None) -> Reply:
    body = None if form is None else urlencode(form, doseq=True).encode()  # type: ignore[arg-type]  # pairs by name
    method = "GET" if form is None else "POST"
    kind = {"Content_Type": "application/x-www-form-urlencoded"}
    return desk.ask(method, path, body, token="", port=desk.inbound.port, **kind)


def subscribe(desk: Daemonless, subscription: str, **more: object) -> Reply:
    shown = call(desk, "/follow/push/").content.decode()
    sealed = re.search(r'name="seal" value="([^"]*)"', shown)
    assert sealed is not None
    desk.clock.pass_by(seconds=3)
    form = {"subscription": subscription, "area": ["norra-ekbyn"], "seal": sealed[1]}
    return call(desk, "/follow/push/", form | more)


def rows(desk: Daemonless, table: sa.Table) -> int:
    count = sa.select(sa.func.count()).select_from(table)
    return desk.store.read(lambda c: c.scalar(count)) or 0


def test_a_browser_that_says_where_it_is_reached_is_a_subscriber_at_once(
    door: Daemonless, far: PushService
) -> None:
    answer = subscribe(door, far.browser("elsa"))
    assert answer.status == 200, answer.content.decode()
    mine = re.search(r'href="[^"]*(/follow/mine/[^"]+)"', answer.content.decode())
    assert mine is not None
    assert (rows(door, t.subscriber), rows(door, t.consent)) == (1, 1)
    shown = call(door, mine[1]).content.decode()
    assert "wpush" not in shown
    assert "auth" not in shown
    assert call(door, f"{mine[1]}/leave", {}).status == 200
    assert rows(door, t.subscription) == 0


def test_the_same_browser_again_is_the_same_subscriber(door: Daemonless, far: PushService) -> None:
    for _ in range(2):
        assert subscribe(door, far.browser("elsa")).status == 200
    assert rows(door, t.subscriber) == 1


@pytest.mark.parametrize(
    "subscription",
    [
        "{}",
        "x" * 2000,
        json.dumps(
            {"endpoint": "https://evil.example/x", "keys": {"p256dh": "A" * 87, "auth": "A" * 22}}
        ),
    ],
)
def test_what_no_listed_push_service_gave_is_no_subscriber(
    door: Daemonless, subscription: str
) -> None:
    assert subscribe(door, subscription).status == 422
    assert rows(door, t.subscriber) == 0


@pytest.mark.parametrize("subscription", ["", "x" * 3000])
def test_what_no_form_of_ours_sends_is_refused(door: Daemonless, subscription: str) -> None:
    assert subscribe(door, subscription).status in {400, 404}
    assert rows(door, t.subscriber) == 0


def test_only_this_page_may_run_a_script_and_only_our_own(door: Daemonless) -> None:
    page = call(door, "/follow/push/")
    assert f'data-key="{PUBLIC}"' in page.content.decode()
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "script" not in call(door, "/follow/").headers["content-security-policy"]
    assert "/follow/push/" in call(door, "/follow/").content.decode()


def test_the_worker_keeps_nothing_and_is_asked_for_anew(door: Daemonless) -> None:
    worker = call(door, "/follow/worker.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    assert worker.headers["cache-control"] == "no-cache"
    source = worker.content.decode()
    assert "showNotification" in source
    for kept in ("caches", '"fetch"', "indexedDB", "localStorage", "importScripts"):
        assert kept not in source


def test_where_browsers_cannot_subscribe_any_more_the_worker_takes_itself_away(
    tmp_path: Path, far: PushService
) -> None:
    with Daemonless(tmp_path, configured(far, "residents: {channels: [sms]}\n")) as door:
        assert "unregister()" in call(door, "/follow/worker.js").content.decode()
        assert call(door, "/follow/push/").status == 404
        assert "/follow/push/" not in call(door, "/follow/").content.decode()
