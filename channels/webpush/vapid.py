"""Who we are, to a push service (VAPID, RFC 8292): a signed statement for each service, good for half a day."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from channels.webpush.base64url import encoded

_GOOD_FOR = timedelta(hours=12)  # services take a day at most (RFC 8292 §2)
_RENEW = timedelta(hours=1)


_KEY_BYTES = 32


def private_key(raw: bytes) -> ec.EllipticCurvePrivateKey:
    """The key on P-256 whose private number is `raw` (32 bytes). Raises ValueError."""
    if len(raw) != _KEY_BYTES:
        raise ValueError("has another length")
    try:
        return ec.derive_private_key(int.from_bytes(raw), ec.SECP256R1())
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from None


def public_point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key as browsers want it: an uncompressed point of 65 bytes."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


class Vapid:
    """The `Authorization` header for each push service, by its origin such as "https://push.example"."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, contact: str) -> None:
        self._key = key
        self._contact = contact
        self.public = encoded(public_point(key))
        self._known: dict[str, tuple[datetime, str]] = {}

    def header(self, origin: str, now: datetime) -> str:
        """The header's value at the time `now`; one signature serves for hours."""
        ends, value = self._known.get(origin, (now, ""))
        if not now + _RENEW < ends <= now + _GOOD_FOR:  # the second: the clock was set back
            ends = now + _GOOD_FOR
            value = f"vapid t={self._token(origin, ends)}, k={self.public}"
            self._known[origin] = ends, value
        return value

    def _token(self, origin: str, ends: datetime) -> str:
        claims = {"aud": origin, "exp": int(ends.timestamp()), "sub": self._contact}
        parts = ({"typ": "JWT", "alg": "ES256"}, claims)
        signed = ".".join(encoded(json.dumps(p, separators=(",", ":")).encode()) for p in parts)
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(SHA256())))
        return f"{signed}.{encoded(r.to_bytes(32) + s.to_bytes(32))}"
