"""Another program holds the SQLite file while the whole daemon runs: it is told in time, and nothing false is said."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from broadcaster.testing.commandline import Ended, run_command
from broadcaster.testing.crashing import Order
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.ports import free_port
from broadcaster.testing.scenes import Scene
from broadcaster.testing.servers import FarEnd, late

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(600)]
SOAK = bool(os.environ.get("SOAK"))
READERS = 150
FOR_EVER = 75.0  # seconds, more than all that is promised within a minute
ANSWERED = 10.0  # seconds; 5 are promised, twice that on a machine under load
REFUSED = "Ett annat program håller databasfilen. Inget sparades."
_HOLDER = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
other.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def held(database: Path) -> Iterator[subprocess.Popen[str]]:
    """Let a process that is none of ours hold the database, as somebody does who left a shell open."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder


def in_a_blast(scene: Scene) -> None:
    """A word whose letters are leaving now."""
    scene.phones.always(late(0.05))
    scene.client.say(Order("i1u1", "report", "severe"))
    scene.phones.wait_for(lambda far: len(far.effects) > 20)


def ask(scene: Scene, label: str, path: str = "/incidents", **more: Any) -> requests.Response:
    """Say something once; raises requests.Timeout where no answer comes in time."""
    root, headers = scene.client.root, {"Authorization": f"Bearer {scene.client.secret}"}
    body = {"text": f"Läge {label}.", **more}
    return requests.post(f"{root}/api/v1{path}", json=body, headers=headers, timeout=ANSWERED)


def report(scene: Scene, label: str) -> requests.Response:
    """A new word about an area."""
    return ask(scene, label, area=["sodra-ekbyn"], severity="minor")


def refused(answer: requests.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["Retry-After"] == "2"
    assert REFUSED in answer.json()["detail"]


def by_command(scene: Scene, label: str) -> Ended:
    """An operator's `broadcaster report` at the machine itself."""
    environ = {**os.environ, "BROADCASTER_TOKEN": scene.client.secret, "LANG": "sv_SE.UTF-8"}
    words = ("report", f"Läge {label}.", "--area", "sodra-ekbyn", "--severity", "minor", "--yes")
    return run_command((*words, "--config", str(scene.config)), environ, scene.config.parent)


def mentions(word: str, far: FarEnd) -> bool:
    return any(word in effect.text for effect in list(far.effects))


def test_who_holds_the_database_for_a_second_is_waited_for_and_longer_refuses_every_word(
    tmp_path: Path,
) -> None:
    with Scene(tmp_path, tmp_path, readers=READERS) as scene:
        daemon = scene.begin()
        in_a_blast(scene)
        order = Order("i2u1", "report", "severe")
        waits = threading.Thread(target=scene.client.say, args=(order,))
        with held(tmp_path / "broadcaster.db"):
            began = time.monotonic()
            waits.start()
            waits.join(1.0)
        waits.join()
        print(f"held for 1 s: accepted after {time.monotonic() - began:.1f} s")
        with held(tmp_path / "broadcaster.db"):
            with ThreadPoolExecutor() as at_once:
                command = at_once.submit(by_command, scene, "i98u1")
                wrong = f"/incidents/{scene.client.told[0].incident}/updates"
                retraction = at_once.submit(ask, scene, "i99u1", wrong, kind="retraction")
                assert scene.client.ask("GET", "/incidents").ok  # what was said can be read
                refused(retraction.result())
                commanded = command.result()
            assert scene.client.answers()  # it is somebody's backup until it has lasted
        assert commanded.code == 1, commanded
        assert REFUSED in commanded.err
        scene.client.say(Order("i3u1", "report", "severe"))
        code = scene.end(daemon)
    assert code == 0
    # What was refused would be found as never said.
    assert scene.judge() == []


@pytest.mark.skipif(not SOAK, reason="longer holds: with SOAK=1")
@pytest.mark.parametrize("seconds", [10.0, FOR_EVER], ids=["10 s", "for ever"])
def test_however_long_the_database_is_held_all_is_told_and_goes_out_when_it_is_let_go(
    tmp_path: Path, seconds: float
) -> None:
    page = f"127.0.0.1:{free_port()}"
    public = {"url": f"http://{page}", "directory": str(tmp_path / "public"), "listen": page}
    with Scene(tmp_path, tmp_path, readers=READERS, public=public) as scene:
        daemon = scene.begin()
        in_a_blast(scene)
        wait_until(lambda: "i1u1" in requests.get(public["url"], timeout=5).text, scene.tail)
        with held(tmp_path / "broadcaster.db"):
            began, number = time.monotonic(), 100
            while time.monotonic() - began < seconds:
                refused(report(scene, f"i{number}u1"))
                number += 1
            if seconds == FOR_EVER:
                scene.seen("store", 1.0)  # it has lasted longer than a minute
                scene.duty.wait_for(lambda far: mentions("databas", far), 1.0)
            assert "i1u1" in requests.get(public["url"], timeout=5).text
            assert daemon.alive
        let_go = time.monotonic()
        scene.client.say(Order("i2u1", "report", "severe"))
        print(f"{number - 100} refused; a word accepted {time.monotonic() - let_go:.1f} s after")
        wait_until(lambda: "store" not in scene.degraded(), scene.tail)
        code = scene.end(daemon)
    assert code == 0
    assert scene.judge() == []


@pytest.mark.skipif(not SOAK, reason="longer holds: with SOAK=1")
def test_while_the_database_is_held_a_stop_ends_a_start_is_refused_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    with Scene(tmp_path, tmp_path, readers=READERS) as scene:
        daemon = scene.begin()
        in_a_blast(scene)
        with held(tmp_path / "broadcaster.db") as holder:
            refused(report(scene, "i100u1"))
            scene.crashed()  # what is under way has no way to be written
            code, took = daemon.end(signal.SIGTERM)
            print(f"stopped with {code} after {took:.1f} s")
            assert scene.begin(ready=False).wait(30.0) == 1
            assert "Another program holds" in scene.tail().splitlines()[-1]
            holder.kill()
        daemon = scene.begin()
        scene.client.say(Order("i2u1", "report", "severe"))
        code = scene.end(daemon)
    assert code == 0
    assert scene.judge(in_flight=READERS) == []
