"""How a notice becomes the posts of a thread. Pure."""

from __future__ import annotations

from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from broadcaster.channel import Notice, Rendered, Text
from broadcaster.domain.text import X_LIMIT, as_sentence, split_text, weighted_length

_TEMPLATES = SandboxedEnvironment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    undefined=StrictUndefined,
    autoescape=False,
)
_TEMPLATES.filters["sentence"] = as_sentence


def arrange(notice: Notice, *, most_posts: int) -> Rendered:
    """Arrange `notice` as one post or a numbered thread; every post of a drill says that it is one.

    Raises:
        ValueError: more than `most_posts` would be needed, or the link alone is too long.
    """
    prefix = f"{notice.mode_label}: " if notice.mode_label else ""

    def measure(text: str) -> int:
        return weighted_length(prefix + text)

    whole = _TEMPLATES.get_template("post.j2").render(notice=notice).strip()
    parts = split_text(whole, X_LIMIT, measure, unit="weighted characters")
    if len(parts) > most_posts:
        raise ValueError(
            f"The text needs {len(parts)} posts and at most {most_posts} are sent for one update. Shorten it."
        )
    remark = f"{len(parts)} posts, each in answer to the one before."
    return Rendered(
        texts=tuple(Text(body=prefix + part) for part in parts),
        unit="weighted characters",
        used=max(map(measure, parts)),
        limit=X_LIMIT,
        remarks=(remark,) if len(parts) > 1 else (),
    )
