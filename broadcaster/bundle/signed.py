"""The signed manifest of a copy: by what anybody who has the public key sees that a copy is whole (docs/adr/0018).

It names the hashes of the boards' shards, which name the hashes of all files (docs/adr/0010), so its one signature vouches
for everything. The signature stands under the manifest's own hash: it is written before the manifest, and no reader ever
meets a new manifest with an old signature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from broadcaster.domain.incident import Revision

NAME = "mirror.json"
PUBLIC_KEY = "mirror/key.pem"
COPYING = ".manifest/mirror.copying.json"
"""What stands there only while a copy is being renewed."""
FORMAT = 1
CAP = 8 * 1024 * 1024
"""The most bytes that are read of one file of a copy."""
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
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError from error


@dataclass(frozen=True, slots=True)
class SignedCopy:
    """Where a copy is read by residents, and the public half of the key that signs it."""

    url: str
    key: Ed25519PublicKey


@runtime_checkable
class KeepsCopy(Protocol):
    """What a channel is that keeps a signed copy."""

    def signed_copy(self) -> SignedCopy:
        """By what anybody can verify it."""


def public_key(pem: bytes) -> Ed25519PublicKey:
    """Read the public key; raises ValueError with the end of a sentence that does not hold it."""
    with suppress(ValueError, TypeError):
        key = load_pem_public_key(pem)
        if isinstance(key, Ed25519PublicKey):
            return key
    raise ValueError("is no public Ed25519 key in PEM")


def is_signed(key: Ed25519PublicKey, body: bytes, signature: bytes) -> bool:
    """Whether the owner of the key signed exactly this (RFC 8032)."""
    try:
        key.verify(signature, body)
    except InvalidSignature:
        return False
    return True


def signature_name(body: bytes) -> str:
    """Where the signature of a manifest with these bytes stands."""
    return f"mirror/{hashlib.sha256(body).hexdigest()}.sig"


def shard_name(board: str, key: str, sha256: str) -> str:
    """Where a shard stands in a copy."""
    return f".manifest/{board}/{key}.{sha256}.json"


def _texts(raw: Any) -> dict[str, str]:
    return {str(key): str(text) for key, text in dict(raw).items()}
