"""How a notice becomes the posts of a thread. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broadcaster.channel import Notice, Rendered
from broadcaster.domain.text import (
    MASTODON_LIMIT,
    MASTODON_PER_LINK,
    mastodon_length,
)
from broadcaster.posting import Wording, in_a_row, labelled

_WORDING = Wording(__file__, "post.j2")


def arrange(notice: Notice, limits: Mapping[str, Any], *, most_posts: int) -> Rendered:
    """Arrange `notice` as one post or a numbered thread; every post of a drill says that it is one.

    Raises:
        ValueError: more than `most_posts` would be needed, or the link alone is too long.
    """
    limit = int(limits.get("max_characters", MASTODON_LIMIT))
    per_url = int(limits.get("characters_reserved_per_url", MASTODON_PER_LINK))
    return in_a_row(
        _WORDING(notice),
        labelled(notice),
        limit=limit,
        measure=lambda text: mastodon_length(text, per_url),
        most_posts=most_posts,
    )
