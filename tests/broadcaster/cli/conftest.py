"""The command line against a stand-in for the daemon, with a home of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broadcaster.testing.commandline import (
    TOKEN,
    Ended,
    StandInDaemon,
    run_at_terminal,
    run_command,
    standing_in,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture
def daemon() -> Iterator[StandInDaemon]:
    with standing_in() as daemon:
        yield daemon


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def environ(daemon: StandInDaemon, home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "BROADCASTER_URL": daemon.url,
        "BROADCASTER_TOKEN": TOKEN,
    }


@pytest.fixture
def run(environ: dict[str, str], tmp_path: Path) -> Callable[..., Ended]:
    """Run `broadcaster …` off a terminal; `environ` can be changed beforehand."""
    return lambda *arguments, stdin="": run_command(arguments, environ, tmp_path, stdin)


@pytest.fixture
def at_terminal(environ: dict[str, str], tmp_path: Path) -> Callable[..., Ended]:
    """Run `broadcaster …` on a terminal of 80 columns and type `typed` once `after` is shown."""
    return lambda *arguments, **more: run_at_terminal(arguments, environ, tmp_path, **more)
