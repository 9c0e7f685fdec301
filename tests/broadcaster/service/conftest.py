"""What several tests of the service stand on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.testing.rig import UNHEARD, Rig


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Rig]:
    """A town with one channel; its engine stands still, so that what was said is all there is."""
    rig = Rig(tmp_path, {"hook": UNHEARD})
    yield rig
    rig.stop()
