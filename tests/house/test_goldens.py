"""What each kind of channel says stands in files that a person can read."""

from __future__ import annotations

import tomllib
from pathlib import Path

from broadcaster.testing.outage import OUTAGE

COPIES = {"mirror", "websub"}
"""Kinds that say nothing of their own."""


def test_every_kind_of_channel_has_a_golden_file_for_every_word_of_an_outage(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    kinds = set(project["entry-points"]["broadcaster.channels"]) - COPIES
    missing = [
        f"{kind}: {word}"
        for kind in sorted(kinds)
        for word in OUTAGE
        if not list((root / "tests" / "channels" / kind / "golden").rglob(f"{word}.*"))
    ]
    assert len(kinds) >= 15
    assert not missing
