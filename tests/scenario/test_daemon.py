"""One evening of a utility: the daemon as a process, five channels, one hanging, one down, killed in the middle.

Judged by what the far ends received and what the operator was answered.
"""

from __future__ import annotations

import base64
import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from broadcaster.service.commands import Role
from broadcaster.store import Store, tokens
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.history import Arrived, arrivals, duplicates
from broadcaster.testing.ports import free_port
from broadcaster.testing.rig import configuration, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import MastodonServer, SmsGateway, WebhookReceiver, hang, late

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(240)]
RUN = [sys.executable, "-c", "from broadcaster.cli import main; main()"]
READERS = 1500


@dataclass
class Daemon:
    """`broadcaster serve` as a process, and its API."""

    folder: Path
    document: dict[str, Any]
    token: str
    process: subprocess.Popen[bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "broadcaster.yaml"

    @property
    def log(self) -> str:
        return (self.folder / "daemon.log").read_text("utf-8", "replace")

    def write(self) -> None:
        self.config.write_text(json.dumps(self.document), "utf-8")

    def start(self) -> None:
        with (self.folder / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*RUN, "serve", "--config", str(self.config)], stdout=log, stderr=log
            )
        wait_until(self.ready, self.log_tail)

    def log_tail(self) -> str:
        return self.log[-3000:]

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log_tail()
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    @property
    def url(self) -> str:
        return f"http://{self.document['api']['listen']}"

    @property
    def page(self) -> str:
        return str(self.document["public"]["url"])

    def say(self, path: str, **body: Any) -> dict[str, Any]:
        answer = requests.post(
            f"{self.url}/api/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=20,
        )
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def deliveries(self) -> dict[tuple[int, str], dict[str, Any]]:
        answer = requests.get(
            f"{self.url}/api/v1/incidents/A1/deliveries",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
        return {(row["update"], row["channel"]): row for row in answer.json()["items"]}

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: int) -> tuple[int, float]:
        """End it by a signal; returns its exit code and how long it took, in seconds."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.process = None
        return code, time.monotonic() - began


@pytest.fixture
def far() -> Iterator[tuple[MastodonServer, SmsGateway, WebhookReceiver]]:
    social = MastodonServer(port=free_port())  # down: nobody listens there yet
    with SmsGateway(preset="kannel") as phones, WebhookReceiver() as hook:
        try:
            yield social, phones, hook
        finally:
            hook.release()
            social.stop()


@pytest.fixture
def daemon(
    tmp_path: Path, far: tuple[MastodonServer, SmsGateway, WebhookReceiver]
) -> Iterator[Daemon]:
    social, phones, hook = far
    channels: dict[str, dict[str, Any]] = {
        "page": {"kind": "page"},
        "feed": {"kind": "feed"},
        "social": mastodon(social),
        "sms": sms(phones),
        "hook": webhook(hook, deadline="2s", attempts=50),
    }
    page = f"127.0.0.1:{free_port()}"
    document = configuration(tmp_path, channels) | {
        "public": {
            "url": f"http://{page}",
            "directory": str(tmp_path / "public"),
            "listen": page,
        },
        "api": {"listen": f"127.0.0.1:{free_port()}"},
    }
    store = Store(document["store"]["url"], KEY)
    secret, _ = store.write(
        lambda c: tokens.issue(c, datetime.now(UTC), "Eva", Role.ADMIN, (), None, "test")
    ).result()
    subscribe(store, "sms", numbers(READERS))
    store.close()
    assert base64.b64decode(document["store"]["key"]) == KEY
    running = Daemon(tmp_path, document, secret)
    running.write()
    running.start()
    yield running
    if running.process is not None:
        running.process.kill()
        running.process.wait(10)


def test_an_evening_with_one_channel_hanging_one_down_and_a_kill_in_the_middle(
    daemon: Daemon, far: tuple[MastodonServer, SmsGateway, WebhookReceiver]
) -> None:
    social, phones, hook = far
    hook.always(hang(), method="POST")
    phones.always(late(0.1), every=3)

    # A report: page, feed and phones have it while one channel hangs and one is down.
    said = daemon.say(
        "/incidents", text="Läge i1u1 utan ström.", area=["norra-ekbyn"], severity="severe"
    )
    assert (said["incident"], said["update"]) == ("A1", 1)
    phones.wait_for(lambda far: len(far.effects) > 300)
    wait_until(lambda: "i1u1" in requests.get(daemon.page, timeout=5).text, daemon.log_tail)
    assert "i1u1" in requests.get(f"{daemon.page}/feed.atom", timeout=5).text

    # Killed in the middle of the blast, started again.
    daemon.end(signal.SIGKILL)
    sent = len(phones.effects)
    assert sent < READERS
    daemon.start()
    phones.wait_for(lambda far: len(far.effects) > sent, seconds=10)

    # A second one on the same file is refused at once.
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    second = subprocess.Popen(
        [*RUN, "serve", "--config", str(daemon.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    words, _ = second.communicate(timeout=30)
    assert second.returncode not in (0, None)
    # Its own time, not the wall's: other tests run beside this one.
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime < 1.0
    assert "En annan server använder" in words.decode()

    # The one that was down comes back, and is told everything in order.
    daemon.say("/incidents/A1/updates", kind="update", text="Läge i1u2.", severity="moderate")
    social.start()
    daemon.say("/incidents/A1/updates", kind="correction", text="Läge i1u3.", corrects=2)
    daemon.say("/incidents/A1/updates", kind="update", text="Läge i1u4.", severity="minor")
    wait_until(lambda: _state(daemon, 4, "social") == "confirmed", lambda: str(daemon.deliveries()))

    # A bad file changes nothing and says why; a good one is taken, and calls that run end on the old lane.
    good = json.loads(json.dumps(daemon.document))
    daemon.document["channels"]["hook"]["tempo"] = 7
    daemon.write()
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "configuration refused" in daemon.log, daemon.log_tail)
    assert daemon.ready()
    good["channels"]["hook"]["deadline"] = "3s"
    daemon.document = good
    daemon.write()
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "configuration reloaded" in daemon.log, daemon.log_tail)

    # A retraction of the newest word goes everywhere it went.
    daemon.say("/incidents/A1/updates", kind="retraction", text="Läge i1u5.", corrects=4)
    hook.heal()
    hook.release()
    over = {"accepted", "confirmed", "withdrawn", "superseded", "uncertain"}
    wait_until(
        lambda: all(row["state"] in over for row in daemon.deliveries().values()),
        lambda: str({place: row["state"] for place, row in daemon.deliveries().items()}),
        seconds=90,
    )
    final = daemon.deliveries()

    # With a channel hanging again it still ends within ten seconds, and cleanly.
    hook.always(hang(), method="POST")
    daemon.say("/incidents", text="Läge i2u1.", area=["sodra-ekbyn"], severity="minor")
    hook.wait_for(lambda far: any(b"i2u1" in r.body for r in far.requests))
    code, took = daemon.end(signal.SIGTERM)
    assert code == 0, daemon.log_tail()
    assert took <= 10.0

    _judge_phones(arrivals(list(phones.effects), "sms"), final)
    posts = arrivals(list(social.effects), "status")
    labels = [one.label for one in posts if one.label.startswith("i1")]
    assert labels == sorted(labels)
    assert set(labels) >= {"i1u1", "i1u3", "i1u4", "i1u5"}
    assert duplicates(posts) == {}
    hooks = [one.label for one in arrivals(list(hook.effects), "webhook")]
    assert [x for x in hooks if x.startswith("i1")] == sorted(x for x in hooks if x[:2] == "i1")
    assert {"i1u3", "i1u5"} & set(hooks)
    shown = (daemon.folder / "public").rglob("index.html")
    assert any("i1u5" in page.read_text("utf-8") for page in shown)


def _judge_phones(letters: list[Arrived], final: dict[tuple[int, str], dict[str, Any]]) -> None:
    everyone = set(numbers(READERS))
    assert duplicates(letters) == {}
    for number in (1, 2, 3, 4):
        row = final.get((number, "sms"))
        if row is None or row["state"] in ("superseded", "withdrawn"):
            continue
        had = {one.to for one in letters if one.label == f"i1u{number}"}
        counts = row["counts"]
        assert len(everyone - had) <= counts["uncertain"] + counts["skipped"]
        assert (
            sum(counts[name] for name in ("accepted", "failed", "uncertain", "skipped"))
            == (counts["total"])
        )
    wrong = {one.to for one in letters if one.label == "i1u4"}
    told = {one.to for one in letters if one.label == "i1u5"}
    assert wrong <= told


def _state(daemon: Daemon, number: int, channel: str) -> str:
    return str(daemon.deliveries().get((number, channel), {}).get("state", ""))
