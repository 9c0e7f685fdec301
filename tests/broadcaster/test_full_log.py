"""A log whose disk is full: whoever logs goes on, the loss is said, and lines are written again when there is room."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import pytest

from broadcaster.telemetry import Outlet, logs


def fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(1024)):
            pass


def fails(outlet: Outlet) -> bool:
    return outlet.fails


def test_a_log_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, ballast = small_disk / "log", small_disk / "ballast"
    with path.open("ab", buffering=0) as file:
        outlet = Outlet(file.fileno())
        say = logging.getLogger("full disk")
        monkeypatch.setattr(say, "handlers", [outlet])
        monkeypatch.setattr(say, "propagate", False)
        say.warning("before")
        outlet.flush()
        assert not fails(outlet)
        fill(ballast)
        for number in range(100):
            say.warning("%d %s", number, "x" * 4096)
        outlet.flush()
        assert fails(outlet)
        ballast.unlink()
        say.warning("after")
        outlet.flush()
        monkeypatch.setattr(logs, "_LOST_SECONDS", 0.0)
        assert not fails(outlet)
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == "before"
    assert lines[-1] == "after"
