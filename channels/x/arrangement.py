"""How a notice becomes the posts of a thread. Pure."""

from __future__ import annotations

from broadcaster.channel import Notice, Rendered
from broadcaster.domain.text import X_LIMIT, weighted_length
from broadcaster.posting import Wording, in_a_row, labelled

_WORDING = Wording(__file__, "post.j2")


def arrange(notice: Notice, *, most_posts: int) -> Rendered:
    """Arrange `notice` as one post or a numbered thread; every post of a drill says that it is one.

    Raises:
        ValueError: more than `most_posts` would be needed, or the link alone is too long.
    """
    return in_a_row(
        _WORDING(notice),
        labelled(notice),
        limit=X_LIMIT,
        measure=weighted_length,
        most_posts=most_posts,
        unit="weighted characters",
    )
