"""Addresses at rest: AES-256-GCM ciphertext and an HMAC to find one by; the key lives outside the database."""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from broadcaster.store.errors import StoreKeyWrong

_NONCE = 12


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"broadcaster " + purpose).derive(
        key
    )


class AddressVault:
    """Seals and opens addresses with one key of 32 bytes.

    The channel's name is bound in as associated data, so a row moved to another channel does not open.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise StoreKeyWrong(
                "The store key must be 32 bytes in base64: broadcaster init writes one."
            )
        self.key_id = hashlib.sha256(b"broadcaster key id" + key).hexdigest()[:16]
        self._cipher = AESGCM(_derive(key, b"address"))
        self._index_key = _derive(key, b"index")
        self._mark_key = _derive(key, b"mark")
        self._proof_key = _derive(key, b"proof")

    def __repr__(self) -> str:
        return f"AddressVault({self.key_id})"

    def seal(self, channel: str, address: str) -> bytes:
        """Nonce and ciphertext of one address."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, address.encode(), channel.encode())

    def open(self, channel: str, sealed: bytes) -> str:
        """The address; raises StoreKeyWrong when key or channel are not those it was sealed with."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], channel.encode()).decode()
        except InvalidTag:
            raise StoreKeyWrong(
                "An address does not open with this store key: is store.key the right file?"
            ) from None

    def digest(self, channel: str, address: str) -> bytes:
        """The blind index of one address: equal addresses of one channel have equal digests."""
        return hmac.digest(self._index_key, channel.encode() + b"\0" + address.encode(), "sha256")

    def mark(self, subscriber_id: int, import_id: int) -> str:
        """What stands for a subscriber in an address that only his own letters carry: "1f-<32 signs>".

        Nobody guesses it, and whoever is erased and comes back has another.
        """
        return f"{subscriber_id:x}-{self._proof(subscriber_id, import_id)}"

    def is_marked(self, mark: str, subscriber_id: int, import_id: int) -> bool:
        """Whether `mark` is this subscriber's."""
        return hmac.compare_digest(mark.encode(), self.mark(subscriber_id, import_id).encode())

    def proof(self, purpose: str, text: str) -> str:
        """32 signs that nobody else can say of `text`; for each purpose others."""
        return hmac.digest(self._proof_key, f"{purpose}\0{text}".encode(), "sha256").hex()[:32]

    def proves(self, proof: str, purpose: str, text: str) -> bool:
        """Whether `proof` is what `proof` says of this text."""
        given = proof.encode("utf-8", "replace")
        return hmac.compare_digest(given, self.proof(purpose, text).encode())

    def _proof(self, subscriber_id: int, import_id: int) -> str:
        named = f"{subscriber_id} {import_id}".encode()
        return hmac.digest(self._mark_key, named, "sha256").hex()[:32]


def marked(mark: str) -> int | None:
    """The id of the subscriber whom a mark names, if it is whole; whether it is his says `AddressVault.is_marked`."""
    number, _, proof = mark.partition("-")
    whole = len(proof) == 32 and len(number) <= 15
    if not whole or not set(number + proof) <= set("0123456789abcdef") or not number:
        return None
    return int(number, 16)
