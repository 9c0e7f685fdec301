"""The last safeguard of what is written as HTML, XML or JSON: no character that would break the whole document."""

from __future__ import annotations

import re

# XML 1.0 §2.2 Char; HTML parses the same set without errors once U+007F–U+009F are left out too.
_SPEAKABLE = "\t\n\r -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff"
_UNSPEAKABLE = re.compile(f"[^{_SPEAKABLE}]")
_LEGIBLE = re.compile(f"[{_SPEAKABLE}]*")


def legible(text: str) -> str:
    """Put U+FFFD for control characters, lone surrogates and the noncharacters XML forbids.

    Text is refused at the door when it holds them (`domain.text.clean`); names from a configuration, or rows
    written by an older version, may still. One bad character must not take a whole feed away from its readers.
    """
    # Nearly always so, and seen in a quarter of the time that it takes to look for what is not.
    return text if _LEGIBLE.fullmatch(text) else _UNSPEAKABLE.sub("\ufffd", text)
