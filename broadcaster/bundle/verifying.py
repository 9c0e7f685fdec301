"""Whether a signed copy is whole: all that its manifest vouches for is fetched, as readers do, and compared by hash.

Files are taken a shard at a time and forgotten, so that a copy of any size needs the memory of one folder's names.
"""

from __future__ import annotations

import contextvars
import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broadcaster.bundle.manifest import Entry, Shard, decode_shard, digest
from broadcaster.bundle.paths import UnsafePath, check_path
from broadcaster.bundle.signed import (
    CAP,
    COPYING,
    NAME,
    PUBLIC_KEY,
    Manifest,
    is_signed,
    shard_name,
    signature_name,
)
from broadcaster.channel import Failure, Permanent
from broadcaster.httpclient import Caller, Deadline

TOLD = 100
"""So many names of files that are wrong are kept; the others are counted."""
_AT_ONCE = 8
_ENOUGH = 8  # compressed forms that lack, and none that is there: then there are none
_INDEX = "index.html"
_NOT_SHOWN = frozenset({401, 403, 404, 410})
_NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})
_TRIES = 3  # of a file that cannot be read, and of a copy that is renewed while it is compared
_PAUSE = 1.0  # seconds between two of them


class NoCopy(Exception):
    """Nothing can be verified there; `args[0]` says why."""


class Unsteady(Exception):
    """The copy was renewed whenever it was compared; `args[0]` says so."""


class Place(Protocol):
    """Where a copy is read, by a deadline. `called` is how sentences name it."""

    called: str
    deadline: Deadline

    def body(self, name: str) -> bytes | None:
        """What readers are shown under a name, which may end with a slash; None when nothing is there."""

    def close(self) -> None:
        """Free what is held."""


class Web:
    """A copy at a web address: every call within one deadline, without redirects, in drill and demo behind their walls."""

    def __init__(
        self, url: str, deadline: Deadline, allowed_hosts: tuple[str, ...] | None = None
    ) -> None:
        self.called = url.rstrip("/")
        self.deadline = deadline
        self._caller = Caller(allowed_hosts=allowed_hosts)

    def body(self, name: str) -> bytes | None:
        """Raises `Failure`: it cannot be reached now, or time was not enough."""
        try:
            answer = self._caller.call(
                "GET",
                f"{self.called}/{name}",
                deadline=self.deadline,
                headers={"Cache-Control": "no-cache"},
                expect=_NOT_SHOWN,
                cap=CAP,
            )
        except Permanent:
            if name == NAME:
                raise
            return None  # a redirect, say: the manifest could be read, so it is this file that readers do not get
        return answer.body if answer.ok else None

    def close(self) -> None:
        self._caller.close()


