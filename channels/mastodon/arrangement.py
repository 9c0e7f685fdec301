"""How a notice becomes the posts of a thread. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from broadcaster.channel import Notice, Rendered, Text
from broadcaster.domain.text import (
    MASTODON_LIMIT,
    MASTODON_PER_LINK,
    as_sentence,
    mastodon_length,
    split_text,
)

_TEMPLATES = SandboxedEnvironment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    undefined=StrictUndefined,
    autoescape=False,
)
_TEMPLATES.filters["sentence"] = as_sentence


def arrange(notice: Notice, limits: Mapping[str, Any], *, most_posts: int) -> Rendered:
    """Arrange `notice` as one post or a numbered thread; every post of a drill says that it is one.

    Raises:
        ValueError: more than `most_posts` would be needed, or the link alone is too long.
    """
    limit = int(limits.get("max_characters", MASTODON_LIMIT))
    per_url = int(limits.get("characters_reserved_per_url", MASTODON_PER_LINK))
    prefix = f"{notice.mode_label}: " if notice.mode_label else ""

    def measure(text: str) -> int:
        return mastodon_length(prefix + text, per_url)

    whole = _TEMPLATES.get_template("post.j2").render(notice=notice).strip()
    parts = split_text(whole, limit, measure)
    if len(parts) > most_posts:
        raise ValueError(
            f"The text needs {len(parts)} posts and at most {most_posts} are sent for one update. Shorten it."
        )
    remark = f"{len(parts)} posts, each in answer to the one before."
    return Rendered(
        texts=tuple(Text(body=prefix + part) for part in parts),
        unit="characters",
        used=max(map(measure, parts)),
        limit=limit,
        remarks=(remark,) if len(parts) > 1 else (),
    )
