"""Count and cut SMS text as the mobile network does.

Sources: 3GPP TS 23.038 (GSM 7-bit default alphabet and its extension table), 3GPP TS 23.040 §9.2.3.24.1
(concatenation: the 6-octet header leaves 153 septets or 67 UCS-2 units of a part).
Text is composed (NFC) before it is counted: send what `split_sms` returns.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from broadcaster.domain.text.errors import TextTooLong

Encoding = Literal["GSM-7", "UCS-2"]

# The escape (0x1B) is left out on purpose: it is a shift, not a letter that a text can hold.
BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION: Final = frozenset("\f^{}\\[~]|€")
MOST_PARTS: Final = 255  # the header counts parts in one octet

_LETTERS: Final = BASIC | EXTENSION
_LIMITS: Final[dict[Encoding, tuple[int, int]]] = {"GSM-7": (160, 153), "UCS-2": (70, 67)}


@dataclass(frozen=True, slots=True)
class SmsMeasure:
    """What a text costs as SMS.

    `units`, `limit_single`, `per_part_limit` and `left` count septets for GSM-7 and UTF-16 code units for
    UCS-2. `left` is the room in the last part. `forcing` holds the distinct letters, in order of
    appearance, that keep the text out of GSM-7; it is empty exactly when `encoding` is "GSM-7".
    An empty text has no parts.
    """

    encoding: Encoding
    units: int
    limit_single: int
    parts: int
    per_part_limit: int
    left: int
    forcing: tuple[str, ...]


def measure_sms(text: str) -> SmsMeasure:
    """Measure `text` as one SMS, concatenated where it must be; never raises for length."""
    composed = unicodedata.normalize("NFC", text)
    forcing = _forcing(composed)
    encoding: Encoding = "UCS-2" if forcing else "GSM-7"
    single, per_part = _LIMITS[encoding]
    parts = _parts(composed, encoding)
    last = _units(parts[-1], encoding) if parts else 0
    return SmsMeasure(
        encoding=encoding,
        units=_units(composed, encoding),
        limit_single=single,
        parts=len(parts),
        per_part_limit=per_part,
        left=(per_part if len(parts) > 1 else single) - last,
        forcing=forcing,
    )


def split_sms(text: str) -> tuple[str, ...]:
    """Return the text of each concatenated part, in order; joined they are `text` in NFC.

    No part ends inside a two-unit letter, so a part may hold one unit less than its limit.

    Raises:
        TextTooLong: more than 255 parts, which the concatenation header cannot count.
    """
    composed = unicodedata.normalize("NFC", text)
    parts = _parts(composed, "UCS-2" if _forcing(composed) else "GSM-7")
    if len(parts) > MOST_PARTS:
        raise TextTooLong(MOST_PARTS, len(parts), "SMS parts")
    return parts


def _forcing(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(letter for letter in text if letter not in _LETTERS))


def _cost(letter: str, encoding: Encoding) -> int:
    two = letter in EXTENSION if encoding == "GSM-7" else ord(letter) > 0xFFFF
    return 2 if two else 1


def _units(text: str, encoding: Encoding) -> int:
    return sum(_cost(letter, encoding) for letter in text)


def _parts(text: str, encoding: Encoding) -> tuple[str, ...]:
    single, per_part = _LIMITS[encoding]
    if _units(text, encoding) <= single:
        return (text,) if text else ()
    cuts, used = [0], 0
    for index, letter in enumerate(text):
        cost = _cost(letter, encoding)
        if used + cost > per_part:
            cuts.append(index)
            used = 0
        used += cost
    cuts.append(len(text))
    return tuple(text[start:end] for start, end in pairwise(cuts))
