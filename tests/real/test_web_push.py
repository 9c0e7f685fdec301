"""Web push into npm's web-push-testing: another program opens what we sealed, and checks who we say we are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from broadcaster.channel import Attempt, ChannelContext, Mode, Organisation, Scope
from broadcaster.testing.contract_letters import an_attempt, letters, run
from broadcaster.testing.peers import PEERS
from broadcaster.testing.ports import free_port
from broadcaster.testing.programs import FarProgram
from channels.webpush import WebPushAdapter

pytestmark = pytest.mark.real("web-push-testing")
NODE = shutil.which("node") or "node"
KEY = "UOkk9ZyN2-BWgqzLhBBmNvS2-pm2GnyuwGD2Y_1gjyQ"
BODY = "Strömmen är borta i Norra Ekbyn – åäö €.\nhttps://ekbyn.example/incidents/a7/"


class Browsers(FarProgram):
    """A push service and the browsers behind it."""

    port: int

    def prepare(self) -> None:
        self.port = free_port()

    def begin(self) -> None:
        program = str(PEERS["web-push-testing"].path("server"))
        server = self.run(NODE, program, str(self.port), chatty=True)
        server.wait_for(b"Server running")

    def ask(self, path: str, **fields: str) -> Any:
        answer = requests.post(f"http://127.0.0.1:{self.port}/{path}", json=fields, timeout=10)
        assert answer.ok, answer.text
        return answer.json() if answer.content[:1] == b"{" else None

    def subscribe(self, key: str) -> tuple[str, str]:
        """What the browser gives, and by which name it is asked what it showed."""
        given = self.ask("subscribe", userVisibleOnly="true", applicationServerKey=key)["data"]
        name = given.pop("clientHash")
        given["endpoint"] = given["endpoint"].replace("//localhost:", "//127.0.0.1:")
        return json.dumps(given), name

    def shown(self, name: str) -> list[dict[str, Any]]:
        """The notifications of one browser."""
        found = self.ask("get-notifications", clientHash=name)["data"]["messages"]
        return [json.loads(each)["notification"] for each in found]


@pytest.fixture(scope="module")
def browsers() -> Iterator[Browsers]:
    with Browsers() as browsers:
        yield browsers


def adapter_for(browsers: Browsers, key: str = KEY) -> WebPushAdapter:
    block = {
        "kind": "webpush",
        "key": key,
        "contact": "mailto:drift@ekbyn.example",
        "services": [f"127.0.0.1:{browsers.port}"],
    }
    context = ChannelContext(
        name="push",
        organisation=Organisation("Ekbyns Energi", "SE", ("sv",), "Europe/Stockholm"),
        mode=Mode.LIVE,
        public_url="https://ekbyn.example",
        public_directory="",
    )
    return WebPushAdapter(WebPushAdapter.Settings.model_validate(block), context)


def now() -> Attempt:
    """By the clock that the other program reads too: what is signed for yesterday it refuses."""
    at = datetime.now(UTC)
    return replace(an_attempt(), at=at, not_after=at + timedelta(hours=2))


@pytest.fixture
def adapter(browsers: Browsers) -> Iterator[WebPushAdapter]:
    adapter = adapter_for(browsers)
    yield adapter
    adapter.close()


def test_the_browser_shows_the_very_words(browsers: Browsers, adapter: WebPushAdapter) -> None:
    given, name = browsers.subscribe(adapter.vapid.public)
    ran = run(adapter, letters([given], 2, BODY), now())
    assert ran.failures() == []
    first, again = browsers.shown(name)
    assert first == again
    assert first["body"] == "Strömmen är borta i Norra Ekbyn – åäö €."
    assert first["navigate"] == "https://ekbyn.example/incidents/a7/"


def test_a_browser_that_left_is_gone(browsers: Browsers, adapter: WebPushAdapter) -> None:
    given, name = browsers.subscribe(adapter.vapid.public)
    browsers.ask(f"expire-subscription/{name}")
    [failure] = run(adapter, letters([given], 1, BODY), now()).failures()
    assert (failure.scope, failure.gone) == (Scope.ADDRESS, True)


def test_a_browser_that_subscribed_to_somebody_else_refuses_us_and_no_other(
    browsers: Browsers, adapter: WebPushAdapter
) -> None:
    ours, name = browsers.subscribe(adapter.vapid.public)
    foreign, _ = browsers.subscribe(adapter_for(browsers, KEY[:-1] + "A").vapid.public)
    ran = run(adapter, letters([foreign, ours], 2, BODY), now())
    [failure] = ran.failures()
    assert failure.scope is Scope.ADDRESS
    assert len(browsers.shown(name)) == 1
    assert ran.ended is None
