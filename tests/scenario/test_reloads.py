"""Told again and again to read its file anew, good or bad, while people go on speaking: nothing is lost, nothing grows."""

from __future__ import annotations

import copy
import json
import os
import queue
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGHUP, SIGTERM
from typing import Any

import pytest

from broadcaster.daemon import starting
from broadcaster.domain.delivery import State
from broadcaster.engine import engine as engine_module
from broadcaster.registry import Adapter
from broadcaster.settings import ConfigErrors, load
from broadcaster.store import Store, channels
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.crashing import Order
from broadcaster.testing.daemons import Client, Daemon, token, wait_until, whole
from broadcaster.testing.history import arrivals, duplicates, judge as judge_history
from broadcaster.testing.ports import free_port
from broadcaster.testing.rig import Rig, configuration, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import (
    FarEnd,
    MastodonServer,
    SmsGateway,
    WebhookReceiver,
    hang,
    late,
    unavailable,
)

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(3600)]
SOAK = bool(os.environ.get("SOAK"))
RELOADS = 5000 if SOAK else 110
WARM = 40
READERS = 20
CONNECTIONS = 12  # a listener, the pipes of two loops, and a probe of each channel: 7 seen
MEMORY = 12 * 2**20, 2**16  # bytes once, and a reload; a lane that is left behind costs far more
OVER = {"accepted", "confirmed", "superseded", "uncertain", "failed", "expired", "withdrawn"}


@dataclass
class Scene:
    """A daemon as a process of its own, its file, its log and its far ends.

    `document` is the good configuration last put in place.
    """

    folder: Path
    document: dict[str, Any]
    client: Client
    fars: dict[str, FarEnd]
    daemon: Daemon
    seen: int = 0
    labels: dict[str, list[str]] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "broadcaster.yaml"

    def tail(self) -> str:
        return (self.folder / "daemon.log").read_text("utf-8", "replace")[-3000:]

    def put(self, text: str) -> None:
        fresh = self.folder / "new.yaml"
        fresh.write_text(text, "utf-8")
        fresh.replace(self.config)

    def ask_again(self, text: str) -> str:
        """Put a text in the place of the file and ask for a reload; returns the text's digest, "" of a bad one."""
        self.put(text)
        try:
            digest = load(self.config, os.environ).digest[:12]
        except ConfigErrors:
            digest = ""
        self.daemon.signal(SIGHUP)
        return digest

    def answered(self, event: str, **facts: str) -> None:
        """Wait for a line of the log that was not looked at yet, of this event and with these words in its fields."""

        def met() -> bool:
            log = (self.folder / "daemon.log").read_bytes()
            new = log[self.seen : log.rfind(b"\n") + 1]
            self.seen += len(new)
            rows = [json.loads(line) for line in new.splitlines() if line.startswith(b"{")]
            return any(
                row["event"].startswith(event)
                and all(words in row.get(name, "") for name, words in facts.items())
                for row in rows
            )

        wait_until(met, self.tail)

    def in_force(self) -> tuple[set[str], set[str]]:
        """The channels and the areas of the configuration that is in force."""
        said = self.client.ask("GET", "/organisation").json()
        return {row["name"] for row in said["channels"]}, {row["key"] for row in said["areas"]}

    def written(self) -> tuple[set[str], set[str]]:
        return set(self.document["channels"]), set(self.document["areas"])

    def settled(self) -> bool:
        return all(row["state"] in OVER for row in self.client.deliveries())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with (
        MastodonServer() as social,
        WebhookReceiver() as hook,
        WebhookReceiver() as extra,
        SmsGateway(preset="kannel") as phones,
    ):
        blocks = {
            "social": mastodon(social),
            "hook": webhook(hook),
            "extra": webhook(extra),
            "sms": sms(phones),
        }
        document = configuration(tmp_path, blocks) | {
            "api": {"listen": f"127.0.0.1:{free_port()}"},
            "audit_head": str(tmp_path / "audit-head"),
        }
        store = Store(document["store"]["url"], KEY)
        client = Client(document["api"]["listen"], token(store))
        subscribe(store, "sms", numbers(READERS))
        store.close()
        (tmp_path / "broadcaster.yaml").write_text(spell(document), "utf-8")
        daemon = whole(tmp_path / "broadcaster.yaml", tmp_path / "daemon.log")
        fars = {"social": social, "hook": hook, "extra": extra, "sms": phones}
        running = Scene(tmp_path, document, client, fars, daemon)
        try:
            wait_until(client.answers, running.tail)
            yield running
        finally:
            if daemon.alive:
                daemon.end(SIGTERM)


