"""A power cut: the daemon is frozen, and what its disk holds at that moment is all that is left of it.

Killing a process proves nothing about this: what it wrote is safe in the kernel's cache then. Run as a program, this
forks daemons that ask SQLite for less than they should: what a test of power cuts must see.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, select

from broadcaster.store import database, tables as t
from broadcaster.store.accepting import incident_name
from broadcaster.testing import daemons
from broadcaster.testing.daemons import Daemon, wait_until
from broadcaster.testing.disks import Disk
from broadcaster.testing.history import Told
from broadcaster.testing.scenes import Scene


def cut(scene: Scene, disk: Disk, daemon: Daemon) -> list[Told]:
    """Cut the power, and give it back: what the client had been told by then. No daemon runs after this."""
    daemon.signal(signal.SIGSTOP)
    wait_until(lambda: _stopped(daemon.pid), lambda: f"{daemon.pid} does not stop")
    told = list(scene.client.told)
    left = disk.snapshot()
    scene.crashed()
    daemon.end(signal.SIGKILL)
    disk.revert(left)
    return told


def _stopped(pid: int) -> bool:
    """Whether every thread has come to rest; one that was syncing does when the disk has answered."""
    states = (task / "stat" for task in Path(f"/proc/{pid}/task").iterdir())
    return all(state.read_text().rpartition(")")[2].split()[0] == "T" for state in states)


def missing(disk: Disk, told: Sequence[Told]) -> list[str]:
    """The labels a client was told were accepted that are not in the database, or all of them where it is damaged.

    A copy is looked at: the daemon shall find the disk as the power cut left it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        for file in disk.folder.glob("broadcaster.db*"):
            shutil.copy(file, scratch)
        try:
            found = updates_of(Path(scratch) / "broadcaster.db")
        except (sqlite3.Error, OSError):
            found = set()
    return [one.label for one in told if (one.incident, one.number) not in found]


def updates_of(path: Path) -> set[tuple[str, int]]:
    """The incident and number of every update in a database in SQLite; raises sqlite3.Error where it is damaged."""
    connection = sqlite3.connect(path)
    try:
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
    finally:
        connection.close()
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as reading:
            rows = reading.execute(select(t.update.c.incident_id, t.update.c.number)).all()
    finally:
        engine.dispose()
    return {(incident_name(row.incident_id, staff=False), row.number) for row in rows}


def main() -> None:
    """As `broadcaster.testing.daemons`, with daemons that never wait for the disk."""
    make = database._sqlite_engine  # noqa: SLF001 - the product has no switch for this, and shall have none

    def careless(*arguments: Any) -> Any:
        engine = make(*arguments)
        event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        return engine

    vars(database)["_sqlite_engine"] = careless
    daemons.main()


if __name__ == "__main__":
    main()
