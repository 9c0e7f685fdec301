"""How a notice becomes the messages in a chat. Pure."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from broadcaster.channel import Notice, Rendered, Text
from broadcaster.domain.text import as_sentence, split_text

LONGEST = 4000
"""What a person still reads in a chat; many services take more, or do not say."""
_CALLS_ALL = re.compile(
    r"(?P<link>https?://[^\s<>]+)"
    r"|(?<![^\W_])@(?=(?:everyone|here|channel|all|room)(?![^\W_]))"  # a word, and not the end of an e-mail address
    r"|<(?=[@!#])",
    re.IGNORECASE,
)
_JOINER = "\u2060"  # no width: the word reads as before and calls nobody

_TEMPLATES = SandboxedEnvironment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    undefined=StrictUndefined,
    autoescape=False,
)
_TEMPLATES.filters["sentence"] = as_sentence


def arrange(notice: Notice, *, most: int, most_posts: int) -> Rendered:
    """Arrange `notice` as one message, or several in a row, of at most `most` characters each.

    Raises:
        ValueError: more than `most_posts` would be needed.
    """
    limit = min(most, LONGEST)
    prefix = f"{notice.mode_label}: " if notice.mode_label else ""

    def measure(text: str) -> int:
        return utf16_length(prefix + text)

    whole = _TEMPLATES.get_template("message.j2").render(notice=notice).strip()
    whole = _CALLS_ALL.sub(
        lambda found: found[0] if found["link"] else found[0] + _JOINER,
        whole,
    )
    parts = split_text(whole, limit, measure)
    if len(parts) > most_posts:
        raise ValueError(
            f"The text needs {len(parts)} posts and at most {most_posts} are sent for one update. Shorten it."
        )
    return Rendered(
        texts=tuple(Text(body=prefix + part) for part in parts),
        unit="characters",
        used=max(map(measure, parts)),
        limit=limit,
    )


def utf16_length(text: str) -> int:
    """Length in units of UTF-16, as Telegram and most programs of the web count; never less than the characters."""
    return len(text.encode("utf-16-le")) // 2
