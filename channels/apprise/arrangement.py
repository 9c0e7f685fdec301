"""How a notice becomes the messages in a chat. Pure."""

from __future__ import annotations

import re

from broadcaster.channel import Notice, Rendered
from broadcaster.posting import Wording, in_a_row, labelled

LONGEST = 4000
"""What a person still reads in a chat; many services take more, or do not say."""
_CALLS_ALL = re.compile(
    r"(?P<link>https?://[^\s<>]+)"
    r"|(?<![^\W_])@(?=(?:everyone|here|channel|all|room)(?![^\W_]))"  # a word, and not the end of an e-mail address
    r"|<(?=[@!#])",
    re.IGNORECASE,
)
_JOINER = "\u2060"  # no width: the word reads as before and calls nobody

_WORDING = Wording(__file__, "message.j2")


def arrange(notice: Notice, *, most: int, most_posts: int) -> Rendered:
    """Arrange `notice` as one message, or several in a row, of at most `most` characters each.

    Raises:
        ValueError: more than `most_posts` would be needed.
    """
    whole = _CALLS_ALL.sub(
        lambda found: found[0] if found["link"] else found[0] + _JOINER,
        _WORDING(notice),
    )
    return in_a_row(
        whole,
        labelled(notice),
        limit=min(most, LONGEST),
        measure=utf16_length,
        most_posts=most_posts,
        remark="",
    )


def utf16_length(text: str) -> int:
    """Length in units of UTF-16, as Telegram and most programs of the web count; never less than the characters."""
    return len(text.encode("utf-16-le")) // 2
