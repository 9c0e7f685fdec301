"""Told to end or to read its file again in the middle of a blast: it stops in time, in order, and loses nothing."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, Signals
from typing import Any

import pytest

from broadcaster.engine.blast import AHEAD
from broadcaster.store import Store
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.crashing import Order
from broadcaster.testing.daemons import Client, Daemon, Nursery, token, wait_until, whole
from broadcaster.testing.history import arrivals, judge
from broadcaster.testing.ports import free_port
from broadcaster.testing.rig import configuration, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import MastodonServer, SmsGateway, WebhookReceiver, hang, late

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(3600)]
SOAK = bool(os.environ.get("SOAK"))
LIVES = 200 if SOAK else 10
READERS = 60
WINDOW = 8
STOP_SECONDS = 10.0
OVER = {"accepted", "confirmed", "withdrawn", "superseded", "uncertain", "failed", "expired"}
ENDINGS: list[list[Signals]] = [
    [SIGTERM],
    [SIGINT],
    [SIGTERM, SIGTERM],
    [SIGINT, SIGTERM],
    [SIGTERM, SIGHUP, SIGTERM],
]


@dataclass
class Scene:
    """Far ends, a store and a configuration; `variant` n is the same with other settings of the channels."""

    folder: Path
    document: dict[str, Any]
    client: Client
    social: MastodonServer
    hook: WebhookReceiver
    phones: SmsGateway
    labels: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "broadcaster.yaml"

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    def tail(self) -> str:
        return self.log.read_text("utf-8", "replace")[-4000:]

    def write(self, variant: int = 0) -> None:
        """Put the configuration in place at once, as an editor does; each variant changes every channel."""
        for block in self.document["channels"].values():
            block["deadline"] = f"{20 + variant}s"
        fresh = self.folder / "new.yaml"
        fresh.write_text(json.dumps(self.document), "utf-8")
        fresh.replace(self.config)

    def ready(self, daemon: Daemon) -> Daemon:
        wait_until(self.client.answers, self.tail)
        return daemon

    def settled(self) -> bool:
        return all(row["state"] in OVER for row in self.client.deliveries())

    def judge(self, what: str, in_doubt: Mapping[str, int] | None = None) -> None:
        """By what the far ends received: nothing lost, nothing twice, in order; so many letters may be in doubt."""
        told = self.client.told
        assert [one.label for one in told] == self.labels, what
        for came, readers in self._came():
            assert judge(told, came, readers=readers, flagged=in_doubt) == [], what

    def _came(self) -> Iterator[tuple[list[Any], list[str]]]:
        yield arrivals(list(self.social.effects), "status"), [""]
        yield arrivals(list(self.hook.effects), "webhook"), [""]
        yield arrivals(list(self.phones.effects), "sms"), numbers(READERS)


def scene(folder: Path, url: str = "", boards: bool = False) -> Iterator[Scene]:
    with (
        MastodonServer() as social,
        WebhookReceiver() as hook,
        SmsGateway(preset="kannel") as phones,
    ):
        channels = {"social": mastodon(social), "hook": webhook(hook), "sms": sms(phones)}
        channels["sms"]["suppliers"][0]["window"] = WINDOW
        page = f"127.0.0.1:{free_port()}"
        public = {"url": f"http://{page}", "directory": str(folder / "public"), "listen": page}
        if boards:
            channels |= {"page": {"kind": "page"}, "feed": {"kind": "feed"}}
        document = configuration(folder, channels, url=url) | {
            "api": {"listen": f"127.0.0.1:{free_port()}"},
            "audit_head": str(folder / "audit-head"),
        }
        if boards:
            document |= {"public": public}
        store = Store(document["store"]["url"], KEY)
        client = Client(document["api"]["listen"], token(store))
        subscribe(store, "sms", numbers(READERS))
        store.close()
        set_up = Scene(folder, document, client, social, hook, phones)
        set_up.write()
        yield set_up
        for far in (social, hook, phones):
            far.release()


@pytest.fixture
def forked(store_url: str, tmp_path: Path) -> Iterator[Scene]:
    yield from scene(tmp_path, store_url)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Scene]:
    yield from scene(tmp_path, boards=True)


def orders(life: int) -> list[Order]:
    """What is said in one life: each milder than the one before; by turns one is corrected, one retracted."""
    first = f"i{life}u1"
    last = (
        Order(f"i{life}u3", "correction", "moderate", first, f"i{life}u2")
        if life % 2
        else Order(f"i{life}u3", "retraction", "moderate", first, f"i{life}u2")
    )
    severity = "extreme" if life % 3 else "severe"
    return [
        Order(first, "report", severity),
        Order(f"i{life}u2", "update", "moderate", first),
        last,
    ]


def signalled(daemon: Daemon, numbers: list[Signals], dice: random.Random) -> tuple[int, float]:
    """Send these, a moment between them; how many were sent, and how long it took from the first that ends."""
    sent, began = 0, 0.0
    for number in numbers:
        if number is not SIGHUP and not began:
            began = time.monotonic()
        if not daemon.signal(number):
            break
        sent += 1
        time.sleep(dice.uniform(0.0, 0.12))
    code = daemon.wait(30.0)
    assert code == 0, numbers
    return sent, time.monotonic() - began


def test_signalled_again_and_again_in_a_blast_it_stops_in_time_and_nothing_is_lost_or_twice(
    forked: Scene,
) -> None:
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    what = f"seed {seed}, log {forked.log}"
    for far in (forked.social, forked.hook, forked.phones):
        far.always(late(0.03))
    signals, slowest = 0, 0.0
    with Nursery(forked.log) as nursery:
        for life in range(1, LIVES + 1):
            daemon = forked.ready(nursery.begin(forked.config))
            said, over = orders(life), threading.Event()
            forked.client.say(said[0])
            rest = threading.Thread(target=lambda said=said, over=over: _say(forked, said, over))
            rest.start()
            for turn in range(dice.randint(2, 8)):
                time.sleep(dice.uniform(0.0, 0.1))
                forked.write(turn)
                signals += daemon.signal(SIGHUP)
            sent, took = signalled(daemon, ENDINGS[life % len(ENDINGS)], dice)
            signals, slowest = signals + sent, max(slowest, took)
            over.set()
            rest.join()
            assert took <= STOP_SECONDS, f"life {life}: {took:.1f} s, {what}"
            forked.labels += [order.label for order in said]
            # What the end cut off is said by the next life, under the same key.
            pending = [order for order in said if order.label not in _labels(forked)]
            if pending:
                daemon = forked.ready(nursery.begin(forked.config))
                for order in pending:
                    forked.client.say(order)
                _, took = signalled(daemon, [SIGTERM], dice)
                assert took <= STOP_SECONDS, what
        daemon = forked.ready(nursery.begin(forked.config))
        wait_until(forked.settled, forked.tail, 120.0)
        doubts = [row for row in forked.client.deliveries() if row["state"] == "uncertain"]
        counted = [
            row["counts"]["uncertain"] for row in forked.client.deliveries() if row["counts"]
        ]
        code, _ = daemon.end(SIGTERM)
    print(f"{signals} signals, the slowest stop took {slowest:.2f} s")
    assert code == 0
    assert doubts == [], what
    assert sum(counted) == 0, what
    forked.judge(what)


HANGING: list[list[Signals]] = [[SIGTERM], [SIGINT, SIGINT], [SIGHUP, SIGTERM]]


@pytest.mark.parametrize("numbers", HANGING, ids=lambda numbers: "-".join(n.name for n in numbers))
def test_with_every_far_end_hanging_it_stops_in_time_and_what_is_in_doubt_is_not_repeated(
    numbers: list[Signals], tmp_path: Path
) -> None:
    for hanging in scene(tmp_path):
        fars = (hanging.social, hanging.hook, hanging.phones)
        for far in fars:
            far.always(hang().after_effect(), method="POST")
        hanging.phones.always(hang().after_effect(), method="GET", path="sendsms")
        with Nursery(hanging.log) as nursery:
            daemon = hanging.ready(nursery.begin(hanging.config))
            hanging.labels = ["i1u1", "i2u1"]
            hanging.client.say(Order("i1u1", "report", "severe"))
            hanging.client.say(Order("i2u1", "report", "severe"))
            for far in fars:
                far.wait_for(lambda far: bool(far.effects))
            hanging.write(1)
            with _half_a_request(hanging.client.root):
                _, took = signalled(daemon, numbers, random.Random(1))
            assert took <= STOP_SECONDS
            for far in fars:
                far.heal()
                far.release()
            daemon = hanging.ready(nursery.begin(hanging.config))
            wait_until(hanging.settled, hanging.tail, 60.0)
            in_doubt = {
                f"i{row['incident'][1:]}u{row['update']}": row["counts"]["uncertain"]
                for row in hanging.client.deliveries()
                if row["channel"] == "sms"
            }
            assert daemon.end(SIGTERM)[0] == 0
        # One job sends at a time: beyond what it may have pulled nothing is in doubt.
        assert sum(in_doubt.values()) <= min(AHEAD, READERS)
        hanging.judge(str(hanging.log), in_doubt)


@contextlib.contextmanager
def _half_a_request(url: str) -> Iterator[None]:
    """A client whose request does not come to its end."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as half:
        head = "POST /api/v1/preview HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{"
        half.sendall(head.encode())
        yield


