"""A message that only the browser can read (RFC 8291 over RFC 8188, content coding aes128gcm), as one record."""

from __future__ import annotations

import os
import struct

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from channels.webpush.vapid import public_point

RECORD = 4096  # bytes that every push service takes (RFC 8030 §7.2)
_HEAD, _TAG, _DELIMITER = 16 + 4 + 1 + 65, 16, 1
MOST = RECORD - _HEAD - _TAG - _DELIMITER
"""Bytes of a message before it is sealed."""


def sealed(
    message: bytes,
    reader: bytes,
    auth: bytes,
    *,
    ours: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """Seal `message` for the public key `reader` (65 bytes) with its secret `auth` (16 bytes).

    `ours` and `salt` are fresh for each message; a test that has those of the RFC gives them.

    Raises:
        ValueError: `reader` is no point on P-256.
    """
    ours = ours or ec.generate_private_key(ec.SECP256R1())
    salt = salt or os.urandom(16)
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), reader)
    point = public_point(ours)
    shared = ours.exchange(ec.ECDH(), theirs)
    secret = _derived(shared, auth, b"WebPush: info\0" + reader + point, 32)
    key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    head = salt + struct.pack("!IB", RECORD, len(point)) + point
    return head + AESGCM(key).encrypt(nonce, message + b"\x02", None)


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)
