"""The manifest: which files one revision consists of.

`.manifest/<owner>.json` (the root) names a revision and up to 1,024 shards by their SHA-256; each
shard, `.manifest/<owner>/<key>.<sha256>.json`, holds the entries of the paths whose folder falls
into it. A publication rewrites the root and the few shards it touches, so its cost does not grow
with the history.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict

_REVISION = re.compile(r"(0|[1-9][0-9]{0,17})\.(0|[1-9][0-9]{0,17})")


class Copies(TypedDict):
    """One body and its compressed forms, each by SHA-256 (hex); size in bytes, uncompressed."""

    sha256: str
    size: int
    gzip: NotRequired[str]
    br: NotRequired[str]


class OverdueEntry(Copies):
    """The overdue variant; `after` is ISO 8601 in UTC."""

    path: str
    after: str


class Entry(Copies):
    """What the manifest says of one path; `links` are pairs of relation and address."""

    media_type: str
    immutable: NotRequired[bool]
    links: NotRequired[list[list[str]]]
    overdue: NotRequired[OverdueEntry]


Shard = dict[str, Entry]


@dataclass(frozen=True, slots=True)
class Root:
    """The head of a manifest; `removed`: names this revision took away."""

    revision: str
    shards: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Return the bytes of the root file."""
        return encode(
            {"revision": self.revision, "shards": self.shards, "removed": list(self.removed)}
        )

    @classmethod
    def decode(cls, body: bytes) -> "Root":
        """Read a root file; raises ValueError when it is not one."""
        try:
            raw = json.loads(body)
            root = cls(raw["revision"], dict(raw["shards"]), tuple(raw["removed"]))
            parse_revision(root.revision)
        except (KeyError, TypeError) as error:
            raise ValueError("not a manifest") from error
        return root


def parse_revision(revision: str) -> tuple[int, int]:
    """Return (epoch, n) of "epoch.n"; raises ValueError."""
    match = _REVISION.fullmatch(revision)
    if match is None:
        raise ValueError(f"not a revision (epoch.n): {revision!r}")
    return int(match[1]), int(match[2])


def encode(content: object) -> bytes:
    """Return canonical JSON: the same content always has the same hash."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def decode_shard(body: bytes) -> Shard:
    """Read a shard whose SHA-256 was checked."""
    shard: Shard = json.loads(body)
    return shard


def digest(body: bytes) -> str:
    """Return the SHA-256 of `body` in hex."""
    return hashlib.sha256(body).hexdigest()


def shard_key(path: str) -> str:
    """Return the shard of a path: paths of one folder stand together, they change together."""
    return format(int(digest(path.rpartition("/")[0].encode())[:3], 16) // 4, "03x")


def names(path: str, entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield (name on disk, SHA-256) of every file that one entry stands for."""
    yield from _copies(path, entry)
    if "overdue" in entry:
        yield from _copies(entry["overdue"]["path"], entry["overdue"])


def _copies(path: str, copies: Copies) -> Iterator[tuple[str, str]]:
    yield path, copies["sha256"]
    if "gzip" in copies:
        yield f"{path}.gz", copies["gzip"]
    if "br" in copies:
        yield f"{path}.br", copies["br"]