def spell(document: dict[str, Any]) -> str:
    """As YAML, a line for each value."""
    return json.dumps(document, indent=1)


# ---------------------------------------------------------------------------------------------------- good files
def changed(scene: Scene, turn: int) -> dict[str, Any]:
    """Another pace for texts, another address and deadline for one channel."""
    document = copy.deepcopy(scene.document)
    document["channels"]["hook"]["url"] = f"{scene.fars['hook'].url}/in{turn % 3}"
    document["channels"]["hook"]["deadline"] = f"{20 + turn % 7}s"
    if "sms" in document["channels"]:
        document["channels"]["sms"]["suppliers"][0]["rate"] = 200 + turn % 5
    return document


def without(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Without a channel, also in the route."""
    document = copy.deepcopy(document)
    del document["channels"][name]
    document["routes"][0]["channels"].remove(name)
    return document


def other_areas(scene: Scene, _: int) -> dict[str, Any]:
    """One area more, or one less: every channel's surroundings change."""
    document = copy.deepcopy(scene.document)
    if document["areas"].pop("vastra-ekbyn", None) is None:
        document["areas"]["vastra-ekbyn"] = {"name": "Västra Ekbyn"}
    return document


# ----------------------------------------------------------------------------------------------------- bad files
def torn(good: dict[str, Any]) -> tuple[str, str]:
    """A file that was not written to its end, and what must stand in the refusal."""
    text = spell(good)
    return text[: text.index('"routes"')], "broadcaster.yaml:"


def unknown_key(good: dict[str, Any]) -> tuple[str, str]:
    document = copy.deepcopy(good)
    document["channels"]["hook"]["tempo"] = 7
    text = spell(document)
    return text, f"broadcaster.yaml:{line_of(text, 'tempo')}  channels.hook.tempo"


def missing_secret(good: dict[str, Any]) -> tuple[str, str]:
    document = copy.deepcopy(good)
    document["channels"]["hook"]["secret"] = "file:secrets/nowhere"
    text = spell(document)
    return text, f"broadcaster.yaml:{line_of(text, 'nowhere')}  channels.hook.secret"


def line_of(text: str, word: str) -> int:
    return text[: text.index(word)].count("\n") + 1


BAD = (torn, unknown_key, missing_secret)
GOOD: tuple[Callable[[Scene, int], dict[str, Any]], ...] = (changed, other_areas)


# ------------------------------------------------------------------------------------------------------ the turns
class Speaker:
    """Speaks from a thread of its own, beside the reloads: one order for each ticket."""

    def __init__(self, scene: Scene) -> None:
        self._scene, self._tickets = scene, queue.Queue[Order | None]()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="speaker")
        self._thread.start()

    def say(self, order: Order) -> None:
        self._tickets.put(order)

    def caught_up(self) -> None:
        """Wait until everything asked for so far was answered."""
        self._tickets.join()
        assert self.failure is None

    def end(self) -> None:
        self._tickets.put(None)
        self._thread.join()
        assert self.failure is None

    def _run(self) -> None:
        while (order := self._tickets.get()) is not None:
            try:
                self._scene.client.say(order)
            except BaseException as error:  # noqa: BLE001 - the test's own thread says it
                self.failure = error
            self._tickets.task_done()


def orders() -> Iterator[Order]:
    """Incidents without end, each of a report and a milder update, which supersedes nothing."""
    number = 0
    while True:
        number += 1
        yield Order(f"i{number}u1", "report", "severe")
        yield Order(f"i{number}u2", "update", "minor", f"i{number}u1")


