"""A daemon that is short of files or of processor time, and gets them back: it goes on without a restart."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import Any

import pytest
import requests

from broadcaster.store import Store
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.crashing import Order
from broadcaster.testing.daemons import Client, Daemon, token, wait_until, whole
from broadcaster.testing.history import arrivals, judge
from broadcaster.testing.ports import free_port
from broadcaster.testing.rig import configuration, numbers, sms, webhook
from broadcaster.testing.servers import SmsGateway, WebhookReceiver, late
from broadcaster.testing.zoo import installed
from broadcaster.testing.zoo.beasts import Kennel

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(300)]
READERS = 200
SHORT = 4.0
OVER = {"accepted", "confirmed", "superseded", "uncertain", "failed", "expired", "withdrawn"}


@dataclass
class Scene:
    """A daemon, its far ends and its client; one channel runs in a process of its own, one cannot be used."""

    daemon: Daemon
    client: Client
    hook: WebhookReceiver
    phones: SmsGateway
    kennel: Kennel
    log: Path

    def tail(self) -> str:
        return self.log.read_text("utf-8", "replace")[-3000:]

    def settled(self) -> bool:
        return all(row["state"] in OVER for row in self.client.deliveries())

    def judge(self) -> None:
        """Nothing lost, nothing twice but what was in doubt, in order."""
        wait_until(self.settled, self.tail, seconds=120)
        doubt = {
            told.label: sum(
                (row["counts"] or {}).get("uncertain", 0)
                for row in self.client.deliveries()
                if (row["incident"], row["update"]) == (told.incident, told.number)
            )
            for told in self.client.told
        }
        told = self.client.told
        assert judge(told, arrivals(list(self.hook.effects), "webhook")) == []
        came = arrivals(list(self.phones.effects), "sms")
        assert judge(told, came, readers=numbers(READERS), flagged=doubt) == []


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    site = str(installed(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([site, os.environ.get("PYTHONPATH", "")]))
    with (
        WebhookReceiver() as hook,
        SmsGateway(preset="kannel") as phones,
        Kennel() as kennel,
    ):
        phones.always(late(0.02))
        channels: dict[str, Any] = {"hook": webhook(hook), "sms": sms(phones)}
        channels["apart"] = {"kind": "tame", "url": kennel.url, "own_process": True}
        channels["broken"] = {"kind": "exits-at-import", "url": kennel.url}
        document = configuration(tmp_path, channels)
        document |= {"api": {"listen": f"127.0.0.1:{free_port()}"}}
        document |= {"audit_head": str(tmp_path / "audit-head")}
        config, log = tmp_path / "broadcaster.yaml", tmp_path / "daemon.log"
        config.write_text(json.dumps(document))
        store = Store(document["store"]["url"], KEY)
        client = Client(document["api"]["listen"], token(store))
        subscribe(store, "sms", numbers(READERS))
        store.close()
        daemon = whole(config, log)
        made = Scene(daemon, client, hook, phones, kennel, log)
        try:
            wait_until(client.answers, made.tail, seconds=90)
            yield made
            code, seconds = daemon.end(SIGTERM)
            assert (code, seconds < 20) == (0, True), made.tail()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(daemon.pid, SIGCONT)
            daemon.signal(SIGKILL)


@contextlib.contextmanager
def short_of(pid: int, what: int, soft: int) -> Iterator[None]:
    """Less of a resource for a while, as somebody else's use of it would leave."""
    before = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (soft, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, what, before)


def speak(scene: Scene) -> list[Order]:
    """A report, and what the operator says while it is short: each until it is taken."""
    scene.client.say(Order("i1u1", "report", "severe"))
    return [
        Order("i1u2", "update", "severe", about="i1u1"),
        Order("i1u3", "correction", "severe", about="i1u1", corrects="i1u2"),
    ]


def under_shortage(scene: Scene, what: int, soft: int) -> None:
    orders = speak(scene)
    said = threading.Thread(target=lambda: [scene.client.say(order) for order in orders])
    with short_of(scene.daemon.pid, what, soft):
        said.start()
        said.join(SHORT)
    began = time.monotonic()
    said.join(90)
    assert not said.is_alive(), scene.tail()
    print(f"said {time.monotonic() - began:.1f} s after it had enough again")
    scene.judge()
    assert scene.daemon.alive


def test_short_of_files_it_recovers_without_a_restart(scene: Scene) -> None:
    opened = len(list(Path(f"/proc/{scene.daemon.pid}/fd").iterdir()))
    under_shortage(scene, resource.RLIMIT_NOFILE, opened + 3)


def test_with_a_twentieth_of_a_processor_nothing_comes_twice(scene: Scene) -> None:
    orders, over = speak(scene), threading.Event()

    def starve() -> None:
        while not over.wait(0.005):
            os.kill(scene.daemon.pid, SIGSTOP)
            over.wait(0.095)
            os.kill(scene.daemon.pid, SIGCONT)

    hog = threading.Thread(target=starve)
    hog.start()
    try:
        for order in orders:
            scene.client.say(order, over)
        taken = scene.client.told[-1].at
    finally:
        over.set()
        hog.join()
    scene.judge()
    first = min(
        each.at for each in arrivals(list(scene.hook.effects), "webhook") if each.label == "i1u3"
    )
    print(f"the correction was at the webhook {first - taken:.1f} s after it was accepted")


def test_what_cannot_be_used_is_in_health_and_the_rest_speaks(scene: Scene) -> None:
    scene.client.say(Order("i1u1", "report", "severe"))
    wait_until(lambda: '"broken"' in _health(scene), lambda: _health(scene))
    scene.judge()
    assert len(scene.kennel.effects) == 1


def _health(scene: Scene) -> str:
    return requests.get(f"{scene.client.root}/readyz", timeout=10).text
