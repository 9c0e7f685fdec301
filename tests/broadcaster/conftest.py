"""`desk`: an operators' desk with its listeners."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.testing.operators import Daemonless


@pytest.fixture(scope="module")
def idle_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemonless]:
    """One desk for many tests that store nothing: starting one costs more than the test."""
    with Daemonless(tmp_path_factory.mktemp("idle")) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Daemonless]:
    with Daemonless(tmp_path) as running:
        yield running
