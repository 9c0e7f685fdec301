"""What was made of something, kept for as long as that something stays the same and there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """At most `room` things, those used last; used from any thread. What is kept must not be changed."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._held: OrderedDict[Hashable, tuple[object, T]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._held)

    def of(self, name: Hashable, source: object, make: Callable[[], T]) -> T:
        """Return what `make` makes of `source`, as it was made before while `name` stands for an equal one."""
        found = self.look(name, source)
        return self.keep(name, source, make()) if found is None else found

    def look(self, name: Hashable, source: object) -> T | None:
        """Return what was made of a `source` equal to this one, or None."""
        with self._lock:
            held = self._held.get(name)
            if held is not None:
                self._held.move_to_end(name)
        if held is None or not (held[0] is source or held[0] == source):
            return None
        return held[1]

    def keep(self, name: Hashable, source: object, made: T) -> T:
        """Keep what was made of `source` in the place of what stood under `name`, and return it."""
        with self._lock:
            self._held[name] = (source, made)
            self._held.move_to_end(name)
            if len(self._held) > self._room:
                self._held.popitem(last=False)
        return made
