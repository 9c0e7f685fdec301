"""Adapters that crash, hang, leak and lie, beside one that does not: the daemon and the good channel go on.

What runs in a process of its own may do anything to that. What runs in the daemon may raise, lie, print and hang there.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import InboundRequest
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind, Severity
from broadcaster.registry import check_file
from broadcaster.store import inbox
from broadcaster.testing.rig import Rig, numbers, webhook
from broadcaster.testing.servers import WebhookReceiver
from broadcaster.testing.zoo import installed
from broadcaster.testing.zoo.beasts import Kennel, let_go

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(240)]
MEMORY = 300  # MiB
BOTH = ("failed", "uncertain")
OWN: dict[str, tuple[str, ...]] = {
    "tame": ("accepted",),
    "raises": ("failed",),
    "raisesbase": ("failed",),
    "exits": ("failed",),
    "exitsasync": ("failed",),
    "exitshard": ("uncertain",),
    "segfaults": ("uncertain",),
    "hangs": ("uncertain",),
    "busyloops": ("uncertain",),
    "holdsthelock": ("uncertain",),
    "leaks": BOTH,
    "hoards": ("uncertain",),
    "forks": ("accepted",),
    "prints": ("accepted",),
    "nonsense": ("uncertain",),
    "closesfiles": ("uncertain",),
    "spawnsthreads": BOTH,
    "eatsfiles": BOTH,
    "tells": ("accepted",),
}
"""Each beast in a process of its own, and what becomes of its first message."""
HERE: dict[str, tuple[str, ...]] = {
    "tame": ("accepted",),
    "raises": ("failed",),
    "raisesbase": ("failed",),
    "exits": ("failed",),
    "exitsasync": ("failed",),
    "hangs": ("uncertain",),
    "prints": ("accepted",),
    "nonsense": ("uncertain",),
}
"""What the daemon bears without a process more."""


@pytest.fixture(autouse=True)
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    site = str(installed(tmp_path / "site"))
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([site, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("SOMEBODYS_PASSWORD", "not for plugins")
    yield
    let_go()


@pytest.fixture
def kennel() -> Iterator[Kennel]:
    with Kennel() as far:
        yield far


@pytest.fixture
def good() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as far:
        yield far


def beast(kind: str, kennel: Kennel, folder: Path, **more: Any) -> dict[str, Any]:
    block = {"kind": kind, "url": kennel.url, "folder": str(folder), "deadline": "6s"}
    return block | {"memory": MEMORY, "own_process": True} | more


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid: int, seconds: float = 15.0) -> bool:
    until = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.05)  # a grandchild can only be looked for
    return not alive(pid)


def evening(rig: Rig, expected: dict[str, tuple[str, ...]]) -> None:
    """Two words: the good channel takes both; each beast comes to what is expected of it."""
    rig.say("Montör är på väg.")
    rig.accepted("good")
    for name, states in expected.items():
        rig.reached(*(State(state) for state in states), channel=name)
    rig.say("Felet är hittat.", kind=Kind.UPDATE, incident="A1")
    rig.accepted("good", number=2)
    rig.accepted("tame", number=2)


def test_a_whole_zoo_in_processes_of_their_own_leaves_the_good_channel_alone(
    tmp_path: Path, kennel: Kennel, good: WebhookReceiver
) -> None:
    blocks = {name: beast(name, kennel, tmp_path) for name in OWN}
    with Rig(tmp_path, {"good": webhook(good), **blocks}) as rig:
        evening(rig, OWN)
        seen = json.loads((tmp_path / "seen").read_text())
        children = json.loads((tmp_path / "children").read_text())
        hoard = json.loads((tmp_path / "hoard").read_text())
        began = time.monotonic()
    print(f"stopped in {time.monotonic() - began:.1f} s")
    assert time.monotonic() - began < 10
    assert 0 < hoard < MEMORY * 2**20
    assert "SOMEBODYS_PASSWORD" not in seen["environ"]
    assert 0 < seen["tasks"] < resource.getrlimit(resource.RLIMIT_NPROC)[0]
    assert not [name for name in seen["files"] if "broadcaster.db" in name]
    assert not [word for word in seen["arguments"] if kennel.url in word]
    assert all(gone(child) for child in children), "what a beast forked ends with it"


def test_beasts_in_the_daemon_itself_leave_the_good_channel_alone(
    tmp_path: Path, kennel: Kennel, good: WebhookReceiver
) -> None:
    blocks = {name: beast(name, kennel, tmp_path, own_process=False) for name in HERE}
    with Rig(tmp_path, {"good": webhook(good), **blocks}) as rig:
        evening(rig, HERE)


@pytest.mark.parametrize("own", [True, False], ids=["own process", "in the daemon"])
@pytest.mark.parametrize("kind", ["cannotrender", "hangsinrender"])
def test_who_cannot_put_it_into_words_is_left_out_and_the_operator_is_told(
    tmp_path: Path, kennel: Kennel, good: WebhookReceiver, kind: str, own: bool
) -> None:
    blocks = {"good": webhook(good), "bad": beast(kind, kennel, tmp_path, own_process=own)}
    with Rig(tmp_path, blocks) as rig:
        told = rig.say("Montör är på väg.")
        assert told["left_out"] == ["bad"]
        assert [row["channel"] for row in told["deliveries"]] == ["good"]
        rig.accepted("good")


def test_a_report_that_an_adapter_hangs_over_stops_nothing_else(
    tmp_path: Path, kennel: Kennel, good: WebhookReceiver
) -> None:
    bad = beast("hangsinverify", kennel, tmp_path, own_process=False)
    with Rig(tmp_path, {"good": webhook(good), "bad": bad}) as rig:
        came = InboundRequest(
            method="GET",
            path="/in/bad",
            query="k=1",
            headers={},
            body=b"",
            received_at=rig.clock(),
        )
        rig.store.write(lambda connection: inbox.keep(connection, "bad", came)).result()
        rig.until((tmp_path / "receiving").exists)
        rig.say("Montör är på väg.")
        rig.accepted("good")


def rests(rig: Rig, channel: str) -> bool:
    """Whether what waits there is not tried again for minutes."""
    due_at = str(rig.delivery(channel).get("due_at") or "")
    return bool(due_at) and datetime.fromisoformat(due_at) - rig.clock() > timedelta(minutes=4)


def test_a_process_that_ends_again_and_again_parks_its_channel_until_somebody_resumes_it(
    tmp_path: Path, kennel: Kennel, good: WebhookReceiver
) -> None:
    blocks = {"good": webhook(good), "bad": beast("exitshard", kennel, tmp_path)}
    with Rig(tmp_path, blocks) as rig:
        rig.say("Koka vattnet.", severity=Severity.EXTREME)  # what is uncertain is said again
        for _ in range(3):  # after the third that may have gone it rests with its words
            rig.until(lambda: rests(rig, "bad") or rig.is_parked("bad"))
            rig.pass_by(minutes=21)
        rig.until(lambda: rig.is_parked("bad"))
        rig.reached(State.WAITING, channel="bad")
        tried = rig.delivery("bad")["attempts"]
        rig.resume("bad")
        rig.until(lambda: rig.delivery("bad")["attempts"] > tried)
        rig.accepted("good")


def test_a_blast_goes_on_though_its_process_dies_again_and_again(
    tmp_path: Path, kennel: Kennel
) -> None:
    with Rig(tmp_path, {"letters": beast("diesmidway", kennel, tmp_path)}) as rig:
        rig.subscribe("letters", numbers(40))
        rig.say("Montör är på väg.")
        rig.until(lambda: rig.delivery("letters")["counts"]["total"] == 40)
        rig.until(
            lambda: (
                sum(rig.delivery("letters")["counts"][k] for k in ("accepted", "uncertain")) == 40
            ),
            lambda: str(rig.delivery("letters")),
        )
        counts = rig.delivery("letters")["counts"]
    arrived = [each.id for each in kennel.effects]
    print(f"{counts['accepted']} accepted, {counts['uncertain']} uncertain, {len(arrived)} arrived")
    assert len(arrived) == len(set(arrived)), "none arrives twice"
    assert counts["accepted"] <= len(arrived) <= 40
    assert counts["uncertain"] <= 5, "one letter is under way whenever it dies"


@pytest.mark.parametrize("kind", ["breaks-at-import", "exits-at-import", "aborts-at-import"])
def test_a_package_that_does_not_load_is_named_and_keeps_no_other_from_speaking(
    tmp_path: Path, kennel: Kennel, good: WebhookReceiver, kind: str
) -> None:
    blocks = {"good": webhook(good), "bad": beast(kind, kennel, tmp_path)}
    if kind != "aborts-at-import":
        blocks["worse"] = beast(kind, kennel, tmp_path, own_process=False)
    with Rig(tmp_path, blocks) as rig:
        broken = rig.desk.configuration.broken
        assert set(broken) == blocks.keys() - {"good"}
        assert all(kind in sentence for sentence in broken.values())
        rig.say("Montör är på väg.")
        rig.accepted("good")
        found = check_file(rig.path, {})
        assert {error.path for error in found} >= {f"channels.{name}.kind" for name in broken}


def test_who_raises_when_it_is_made_is_left_out(
    tmp_path: Path, kennel: Kennel, good: WebhookReceiver
) -> None:
    blocks = {
        "good": webhook(good),
        "bad": beast("breeds", kennel, tmp_path),
        "worse": beast("breeds", kennel, tmp_path, own_process=False),
    }
    with Rig(tmp_path, blocks) as rig:
        broken = rig.desk.configuration.broken
        assert broken.keys() == {"bad", "worse"}
        assert all("RuntimeError" in sentence for sentence in broken.values())
        rig.say("Montör är på väg.")
        rig.accepted("good")


_PARENT = """
import sys
from broadcaster.ownprocess import Found, Lives, Opening, apart, plain
from broadcaster.testing.notices import attempt, context, message
block = {"kind": "holdsthelock", "url": "http://127.0.0.1:9", "own_process": True}
opening = Opening("holdsthelock", block, block, "/", plain(context()))
lives = Lives(opening, 2**29)
adapter = apart(lives.look(), opening, lives)
print(lives.pid, flush=True)
adapter.post(message(), attempt(deadline=600))
"""


def test_it_dies_with_a_daemon_that_is_killed_though_it_holds_the_interpreters_lock() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
    assert gone(pid)
