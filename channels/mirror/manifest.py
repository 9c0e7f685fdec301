"""The two small files by which a copy is switched and resumed: its signed manifest, and the journal of a copying.

The manifest names the hashes of the boards' shards, which name the hashes of all files (docs/adr/0010), so its one
signature vouches for everything. The signature stands under the manifest's own hash: it is written before the manifest,
and no reader ever meets a new manifest with an old signature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broadcaster.bundle.manifest import parse_revision
from broadcaster.channel import Revision

NAME = "mirror.json"
JOURNAL = ".manifest/mirror.copying.json"
PUBLIC_KEY = "mirror/key.pem"
FORMAT = 1
Shards = Mapping[str, Mapping[str, str]]
"""By board, by key of a shard: the shard's SHA-256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What stands in a copy.

    `mode` and `of` are the mode and the address of the original, `copied_at` an ISO 8601 time with its zone, `made` sums up by what code, settings
    and key the files were made. `front` are the SHA-256 of the files at the root (feed.rss …) and of the front pages, as they
    stand in the copy: a front page holds a line more than the original, so its shard does not speak of it; `boards` are the revisions of the boards, `shards` their shards.
    """

    mode: str
    of: str
    revision: Revision
    copied_at: str
    made: str
    front: Mapping[str, str]
    boards: Mapping[str, str]
    shards: Shards

    def encode(self) -> bytes:
        """Return the bytes that are signed and written: one line for each part, for people who look."""
        content = {
            "format": FORMAT,
            "mode": self.mode,
            "of": self.of,
            "revision": str(self.revision),
            "copied_at": self.copied_at,
            "made": self.made,
            "front": dict(self.front),
            "boards": dict(self.boards),
            "shards": {board: dict(shards) for board, shards in self.shards.items()},
        }
        lines = (f" {json.dumps(key)}: {json.dumps(part)}" for key, part in content.items())
        return ("{\n" + ",\n".join(lines) + "\n}\n").encode()

    @classmethod
    def decode(cls, body: bytes) -> Manifest:
        """Read one whose signature is good; raises ValueError when it is of another format."""
        try:
            raw = json.loads(body)
            if raw["format"] != FORMAT:
                raise ValueError  # a later version of ours
            return cls(
                mode=str(raw["mode"]),
                of=str(raw["of"]),
                revision=Revision.parse(raw["revision"]),
                copied_at=str(raw["copied_at"]),
                made=str(raw["made"]),
                front=_texts(raw["front"]),
                boards=_texts(raw["boards"]),
                shards={str(board): _texts(shards) for board, shards in raw["shards"].items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What a copying that has begun has touched, written before it touches anything and away when it is done.

    `by` names who copies, `beat` changes with every writing of it. `touched` maps "board/key" to the shard whose files all
    stand by now, "" while they are mixed. `drop` maps the same to names that go once the manifest is switched.
    """

    by: str
    beat: int = 0
    touched: Mapping[str, str] = field(default_factory=dict)
    drop: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return its bytes."""
        content = {"by": self.by, "beat": self.beat, "touched": dict(self.touched)}
        drop = {key: list(names) for key, names in self.drop.items()}
        return json.dumps({**content, "drop": drop}).encode()

    @classmethod
    def decode(cls, body: bytes) -> Journal:
        """Read one; raises ValueError when it is none."""
        try:
            raw = json.loads(body)
            drop = {str(k): tuple(str(name) for name in names) for k, names in raw["drop"].items()}
            return cls(
                by=str(raw["by"]), beat=int(raw["beat"]), touched=_texts(raw["touched"]), drop=drop
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError from error


class Seal:
    """Signs with our key, and knows our signature."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, body: bytes) -> bytes:
        """Return the 64 bytes of the signature (RFC 8032)."""
        return self._key.sign(body)

    def knows(self, body: bytes, signature: bytes) -> bool:
        """Whether we signed exactly this."""
        return _good(self._key.public_key(), body, signature)


def signature_name(body: bytes) -> str:
    """Where the signature of a manifest with these bytes stands."""
    return f"mirror/{hashlib.sha256(body).hexdigest()}.sig"


def _good(key: Ed25519PublicKey, body: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, body)
    except InvalidSignature:
        return False
    return True


def _texts(raw: Any) -> dict[str, str]:
    return {str(key): str(text) for key, text in dict(raw).items()}


def lowest(revisions: Mapping[str, str]) -> Revision:
    """The revision that all boards show at least."""
    return Revision.parse(min(revisions.values(), key=parse_revision))