class Folder:
    """A copy in a folder of this machine."""

    def __init__(self, path: Path, deadline: Deadline) -> None:
        self.called = str(path)
        self._path = path
        self.deadline = deadline

    def body(self, name: str) -> bytes | None:
        """Raises OSError: it cannot be read, or time was not enough."""
        self.deadline.require()
        try:
            # What is no plain file (a pipe, say) would never end.
            descriptor = os.open(self._path / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _NO_FILE:
                return None
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        with os.fdopen(descriptor, "rb") as file:
            return file.read(CAP)

    def close(self) -> None:
        """Nothing is held open."""


class _Is(Enum):
    RIGHT = "right"
    MISSING = "missing"
    OTHER = "other"


@dataclass(slots=True)
class Verdict:
    """What was found: of `files` that the manifest vouches for, how many lack, how many are others, and the first of these by name."""

    manifest: Manifest
    files: int = 0
    missing: int = 0
    differing: int = 0
    missing_names: list[str] = field(default_factory=list)
    differing_names: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every file is there as it was signed."""
        return not self.missing and not self.differing

    def note(self, name: str, found: _Is) -> None:
        """Count a file."""
        self.files += 1
        if found is _Is.MISSING:
            self.missing += 1
            _keep(self.missing_names, name)
        elif found is _Is.OTHER:
            self.differing += 1
            _keep(self.differing_names, name)


def verify(place: Place, key: Ed25519PublicKey, progress: Callable[[int], None]) -> Verdict:
    """Compare every file; `progress` is told now and then how many there were by now.

    Compressed forms are compared where they stand: a place without them shows the plain ones. A copy that is being renewed
    is compared again.

    Raises:
        NoCopy: no copy stands there, or this key has not signed it.
        Unsteady: it was renewed each time.
        Failure, OSError: it cannot be read now, or time was not enough.
    """
    for last in (False,) * (_TRIES - 1) + (True,):
        body, manifest = _signed(place, key)
        verdict = _compared(place, key, manifest, progress)
        if verdict.whole:
            break
        renewed = _fetch(place, NAME) != body
        if last and renewed:
            raise Unsteady(
                f"The copy at {place.called} is renewed again and again while it is compared."
            )
        # Anybody can write that a copying is under way: it has us look again, and hides nothing.
        if last or not (renewed or _fetch(place, COPYING)):
            break
        time.sleep(_PAUSE)
    return verdict


def _compared(
    place: Place, key: Ed25519PublicKey, manifest: Manifest, progress: Callable[[int], None]
) -> Verdict:
    verdict = Verdict(manifest)
    work = _Work(place, verdict)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    verdict.note(PUBLIC_KEY, work.look(PUBLIC_KEY, digest(pem)))
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="verify") as threads:
        try:
            for board, shards in verdict.manifest.shards.items():
                for shard_key, sha256 in shards.items():
                    work.shard(board, shard_key, sha256, threads)
                    progress(verdict.files)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return verdict


def _fetch(place: Place, name: str) -> bytes | None:
    """Read a file, and again when that fails: whoever reads a thousand meets a place that is busy for a moment."""
    for _ in range(_TRIES - 1):
        try:
            return place.body(name)
        except Failure as failure:
            if isinstance(failure, Permanent):
                raise
            pause = min(failure.retry_after or _PAUSE, place.deadline.left())
        time.sleep(pause)
    return place.body(name)


def _signed(place: Place, key: Ed25519PublicKey) -> tuple[bytes, Manifest]:
    """The manifest as it was read, and what it says."""
    body = _fetch(place, NAME)
    for _ in range(_TRIES):
        if body is None:
            raise NoCopy(f"No copy stands at {place.called}: there is no {NAME}.")
        signature = _fetch(place, signature_name(body))
        if signature is not None and is_signed(key, body, signature):
            break
        before, body = body, _fetch(place, NAME)
        if before == body:
            raise NoCopy(f"What stands at {place.called} is not signed by this key.")
    else:
        raise Unsteady(
            f"The copy at {place.called} is renewed again and again while it is compared."
        )
    assert body is not None, "it is signed"  # noqa: S101 - for the type checker
    try:
        return body, Manifest.decode(body)
    except ValueError:
        raise NoCopy(
            f"The copy at {place.called} was written by another version of the program."
        ) from None


class _Work:
    """One verification."""

    def __init__(self, place: Place, verdict: Verdict) -> None:
        self._place = place
        self._verdict = verdict
        self._forms = 0
        self._lacking = 0

    def shard(self, board: str, key: str, sha256: str, threads: ThreadPoolExecutor) -> None:
        """Compare the files that one shard vouches for."""
        name = shard_name(board, key, sha256)
        body = _fetch(self._place, name)
        if body is None or digest(body) != sha256:
            self._verdict.note(name, _Is.MISSING if body is None else _Is.OTHER)
            return
        self._verdict.note(name, _Is.RIGHT)
        shard = decode_shard(body)
        self._compare(self._plain(shard), threads, plain=True)
        if self._forms or self._lacking < _ENOUGH:
            self._compare(self._compressed(shard), threads, plain=False)

    def _compare(
        self, wanted: Iterable[tuple[str, str]], threads: ThreadPoolExecutor, *, plain: bool
    ) -> None:
        look = self.look if plain else self._look_once
        calls = [
            # The deadline of a call stands in the context.
            (name, threads.submit(contextvars.copy_context().run, look, name, sha256))
            for name, sha256 in wanted
        ]
        for name, call in calls:
            found = call.result()
            if plain or found is not _Is.MISSING:
                self._verdict.note(name, found)
            if not plain:
                self._lacking += found is _Is.MISSING
                self._forms += found is not _Is.MISSING

    def _look_once(self, name: str, wanted: str) -> _Is:
        """Of a compressed form: one that cannot be had lacks, readers are shown the plain one."""
        try:
            body = self._place.body(name)
        except (Failure, OSError):
            self._place.deadline.require()
            return _Is.MISSING
        if body is None:
            return _Is.MISSING
        return _Is.RIGHT if digest(body) == wanted else _Is.OTHER

    def look(self, name: str, wanted: str) -> _Is:
        """What stands under a name, beside the hash that was signed."""
        body = _fetch(self._place, name)
        if body is not None and digest(body) == wanted:
            return _Is.RIGHT
        folder, slash, last = name.rpartition("/")
        if last == _INDEX:  # some servers show it under the name of its folder alone
            page = _fetch(self._place, folder + slash)
            if page is not None and digest(page) == wanted:
                return _Is.RIGHT
        return _Is.MISSING if body is None else _Is.OTHER

    def _plain(self, shard: Shard) -> Iterator[tuple[str, str]]:
        front = self._verdict.manifest.front
        for path, entry in _safe(shard):
            yield path, front.get(path, entry["sha256"])

    def _compressed(self, shard: Shard) -> Iterator[tuple[str, str]]:
        front = self._verdict.manifest.front
        for path, entry in _safe(shard):
            if front.get(path, entry["sha256"]) != entry["sha256"]:
                continue  # a front page of the copy, which holds a line more
            if "gzip" in entry:
                yield f"{path}.gz", entry["gzip"]
            if "br" in entry:
                yield f"{path}.br", entry["br"]


def _safe(shard: Shard) -> Iterator[tuple[str, Entry]]:
    for path, entry in shard.items():
        try:
            yield check_path(path), entry
        except UnsafePath:
            raise NoCopy(f"A list of the copy names {path!r}, which is no public file.") from None


def _keep(names: list[str], name: str) -> None:
    if len(names) < TOLD:
        names.append(name)
