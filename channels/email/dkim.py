"""Signatures that say a letter comes from our domain: DKIM (RFC 6376), by RSA and by Ed25519 (RFC 8463).

Relaxed canonicalisation of header and body, since mail servers on the way fold lines and trim white space.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

Header = tuple[str, str]
"""A header's name and its value as it is sent, folded lines and all."""

_SHORTEST_RSA = 1024  # RFC 8301 §3.2
_BLANKS = re.compile(rb"[ \t]+")
_FOLDS, _WHITE = re.compile(r"\r\n(?=[ \t])"), re.compile(r"[ \t]+")


def signing_key(pem: str) -> RSAPrivateKey | Ed25519PrivateKey:
    """The private key in this PEM.

    Raises:
        ValueError: it is none that DKIM knows; the message holds nothing of it.
    """
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    short = isinstance(key, RSAPrivateKey) and key.key_size < _SHORTEST_RSA
    if short or not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise ValueError(
            "is not a private key in PEM form, RSA of 1024 bits or more or Ed25519: make one as the page of this channel says"
        )
    return key


def body_hash(body: bytes) -> str:
    """The hash of a body whose lines end in CRLF (RFC 6376 §3.4.4, §3.7)."""
    lines = (_BLANKS.sub(b" ", line).rstrip(b" ") for line in body.split(b"\r\n"))
    canonical = b"\r\n".join(lines).rstrip(b"\r\n")
    return base64.b64encode(
        hashlib.sha256(canonical + b"\r\n" if canonical else b"").digest()
    ).decode()


@dataclass(frozen=True)
class Signer:
    """Signs letters of one domain with one key, whose public half stands at `selector`._domainkey.`domain`."""

    domain: str
    selector: str
    key: RSAPrivateKey | Ed25519PrivateKey

    def sign(self, headers: Sequence[Header], hashed_body: str, at: int) -> Header:
        """The DKIM-Signature of a letter with these headers; all of them are signed. `at` is in seconds since 1970.

        From is named once more than it is there, so that nobody can add another (RFC 6376 §5.4.2).
        """
        names = [name.lower() for name, _ in headers]
        algorithm = "rsa-sha256" if isinstance(self.key, RSAPrivateKey) else "ed25519-sha256"
        tags = (
            f"v=1; a={algorithm}; c=relaxed/relaxed; d={self.domain};\r\n"
            f"\ts={self.selector}; t={at};\r\n"
            f"\th={_folded(':'.join([*names, 'from']), after=':')};\r\n"
            f"\tbh={hashed_body};\r\n"
            "\tb="
        )
        # Of headers that come more than once the last is signed first (§5.4.2): ours come once.
        signed = "".join(f"{_relaxed(header)}\r\n" for header in headers)
        whole = (signed + _relaxed(("DKIM-Signature", tags))).encode()
        signature = base64.b64encode(self._signed(whole)).decode()
        return "DKIM-Signature", tags + _folded(signature)

    def _signed(self, text: bytes) -> bytes:
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(
            hashlib.sha256(text).digest()
        )  # RFC 8463 §3: the hash is what is signed


def _relaxed(header: Header) -> str:
    """A header in its relaxed form, without the line's end (RFC 6376 §3.4.2)."""
    name, content = header
    return f"{name.lower()}:{_WHITE.sub(' ', _FOLDS.sub('', content)).strip()}"


def _folded(text: str, *, after: str = "") -> str:
    """`text` in lines of at most 70 letters; broken after `after` only, or anywhere."""
    if not after:
        return "\r\n\t ".join(text[n : n + 70] for n in range(0, len(text), 70))
    lines, line = [], ""
    for part in text.split(after):
        if len(line) + len(part) > 60:
            lines.append(line)
            line = ""
        line += part + after
    return "\r\n\t ".join([*lines, line.removesuffix(after)])
