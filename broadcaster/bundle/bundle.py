"""Publishing one revision of one owner's files as a whole.

Order on disk, and why nothing is torn: (1) every new body is written under its hidden staged name;
(2) the manifest is fsynced and renamed: the commit; (3) the bodies get their own names. A reader
that checks SHA-256 finds each body of the standing manifest under its own or its staged name, and
a writer that was killed in (3) is completed by the next one.
"""

import gzip
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import cast

import brotli

from broadcaster.bundle.disk import Tree
from broadcaster.bundle.file import File
from broadcaster.bundle.manifest import (
    Copies,
    Entry,
    Root,
    Shard,
    decode_shard,
    digest,
    encode,
    names,
    parse_revision,
    shard_key,
)
from broadcaster.bundle.paths import UnsafePath, check_path, overdue_path, staged_name

_WORTH_COMPRESSING = 200  # bytes; below it the headers outweigh the gain
_GZIP_LEVEL = 6
_UNKNOWN = b""  # no manifest is empty, so the next call reads and verifies
_BROTLI_QUALITY = 5  # 11 costs 41 ms a page, 5 costs 0.2


class OlderRevision(Exception):
    """A revision older than the standing one was offered; nothing was written."""


class NotStanding(Exception):
    """The files on disk are not those of the manifest: publish everything with whole=True."""


