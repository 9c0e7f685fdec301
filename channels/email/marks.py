"""The marks by which a letter is known again: in its return address, its Message-ID, and the address to leave by.

A mark is the letter's key and a keyed BLAKE2b over it (RFC 7693), so that nobody can report a letter undelivered that
never came to him, nor leave in another's name. Who has the letter has its marks, and no other letter's.
"""

from __future__ import annotations

import hashlib
import hmac
import re

_PLAIN = re.compile(r"[a-z0-9]+(?:\.[a-z0-9]+)*")
_MARK = re.compile(r"(?P<spelled>[a-z0-9]+(?:\.[a-z0-9]+)*|_[0-9a-f]+)-(?P<proof>[0-9a-f]{20})")
_PROOF_BYTES = 10


class Marks:
    """The marks of one channel's letters; without a secret there are none that prove anything."""

    def __init__(self, secret: str, channel: str) -> None:
        self.proving = bool(secret)
        self._key = hashlib.sha256(f"{secret}\0{channel}".encode()).digest()

    def mark(self, key: str) -> str:
        """The mark of the letter `key`: small letters, digits, dots and one hyphen, fit for a mailbox's name."""
        spelled = _spell(key)
        return f"{spelled}-{self._proof('mark', spelled)}"

    def key(self, mark: str) -> str | None:
        """The key of the letter that bears this mark; None for one that we did not make."""
        found = _MARK.fullmatch(mark.lower())  # some servers write mailboxes in small letters
        if found is None or not self.proving:
            return None
        good = hmac.compare_digest(self._proof("mark", found["spelled"]), found["proof"])
        return _read(found["spelled"]) if good else None

    def token(self, key: str) -> str:
        """What proves at the address to leave by that a reader has the letter `key`."""
        return self._proof("leave", _spell(key))

    def content_id(self, key: str, *parts: str) -> str:
        """The left side of a Message-ID: the mark, and a digest of what the letter says and to whom.

        The same over every retry. A fresh store counts its keys from the beginning again; then the text differs, and no
        mailbox takes the new letter for the old one.
        """
        digest = hashlib.blake2b("\0".join(parts).encode(), key=self._key, digest_size=8)
        return f"{self.mark(key)}.{digest.hexdigest()}"

    def _proof(self, use: str, spelled: str) -> str:
        text = f"{use}\0{spelled}".encode()
        return hashlib.blake2b(text, key=self._key, digest_size=_PROOF_BYTES).hexdigest()


def _spell(key: str) -> str:
    return key if _PLAIN.fullmatch(key) else f"_{key.encode().hex()}"


def _read(spelled: str) -> str:
    return bytes.fromhex(spelled[1:]).decode() if spelled.startswith("_") else spelled
