"""Adapters that misbehave, each in one way: what a third party's package may do to a daemon.

All post to `url` and would do so well, but for what their names say. `installed` makes them kinds, as a package would.
"""

from __future__ import annotations

from pathlib import Path

from broadcaster.testing.zoo.beasts import BEASTS

AT_IMPORT = {
    "breaks-at-import": "broadcaster.testing.zoo.breaks:Beast",
    "exits-at-import": "broadcaster.testing.zoo.exits:Beast",
    "aborts-at-import": "broadcaster.testing.zoo.aborts:Beast",
}
"""Kinds that do not even load; the last takes its process with it."""


def installed(folder: Path) -> Path:
    """Make every beast an installed kind, called after its class in lower case, where `folder` is on the module path."""
    made = folder / "zoo-1.dist-info"
    made.mkdir(parents=True)
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo\nVersion: 1\n")
    kinds = {name: f"{beast.__module__}:{beast.__name__}" for name, beast in BEASTS.items()}
    lines = [f"{kind} = {where}" for kind, where in (kinds | AT_IMPORT).items()]
    (made / "entry_points.txt").write_text("\n".join(["[broadcaster.channels]", *lines, ""]))
    return folder
