"""`rig` starts an engine over the channels a test names; retries come without jitter, so that they come at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from broadcaster.engine.lane import Lane
from broadcaster.testing.rig import Rig

MakeRig = Callable[..., Rig]


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeRig]:
    """Call it with the channels' blocks by name; see `Rig`."""
    monkeypatch.setattr(Lane, "chance", staticmethod(lambda: 0.0))
    with ExitStack() as stack:

        def make(channels: dict[str, dict[str, Any]], **rest: Any) -> Rig:
            return stack.enter_context(Rig(tmp_path, channels, **rest))

        yield make
