"""The public directory, reached only through directory descriptors: no symbolic link is followed.

Every file is written under a hidden staged name first and gets its own name by rename, so a
reader opens either the old file or the new one. Folders are 0755 and files 0644 whatever the
umask says: the public server and nginx may run as other users.
"""

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from broadcaster.bundle.paths import UnsafePath, staged_name

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_HELD = 64  # folders open at a time: those of an update, not those of a long history written anew
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Tree:
    """File operations below one root, by whoever holds the lock; names are relative and already checked."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders = _Folders(root)  # touched by the holder of the lock alone

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the only writer's place: two lanes of one channel overlap during a reload."""
        folder_name, _, last = name.rpartition("/")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        folders = _Folders(self._root)
        try:
            descriptor = folders.open(last, flags, folders.at(folder_name, make=True), name)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._folders = folders
                yield
            finally:
                os.close(descriptor)
        finally:
            folders.close()

    def stage(self, name: str, body: bytes, *, durable: bool = False) -> None:
        """Write `body` under the staged name of `name`; `durable` waits until it is on disk."""
        folder, last = self._place(name, make=True)
        _refuse_odd(folder, last, name)
        staged = staged_name(last)
        if _refuse_odd(folder, staged, staged_name(name)):
            os.unlink(staged, dir_fd=folder)
        with os.fdopen(self._folders.open(staged, _WRITE, folder, staged_name(name)), "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(body)
            file.flush()
            if durable:
                os.fsync(file.fileno())

    def settle(self, name: str, *, durable: bool = False) -> None:
        """Give the staged body of `name` its own name."""
        folder, last = self._place(name)
        os.rename(staged_name(last), last, src_dir_fd=folder, dst_dir_fd=folder)
        if durable:
            os.fsync(folder)

    def drop(self, name: str) -> None:
        """Remove `name`, if it is there."""
        with suppress(FileNotFoundError):
            folder, last = self._place(name)
            os.unlink(last, dir_fd=folder)

    def read(self, name: str, most: int = -1) -> bytes | None:
        """Return the body of `name`, or its first `most` bytes; None when there is none."""
        try:
            folder, last = self._place(name)
            descriptor = self._folders.open(last, _READ, folder, name)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            return file.read(most)

    def digest(self, name: str) -> str | None:
        """Return the SHA-256 (hex) of `name`; None when absent or not a plain file."""
        try:
            folder, last = self._place(name)
            descriptor = self._folders.open(last, _READ, folder, name)
        except (FileNotFoundError, UnsafePath):
            return None
        # Unbuffered and whole: files are small, and what stands around a read costs more than reading.
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return hashlib.file_digest(file, "sha256").hexdigest()

    def names(self, folder_name: str) -> list[str]:
        """Return the names in a folder but those of folders, none when it does not exist."""
        try:
            folder, _ = self._place(f"{folder_name}/x")
            with os.scandir(folder) as entries:
                return [one.name for one in entries if not one.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []

    def _place(self, name: str, *, make: bool = False) -> tuple[int, str]:
        """Return the descriptor of the folder of `name`, good until the next call, and the last part of the name.

        Raises:
            UnsafePath: the name leads out of the root.
        """
        if "\0" in name or {"", ".", ".."} & {*name.split("/")}:
            raise UnsafePath(f"{name!r} is no name of a file under {os.fspath(self._root)!r}")
        folder_name, _, last = name.rpartition("/")
        return self._folders.at(folder_name, make=make), last


class _Folders:
    """Descriptors of the folders below `root` that were walked to, each opened once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: dict[str, int] = {}

    def at(self, folder_name: str, *, make: bool = False) -> int:
        """Return the descriptor of a folder; `make` makes what is missing. Raises FileNotFoundError, UnsafePath."""
        if folder_name not in self._held and len(self._held) >= _HELD:
            self.close()
        return self._walk(folder_name, make=make)

    def _walk(self, folder_name: str, *, make: bool) -> int:
        if folder_name not in self._held:
            self._held[folder_name] = self._enter(folder_name, make=make)
        return self._held[folder_name]

    def _enter(self, folder_name: str, *, make: bool) -> int:
        if not folder_name:
            if make:
                self._root.mkdir(mode=0o755, parents=True, exist_ok=True)
            return self.open(os.fspath(self._root), _FOLDER, None, "")
        above, _, last = folder_name.rpartition("/")
        parent = self._walk(above, make=make)
        try:
            return self.open(last, _FOLDER, parent, folder_name)
        except FileNotFoundError:
            if not make:
                raise
        return self._made(last, parent, folder_name)

    def _made(self, name: str, parent: int, called: str) -> int:
        made = False
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=parent)
            made = True
        descriptor = self.open(name, _FOLDER, parent, called)
        if made:
            os.fchmod(descriptor, 0o755)
        return descriptor

    def open(self, name: str, flags: int, folder: int | None, called: str) -> int:
        """Open `name` in a folder, following no symbolic link. Raises OSError, `UnsafePath`, which tells it as `called`."""
        try:
            return os.open(name, flags, 0o644, dir_fd=folder)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise UnsafePath(
                    f"{called or name!r} under {os.fspath(self._root)!r} is a symbolic link or not a folder; "
                    "remove it, the public directory holds plain files only"
                ) from error
            raise

    def close(self) -> None:
        """Let go of all of them."""
        while self._held:
            os.close(self._held.popitem()[1])


def _refuse_odd(folder: int, name: str, called: str) -> bool:
    """Say whether `name` exists; raise `UnsafePath`, with its path `called`, when it is anything but a plain file."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise UnsafePath(f"{called!r} exists and is not a plain file; remove it")
    return True
