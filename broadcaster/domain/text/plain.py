"""Write typographic signs with the letters every phone has, and say which were changed."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

# Signs only, never letters: a Sámi name spelled wrong is worse than a dearer message.
_WRITTEN: Final[dict[str, str]] = {
    **dict.fromkeys(
        "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2022\u2023\u2043\u00b7\u25cf\u25aa", "-"
    ),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"'),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2039\u203a\u2032\u00b4\u0060", "'"),
    **dict.fromkeys("\u00a0\u1680\u202f\u205f\u3000\t", " "),
    **dict.fromkeys(map(chr, range(0x2000, 0x200B)), " "),
    **dict.fromkeys("\u00ad\u200b\u2060\ufeff", ""),
    "\u2026": "...",
    "\u2190": "<-",
    "\u2192": "->",
    "\u21d2": "=>",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u00d7": "x",
    "\u2044": "/",
    "\u00bc": "1/4",
    "\u00bd": "1/2",
    "\u00be": "3/4",
}


@dataclass(frozen=True, slots=True)
class Replacement:
    """One sign that `plain` rewrote: `found` in the text, `written` instead, `count` times."""

    found: str
    written: str
    count: int


@dataclass(frozen=True, slots=True)
class PlainText:
    """The rewritten text (NFC) and what was changed, in order of first appearance."""

    text: str
    replacements: tuple[Replacement, ...]


def plain(text: str) -> PlainText:
    """Rewrite typographic signs so that they do not force an SMS out of GSM-7.

    Dashes and bullets become "-", quotation marks straight, "…" three full stops, every wide or
    non-breaking space a space, invisible spaces nothing. Letters and emoji stay as they are.
    """
    composed = unicodedata.normalize("NFC", text)
    found = dict.fromkeys(letter for letter in composed if letter in _WRITTEN)
    return PlainText(
        text="".join(_WRITTEN.get(letter, letter) for letter in composed),
        replacements=tuple(
            Replacement(letter, _WRITTEN[letter], composed.count(letter)) for letter in found
        ),
    )
