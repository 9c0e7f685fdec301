"""Killed at every step and at random over PostgreSQL: nothing accepted is lost, nothing comes twice, the pages stay whole."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from broadcaster.testing.crashloop import CrashLoop
from broadcaster.testing.peers import PostgresServer

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(36_000)]
KILLS = 5_000 if os.environ.get("SOAK") else 150
AT_A_TIME = 250  # a run with its own store and far ends: what is said in it stays readable


@pytest.mark.real("postgresql")
def test_killed_again_and_again_over_postgresql_nothing_is_lost_and_nothing_comes_twice(
    tmp_path: Path,
    postgresql: PostgresServer,
) -> None:
    for start in range(0, KILLS, AT_A_TIME):
        folder = tmp_path / str(start)
        folder.mkdir()
        url = postgresql.database()
        with CrashLoop(folder, url, seed=random.randrange(10**6)) as loop:
            loop.run(min(AT_A_TIME, KILLS - start))
            print(loop.figures())
            assert loop.problems() == [], loop.figures()
        postgresql.drop(url)
        assert loop.missed == []
        assert loop.lives.kills >= min(AT_A_TIME, KILLS - start)
