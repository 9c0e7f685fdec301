"""What the boards have published in the public directory, read without their lock: no copying ever holds up a page."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from broadcaster.bundle.manifest import Entry, Root, Shard, decode_shard, digest, parse_revision
from broadcaster.bundle.paths import staged_name
from broadcaster.bundle.signed import Shards
from broadcaster.channel import Revision, Transient
from broadcaster.httpclient import Deadline

_GLANCE = 0.05  # seconds between two looks for a board's new revision: another process may write it
_PATIENCE = 10.0


class Moved(Exception):
    """A file is not what the manifest that was read says: the board has gone on meanwhile."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The boards' manifests as they stood at one moment; `bodies` are the bytes of these manifests."""

    directory: Path
    roots: Mapping[str, Root]
    bodies: Mapping[str, bytes]

    @property
    def boards(self) -> dict[str, str]:
        """The revision of each board."""
        return {board: root.revision for board, root in self.roots.items()}

    @property
    def revision(self) -> Revision:
        """The revision that all of them show."""
        return Revision.parse(min(self.boards.values(), key=parse_revision))

    @property
    def shards(self) -> Shards:
        """The hashes of their shards."""
        return {board: root.shards for board, root in self.roots.items()}

    def shard_body(self, board: str, key: str) -> bytes:
        """The bytes of a shard; raises Moved."""
        sha256 = self.roots[board].shards[key]
        body = _read(self.directory / ".manifest" / board / f"{key}.{sha256}.json")
        if body is None or digest(body) != sha256:
            raise Moved(f"{board}/{key}")
        return body

    def shard(self, board: str, key: str) -> Shard:
        """The entries of a shard, none when there is no such; raises Moved."""
        if key not in self.roots[board].shards:
            return {}
        return decode_shard(self.shard_body(board, key))

    def body(self, name: str, sha256: str) -> bytes:
        """The bytes of a public file, under its own name or the one it has just before; raises Moved."""
        for candidate in (name, staged_name(name), name):
            body = _read(self.directory / candidate)
            if body is not None and digest(body) == sha256:
                return body
        raise Moved(name)


def take(directory: Path, boards: Sequence[str]) -> Snapshot | None:
    """Read the boards' manifests; None when one of them has published nothing yet."""
    roots, bodies = {}, {}
    for board in boards:
        body = _read(directory / ".manifest" / f"{board}.json")
        try:
            roots[board] = Root.decode(body or b"")
        except ValueError:
            return None
        bodies[board] = body or b""
    return Snapshot(directory, roots, bodies)


def wait_for(
    directory: Path, boards: Sequence[str], revision: Revision, deadline: Deadline
) -> Snapshot:
    """Return what stands once every board shows `revision`; raises Transient when one does not in time."""
    until = time.monotonic() + min(_PATIENCE, deadline.left() / 3)
    while True:
        found = take(directory, boards)
        if found and found.revision >= revision:
            return found
        if time.monotonic() >= until:
            shown = {board: take(directory, [board]) for board in boards}
            late = [board for board, one in shown.items() if one is None or one.revision < revision]
            raise Transient(
                f"{', '.join(late)} has not shown revision {revision} in {directory} yet: the copy waits for it.",
                retry_after=1.0,
            )
        time.sleep(_GLANCE)


def maker(directory: Path, boards: Sequence[str]) -> str | None:
    """Sum up by what code and settings the boards' files were made; None while one has published nothing."""
    made = []
    for board in boards:
        body = _read(directory / f"{board}.maker.txt")
        if body is None:
            return None
        made.append(body)
    return digest(b"\n".join(made))


def pieces(path: str, entry: Entry, variants: bool) -> Iterator[tuple[str, str]]:
    """Yield (name, SHA-256) of the files of one entry that go into a copy.

    The overdue variant stays at home: nothing but our own public server changes to it when its time comes.
    """
    yield path, entry["sha256"]
    if variants and "gzip" in entry:
        yield f"{path}.gz", entry["gzip"]
    if variants and "br" in entry:
        yield f"{path}.br", entry["br"]


def _read(path: Path) -> bytes | None:
    """Read a plain file, following no symbolic link in its last part; None when there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Transient(f"{path} could not be read: {error.strerror}.") from error
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
