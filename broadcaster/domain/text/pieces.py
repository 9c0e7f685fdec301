"""Where a text may be cut: between sentences, then words, and inside a word only when nothing else is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import regex

from broadcaster.domain.text.graphemes import graphemes

# Only these spaces are places to cut: a non-breaking space is part of its word.
_WORD: Final = regex.compile(r"(?P<gap>[ \t\n]*)(?P<word>[^ \t\n]+)")
_LINK: Final = regex.compile(
    r"://|^[\"'(„“”]*(?:[\w\-]+\.)+[a-z]{2,}(?:[/:?#]|\W*$)", flags=regex.IGNORECASE
)
_SENTENCE_END: Final = regex.compile(r"[.!?…][\"'”’»)\]]*$")
_ABBREVIATION: Final = regex.compile(
    r"^\W*(?:kl|ca|nr|no|st|tel|t\.ex|bl\.a|dvs|s\.k|f\.d|fr\.o\.m|t\.o\.m|e\.g|i\.e|mr|mrs|dr)\.$",
    flags=regex.IGNORECASE,
)
_BEFORE_NUMBER: Final = frozenset(
    ("kl", "kl.", "klockan", "ca", "ca.", "nr", "nr.", "nummer", "tel", "tel.", "den", "§")
)
_NO_UNIT: Final = frozenset(
    (
        *("i", "på", "och", "eller", "men", "för", "från", "till", "av", "med", "om", "är", "den"),
        *("in", "on", "and", "or", "but", "for", "from", "to", "of", "with", "is", "the"),
    )
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch that stays whole while it can: `gap` is the white space before it in the text."""

    gap: str
    text: str
    ends_sentence: bool = False
    whole: bool = False
    """Never cut, not even when it fits nowhere (links)."""


def pieces(text: str) -> list[Piece]:
    """Cut `text` into words, numbers kept with their units and what introduces them."""
    words = [Piece(found["gap"], found["word"]) for found in _WORD.finditer(text)]
    glued: list[Piece] = []
    previous = ""
    for word in words:
        if previous and word.gap == " " and _belong(previous, word.text):
            glued[-1] = Piece(glued[-1].gap, f"{glued[-1].text} {word.text}")
        else:
            glued.append(word)
        previous = word.text
    return [_marked(piece, after) for piece, after in pairwise([*glued, Piece("\n", "")])]


def smaller(piece: Piece) -> list[Piece]:
    """Cut a piece that fits nowhere: into its words, else into graphemes; [] when it must stay whole."""
    words = [Piece(found["gap"], found["word"]) for found in _WORD.finditer(piece.text)]
    if len(words) > 1:
        last = Piece(words[-1].gap, words[-1].text, piece.ends_sentence)
        return [Piece(piece.gap, words[0].text), *words[1:-1], last]
    letters = graphemes(piece.text)
    if piece.whole or is_link(piece.text) or len(letters) < 2:
        return []
    return [Piece(piece.gap, letters[0]), *(Piece("", letter) for letter in letters[1:])]


def joined(run: Sequence[Piece]) -> str:
    """Return the text of a run of pieces without the white space before it."""
    return "".join(_joints(run))


def is_link(word: str) -> bool:
    """Tell whether a word is, or holds, an address that is useless when cut."""
    return _LINK.search(word) is not None


def _joints(run: Sequence[Piece]) -> Iterator[str]:
    for index, piece in enumerate(run):
        yield piece.gap + piece.text if index else piece.text


def _belong(left: str, right: str) -> bool:
    """Tell whether a cut here would part a number from its unit: "45 minuter", "1 200", "kl. 19"."""
    if is_link(left) or is_link(right) or right.lower() in _NO_UNIT:
        return False
    if left[-1].isdigit():
        return right[0].isalnum() or right[0] in "%°€$–-"
    return right[0].isdigit() and left.lower().lstrip("(") in _BEFORE_NUMBER


def _marked(piece: Piece, after: Piece) -> Piece:
    word = piece.text.rsplit(" ", 1)[-1]
    ends = bool(_SENTENCE_END.search(word)) and not _ABBREVIATION.match(word)
    starts = not after.text[:1].islower()
    return Piece(piece.gap, piece.text, "\n" in after.gap or (ends and starts), piece.whole)
