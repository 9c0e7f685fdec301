"""The hand that wakes for what is due goes on, however often somebody asks it to look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from broadcaster.engine.due import DueClaimer
from broadcaster.engine.lane import Surroundings
from broadcaster.engine.ticking import Ticker


class Store:
    """Answers at once that nothing is due now, and counts how often it is asked; how many ask at once, too."""

    def __init__(self) -> None:
        self.asked = self.at_once = self.most_at_once = 0

    def write(self, work: Callable[[Any], Any]) -> Future[tuple[()]]:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        answer: Future[tuple[()]] = Future()
        answer.set_result(())
        return answer

    def read(self, work: Callable[[Any], Any]) -> None:
        self.at_once -= 1


@pytest.mark.parametrize("seed", range(20))
def test_the_hand_is_never_lost_and_looks_once_at_a_time(seed: int) -> None:
    async def run() -> tuple[Store, bool]:
        store, ticker = Store(), Ticker()
        around = Surroundings(cast("Any", store), lambda: datetime.now(UTC), "n1", lambda *_: None)
        claimer = DueClaimer(around, ticker, {})
        ticker.start()
        for turn in range(300):
            for _ in range(1 + (turn * 7 + seed) % 3):
                claimer.look()
                await asyncio.sleep(0)
            if (turn + seed) % 5 == 0:
                await asyncio.to_thread(int)
        asked = store.asked
        claimer.look()
        for _ in range(100):
            await asyncio.sleep(0.001)
        goes_on = ticker._scheduler.get_job("due") is not None and store.asked > asked
        ticker.stop()
        return store, goes_on

    store, goes_on = asyncio.run(run())
    assert goes_on
    assert store.most_at_once == 1
