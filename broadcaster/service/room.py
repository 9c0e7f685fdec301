"""The disks that we write to: what stands on each, and how much room it has left."""

from __future__ import annotations

import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from broadcaster.service.desk import Desk


@dataclass(frozen=True, slots=True)
class Disk:
    """One file system: `what` is written there, into which `folders`, and how many bytes are `free`."""

    what: tuple[str, ...]
    folders: tuple[Path, ...]
    free: int

    @property
    def named(self) -> str:
        """Its folders, for a sentence."""
        return ", ".join(str(folder) for folder in self.folders)


def disks(desk: Desk) -> list[Disk]:
    """Every disk that something is written to, once; one that cannot be asked is left out."""
    found: dict[int, Disk] = {}
    for what, folder in _written(desk):
        with suppress(OSError):
            there = _there(folder)
            device = there.stat().st_dev
            known = found.get(device) or Disk((), (), shutil.disk_usage(there).free)
            folders = known.folders if folder in known.folders else (*known.folders, folder)
            found[device] = Disk((*known.what, what), folders, known.free)
    return list(found.values())


def _written(desk: Desk) -> Iterator[tuple[str, Path]]:
    settings = desk.configuration.settings
    if desk.store.is_sqlite:
        yield "store", Path(str(desk.store.url.database)).absolute().parent
    yield "page", settings.public.directory.absolute()
    yield "audit", settings.audit_head.absolute().parent
    yield "erasures", settings.erasures.absolute().parent
    with suppress(OSError, ValueError):  # standard error is closed, or is none of the system's
        log = Path(f"/proc/self/fd/{sys.stderr.fileno()}")
        if stat.S_ISREG(log.stat().st_mode):
            yield "log", log.resolve().parent


def _there(folder: Path) -> Path:
    """A folder that nothing was written to yet will be on the disk of the nearest one there is."""
    return next(place for place in (folder, *folder.parents) if place.exists())
