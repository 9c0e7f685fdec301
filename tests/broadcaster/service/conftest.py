"""One desk with its listeners for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.testing.operators import Daemonless


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Daemonless]:
    with Daemonless(tmp_path) as running:
        yield running
