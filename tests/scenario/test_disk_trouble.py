"""Disks that fill up, fail, or hold something else than what was written: it is said, nothing accepted is lost."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from broadcaster.daemon import offline
from broadcaster.testing.crashing import Order
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.disks import Disk
from broadcaster.testing.ports import free_port
from broadcaster.testing.powercut import updates_of
from broadcaster.testing.scenes import Scene
from broadcaster.testing.servers import FarEnd, late

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.slow,
    pytest.mark.real("loop device"),
    pytest.mark.timeout(600),
]
SOAK = bool(os.environ.get("SOAK"))
SEEN_SECONDS = 60.0
BACK_SECONDS = 10.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path / "disk") as made:
        yield made


def say(scene: Scene, label: str) -> requests.Response:
    """Say something once, and return whatever comes back."""
    body = {"text": f"Läge {label}.", "area": ["sodra-ekbyn"], "severity": "minor"}
    return scene.client.ask("POST", "/incidents", json=body)


def shown(scene: Scene, label: str) -> bool:
    """Whether residents see it on the page, from the server they use."""
    url = json.loads(scene.config.read_text("utf-8"))["public"]["url"]
    try:
        return label in requests.get(url, timeout=5).text
    except requests.ConnectionError:
        return False


def _mentions(word: str) -> Callable[[FarEnd], bool]:
    return lambda far: any(word in effect.text for effect in far.effects)


def served(disk: Disk) -> dict[str, Any]:
    page = f"127.0.0.1:{free_port()}"
    directory = str(disk.folder / "public")
    return {"public": {"url": f"http://{page}", "directory": directory, "listen": page}}


def test_a_log_that_nobody_reads_holds_nothing_up(tmp_path: Path, disk: Disk) -> None:
    log = tmp_path / "daemon.log"
    os.mkfifo(log)
    unread = os.open(log, os.O_RDWR)  # a reader that never reads
    os.write(unread, bytes(fcntl.fcntl(unread, fcntl.F_GETPIPE_SZ)))  # full before the first line
    with Scene(tmp_path, disk.folder) as scene:
        daemon = scene.begin()
        for number in range(1, 6):
            scene.client.say(Order(f"i{number}u1", "report", "severe"))
        scene.seen("log")
        scene.duty.wait_for(_mentions("Loggen"))
        code = scene.end(daemon, 10.0)
    os.close(unread)
    assert code == 0
    assert scene.judge() == []


@pytest.mark.skipif(
    not SOAK, reason="a whole daemon: with SOAK=1; the log alone is in test_full_log.py"
)
def test_a_log_on_a_full_disk_holds_nothing_up_and_goes_on_when_there_is_room(
    tmp_path: Path, disk: Disk
) -> None:
    with Scene(disk.folder, tmp_path) as scene:
        daemon = scene.begin()
        scene.client.say(Order("i1u1", "report", "severe"))
        disk.fill()
        for number in range(2, 30):
            scene.client.say(Order(f"i{number}u1", "report", "severe"))
        wait_until(lambda: "log" in scene.degraded(), scene.tail, SEEN_SECONDS)
        scene.duty.wait_for(_mentions("Loggen"))
        disk.empty()
        length = scene.log.stat().st_size
        scene.client.say(Order("i30u1", "report", "severe"))
        wait_until(lambda: scene.log.stat().st_size > length, scene.tail)
        code = scene.end(daemon, 10.0)
    assert code == 0
    assert scene.judge() == []


# ------------------------------------------------------------------------------------------ it is not what was written
def cut(database: Path, log: Path) -> None:
    os.truncate(log, log.stat().st_size // 2)


def flip(database: Path, log: Path) -> None:
    with log.open("r+b") as file:
        file.seek(log.stat().st_size // 2)
        was = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([was ^ 1]))


def lose_the_file(database: Path, log: Path) -> None:
    database.unlink()
    log.unlink()


def overwrite(database: Path, log: Path) -> None:
    with sqlite3.connect(database, isolation_level=None) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with database.open("r+b") as file:
        file.seek(database.stat().st_size // 2)
        file.write(os.urandom(8192))


DAMAGES = [cut, flip, lose_the_file, overwrite]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_database_that_is_not_what_was_written_is_refused_kept_and_restored(
    tmp_path: Path, disk: Disk, damage: Callable[[Path, Path], None]
) -> None:
    database, log = disk.folder / "broadcaster.db", disk.folder / "broadcaster.db-wal"
    backup = tmp_path / "backup"
    with Scene(tmp_path, disk.folder) as scene:
        daemon = scene.begin()
        scene.client.say(Order("i1u1", "report", "severe"))
        wait_until(scene.settled, scene.tail)
        store_of = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        with sqlite3.connect(backup) as copy:
            store_of.backup(copy)
        copy.close()
        store_of.close()
        for number in range(2, 5):
            scene.client.say(Order(f"i{number}u1", "report", "severe"))
        wait_until(scene.settled, scene.tail)
        rows = len(scene.client.ask("GET", "/audit?limit=500").json()["items"])
        heads = disk.folder / "audit-head"
        wait_until(lambda: heads.exists() and f'"id": {rows},' in heads.read_text(), scene.tail)
        daemon.end(signal.SIGKILL)
        damage(database, log)
        kept = {path: path.read_bytes() for path in (database, log) if path.exists()}
        refused = scene.begin(ready=False).wait(20.0)
        assert refused == 1, scene.tail()
        assert "broadcaster backup restore" in scene.tail().splitlines()[-1]
        assert {path: path.read_bytes() for path in kept} == kept

        print(" ".join(offline.restore(scene.config, backup)))
        daemon = scene.begin()
        scene.client.say(Order("i5u1", "report", "severe"))
        code = scene.end(daemon)
        names = [told.incident for told in scene.client.told]
    assert code == 0
    assert len(set(names)) == len(names), names  # a name that was used is not used again
    assert scene.judge() == []


# ------------------------------------------------------------------------------------------- it cannot be written
def test_a_disk_that_fills_up_in_a_blast_is_said_and_all_goes_on_when_there_is_space(
    tmp_path: Path, disk: Disk
) -> None:
    with Scene(tmp_path, disk.folder, readers=300, **served(disk)) as scene:
        scene.phones.always(late(0.05))
        daemon = scene.begin()
        scene.client.say(Order("i1u1", "report", "severe"))
        scene.phones.wait_for(lambda far: len(far.effects) > 20)
        wait_until(lambda: shown(scene, "i1u1"), scene.tail)
        disk.fill()
        refused = say(scene, "i2u1")
        assert refused.status_code == 507
        assert "Inget sparades" in refused.json()["detail"]
        took = scene.seen("store")
        scene.duty.wait_for(_mentions("Disken"))  # by a way past the store
        assert shown(scene, "i1u1")
        assert say(scene, "i2u1").status_code == 507
        # What is wrong can be put right all the same, and whoever had it hears of it.
        scene.client.say(Order("i1u2", "retraction", "severe", "i1u1", "i1u1"))
        scene.phones.wait_for(_mentions("i1u2"))
        assert say(scene, "i2u1").status_code == 507
        disk.empty()
        freed = time.monotonic()
        scene.client.say(Order("i3u1", "report", "severe"))
        back = time.monotonic() - freed
        code = scene.end(daemon)
    print(
        f"a full disk was seen after {took:.1f} s; with space, a word was accepted in {back:.1f} s"
    )
    assert back <= BACK_SECONDS
    assert code == 0
    assert scene.judge() == []  # every outcome that came in meanwhile was kept


def test_a_file_system_that_fails_is_said_and_nothing_is_accepted_until_it_is_mended(
    tmp_path: Path, disk: Disk
) -> None:
    with Scene(tmp_path, disk.folder, readers=300, **served(disk)) as scene:
        scene.phones.always(late(0.05))
        daemon = scene.begin()
        scene.client.say(Order("i1u1", "report", "severe"))
        scene.phones.wait_for(lambda far: len(far.effects) > 20)
        wait_until(lambda: shown(scene, "i1u1"), scene.tail)
        disk.fail()
        began = time.monotonic()
        refused = say(scene, "i2u1")
        assert refused.status_code == 503
        assert time.monotonic() - began <= 5.0
        took = scene.seen("store")
        scene.duty.wait_for(_mentions("Disken"))
        assert shown(scene, "i1u1")
        assert daemon.alive
        scene.crashed()
        daemon.end(signal.SIGTERM)
        assert scene.begin(ready=False).wait(20.0) == 1  # it does not run where it cannot write
        disk.repair()
        daemon = scene.begin()
        scene.client.say(Order("i3u1", "report", "severe"))
        code = scene.end(daemon)
    print(f"a file system that failed was seen after {took:.1f} s")
    assert code == 0
    assert scene.judge() == []


# ------------------------------------------------------------------------------------------------------- backups
def test_backups_in_a_blast_hold_everything_that_was_answered_before_and_hold_nobody_up(
    tmp_path: Path, disk: Disk
) -> None:
    with Scene(tmp_path, disk.folder, readers=300) as scene:
        scene.phones.always(late(0.05))
        daemon = scene.begin()
        scene.client.say(Order("i1u1", "report", "severe"))
        scene.phones.wait_for(lambda far: len(far.effects) > 20)
        backups, took = [], []
        for number in range(2, 8):
            began = time.monotonic()
            scene.client.say(Order(f"i{number}u1", "report", "minor"))
            took.append(time.monotonic() - began)
            path = str(tmp_path / f"backup{number}")
            made = scene.client.ask("POST", "/backups", json={"path": path})
            assert made.status_code == 201, made.text
            backups.append((Path(path), number))
        code = scene.end(daemon)
    assert code == 0
    assert scene.judge() == []
    for backup, number in backups:
        assert updates_of(backup) >= {(f"A{each}", 1) for each in range(1, number + 1)}
    print(f"{len(backups)} backups in a blast; an accept took {max(took):.2f} s at most")
