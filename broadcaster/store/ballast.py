"""Room that is kept back on the disk of the database, so that a full disk loses no outcome and stops no retraction.

Source: the fault "disk full" of the field: outcomes of what is under way are kept on one reserved mebibyte. Ours keeps a
second one, which only a word that puts another right may use.
"""

from __future__ import annotations

import os
from pathlib import Path

PART = 2**20


class Ballast:
    """Two parts of room beside the database, in a file that holds nothing: the first is given up before the second.

    A disk without room for them has none, until `keep` finds some. One thread may use it at a time.
    """

    def __init__(self, path: Path, part: int = PART) -> None:
        self._path, self._part = path, part
        self.keep()

    @property
    def whole(self) -> bool:
        """Whether nothing was given up, as far as the file tells."""
        return self._size() >= 2 * self._part

    def keep(self) -> bool:
        """Take all the room (again). False: there is not so much, and what was held stays as it is."""
        before = self._size()
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            os.posix_fallocate(file, 0, 2 * self._part)
        except OSError:
            os.truncate(
                file, before
            )  # what was found before the disk was full is not taken from others
            return False
        finally:
            os.close(file)
        return True

    def give_up(self, *, everything: bool) -> bool:
        """Free the first part, or all that is left. Returns whether anything became free."""
        left = 0 if everything else self._part
        if self._size() <= left:
            return False
        try:
            os.truncate(self._path, left)
        except OSError:
            return False
        return True

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0
