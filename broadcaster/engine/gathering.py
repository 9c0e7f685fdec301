"""Claims of several lanes in one write: what one word wakes asks in the same moment, and every call of it begins sooner."""

from __future__ import annotations

import asyncio
from functools import partial

from broadcaster.engine.calls import see
from broadcaster.engine.steps import Taken, Taking, take
from broadcaster.store import Store

ON_SQLITE = 64  # one thread makes all of them anyway
ON_POSTGRESQL = 2  # where each statement is a way there and back: the first must not wait for those of the tenth


class Gathering:
    """Takes what lanes ask for in the same turn of the loop. None waits for another: who asks later has a later write.

    A channel over whose rows the write breaks must not hold the others up: then each is tried alone.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._most = ON_SQLITE if store.is_sqlite else ON_POSTGRESQL
        self._asked: list[Taking] = []
        self._turn: asyncio.Task[list[Taken]] | None = None

    async def take(self, taking: Taking) -> Taken:
        """Make a taking, with those of others. Raises what it raises alone."""
        if self._turn is None or len(self._asked) == self._most:
            self._asked = []
            self._turn = asyncio.create_task(self._together(self._asked))
            self._turn.add_done_callback(see)
        turn, asked = self._turn, self._asked
        asked.append(taking)
        try:
            return (await asyncio.shield(turn))[asked.index(taking)]
        except Exception:
            if len(asked) == 1:
                raise
        return await asyncio.wrap_future(self._store.write(taking))

    async def _together(self, asked: list[Taking]) -> list[Taken]:
        """It begins when every lane that was woken with the first has asked."""
        if asked is self._asked:
            self._turn = None
        if len(asked) == 1:
            return [await asyncio.wrap_future(self._store.write(asked[0]))]
        return await asyncio.wrap_future(self._store.write(partial(take, takings=asked)))
