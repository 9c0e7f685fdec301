"""The one door through which text enters: what comes out is NFC and safe to render on every channel."""

from __future__ import annotations

import unicodedata
from typing import Final

import regex

from broadcaster.domain.text.errors import BadText

MAX_CHARACTERS: Final = 20_000

_NEWLINES: Final = regex.compile("\r\n|[\r\u2028\u2029]")
# Cs: lone surrogates. The code points that Unicode keeps for itself are not legal in XML (feeds, CAP) either.
_REFUSED: Final = regex.compile(
    r"(?P<surrogate>\p{Cs})"
    r"|(?P<control>[\p{Cc}--[\n\t\r]])"
    r"|(?P<direction>[\u202A-\u202E\u2066-\u2069])"
    r"|(?P<noncharacter>\p{Noncharacter_Code_Point})",
    flags=regex.VERSION1,
)
_REASONS: Final = {
    "surrogate": "is half a character",
    "control": "is a control character",
    "direction": "changes the reading direction and can hide what the text says",
    "noncharacter": "is not a character",
}


def clean(text: str, *, limit: int = MAX_CHARACTERS) -> str:
    """Return `text` in NFC with every line end a newline and no byte order mark.

    Refused: lone surrogates, C0 and C1 controls except newline and tab, bidirectional overrides and
    isolates (CVE-2021-42574), noncharacters, and more than `limit` characters.
    Marks that right-to-left scripts need (U+200E, U+200F, U+061C) and joiners in emoji stay.

    Raises:
        BadText: with the sentence and the position of the first such character.
    """
    if len(text) > limit:
        raise BadText(
            f"The text has {len(text)} characters and at most {limit} are taken. Shorten it.", limit
        )
    bad = _first_refused(text)
    if bad is not None:
        raise bad
    return unicodedata.normalize("NFC", _NEWLINES.sub("\n", text).replace("\ufeff", ""))


def _first_refused(text: str) -> BadText | None:
    match = _REFUSED.search(text)
    if match is None:
        return None
    letter = f"U+{ord(match.group()):04X}"
    why = _REASONS[match.lastgroup or ""]
    return BadText(
        f"Character {match.start() + 1} of the text ({letter}) {why}. Remove it.", match.start()
    )
