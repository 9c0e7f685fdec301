"""The journal of a copying, by which it is resumed; and the seal, by which a copy is ours."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broadcaster.bundle.signed import COPYING, is_signed

JOURNAL = COPYING


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What a copying that has begun has touched, written before it touches anything and away when it is done.

    `by` names who copies, `beat` changes with every writing of it. `touched` maps "board/key" to the shard whose files all
    stand by now, "" while they are mixed. `drop` maps the same to names that go once the manifest is switched.

    It is sealed: who else writes there could have us delete what he likes.
    """

    by: str
    beat: int = 0
    touched: Mapping[str, str] = field(default_factory=dict)
    drop: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def encode(self, seal: Seal) -> bytes:
        """Return its bytes, sealed."""
        content = {"by": self.by, "beat": self.beat, "touched": dict(self.touched)}
        drop = {key: list(names) for key, names in self.drop.items()}
        content["drop"] = drop
        return json.dumps({**content, "seal": seal.close(json.dumps(content))}).encode()

    @classmethod
    def decode(cls, body: bytes, seal: Seal) -> Journal:
        """Read one; raises ValueError when it is none, or none of ours."""
        try:
            raw = json.loads(body)
            closed = str(raw.pop("seal")).encode("utf-8", "replace")
            if not hmac.compare_digest(closed, seal.close(json.dumps(raw)).encode()):
                raise ValueError
            drop = {str(k): tuple(str(name) for name in names) for k, names in raw["drop"].items()}
            return cls(
                by=str(raw["by"]),
                beat=int(raw["beat"]),
                touched={str(name): str(sha256) for name, sha256 in raw["touched"].items()},
                drop=drop,
            )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError from error


class Seal:
    """Signs with our key, and knows our signature."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key()
        self.pem = self.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, body: bytes) -> bytes:
        """Return the 64 bytes of the signature (RFC 8032)."""
        return self._key.sign(body)

    def close(self, text: str) -> str:
        """Return by what we alone know that it was written by us (HMAC): no signature, which could be put under something else."""
        secret = hashlib.sha256(b"journal" + self._key.private_bytes_raw()).digest()
        return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()

    def knows(self, body: bytes, signature: bytes) -> bool:
        """Whether we signed exactly this."""
        return is_signed(self.public_key, body, signature)
