"""Threads of their own for what residents ask: a flood of forms takes none that gateways or operators need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

SECONDS = 10.0
Answer = TypeVar("Answer")


class Crowded(Exception):
    """There are too many at the door, or it takes too long."""


class Room:
    """`threads` at work, `most` waiting for them at the most, ten seconds for each."""

    def __init__(self, name: str, threads: int, most: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._most, self._inside = most, 0

    async def do(self, work: Callable[[], Answer]) -> Answer:
        """Do it in a thread. Raises Crowded; what had not begun by then is not done."""
        if self._inside >= self._most:
            raise Crowded
        self._inside += 1
        waiting = asyncio.get_running_loop().run_in_executor(self._threads, work)
        waiting.add_done_callback(self._left)
        done, _ = await asyncio.wait({waiting}, timeout=SECONDS)
        if not done:
            waiting.cancel()
            raise Crowded
        return waiting.result()

    def _left(self, ended: asyncio.Future[Answer]) -> None:
        self._inside -= 1
        if not ended.cancelled():
            ended.exception()  # seen, also when nobody waits any more
