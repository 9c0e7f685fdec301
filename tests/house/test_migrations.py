"""A migration that has landed is history: stores exist that went through it, and another text would not reach them."""

from __future__ import annotations

import hashlib
from pathlib import Path

VERSIONS = Path(__file__).parents[2] / "broadcaster/store/migrations/versions"
# A new migration is added here when it lands (python broadcaster/store/migrations/new.py NNNN "what it does").
LANDED = {
    "0001_what_is_said_and_how_it_goes_out.py": "16a2b133704ac9d6cfaa2d487b6449838c3d44a1c0aad8cc2f5d9963d193cf9c",
    "0002_who_reads_and_who_speaks.py": "d634f15315aa65e3a8faadf74fbed887f0875e3c2b0042ab86452665556f3c41",
    "0003_open_work_is_found_at_any_size.py": "f1ee72d77d74ecd2e4a68bc7e0c43b87d8b9e2e92c1b289048f2d7327eb002ba",
    "0004_what_a_far_side_asked_for_is_known.py": "e6fa7cf87e889b5d1e92b6e78092e41b17d2b6ad780c7009162f93b822eba9ce",
    "0005_when_an_update_is_out_is_known.py": "41ef03da21169d63d3538f4e1e80f70d5777dfc3445579f008d7a638b5068ffe",
    "0006_what_is_not_seen_and_who_is_gone.py": "28b610db0e04f151910f72def8da4d9cfc44f65b68001cbae05ef585ef131559",
    "0007_what_residents_asked_for_themselves.py": "b05a97eb8ab86801f88f72a85bbc45935aa5a63809e7b066f155521d46650d49",
}


def test_no_migration_that_has_landed_is_changed_or_gone() -> None:
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VERSIONS.glob("[0-9]*.py")
    }
    assert found == LANDED, "Leave what has landed and write a new migration; note a new one here."
