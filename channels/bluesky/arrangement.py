"""How a notice becomes the posts of a thread. Pure."""

from __future__ import annotations

from math import ceil
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from broadcaster.channel import Notice, Rendered, Text
from broadcaster.domain.text import as_sentence, grapheme_length, split_text, utf8_length

GRAPHEMES = 300
BYTES = 3000
"""Both hold for the text of a post (lexicon app.bsky.feed.post: maxGraphemes, maxLength). A link counts in full."""
_PER_GRAPHEME = BYTES // GRAPHEMES

_TEMPLATES = SandboxedEnvironment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    undefined=StrictUndefined,
    autoescape=False,
)
_TEMPLATES.filters["sentence"] = as_sentence


def measure(text: str) -> int:
    """How much of a post `text` takes, of 300: its letters, or a tenth of its bytes where those are more."""
    return max(grapheme_length(text), ceil(utf8_length(text) / _PER_GRAPHEME))


def arrange(notice: Notice, *, most_posts: int) -> Rendered:
    """Arrange `notice` as one post or a numbered thread; every post of a drill says that it is one.

    Raises:
        ValueError: more than `most_posts` would be needed, or the link alone is too long.
    """
    prefix = f"{notice.mode_label}: " if notice.mode_label else ""
    whole = _TEMPLATES.get_template("post.j2").render(notice=notice).strip()
    parts = split_text(whole, GRAPHEMES, lambda text: measure(prefix + text))
    if len(parts) > most_posts:
        raise ValueError(
            f"The text needs {len(parts)} posts and at most {most_posts} are sent for one update. Shorten it."
        )
    bodies = tuple(prefix + part for part in parts)
    letters, octets = max(map(grapheme_length, bodies)), max(map(utf8_length, bodies))
    by_bytes = octets > letters * _PER_GRAPHEME
    remark = f"{len(parts)} posts, each in answer to the one before."
    return Rendered(
        texts=tuple(Text(body=body) for body in bodies),
        unit="bytes" if by_bytes else "characters",
        used=octets if by_bytes else letters,
        limit=BYTES if by_bytes else GRAPHEMES,
        remarks=(remark,) if len(parts) > 1 else (),
    )