class Bundle:
    """The public files of one owner (channel name) in a directory that owners share.

    Safe to use from several threads and processes; the clock is never read.
    """

    def __init__(self, directory: Path, owner: str) -> None:
        """Raise `UnsafePath` when `owner` cannot be a file name. Touches no disk."""
        if "/" in owner:
            raise UnsafePath(f"owner {owner!r} may not contain a slash")
        self._tree = Tree(directory)
        self._manifest = f".manifest/{check_path(owner)}"
        self._known: bytes | None = None
        self._root: Root | None = None
        self._broken: set[str] = set()
        self._staged: list[str] = []

    def standing(self, verify: bool = False) -> str | None:
        """Return the revision ("1.17") whose files all stand intact; None: rewrite everything.

        `verify` checks each SHA-256 on disk (start-up). Without it, what this object verified or
        wrote is trusted; a manifest it does not know is verified all the same.
        """
        with self._tree.lock(f"{self._manifest}.lock"):
            self._refresh(verify)
            return self._root.revision if self._root and not self._broken else None

    def bodies(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return what stands at each of `paths`, as it was published; what is not there intact is left out."""
        found: dict[str, bytes] = {}
        shards: dict[str, Shard | None] = {}
        with self._tree.lock(f"{self._manifest}.lock"):
            self._refresh(verify=False)
            for path in paths:
                key = shard_key(path)
                if key not in shards:
                    shards[key] = self._shard(key)
                entry, body = (shards[key] or {}).get(path), self._tree.read(path)
                if entry and body is not None and digest(body) == entry["sha256"]:
                    found[path] = body
        return found

    def digests(self, path: str) -> frozenset[str]:
        """Return the SHA-256 of what may be shown at `path`: the file, and what takes its place when it is overdue."""
        with self._tree.lock(f"{self._manifest}.lock"):
            self._refresh(verify=False)
            entry = (self._shard(shard_key(path)) or {}).get(path)
        if entry is None:
            return frozenset()
        overdue = entry.get("overdue")
        return frozenset({entry["sha256"], *([overdue["sha256"]] if overdue else [])})

    def publish(
        self,
        revision: str,
        files: Iterable[File],
        *,
        remove: Iterable[str] = (),
        whole: bool = False,
    ) -> None:
        """Write the changed ones among `files`, then make `revision` the standing one.

        `whole`: the revision consists of exactly `files`; otherwise they are merged with what
        stands, less the paths in `remove`. The same revision may be published again, with other
        content too (a changed template). Raises `OlderRevision`, `UnsafePath`, `NotStanding`
        (merging needs an intact base), ValueError (revision, duplicate path), OSError (disk);
        readers keep the old revision then.
        """
        parse_revision(revision)
        given = _checked(files)
        removed = {check_path(path) for path in remove}
        with self._tree.lock(f"{self._manifest}.lock"):
            self._refresh(verify=False)
            self._refuse(revision, whole)
            self._staged = []
            before = self._touched(given, removed, whole)
            try:
                after = self._stage(given, removed, before, whole)
                shards = self._write_shards(after)
            except OSError:
                # Nobody will ask for these; on a full disk what they hold is what a retraction needs to be stored.
                self._unstage()
                raise
            self._commit(revision, shards, _gone(before, after))

    def _refuse(self, revision: str, whole: bool) -> None:
        if self._root and parse_revision(revision) < parse_revision(self._root.revision):
            raise OlderRevision(f"{self._root.revision} stands, {revision} is older")
        if self._broken and not whole:
            raise NotStanding(f"{len(self._broken)} public files are damaged; publish whole=True")

    def _refresh(self, verify: bool) -> None:
        """Learn the manifest on disk; complete what a killed writer left; note what is broken."""
        body = self._tree.read(f"{self._manifest}.json")
        if body == self._known and not verify:
            return
        self._known, self._root, self._broken = _UNKNOWN, None, set()
        if body is None:
            self._known = None
            return
        try:
            self._root = Root.decode(body)
        except ValueError:
            self._broken = {self._manifest}
            return
        for key in self._root.shards:
            self._broken |= self._repair(key)
        for name in self._root.removed:
            self._tree.drop(name)
        self._sweep(self._root)
        self._known = body

    def _repair(self, key: str) -> set[str]:
        shard = self._shard(key)
        if shard is None:
            return {f"{self._manifest}/{key}"}
        return {path for path, entry in shard.items() if not self._stands(path, entry)}

    def _stands(self, path: str, entry: Entry) -> bool:
        for name, sha256 in names(path, entry):
            if self._tree.digest(name) == sha256:
                continue
            if self._tree.digest(staged_name(name)) != sha256:
                return False
            self._tree.settle(name)
        return True

    def _sweep(self, root: Root) -> None:
        keep = {self._shard_name(key, sha256) for key, sha256 in root.shards.items()}
        found = {f"{self._manifest}/{name}" for name in self._tree.names(self._manifest)}
        for name in found - keep:
            self._tree.drop(name)

    def _shard_name(self, key: str, sha256: str) -> str:
        return f"{self._manifest}/{key}.{sha256}.json"

    def _shard(self, key: str) -> Shard | None:
        """Return the entries of a standing shard, {} when there is none, None when damaged."""
        if self._root is None or key not in self._root.shards:
            return {}
        sha256 = self._root.shards[key]
        body = self._tree.read(self._shard_name(key, sha256))
        if body is None or digest(body) != sha256:
            return None
        return decode_shard(body)

    def _touched(self, given: dict[str, File], removed: set[str], whole: bool) -> dict[str, Shard]:
        keys = {shard_key(path) for path in (*given, *removed)}
        if whole and self._root:
            keys |= set(self._root.shards)
        shards = {key: self._shard(key) for key in keys}
        if None in shards.values() and not whole:
            self._known = _UNKNOWN  # damaged since it was verified
            raise NotStanding("a shard of the manifest is damaged; publish whole=True")
        return {key: shard or {} for key, shard in shards.items()}

    def _stage(
        self, given: dict[str, File], removed: set[str], before: dict[str, Shard], whole: bool
    ) -> dict[str, Shard]:
        after: dict[str, Shard] = {
            key: {} if whole else {path: e for path, e in shard.items() if path not in removed}
            for key, shard in before.items()
        }
        for path, file in given.items():
            key = shard_key(path)
            standing = None if path in self._broken else before[key].get(path)
            after[key][path] = self._entry(file, standing)
        return after

    def _entry(self, file: File, standing: Entry | None) -> Entry:
        copies = self._copies(file.path, file.body, file.media_type, standing)
        entry = cast("Entry", {**copies, "media_type": file.media_type})
        if file.immutable:
            entry["immutable"] = True
        if file.links:
            entry["links"] = [list(link) for link in file.links]
        if file.overdue:
            path = overdue_path(file.path)
            old = standing.get("overdue") if standing else None
            copies = self._copies(path, file.overdue.body, file.media_type, old)
            after = file.overdue.after.astimezone(UTC).isoformat()
            entry["overdue"] = {**copies, "path": path, "after": after}
        return entry

    def _copies(self, path: str, body: bytes, media_type: str, standing: Copies | None) -> Copies:
        sha256 = digest(body)
        if standing and standing["sha256"] == sha256:
            return _only_copies(standing)
        copies = Copies(sha256=sha256, size=len(body))
        self._write(path, body)
        if len(body) > _WORTH_COMPRESSING and _compressible(media_type):
            small = gzip.compress(body, _GZIP_LEVEL, mtime=0)
            copies["gzip"] = self._write(f"{path}.gz", small)
            small = brotli.compress(body, quality=_BROTLI_QUALITY)
            copies["br"] = self._write(f"{path}.br", small)
        return copies

    def _write(self, name: str, body: bytes) -> str:
        self._staged.append(name)
        self._tree.stage(name, body)
        return digest(body)

    def _unstage(self) -> None:
        for name in self._staged:
            with suppress(OSError):
                self._tree.drop(staged_name(name))

    def _write_shards(self, after: dict[str, Shard]) -> dict[str, str]:
        standing = self._root.shards if self._root else {}
        shards = dict(standing)
        for key, shard in after.items():
            shards.pop(key, None)
            if shard:
                shards[key] = self._write_shard(key, shard, standing)
        return shards

    def _commit(self, revision: str, shards: dict[str, str], gone: list[str]) -> None:
        old = self._root or Root(revision)
        root = Root(revision, shards, tuple(gone))
        if (old.revision, old.shards) == (revision, shards) and self._root and not self._staged:
            return
        self._switch(root.encode())
        stale = [
            self._shard_name(key, sha256)
            for key, sha256 in old.shards.items()
            if shards.get(key) != sha256
        ]
        for name in self._staged:
            self._tree.settle(name)
        for name in (*gone, *stale):
            self._tree.drop(name)
        # Only now is the disk what the manifest says; an error above makes the next call repair.
        self._known, self._root, self._broken = root.encode(), root, set()

    def _write_shard(self, key: str, shard: Shard, standing: Mapping[str, str]) -> str:
        body = encode(shard)
        sha256 = digest(body)
        if standing.get(key) != sha256 or self._broken:
            name = self._shard_name(key, sha256)
            self._tree.stage(name, body)
            self._tree.settle(name)
        return sha256

    def _switch(self, body: bytes) -> None:
        self._known = _UNKNOWN
        self._tree.stage(f"{self._manifest}.json", body, durable=True)
        self._tree.settle(f"{self._manifest}.json", durable=True)


def _checked(files: Iterable[File]) -> dict[str, File]:
    given: dict[str, File] = {}
    for file in files:
        if given.setdefault(check_path(file.path), file) is not file:
            raise ValueError(f"two files for one path: {file.path!r}")
    return given


def _gone(before: dict[str, Shard], after: dict[str, Shard]) -> list[str]:
    """Return the names on disk that the new entries no longer stand for."""
    gone: set[str] = set()
    for key, shard in before.items():
        for path, entry in shard.items():
            # Most entries of a shard are untouched: the same objects, not looked into.
            if (kept := after[key].get(path)) is not entry:
                now = dict(names(path, kept)) if kept else {}
                gone.update(name for name, _ in names(path, entry) if name not in now)
    return sorted(gone)


def _only_copies(standing: Copies) -> Copies:
    copies = Copies(sha256=standing["sha256"], size=standing["size"])
    if "gzip" in standing:
        copies["gzip"] = standing["gzip"]
    if "br" in standing:
        copies["br"] = standing["br"]
    return copies


def _compressible(media_type: str) -> bool:
    kind = media_type.partition(";")[0]
    return kind.startswith("text/") or kind.endswith(("json", "xml"))
