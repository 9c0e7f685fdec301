"""Reading one owner's published revision from the directory; every body is checked by SHA-256.

The format is `broadcaster.bundle`'s (docs/adr/0010); this side shares no code with it. A body
that is not (yet) under its own name may stand under its hidden staged name: the writer was
stopped between committing the manifest and renaming.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from broadcaster.public.folders import Folders
from broadcaster.public.resource import Copy, Face, Resource, policy

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PAGE = "index.html"

Entry = Mapping[str, Any]


class Damaged(Exception):
    """A file is missing or not what the manifest says."""


@dataclass(frozen=True, slots=True)
class View:
    """One owner's revision in memory. `damaged`: addresses whose files could not be read."""

    revision: tuple[int, int] = (-1, -1)
    shards: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    resources: Mapping[str, Resource | None] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()


def read_view(root: Path, owner: str, old: View) -> View:
    """Read the standing manifest of `owner`; what has not changed is taken from `old`.

    What cannot be read is listed in `damaged` and stands as it was in `old`, or as None. Raises
    `Damaged` when the manifest itself cannot be read.
    """
    with Folders(root) as folders:
        return _view(folders, owner, old)


def _view(folders: Folders, owner: str, old: View) -> View:
    manifest = _manifest(folders, owner)
    wanted = manifest["shards"]
    kept = {} if old.damaged else {k: v for k, v in old.shards.items() if wanted.get(k) == v[0]}
    shards, resources = dict(kept), dict(old.resources)
    for key in old.shards.keys() - kept.keys():
        for address in old.shards[key][1]:
            resources.pop(address, None)
    damaged: list[str] = []
    for key in wanted.keys() - kept.keys():
        sha256, held, lost = _take(folders, owner, key, wanted[key], old)
        shards[key] = (sha256, tuple(held))
        resources.update(held)
        damaged += lost
    epoch, _, number = manifest["revision"].partition(".")
    return View((int(epoch), int(number)), shards, resources, tuple(damaged))


def _take(
    folders: Folders, owner: str, key: str, sha256: str, old: View
) -> tuple[str, dict[str, Resource | None], list[str]]:
    """Read one shard; gives its hash, what it holds by address, and what is damaged."""
    try:
        entries = _shard(folders, owner, key, sha256)
    except Damaged:
        # What the lost shard held is not known; what was shown goes on being shown.
        shown = old.shards[key][1] if key in old.shards else ()
        return "", {address: old.resources.get(address) for address in shown}, [f"shard {key}"]
    held: dict[str, Resource | None] = {}
    damaged = []
    for path, entry in entries.items():
        address = address_of(path)
        held[address] = old.resources.get(address)
        try:
            held[address] = _resource(folders, path, entry, held[address])
        except Damaged:
            damaged.append(address)
    return sha256, held, damaged


def address_of(path: str) -> str:
    """Return the public address of a published path: `a/index.html` → `/a/`."""
    folder, _, name = path.rpartition("/")
    if name == _PAGE:
        return f"/{folder}/" if folder else "/"
    return f"/{path}"


def _manifest(folders: Folders, owner: str) -> Entry:
    body, _ = _read(folders, f".manifest/{owner}.json")
    try:
        manifest: Entry = json.loads(body)
        if not re.fullmatch(r"\d+\.\d+", manifest["revision"]):
            raise Damaged(f"{owner}: no revision")
        dict(manifest["shards"])
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{owner}: manifest unreadable") from error
    return manifest


def _shard(folders: Folders, owner: str, key: str, sha256: str) -> Mapping[str, Entry]:
    body, _ = _read(folders, f".manifest/{owner}/{key}.{sha256}.json")
    if hashlib.sha256(body).hexdigest() != sha256:
        raise Damaged(f"{owner}: shard {key}")
    shard: Mapping[str, Entry] = json.loads(body)
    return shard


def _resource(folders: Folders, path: str, entry: Entry, old: Resource | None) -> Resource:
    if old and old.entry == entry:
        return old
    face, overdue, after = _face(folders, path, entry, old), None, 0.0
    if late := entry.get("overdue"):
        after = datetime.fromisoformat(late["after"]).timestamp()
        overdue = _face(folders, late["path"], late, None, changed=int(after))
    immutable = bool(entry.get("immutable"))
    links = ", ".join(f'<{address}>; rel="{name}"' for name, address in entry.get("links", ()))
    return Resource(entry, entry["media_type"], immutable, face, overdue, after, links)


def _face(
    folders: Folders, path: str, copies: Entry, old: Resource | None, *, changed: int = 0
) -> Face:
    body, modified = _body(folders, path, copies["sha256"])
    identity = _copy(body, copies["sha256"], None)
    if old and old.face.identity.etag != identity.etag:
        modified = _later(modified, old)
    compressed = {
        coding: _copy(_body(folders, f"{path}{suffix}", copies[coding])[0], copies[coding], coding)
        for coding, suffix in (("gzip", ".gz"), ("br", ".br"))
        if coding in copies
    }
    return Face(identity, compressed, policy(body), max(modified, changed))


def _later(modified: int, old: Resource) -> int:
    """Return a Last-Modified beyond every one shown before: it is all that some readers send."""
    shown = [old.face.modified]
    if old.overdue and old.overdue.modified <= modified:
        shown.append(old.overdue.modified)
    return max(modified, max(shown) + 1)


def _copy(body: bytes, sha256: str, encoding: str | None) -> Copy:
    return Copy(body, f'"{sha256[:32]}"', encoding)


def _body(folders: Folders, name: str, sha256: str) -> tuple[bytes, int]:
    """Return the body and its time of change, from its own name or from the staged one."""
    folder, slash, last = name.rpartition("/")
    if not all(_PART.fullmatch(part) for part in name.split("/")):
        raise Damaged(f"{name!r} is not a public path")
    # Looked for under its own name again: it may have got it just before the staged one was opened.
    for candidate in (name, f"{folder}{slash}.{last}.new", name):
        try:
            body, modified = _read(folders, candidate)
        except Damaged:
            continue
        if hashlib.sha256(body).hexdigest() == sha256:
            return body, modified
    raise Damaged(f"{name} is missing or not what the manifest says")


def _read(folders: Folders, name: str) -> tuple[bytes, int]:
    """Read a plain file, following no symbolic link; gives its time of change."""
    folder, _, last = name.rpartition("/")
    try:
        descriptor = os.open(last, _FILE, dir_fd=folders.at(folder))
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Damaged(f"{name} is not a plain file")
            return _whole(descriptor, status.st_size), int(status.st_mtime)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Damaged(f"{name}: {error.strerror}") from error


def _whole(descriptor: int, size: int) -> bytes:
    """Read a file in one call, as most are, or in as many as it takes; its SHA-256 tells if it grew meanwhile."""
    body = os.read(descriptor, size)
    while len(body) < size and (more := os.read(descriptor, size - len(body))):
        body += more
    return body
