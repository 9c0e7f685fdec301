"""The N-th system call on the database fails: no yes is said that does not hold, and the next start is clean."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from broadcaster.testing.crashing import Order
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.scenes import Scene
from broadcaster.testing.syscalls import failing

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.slow,
    pytest.mark.real("strace"),
    pytest.mark.timeout(3600),
]
SOAK = bool(os.environ.get("SOAK"))
SYNC, WRITE = "fdatasync,fsync", "pwrite64"
CASES = [(SYNC, "EIO", 8), (SYNC, "EINTR", 14), (WRITE, "EIO", 30), (WRITE, "ENOSPC", 5)]
if SOAK:
    CASES = [
        (calls, error, nth)
        for calls in (SYNC, WRITE)
        for error in ("EIO", "ENOSPC", "EINTR")
        for nth in range(1, 41)
    ]
ORDERS = 12


@pytest.mark.parametrize(("calls", "error", "nth"), CASES)
def test_when_a_call_on_the_database_fails_no_answer_is_untrue(
    tmp_path: Path, calls: str, error: str, nth: int
) -> None:
    once = threading.Event()
    once.set()  # each order is tried once
    with Scene(tmp_path, tmp_path, readers=10) as scene:
        daemon = scene.begin()
        files = [tmp_path / "broadcaster.db", tmp_path / "broadcaster.db-wal"]
        with failing(daemon.pid, calls, error, nth, files):
            answered = []
            for number in range(1, ORDERS + 1):
                scene.asked.append(f"i{number}u1")
                order = Order(f"i{number}u1", "report", "severe")
                answered.append(scene.client.say(order, once))
            if calls == SYNC:
                # What could not be synced may be gone, whatever the system says of the next sync.
                assert not answered[-1]
                assert True not in answered[answered.index(False) :]
                wait_until(lambda: "store" in scene.degraded(), scene.tail, 60.0)
            scene.crashed()
            daemon.end(signal.SIGKILL)
        daemon = scene.begin()
        scene.client.say(Order(f"i{ORDERS + 1}u1", "report", "severe"))
        code = scene.end(daemon)
    print(f"{calls} {nth} {error}: {answered.count(True)} of {ORDERS} accepted")
    assert code == 0
    assert scene.judge() == []
