"""What a reader calls a letter: extended grapheme clusters (Unicode Standard Annex 29)."""

from __future__ import annotations

from typing import Final

import regex

_GRAPHEME: Final = regex.compile(r"\X")


def graphemes(text: str) -> list[str]:
    """Return the grapheme clusters of `text` in order; joined they give `text` back."""
    return _GRAPHEME.findall(text)


def grapheme_length(text: str) -> int:
    """Count the grapheme clusters: a flag, a family emoji and "å" are one each."""
    return sum(1 for _ in _GRAPHEME.finditer(text))


def cut_graphemes(text: str, limit: int) -> str:
    """Return the first `limit` grapheme clusters, none of them cut in two."""
    return "".join(graphemes(text)[: max(limit, 0)])


def utf8_length(text: str) -> int:
    """Count the bytes of `text` in UTF-8, as Bluesky, push services and mesh radio do."""
    return len(text.encode("utf-8"))