class Turns:
    """The reloads, one after the other; `gone` is the channel that is out of the configuration, or ""."""

    def __init__(self, scene: Scene, speaker: Speaker, dice: random.Random) -> None:
        self.scene, self.speaker, self.dice = scene, speaker, dice
        self.said, self.gone, self.block = orders(), "", dict[str, Any]()

    def one(self, turn: int) -> None:
        """One reload, with somebody speaking beside it every third time."""
        if turn % 3 == 0:
            self.speaker.say(next(self.said))
        kind = self.dice.randrange(8)
        if kind < 3:
            self.refused(*BAD[kind](self.scene.document))
        elif kind < 5:
            self.taken(GOOD[kind - 3](self.scene, turn))
        elif kind == 5:
            self.at_once(turn)
        elif self.gone:
            self.bring_back()
        else:
            self.take_away(self.dice.choice(("extra", "sms")))

    def refused(self, text: str, reason: str) -> None:
        self.scene.ask_again(text)
        self.scene.answered("configuration refused", reason=reason)
        assert self.scene.in_force() == self.scene.written()

    def taken(self, document: dict[str, Any]) -> None:
        digest = self.scene.ask_again(spell(document))
        self.scene.answered("configuration reloaded", digest=digest)
        self.scene.document = document
        assert self.scene.in_force() == self.scene.written()

    def at_once(self, turn: int) -> None:
        """Two files and two signals without a pause: in the end the second is in force."""
        self.scene.ask_again(spell(other_areas(self.scene, turn)))
        self.taken(changed(self.scene, turn))

    def take_away(self, name: str) -> None:
        """Take a channel out while something waits for it: it is seen to wait."""
        scene = self.scene
        scene.fars[name].heal()
        scene.fars[name].always(unavailable(), method="" if name == "sms" else "POST")
        self.speaker.say(next(self.said))
        self.speaker.caught_up()
        self.block = scene.document["channels"][name]
        self.taken(without(scene.document, name))
        self.gone = name
        seen = scene.client.channels()[name]
        assert seen["state"] == "gone"
        assert seen["queued"] >= 1

    def bring_back(self) -> None:
        document = copy.deepcopy(self.scene.document)
        document["channels"][self.gone] = self.block
        document["routes"][0]["channels"].append(self.gone)
        self.scene.fars[self.gone].heal()
        if self.gone == "sms":
            self.scene.fars["sms"].always(late(0.02))
        self.taken(document)
        self.gone = ""

    def quiet(self) -> tuple[int, int, int]:
        """With every channel there, nothing left to do and no connection kept: threads, open files, resident bytes."""
        if self.gone:
            self.bring_back()
        self.speaker.caught_up()
        wait_until(self.scene.settled, self.scene.tail, 90.0)
        # Every lane is a new one after this, and those before it have let go of what they kept open.
        self.taken(other_areas(self.scene, 0))
        daemon = self.scene.daemon
        wait_until(lambda: daemon.sockets <= CONNECTIONS, lambda: f"{daemon.sockets} connections")
        return daemon.threads, daemon.files, daemon.memory


def test_reloaded_hundreds_of_times_while_people_speak_nothing_is_lost_and_nothing_grows(
    scene: Scene,
) -> None:
    seed = random.randrange(10**6)
    scene.fars["sms"].always(late(0.02))
    speaker = Speaker(scene)
    turns = Turns(scene, speaker, random.Random(seed))
    try:
        for turn in range(1, WARM + 1):
            turns.one(turn)
        first = turns.quiet()
        for turn in range(WARM + 1, RELOADS + 1):
            turns.one(turn)
        last = turns.quiet()
        # What waits on a channel that is gone can be given up, or handed on; then the channel is gone for good.
        for act, body in (("drop", {}), ("reroute", {"to": "hook"})):
            turns.take_away("extra")
            assert scene.client.ask("POST", f"/channels/extra/{act}", json=body).status_code == 200
            assert "extra" not in scene.client.channels()
            turns.bring_back()
        turns.quiet()
    finally:
        speaker.end()
    print(f"threads, files, bytes after {WARM} reloads: {first}, after {RELOADS}: {last}")
    what = f"seed {seed}, log {scene.folder}/daemon.log"
    judge(scene, what)
    assert last[0] <= first[0] + 8, what
    assert last[1] <= first[1] + 8, what
    assert last[2] <= first[2] + MEMORY[0] + MEMORY[1] * (RELOADS - WARM), what
    assert scene.daemon.end(SIGTERM)[0] == 0


