"""Fit a text into a channel's limit: several numbered parts, or one shortened text.

A measure is any function from a text to the units a platform counts (`grapheme_length`,
`weighted_length`, `utf8_length`, ...). It must not shrink when text is added at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from broadcaster.domain.text.errors import TextTooLong
from broadcaster.domain.text.pieces import Piece, joined, pieces, smaller

Measure = Callable[[str], int]

ELLIPSIS: Final = "…"
GSM_ELLIPSIS: Final = "..."  # "…" is outside GSM-7 and would more than halve what an SMS holds


def split_text(
    text: str, limit: int, measure: Measure, *, tail: str = "", unit: str = "characters"
) -> tuple[str, ...]:
    """Cut `text` into ordered parts of at most `limit`, numbered "(1/3)" with the number counted in.

    Cuts fall between sentences where that fills at least half a part, else between words; a number stays
    with its unit, and a link, a grapheme and `tail` (what must close the last part, such as the link)
    stay whole. A text that fits is returned alone and unnumbered. `unit` names what `measure` counts.

    Raises:
        TextTooLong: a link, a grapheme or `tail` does not fit into a part of its own.
    """
    whole = pieces(text)
    if tail:
        whole.append(Piece(" " if whole else "", tail, whole=True))
    if measure(joined(whole)) <= limit:
        return (joined(whole),)
    total, bodies = 2, _packed(whole, limit, measure, 2, unit)
    while len(bodies) > total:
        total = len(bodies)
        bodies = _packed(whole, limit, measure, total, unit)
    return tuple(_numbered(body, n, len(bodies)) for n, body in enumerate(bodies, start=1))


def shorten(
    text: str,
    limit: int,
    measure: Measure,
    *,
    link: str = "",
    ellipsis: str = ELLIPSIS,
    unit: str = "characters",
) -> str:
    """Return `text` within `limit`: cut after a word, then `ellipsis`, then `link` whole.

    A text that fits is returned with `link` added if it is not there. For SMS pass `GSM_ELLIPSIS`.

    Raises:
        TextTooLong: not even the link and the first letter fit.
    """
    words = pieces(text)
    if link and not any(link in word.text for word in words):
        words.append(Piece(" " if words else "", link, whole=True))
    if measure(joined(words)) <= limit:
        return joined(words)
    rest = [word for word in words if not (link and link in word.text)]
    ending = f"{ellipsis} {link}" if link else ellipsis

    def fits(run: Sequence[Piece]) -> bool:
        return measure(joined(run).rstrip(",;:.–- ") + ending) <= limit

    if not rest and measure(link) <= limit:
        return link
    kept = _most(rest, fits)
    while not kept and rest and (cut := smaller(rest[0])):
        rest = cut
        kept = _most(rest, fits)
    if not kept:
        raise TextTooLong(limit, measure(joined(words)), unit)
    return joined(rest[:kept]).rstrip(",;:.–- ") + ending


def _numbered(body: str, n: int, total: int) -> str:
    return f"{body} ({n}/{total})"


def _packed(
    whole: Sequence[Piece], limit: int, measure: Measure, total: int, unit: str
) -> list[str]:
    """Fill parts from the front, each with room for the widest number of `total`."""

    def fits(run: Sequence[Piece]) -> bool:
        return measure(_numbered(joined(run), total, total)) <= limit

    bodies, rest = [], list(whole)
    while rest:
        most = _most(rest, fits)
        if most:
            kept = most if most == len(rest) else _sentence_cut(rest, most)
            bodies.append(joined(rest[:kept]))
            rest = rest[kept:]
        elif cut := smaller(rest[0]):
            rest[:1] = cut
        else:
            raise TextTooLong(limit, measure(_numbered(rest[0].text, total, total)), unit)
    return bodies


def _most(run: Sequence[Piece], fits: Callable[[Sequence[Piece]], bool]) -> int:
    """Count how many pieces from the front fit together, with few calls of a dear measure."""
    low, high = 0, 1
    while high <= len(run) and fits(run[:high]):
        low, high = high, high * 2
    high = min(high, len(run) + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if fits(run[:middle]):
            low = middle
        else:
            high = middle
    return low


def _sentence_cut(run: Sequence[Piece], most: int) -> int:
    """Go back to the last sentence end if the part stays at least half full, else keep `most`."""
    half = len(joined(run[:most])) / 2
    for kept in range(most, 0, -1):
        if run[kept - 1].ends_sentence:
            return kept if len(joined(run[:kept])) >= half else most
    return most
