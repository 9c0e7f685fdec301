"""SIGTERM, SIGINT and SIGHUP, from the first line of `serve` to its last: none of them ends the process by itself.

The loop's own handlers are there only while the loop runs. A SIGHUP before would end a daemon that starts, a second
SIGTERM after would end one that is just closing its store.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT)
RELOAD = signal.SIGHUP


class Signals:
    """Takes the three signals over, in the main thread. What comes before `listen` is kept for it."""

    def __init__(self) -> None:
        self._early: list[int] = []
        self._hear: Callable[[int], None] = self._early.append
        for number in (*ENDING, RELOAD):
            signal.signal(number, self._on)

    def listen(self, call: Callable[[int], None]) -> None:
        """From now on call `call` with each number, on the running loop; first with those that came already."""
        loop = asyncio.get_running_loop()

        def hear(number: int) -> None:
            with contextlib.suppress(
                RuntimeError
            ):  # the loop is closed: all that is left is the end
                loop.call_soon_threadsafe(call, number)

        self._hear = hear
        for number in self._early:
            hear(number)

    def _on(self, number: int, _: FrameType | None) -> None:
        self._hear(number)