def judge(scene: Scene, what: str) -> None:
    """By what the far ends received of what each channel was told to carry."""
    client = scene.client
    given_up = {
        (row["channel"], row["incident"], row["update"])
        for row in client.deliveries()
        if row["state"] == "withdrawn"
    }
    for name, far in scene.fars.items():
        kind = {"social": "status", "sms": "sms"}.get(name, "webhook")
        came = arrivals(list(far.effects), kind)
        told = [
            one
            for one in client.told
            if name in client.carried[one.label]
            and (name, one.incident, one.number) not in given_up
        ]
        assert told, what
        readers = numbers(READERS) if name == "sms" else [""]
        ordered = [one.label for one in client.told]
        assert judge_history(told, came, readers=readers, ordered=ordered) == [], f"{name}: {what}"


# ------------------------------------------------------------------------------------------------ one promise each
def swap(rig: Rig, adapters: dict[str, Adapter], *, gone: str = "", changed: str = "") -> None:
    """What a reload asks of the engine."""
    left, other = frozenset({gone} - {""}), frozenset({changed} - {""})
    rig.call(rig.engine.swap(adapters, left, other, "another"))


def test_a_call_that_runs_at_a_reload_ends_on_the_old_lane_however_long_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "DRAIN_SECONDS", 0.05)
    with WebhookReceiver() as far:
        far.next(hang().after_effect(), method="POST")
        with Rig(tmp_path, {"hook": webhook(far)}) as rig:
            rig.say("Läge i1u1.")
            far.wait_for(lambda far: bool(far.effects))
            old = rig.lane("hook")
            swap(rig, dict(rig.adapters), changed="hook")
            assert rig.lane("hook") is not old
            rig.say("Läge i2u1.", area=("sodra-ekbyn",))
            rig.accepted("hook", incident="A2")  # the new lane works meanwhile
            far.release()
            rig.accepted("hook")
            assert rig.delivery("hook")["attempts"] == 1
        assert duplicates(arrivals(list(far.effects), "webhook")) == {}


def test_a_blast_of_a_channel_that_is_gone_comes_to_an_end_at_its_time(tmp_path: Path) -> None:
    with SmsGateway(preset="kannel") as phones:
        phones.always(unavailable())
        with Rig(tmp_path, {"sms": sms(phones)}) as rig:
            rig.subscribe("sms", numbers(READERS))
            rig.say("Läge i1u1.")
            rig.reached(State.SENDING, channel="sms")
            phones.wait_for(lambda far: any("sendsms" in each.path for each in far.requests))
            swap(rig, {}, gone="sms")
            rig.until(lambda: not rig.engine._leaving)
            assert rig.state("sms") == State.SENDING
            rig.clock_only(hours=13)
            rig.sweep()
            rig.reached(State.EXPIRED, State.FAILED, channel="sms")
            assert rig.store.read(channels.queued) == {}


def test_a_channel_that_was_changed_is_asked_at_once_whether_it_would_work(tmp_path: Path) -> None:
    with (
        MastodonServer() as old,
        MastodonServer() as new,
        Rig(tmp_path, {"social": mastodon(old)}) as rig,
    ):
        old.wait_for(1)
        configured = configuration(tmp_path, {"social": mastodon(new)})
        rig.path.write_text(spell(configured), "utf-8")
        swap(rig, dict(starting.configure(rig.path)[1].adapters), changed="social")
        new.wait_for(1)
