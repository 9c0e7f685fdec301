"""A small disk of our own: an ext4 image behind a loop device, whose power can be cut, that fills up, or that fails.

It needs root and loop devices, and leaves neither mount nor device behind. ::

    with Disk(tmp_path / "disk") as disk:
        database = disk.folder / "broadcaster.db"
        ...  # a daemon writes; it is stopped with SIGSTOP
        left = disk.snapshot()  # what a power cut would leave on the platter now
        ...  # the daemon is killed
        disk.revert(left)  # mounted again, journal replayed
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

MEBIBYTE = 2**20
_QUIET = 2.0
_CHECK = ("e2fsck", "-f", "-y")


def _run(*command: str | Path) -> str:
    ran = subprocess.run(
        [str(part) for part in command], check=True, capture_output=True, text=True
    )
    return ran.stdout.strip()


class Disk:
    """An ext4 file system of so many mebibytes at `folder`, while entered.

    Raises:
        subprocess.CalledProcessError: it cannot be made or mounted here.
    """

    def __init__(self, folder: Path, mebibytes: int = 192) -> None:
        self.folder, self._size = folder, mebibytes * MEBIBYTE
        self._images = folder.with_name(f"{folder.name}.images")
        self._made = 0
        self._image = self._next_image()

    def __enter__(self) -> Self:
        self.folder.mkdir()
        self._images.mkdir()
        with self._image.open("wb") as file:
            file.truncate(self._size)
        options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
        _run("mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-J", "size=4", "-E", options, self._image)
        self._mount()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._unmount(lazily=error is not None)
        shutil.rmtree(self._images)

    def _next_image(self) -> Path:
        self._made += 1
        return self._images / f"{self._made}.img"

    def _mount(self) -> None:
        # What a file system finds broken it must not go on writing: as most distributions mount it.
        _run("mount", "-o", "loop,errors=remount-ro", self._image, self.folder)
        source = _run("findmnt", "-n", "-o", "SOURCE", self.folder)
        self._device = Path(source).name

    def _unmount(self, *, lazily: bool = False) -> None:
        try:
            _run("umount", self.folder)
        except subprocess.CalledProcessError:
            if not lazily:
                raise
            _run("umount", "-l", self.folder)

    # ----------------------------------------------------------------------------------------------- a power cut
    def snapshot(self) -> Path:
        """A copy of what has reached the device, all of one moment: not what the kernel still holds back in its cache.

        Whoever writes must be stopped; the kernel itself may still write, then it is copied again.

        Raises TimeoutError: the device did not come to rest.
        """
        copy, until = self._next_image(), time.monotonic() + _QUIET
        while time.monotonic() < until:
            before = self._writes()
            _run("cp", "--sparse=always", self._image, copy)
            if before == self._writes():
                return copy
        raise TimeoutError(f"{self._device} is written to without a pause")

    def _writes(self) -> tuple[str, ...]:
        """How many writes the device has taken, and how many are under way."""
        block = Path("/sys/block") / self._device
        return (
            block.joinpath("stat").read_text().split()[4],
            block.joinpath("inflight").read_text(),
        )

    def revert(self, left: Path) -> None:
        """Put what a power cut left in the place of the disk. Nobody may have a file open on it."""
        self._unmount()
        self._image.unlink()
        self._image = left
        self._mount()

    # -------------------------------------------------------------------------------------------------- no space
    def fill(self, *, leave: int = 0) -> None:
        """Take all the space there is but `leave` bytes, in a file of ours."""
        ballast = os.open(self._filler, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            while (free := self.free - leave) > 0:
                with contextlib.suppress(OSError):
                    os.posix_fallocate(ballast, os.fstat(ballast).st_size, max(4096, free // 2))
                    continue
                break
        finally:
            os.close(ballast)

    def empty(self) -> None:
        """Give the space back."""
        self._filler.unlink()

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"

    @property
    def free(self) -> int:
        """Free bytes."""
        return shutil.disk_usage(self.folder).free

    # ------------------------------------------------------------------------------------------------ it fails
    def fail(self) -> None:
        """Let the file system find itself broken: from now on it is read-only, until it is checked and mounted anew."""
        Path(f"/sys/fs/ext4/{self._device}/trigger_fs_error").write_text("a test asked for it\n")

    def repair(self) -> None:
        """Check the file system and mount it anew. Nobody may have a file open on it."""
        self._unmount()
        # 1: errors were corrected.
        ran = subprocess.run([*_CHECK, str(self._image)], check=False, capture_output=True)
        if ran.returncode > 1:
            raise OSError(f"e2fsck ended with {ran.returncode}: {ran.stdout.decode()}")
        self._mount()
