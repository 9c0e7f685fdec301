"""A machine dies, stops for a while or is cut off in the middle of everything: the others go on, and nobody hears of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broadcaster.testing.cluster import Node, Site
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.namespaces import Cut
from broadcaster.testing.siege import WINDOW, Siege

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.slow,
    pytest.mark.real("postgresql", "netns"),
    pytest.mark.timeout(3600),
]
SOAK = bool(os.environ.get("SOAK"))
LEASE = 15.0 if SOAK else 7.0
BEYOND = LEASE + 2.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two machines whose clocks are twenty minutes apart: nobody may notice that either."""
    skew = {"n1": 600.0, "n2": -600.0}
    with Site(tmp_path_factory.mktemp("site"), lease=LEASE, skew=skew) as site:
        yield site


def killed(node: Node) -> None:
    node.kill()
    time.sleep(BEYOND)
    node.begin()


def paused(node: Node) -> None:
    node.daemon.signal(signal.SIGSTOP)
    time.sleep(BEYOND)
    node.daemon.signal(signal.SIGCONT)


def cut(how: Cut) -> Callable[[Node], None]:
    def strike(node: Node) -> None:
        node.net.cut(node.name, "db", how)
        time.sleep(BEYOND)
        node.net.heal(node.name)

    return strike


def unplugged(node: Node) -> None:
    node.net.link(node.name, "down")
    time.sleep(BEYOND)
    node.net.heal(node.name)


TROUBLE: dict[str, Callable[[Node], None]] = {
    "killed": killed,
    "paused": paused,
    "cut off silently": cut(Cut.SILENT),
    "cut off by resets": cut(Cut.RESET),
}
if SOAK:
    TROUBLE |= {"deaf": cut(Cut.DEAF), "unplugged": unplugged}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_one_machine_in_trouble_loses_nothing_and_repeats_at_most_what_was_in_flight(
    site: Site, tmp_path: Path, trouble: str
) -> None:
    with Siege(site, tmp_path) as siege:
        siege.under_way()
        node = siege.nodes["n1"]
        siege.strike(lambda: TROUBLE[trouble](node), at="n1")
        healed = time.time()
        wait_until(node.answers, node.tail)
        back = time.time() - healed
        took = siege.end()
        problems, stale = siege.judge(), siege.stale("n1", healed)
        print(
            f"{trouble}: {len(siege.told)} told, slowest answer {siege.client.slowest:.1f} s, back after {back:.1f} s, slowest post {siege.slowest():.1f} s, "
            f"{siege.twice()} letters twice, {stale} of them stale, {siege.in_doubt()} in doubt, settled {took:.1f} s"
        )
        assert problems == [], [each.tail() for each in siege.nodes.values()]
        # What it had handed to its connections when it stopped, and nothing more.
        assert stale <= WINDOW
