"""All the processes that the daemon's user may have are used up, by a plugin or by somebody else: the rest speaks."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

import pytest

from broadcaster.store import Store
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.crashing import Order
from broadcaster.testing.daemons import Client, Daemon, token, wait_until, whole
from broadcaster.testing.history import arrivals, judge
from broadcaster.testing.ports import free_port
from broadcaster.testing.rig import configuration, numbers, sms, webhook
from broadcaster.testing.scenes import OVER
from broadcaster.testing.servers import SmsGateway, WebhookReceiver
from broadcaster.testing.zoo import installed
from broadcaster.testing.zoo.beasts import Kennel

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.slow,
    pytest.mark.real("another user"),
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        not os.environ.get("SOAK"), reason="with SOAK=1; the limit itself is in test_bad_plugins.py"
    ),
]
READERS = 20
SHORT = 3.0
ALL = 3000  # processes and threads that the user may have
# Root is bound by no such limit. Whoever else it is reads our code all the same.
USER = 60_000 + os.getpid() % 5_000
FILES = "-all,+dac_override,+dac_read_search"
AS_USER = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
PLAIN = (
    *("prlimit", f"--nproc={ALL}:{ALL}"),
    *AS_USER,
    f"--inh-caps={FILES}",
    f"--ambient-caps={FILES}",
)


@dataclass
class Scene:
    """A daemon of a plain user, its client, and what its far ends got."""

    daemon: Daemon
    client: Client
    hook: WebhookReceiver
    phones: SmsGateway
    kennel: Kennel
    log: Path

    def tail(self) -> str:
        return self.log.read_text("utf-8", "replace")[-3000:]

    def judge(self) -> None:
        """Everything that was accepted came, and once."""
        wait_until(lambda: all(row["state"] in OVER for row in self.client.deliveries()), self.tail)
        told = self.client.told
        assert judge(told, arrivals(list(self.hook.effects), "webhook")) == []
        came = arrivals(list(self.phones.effects), "sms")
        assert judge(told, came, readers=numbers(READERS)) == []


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users come to: pytest's own are below one of root's alone."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@contextlib.contextmanager
def running(
    folder: Path, monkeypatch: pytest.MonkeyPatch, **beasts: Mapping[str, Any]
) -> Iterator[Scene]:
    site = str(installed(folder / "site"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([site, os.environ.get("PYTHONPATH", "")]))
    with WebhookReceiver() as hook, SmsGateway(preset="kannel") as phones, Kennel() as kennel:
        channels: dict[str, Any] = {"hook": webhook(hook), "sms": sms(phones)}
        for name, block in beasts.items():
            channels[name] = {"url": kennel.url, "folder": str(folder), **block}
        document = configuration(folder, channels)
        document |= {"api": {"listen": f"127.0.0.1:{free_port()}"}}
        document |= {"audit_head": str(folder / "audit-head")}
        config, log = folder / "broadcaster.yaml", folder / "daemon.log"
        config.write_text(json.dumps(document))
        store = Store(document["store"]["url"], KEY)
        client = Client(document["api"]["listen"], token(store))
        subscribe(store, "sms", numbers(READERS))
        store.close()
        for each in (folder, *folder.rglob("*")):
            os.chown(each, USER, USER)
        daemon = whole(config, log, under=PLAIN)
        made = Scene(daemon, client, hook, phones, kennel, log)
        try:
            wait_until(client.answers, made.tail, seconds=60)
            yield made
            code, seconds = daemon.end(SIGTERM)
            assert (code, seconds < 20) == (0, True), made.tail()
        finally:
            daemon.signal(SIGKILL)


def may_have(pid: int, processes: int) -> None:
    """Let a process of that user be refused more than so many, as if others had taken the rest."""
    limit = ("prlimit", f"--pid={pid}", f"--nproc={processes}:{ALL}")
    subprocess.run([*AS_USER, *limit], check=True)


def test_a_plugin_that_starts_processes_without_end_leaves_the_daemon_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"kind": "multiplies", "own_process": True}
    with running(folder, monkeypatch, bad=bad) as scene:
        scene.client.say(Order("i1u1", "report", "severe"))
        wait_until((folder / "crowd").exists, scene.tail)
        for number in range(2, 5):
            scene.client.say(Order(f"i{number}u1", "report", "severe"))
        scene.judge()
        crowd = json.loads((folder / "crowd").read_text())
    print(f"{crowd} processes of {ALL}")
    assert 0 < crowd < ALL


def say_until_taken(scene: Scene, orders: list[Order]) -> None:
    """Each again for as long as it is refused, in whatever way."""
    for order in orders:
        taken = False
        while not taken:
            with contextlib.suppress(AssertionError):
                taken = scene.client.say(order)


def test_a_user_who_may_start_no_process_for_a_while_gets_everything_out_afterwards(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(folder, monkeypatch) as scene:
        scene.client.say(Order("i1u1", "report", "severe"))
        orders = [Order(f"i{number}u1", "report", "severe") for number in range(2, 6)]
        said = threading.Thread(target=say_until_taken, args=(scene, orders))
        may_have(scene.daemon.pid, 1)
        said.start()
        said.join(SHORT)
        may_have(scene.daemon.pid, ALL)
        said.join(60)
        assert not said.is_alive(), scene.tail()
        scene.judge()
        assert scene.daemon.alive
