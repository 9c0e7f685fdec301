"""A copy in a second directory: another disk, or a share of another machine. Files are whole at every moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from broadcaster.bundle import UnsafePath
from broadcaster.bundle.disk import Tree
from broadcaster.bundle.signed import CAP
from broadcaster.channel import Permanent, Scope, Transient
from broadcaster.httpclient import Deadline
from channels.mirror.far import Found, Place, Print, Thing
from channels.mirror.settings import DirectoryPlace

_LOCK = ".manifest/mirror.lock"


class Directory:
    """The far side that is a directory. `original` is the host of the page's own address."""

    variants = True

    def __init__(self, settings: DirectoryPlace, original: str) -> None:
        self.called = settings.path
        # A disk of this machine falls with it, and with the original, whose files stand on it too.
        self._hosts = (settings.host,) if settings.host else ("127.0.0.1", original)

    def hosts(self) -> tuple[str, ...]:
        return self._hosts

    def close(self) -> None:
        """Nothing is held open."""

    @contextmanager
    def connected(self, deadline: Deadline) -> Iterator[Place]:
        if not Path(self.called).is_dir():
            # Made here it would stand on this machine's own disk when a share is not mounted.
            raise Transient(
                f"{self.called} is not there: make it, or mount what it is on.", scope=Scope.CHANNEL
            )
        try:
            yield _Open(Tree(Path(self.called)), deadline)
        except UnsafePath as error:
            raise Permanent(
                f"{self.called} cannot be used: {error}.", scope=Scope.CHANNEL
            ) from error
        except OSError as error:
            raise Transient(
                f"{self.called} could not be read or written: {error.strerror or type(error).__name__}. "
                "Make room there, or mend its permissions."
            ) from error


class _Open:
    """The directory. Its lock is held for moments, so that a probe never waits for a copying: turns are the journal's."""

    def __init__(self, tree: Tree, deadline: Deadline) -> None:
        self._tree = tree
        self._deadline = deadline

    def read(self, name: str) -> Found | None:
        with self._tree.lock(_LOCK):
            body = self._tree.read(name, CAP)
        return None if body is None else Found(body)

    def write(self, things: Sequence[Thing]) -> None:
        with self._tree.lock(_LOCK):
            for thing in things:
                self._deadline.require()
                # On disk before the switch: after a power cut no manifest may speak of files that are empty.
                self._tree.stage(thing.name, thing.body, durable=True)
                self._tree.settle(thing.name)

    def swap(self, thing: Thing, before: Found | None) -> None:
        with self._tree.lock(_LOCK):
            self._tree.stage(thing.name, thing.body, durable=True)
            self._tree.settle(thing.name, durable=True)

    def drop(self, names: Sequence[str]) -> None:
        with self._tree.lock(_LOCK):
            for name in names:
                with suppress(IsADirectoryError):
                    self._tree.drop(name)

    def differing(self, wanted: Mapping[str, Print]) -> set[str]:
        """Told by content, which is read here: there is no line in between."""
        found = set()
        for name, known in wanted.items():
            self._deadline.require()
            with self._tree.lock(_LOCK):
                if self._tree.digest(name) != known.sha256:
                    found.add(name)
        return found

    def names(self, folder: str) -> Sequence[str]:
        with self._tree.lock(_LOCK):
            return self._tree.names(folder)
