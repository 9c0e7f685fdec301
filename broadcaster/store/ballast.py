"""Room that is kept back on the disk of the database, so that a full disk loses no outcome and stops no retraction.

Source: the fault "disk full" of the field: outcomes of what is under way are kept on one reserved mebibyte. Ours keeps a
second one, which only a word that puts another right may use.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

PART = 2**20


class Ballast:
    """Two parts of room beside the database, in a file that holds nothing: the first is given up before the second.

    A disk without room for them has none, until `keep` finds some. Where no room can be kept for another reason, `usable`
    is False. One thread may use it at a time.
    """

    def __init__(self, path: Path, part: int = PART) -> None:
        self._path, self._part = path, part
        self.usable = True
        self.keep()

    @property
    def whole(self) -> bool:
        """Whether nothing was given up, as far as the file tells."""
        return self._size() >= 2 * self._part

    def keep(self) -> bool:
        """Take all the room (again). False: there is not so much, and what was held stays as it is."""
        before = self._size()
        if before >= 2 * self._part:
            return True
        try:
            # Asked first, so that nobody else meets a disk that is full for the moment in which this finds out.
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize < 2 * self._part - before:
                return False
            self._fill(before)
        except OSError as error:
            self.usable = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return False
        return True

    def _fill(self, before: int) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, 2 * self._part)
        except OSError:
            # What was found before the disk was full is not taken from others.
            with contextlib.suppress(OSError):
                os.truncate(file, before)
            raise
        finally:
            os.close(file)

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
