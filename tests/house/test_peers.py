"""A real peer that is missing is said loudly, and with CI=true is a failure; no other is reached."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ASKS = """
import pytest

@pytest.mark.real("kannel")
def test_by_mark(): pass

def test_by_fixture(kannel): pass

def test_needs_nothing(): pass
"""
GONE = "\nPEERS['kannel'] = Peer('kannel', {'bearerbox': lambda: None})\n"


@pytest.fixture
def suite(root: Path, tmp_path: Path) -> Path:
    """A suite of three tests under our conftest, on a machine without Kannel."""
    (tmp_path / "conftest.py").write_text((root / "tests/conftest.py").read_text() + GONE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    real: asks for peers\n")
    (tmp_path / "test_asks.py").write_text(ASKS)
    return tmp_path


def run(suite: Path, root: Path, ci: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--strict-markers"],
        cwd=suite,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_ci_its_tests_are_skipped_and_the_summary_says_so(suite: Path, root: Path) -> None:
    ran = run(suite, root, ci="")
    assert ran.returncode == 0, ran.stdout
    assert "1 passed, 2 skipped" in ran.stdout
    assert "REAL PEERS MISSING" in ran.stdout
    assert "kannel (no bearerbox): 2 tests did not run" in ran.stdout


def test_with_ci_it_is_a_failure(suite: Path, root: Path) -> None:
    ran = run(suite, root, ci="true")
    assert ran.returncode == 1, ran.stdout
    assert "1 passed" in ran.stdout
    assert "needs the real kannel" in ran.stdout


def test_an_unknown_peer_is_named(suite: Path, root: Path) -> None:
    (suite / "test_asks.py").write_text(ASKS.replace('"kannel"', '"kanel"'))
    ran = run(suite, root, ci="")
    assert ran.returncode == 4
    assert "no peer ['kanel']; known: postgresql, kannel" in ran.stderr + ran.stdout


def test_a_test_cannot_reach_beyond_this_machine() -> None:
    with (
        socket.socket() as beyond,
        pytest.raises(RuntimeError, match="tests reach loopback only"),
    ):
        beyond.connect(("192.0.2.1", 80))