def test_the_whole_process_with_its_public_server_obeys_every_signal(alone: Scene) -> None:
    for far in (alone.social, alone.hook, alone.phones):
        far.always(late(0.05))
    lock = alone.folder / "broadcaster.db.lock"
    sent = 0
    for life, number in enumerate((SIGTERM, SIGINT, SIGTERM), start=1):
        lock.unlink()
        daemon = whole(alone.config, alone.log)
        # A reload asked for while it starts does not end it.
        wait_until(lock.exists, alone.tail)
        sent += daemon.signal(SIGHUP)
        alone.ready(daemon)
        for order in orders(life):
            alone.client.say(order)
            alone.labels.append(order.label)
            alone.write(sent)
            sent += daemon.signal(SIGHUP)
        began = time.monotonic()
        # Impatience changes nothing, also while the store closes and the interpreter ends.
        sent += daemon.volley(number) if life != 1 else daemon.signal(number)
        assert daemon.wait(30.0) == 0, alone.tail()
        assert time.monotonic() - began <= STOP_SECONDS
    daemon = alone.ready(whole(alone.config, alone.log))
    wait_until(alone.settled, alone.tail, 60.0)
    assert {row["counts"]["uncertain"] for row in alone.client.deliveries() if row["counts"]} == {0}
    assert daemon.end(SIGTERM)[0] == 0
    assert sent >= 15
    alone.judge(str(alone.log))
    shown = "".join(
        page.read_text("utf-8") for page in (alone.folder / "public").rglob("index.html")
    )
    assert all(f"i{life}u3" in shown for life in (1, 2, 3))


def _labels(scene: Scene) -> set[str]:
    return {one.label for one in scene.client.told}


def _say(scene: Scene, said: list[Order], over: threading.Event) -> None:
    for order in said[1:]:
        if not scene.client.say(order, over):
            return
