"""A text as the parts that phones put together again (3GPP TS 23.038, TS 23.040 §9.2.3.24.1)."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from broadcaster.domain.text import measure_sms, split_sms

GSM, UCS2 = 0, 8
"""SMPP's data_coding: the message centre's own alphabet, which is GSM 03.38, and UCS-2."""
_LATIN: Final = (1, 3)  # IA5, which is ASCII, and Latin-1 (§5.2.19)
_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = {
    "\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65,
}  # fmt: skip
_ESCAPE: Final = 0x1B
_CODES: Final = {letter: bytes((code,)) for code, letter in enumerate(_BASIC)} | {
    letter: bytes((_ESCAPE, code)) for letter, code in _EXTENDED.items()
}


@dataclass(frozen=True, slots=True)
class Parts:
    """A text cut and coded: what stands before each part is made for each letter."""

    coding: int
    contents: tuple[bytes, ...]

    def headed(self, key: str) -> Sequence[bytes]:
        """The contents with their headers; the reference is the letter's own, the same when it is sent again."""
        if len(self.contents) == 1:
            return self.contents
        head = bytes((5, 0, 3, zlib.crc32(key.encode()) & 0xFF, len(self.contents)))
        return [
            head + bytes((place,)) + content for place, content in enumerate(self.contents, start=1)
        ]


@lru_cache(maxsize=128)
def parts_of(text: str) -> Parts:
    """Cut and code a text as it was measured when it was rendered."""
    if measure_sms(text).encoding == "UCS-2":
        return Parts(UCS2, tuple(part.encode("utf-16-be") for part in split_sms(text)))
    return Parts(GSM, tuple(_gsm(part) for part in split_sms(text)))


def _gsm(text: str) -> bytes:
    return b"".join(_CODES[letter] for letter in unicodedata.normalize("NFC", text))


def read(text: bytes, coding: int, *, headed: bool) -> str:
    """What somebody texted, as one part holds it; signs that cannot be read as U+FFFD."""
    if headed and text:
        text = text[text[0] + 1 :]  # the header's own first octet is its length
    if coding == UCS2:
        return text.decode("utf-16-be", "replace")
    if coding in _LATIN:
        return text.decode("latin-1")
    letters = (_BASIC[octet] if octet < len(_BASIC) else chr(octet) for octet in text)
    return "".join(letters).replace(chr(_ESCAPE), "")
