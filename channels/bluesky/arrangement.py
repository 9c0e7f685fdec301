"""How a notice becomes the posts of a thread. Pure."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from broadcaster.channel import Notice, Rendered
from broadcaster.domain.text import grapheme_length, utf8_length
from broadcaster.posting import Wording, in_a_row, labelled

GRAPHEMES = 300
BYTES = 3000
"""Both hold for the text of a post (lexicon app.bsky.feed.post: maxGraphemes, maxLength). A link counts in full."""
_PER_GRAPHEME = BYTES // GRAPHEMES

_WORDING = Wording(__file__, "post.j2")


def measure(text: str) -> int:
    """How much of a post `text` takes, of 300: its letters, or a tenth of its bytes where those are more."""
    return max(grapheme_length(text), ceil(utf8_length(text) / _PER_GRAPHEME))


def arrange(notice: Notice, *, most_posts: int) -> Rendered:
    """Arrange `notice` as one post or a numbered thread; every post of a drill says that it is one.

    Raises:
        ValueError: more than `most_posts` would be needed, or the link alone is too long.
    """
    rendered = in_a_row(
        _WORDING(notice),
        labelled(notice),
        limit=GRAPHEMES,
        measure=measure,
        most_posts=most_posts,
    )
    bodies = [text.body for text in rendered.texts]
    letters, octets = max(map(grapheme_length, bodies)), max(map(utf8_length, bodies))
    if octets <= letters * _PER_GRAPHEME:
        return rendered
    return replace(rendered, unit="bytes", used=octets, limit=BYTES)
