"""The whole daemon, killed in the middle of what it is told over HTTP: nothing is lost, torn or sent twice."""

from __future__ import annotations

import os
import random
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from broadcaster.daemon import offline
from broadcaster.testing.crashing import Order
from broadcaster.testing.published import judge_looks, look, shown
from broadcaster.testing.scenes import Scene
from broadcaster.testing.servers import FarEnd, late

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(36_000)]
KILLS = 200 if os.environ.get("SOAK") else 10  # over each store


def orders(number: int) -> list[Order]:
    """Each word milder than the one before; the second is put right, by turns by a correction and a retraction."""
    first, kind = f"i{number}u1", "correction" if number % 2 else "retraction"
    return [
        Order(first, "report", "extreme" if number % 3 else "severe"),
        Order(f"i{number}u2", "update", "moderate", first),
        Order(f"i{number}u3", kind, "moderate", first, f"i{number}u2"),
    ]


def test_killed_over_sqlite_whatever_it_was_doing(tmp_path: Path) -> None:
    killed_again_and_again(tmp_path, "")


@pytest.mark.real("postgresql")
def test_killed_over_postgresql_whatever_it_was_doing(tmp_path: Path, postgresql_url: str) -> None:
    killed_again_and_again(tmp_path, postgresql_url)


def killed_again_and_again(folder: Path, url: str) -> None:
    dice = random.Random(seed := random.randrange(10**6))
    with Scene(folder, folder, url=url) as scene:
        for far in (scene.social, scene.hook, scene.phones):
            far.always(late(0.02), every=2)
        looks, starts, ready = [], [], []
        for number in range(1, KILLS + 1):
            began = time.time()
            daemon = scene.begin()
            ready.append(time.time() - began)
            with scene.speaking(orders(number)):
                if number % 2:  # in the middle of what leaves, else wherever it is
                    seen = len(scene.hook.effects)
                    scene.hook.wait_for(partial(_has_more, seen), 60.0)
                time.sleep(dice.uniform(0.0, 0.6))
                daemon.signal(signal.SIGKILL)
                daemon.wait(10.0)
                scene.crashed()
            starts.append((began, time.time()))
            looks.append(look(folder / "public", "page"))
            if number % 50 == 0:
                print(f"{number} kills")
        daemon = scene.begin()
        for number in range(1, KILLS + 1):
            for order in orders(number):
                if order.label not in {one.label for one in scene.client.told}:
                    assert scene.client.say(order)
        assert scene.end(daemon) == 0, scene.tail()
        problems = scene.judge(in_flight=len(scene.readers))
        last = look(folder / "public", "page")
        standing = shown(folder / "public", last, "index.html")
        problems += judge_looks(scene.client.told, [*looks, last], standing)
        first = [at for start in starts if (at := _first(scene, *start)) is not None]
        print(
            f"seed {seed}: {KILLS} kills, ready after at most {max(ready):.2f} s, first dispatch after a start "
            f"at most {max(first, default=0.0):.2f} s"
        )
        assert problems == [], f"seed {seed}, log {scene.log}"
        assert offline.verify_audit(scene.config) == []


def _has_more(seen: int, far: FarEnd) -> bool:
    return len(far.effects) > seen


def _first(scene: Scene, began: float, ended: float) -> float | None:
    """Seconds from a start to the first text that anybody received, None when it died before."""
    fars = (scene.social, scene.hook, scene.phones)
    times = [one.at.timestamp() for far in fars for one in far.effects]
    return min((at - began for at in times if began <= at <= ended), default=None)
