"""Claims of several lanes in one write: what one word wakes asks in the same moment, and every call of it begins sooner."""

from __future__ import annotations

import asyncio
from functools import partial

from broadcaster.engine.calls import see
from broadcaster.engine.steps import Taken, Taking, take
from broadcaster.store import Store

ON_SQLITE = 64  # one thread makes all of them anyway
ON_POSTGRESQL = 2  # where each statement is a way there and back: the first must not wait for those of the tenth


class _Turn:
    """What is made in one write, and how many wait for it."""

    def __init__(self) -> None:
        self.asked: list[Taking] = []
        self.waiting = 0


class Gathering:
    """Takes what lanes ask for in the same turn of the loop. None waits for another: who asks later has a later write.

    A channel over whose rows the write breaks must not hold the others up: then each is tried alone.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._most = ON_SQLITE if store.is_sqlite else ON_POSTGRESQL
        self._turn = _Turn()
        self._write: asyncio.Task[list[Taken]] | None = None

    async def take(self, taking: Taking) -> Taken:
        """Make a taking, with those of others. Raises what it raises alone."""
        if self._write is None or len(self._turn.asked) == self._most:
            self._turn = _Turn()
            self._write = asyncio.create_task(self._together(self._turn))
            self._write.add_done_callback(see)
        write, turn = self._write, self._turn
        turn.asked.append(taking)
        turn.waiting += 1
        try:
            return (await asyncio.shield(write))[turn.asked.index(taking)]
        except Exception:
            if len(turn.asked) == 1:
                raise
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                write.cancel()  # all were stopped: what has not begun is taken back, for nobody would call
        return await asyncio.wrap_future(self._store.write(taking))

    async def _together(self, turn: _Turn) -> list[Taken]:
        """It begins when every lane that was woken with the first has asked."""
        if turn is self._turn:
            self._write = None
        asked = turn.asked
        if len(asked) == 1:
            return [await asyncio.wrap_future(self._store.write(asked[0]))]
        return await asyncio.wrap_future(self._store.write(partial(take, takings=asked)))
