"""What one adapter knows of its copy: from where it is taken, who signs it, what stands there and what of that is damaged."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from broadcaster.bundle.manifest import Entry, Shard, digest
from broadcaster.bundle.signed import Manifest
from broadcaster.channel import Mode
from channels.mirror.far import Found
from channels.mirror.journal import Seal
from channels.mirror.snapshot import Snapshot, maker, pieces, take
from channels.mirror.stamp import Stamp

_REMEMBERED = 512
_MADE = "1"  # changes with what this code makes of the boards' files


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands at the far side: the manifest if it is signed by us, and its file as it was read."""

    manifest: Manifest | None
    found: Found | None


@dataclass(frozen=True, slots=True)
class Source:
    """What is copied: the boards' files in `directory`, the original's `mode` and address `of`, and whether variants go along."""

    directory: Path
    boards: Sequence[str]
    mode: Mode
    of: str
    variants: bool
    stamp: Stamp

    def made(self, seal: Seal) -> str | None:
        """Sum up by what the copy's files are made, and who signs; None while a board has published nothing."""
        made = maker(self.directory, self.boards)
        parts = (made or "", self.of, ",".join(self.boards), seal.pem.decode(), _MADE)
        return None if made is None else digest("\n".join(parts).encode())

    def now(self) -> Snapshot | None:
        """What the boards have published by now; None while one has published nothing."""
        return take(self.directory, self.boards)


class Known:
    """What one adapter knows over its copyings: the source, the key, who it is, and what is in shards.

    `called` is how sentences name the far side, `by` how the journal names us.
    """

    def __init__(self, source: Source, seal: Seal, called: str) -> None:
        self.source = source
        self.seal = seal
        self.called = called
        self.by = secrets.token_hex(8)
        self.shards: dict[str, Shard] = {}

    def remember(self, sha256: str, shard: Shard) -> None:
        """Keep what a shard held, so that the next copying need not ask for it."""
        if len(self.shards) >= _REMEMBERED:
            self.shards.clear()
        self.shards[sha256] = shard


@dataclass(frozen=True, slots=True)
class Damage:
    """What a comparison found.

    `lost` are names that lack or hold something else; `shards` ("board/key") are those they belong to, all of which is
    written anew. `old` (board, key, SHA-256) are shards that no manifest speaks of any more, such as those that stood under
    an earlier signing key, `signatures` the names of signatures that are none of the manifest's.
    """

    lost: frozenset[str] = frozenset()
    shards: frozenset[str] = frozenset()
    old: frozenset[tuple[str, str, str]] = frozenset()
    signatures: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.lost or self.old or self.signatures)

    def __or__(self, other: Damage) -> Damage:
        return Damage(
            self.lost | other.lost,
            self.shards | other.shards,
            self.old | other.old,
            self.signatures | other.signatures,
        )

    def without(self, mended: Damage) -> Damage:
        """What is left of it."""
        return Damage(
            self.lost - mended.lost,
            self.shards - mended.shards,
            self.old - mended.old,
            self.signatures - mended.signatures,
        )


NO_DAMAGE = Damage()


def files_of(source: Source, shard: Shard) -> dict[str, tuple[str, Entry]]:
    """Every file of a shard that goes into the copy as it is: its hash, and the entry it belongs to."""
    return {
        name: (sha256, entry)
        for path, entry in shard.items()
        if path not in source.stamp.pages
        for name, sha256 in pieces(path, entry, source.variants)
    }
