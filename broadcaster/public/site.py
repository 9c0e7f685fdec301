"""All owners' revisions as one table of addresses, swapped in one step when a manifest changes."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

from broadcaster.public.answer import Table
from broadcaster.public.reader import Damaged, View, read_view
from broadcaster.public.resource import Resource

_log = logging.getLogger("broadcaster.public")

_GRACE = 5.0  # seconds in which a revision that cannot be read whole is waited for
_RETRY = 2.0  # seconds between further tries to mend what is damaged

Mark = tuple[int, int, int]


class Site:
    """The published files in memory. `look` is called by one thread, `table` read by any."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._shelves: dict[str, _Shelf] = {}
        self.table: Table = {}

    def look(self) -> None:
        """Take over what has been published since the last call; never raises for bad files."""
        changed = False
        for owner, mark in self._marks():
            shelf = self._shelves.setdefault(owner, _Shelf(self._directory, owner))
            changed |= shelf.look(mark, time.monotonic())
        if changed:
            table: dict[str, Resource | None] = {}
            # Should two owners ever claim one address, the newer revision has the word.
            for shelf in sorted(self._shelves.values(), key=lambda shelf: shelf.view.revision):
                table.update(shelf.view.resources)
            self.table = table

    def _marks(self) -> Iterator[tuple[str, Mark]]:
        try:
            manifests = sorted((self._directory / ".manifest").glob("[!.]*.json"))
        except OSError:
            return
        for manifest in manifests:
            try:
                status = manifest.lstat()
            except OSError:
                continue
            yield manifest.stem, (status.st_mtime_ns, status.st_ino, status.st_size)


class _Shelf:
    """One owner: what was read, and when to read again."""

    def __init__(self, directory: Path, owner: str) -> None:
        self._directory = directory
        self._owner = owner
        self._read_at: Mark | None = None
        self._failing_since: float | None = None
        self._next_try = 0.0
        self._said = False
        self.view = View()

    def look(self, mark: Mark, now: float) -> bool:
        """Read the manifest if it changed or is not whole yet; say whether the view changed."""
        if mark == self._read_at and (self._failing_since is None or now < self._next_try):
            return False
        try:
            view = read_view(self._directory, self._owner, self.view)
        except Damaged as error:
            self._fail(mark, now, str(error))
            return False
        if view.revision < self.view.revision:
            # A public sentence is never taken back by an older file; a new epoch would be newer.
            self._read_at, self._failing_since = mark, None
            _log.warning("%s: the directory holds an older revision; not shown", self._owner)
            return False
        if not view.damaged:
            self._read_at, self._failing_since, self.view = mark, None, view
            return True
        self._fail(mark, now, view.damaged[0])
        if self.view.resources and now - (self._failing_since or now) < _GRACE:
            return False
        changed = view != self.view
        self.view = view
        return changed

    def _fail(self, mark: Mark, now: float, what: str) -> None:
        if self._failing_since is None:
            self._failing_since, self._said = now, False
        early = now - self._failing_since < _GRACE
        if not early and not self._said:
            self._said = True  # before, it is most likely still being written
            _log.warning("%s: %s is damaged; what stood before is shown", self._owner, what)
        self._read_at, self._next_try = mark, now if early else now + _RETRY
