"""The power is cut at random moments: what was accepted is there, and the daemon goes on from what the disk holds."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from broadcaster.engine.blast import AHEAD
from broadcaster.testing.crashing import Order
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.disks import Disk
from broadcaster.testing.history import Told, arrivals, duplicates
from broadcaster.testing.peers import PEERS
from broadcaster.testing.powercut import cut, missing
from broadcaster.testing.scenes import Scene

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.slow,
    pytest.mark.real("loop device"),
    pytest.mark.timeout(3600),
]
SOAK = bool(os.environ.get("SOAK"))
ROUNDS = 14 if SOAK else 1
CUTS = 15 if SOAK else 12
READERS = 40
SPEAKERS = 3
ALL_LOST = 8  # cuts within which a disk that lies is found out


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path / "disk") as made:
        yield made


def orders(speaker: int) -> Iterator[Order]:
    """More than can be said: each update milder than the one before, so that none supersedes another."""
    for number in itertools.count(speaker, SPEAKERS):
        opening = f"i{number}u1"
        severities = ("extreme", "moderate") if number % 3 else ("severe", "moderate")
        yield Order(opening, "report", severities[0])
        yield Order(f"i{number}u2", "update", severities[1], opening)
        kind = "correction" if number % 2 else "retraction"
        yield Order(f"i{number}u3", kind, severities[1], opening, f"i{number}u2")


def _grown(told: list[Told], enough: int) -> bool:
    return len(told) >= enough


def cuts(
    scene: Scene, disk: Disk, dice: random.Random, count: int
) -> Iterator[tuple[int, list[str]]]:
    """So many lives, each ended by a power cut: how many answers it was judged by, and what of them was lost."""
    told = scene.client.told
    for _ in range(count):
        enough = len(told) + dice.randint(1, 6)
        if dice.random() < 0.2:
            daemon = scene.begin(ready=False)  # it is cut off while it starts
        else:
            daemon = scene.begin()
            wait_until(partial(_grown, told, enough), scene.tail)
        time.sleep(dice.uniform(0.0, 0.3))
        before = cut(scene, disk, daemon)
        yield len(before), missing(disk, before)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_whenever_the_power_is_cut_nothing_accepted_is_lost_and_nothing_comes_twice(
    tmp_path: Path, disk: Disk, round_: int
) -> None:
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    speakers = [orders(first) for first in range(1, SPEAKERS + 1)]
    with Scene(tmp_path, disk.folder, readers=READERS) as scene:
        what = f"round {round_}, seed {seed}, log {scene.log}"
        with scene.speaking(*speakers):
            found = list(cuts(scene, disk, dice, CUTS))
        answers = [count for count, _ in found]
        print(f"{CUTS} cuts, {answers[-1]} answers, lost: {[lost for _, lost in found if lost]}")
        assert [lost for _, lost in found if lost] == [], what
        assert answers[-1] > CUTS, what
        daemon = scene.begin()
        # What no answer came to may be accepted, and have made needless what was said before it.
        scene.hear_the_rest()
        code = scene.end(daemon)
        twice = duplicates(arrivals(list(scene.phones.effects), "sms"))
    assert code == 0, what
    assert scene.judge(in_flight=2 * min(AHEAD, READERS)) == [], what
    # A letter is repeated only where life depends on it.
    assert set(twice) <= {one.label for one in scene.client.told if one.severity == "extreme"}, what
    print(f"{sum(twice.values())} letters came twice")


@pytest.mark.parametrize(
    "lies",
    [
        "the database asks for no sync",
        pytest.param("the system says it synced", marks=pytest.mark.real("eatmydata")),
    ],
)
def test_a_disk_that_only_says_it_keeps_what_it_is_given_is_found_out(
    tmp_path: Path, disk: Disk, lies: str
) -> None:
    lying: dict[str, Any] = {"module": "broadcaster.testing.powercut"}
    if lies.startswith("the system"):
        lying = {"environment": {"LD_PRELOAD": str(PEERS["eatmydata"].path("libeatmydata"))}}
    speakers = [orders(first) for first in range(1, SPEAKERS + 1)]
    with Scene(tmp_path, disk.folder, **lying) as scene, scene.speaking(*speakers):
        lost = next((lost for _, lost in cuts(scene, disk, random.Random(), ALL_LOST) if lost), [])
    print(f"{len(lost)} answers lost at the first cut that lost any")
    assert lost
