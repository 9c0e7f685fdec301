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
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Tree:
    """File operations below one root; names are relative and already checked."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the only writer's place: two lanes of one channel overlap during a reload."""
        with self._folder(name, make=True) as (folder, last):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = self._open(last, flags, folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def stage(self, name: str, body: bytes, *, durable: bool = False) -> None:
        """Write `body` under the staged name of `name`; `durable` waits until it is on disk."""
        with self._folder(name, make=True) as (folder, last):
            _refuse_odd(folder, last)
            staged = staged_name(last)
            if _refuse_odd(folder, staged):
                os.unlink(staged, dir_fd=folder)
            with os.fdopen(self._open(staged, _WRITE, folder), "wb") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(body)
                file.flush()
                if durable:
                    os.fsync(file.fileno())

    def settle(self, name: str, *, durable: bool = False) -> None:
        """Give the staged body of `name` its own name."""
        with self._folder(name) as (folder, last):
            os.rename(staged_name(last), last, src_dir_fd=folder, dst_dir_fd=folder)
            if durable:
                os.fsync(folder)

    def drop(self, name: str) -> None:
        """Remove `name`, if it is there."""
        with suppress(FileNotFoundError), self._folder(name) as (folder, last):
            os.unlink(last, dir_fd=folder)

    def read(self, name: str) -> bytes | None:
        """Return the body of `name`, or None when there is none."""
        try:
            with self._folder(name) as (folder, last):
                descriptor = self._open(last, _READ, folder)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def digest(self, name: str) -> str | None:
        """Return the SHA-256 (hex) of `name`; None when absent or not a plain file."""
        try:
            with self._folder(name) as (folder, last):
                descriptor = self._open(last, _READ, folder)
        except (FileNotFoundError, UnsafePath):
            return None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            return hashlib.file_digest(file, "sha256").hexdigest()

    def names(self, folder_name: str) -> list[str]:
        """Return the names in a folder, none when it does not exist."""
        try:
            with self._folder(f"{folder_name}/.") as (folder, _):
                return os.listdir(folder)  # noqa: PTH208 - by descriptor
        except FileNotFoundError:
            return []

    @contextmanager
    def _folder(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Walk to the folder of `name`; give its descriptor and the last part of the name."""
        *folders, last = name.split("/")
        if make:
            self._root.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = self._open(os.fspath(self._root), _FOLDER, None)
        try:
            for folder in folders:
                deeper = self._step(folder, descriptor, make)
                os.close(descriptor)
                descriptor = deeper
            yield descriptor, last
        finally:
            os.close(descriptor)

    def _step(self, folder: str, parent: int, make: bool) -> int:
        made = False
        if make:
            with suppress(FileExistsError):
                os.mkdir(folder, 0o755, dir_fd=parent)
                made = True
        descriptor = self._open(folder, _FOLDER, parent)
        if made:
            os.fchmod(descriptor, 0o755)
        return descriptor

    def _open(self, name: str, flags: int, folder: int | None) -> int:
        try:
            return os.open(name, flags, 0o644, dir_fd=folder)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise UnsafePath(
                    f"{name!r} under {os.fspath(self._root)!r} is a symbolic link or not a folder; "
                    "remove it, the public directory holds plain files only"
                ) from error
            raise


def _refuse_odd(folder: int, name: str) -> bool:
    """Say whether `name` exists; raise `UnsafePath` when it is anything but a plain file."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise UnsafePath(f"{name!r} exists and is not a plain file; remove it")
    return True
