"""The folders of the public directory, opened without following a symbolic link."""

import os
from pathlib import Path
from typing import Self

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_HELD = 64  # folders open at a time: those of an update, not those of a long history


class Folders:
    """Descriptors of the folders below `root` for one look at it, each opened once. For one thread."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def at(self, folder: str) -> int:
        """Return the descriptor of a folder such as "areas/norra-ekbyn", good until the next call. Raises OSError."""
        if folder not in self._held and len(self._held) >= _HELD:
            self._close()
        return self._walk(folder)

    def _walk(self, folder: str) -> int:
        if folder not in self._held:
            self._held[folder] = self._open(folder)
        return self._held[folder]

    def _open(self, folder: str) -> int:
        if not folder:
            return os.open(self._root, _FOLDER)
        above, _, last = folder.rpartition("/")
        return os.open(last, _FOLDER | os.O_NOFOLLOW, dir_fd=self._walk(above))

    def _close(self) -> None:
        while self._held:
            os.close(self._held.popitem()[1])
