"""How a notice becomes one message. Pure."""

from __future__ import annotations

from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from broadcaster.channel import Notice, Rendered, Text
from broadcaster.domain.text import as_sentence
from channels.matrix.events import length

LIMIT = 65_536 - 4_096
"""Bytes of a content: an event has at most 65,536 in all ("Size limits"), of which servers may need these for their own part."""

_TEMPLATES = SandboxedEnvironment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    undefined=StrictUndefined,
    autoescape=False,
)
_TEMPLATES.filters["sentence"] = as_sentence


def arrange(notice: Notice) -> Rendered:
    """Arrange `notice` as one message that could also be an edit.

    Raises:
        ValueError: it is too long.
    """
    prefix = f"{notice.mode_label}: " if notice.mode_label else ""
    body = prefix + _TEMPLATES.get_template("message.j2").render(notice=notice).strip()
    used = length(body)
    if used > LIMIT:
        raise ValueError(
            f"A message in Matrix holds {LIMIT} bytes and this one needs {used}. Shorten it."
        )
    return Rendered(texts=(Text(body=body),), unit="bytes", used=used, limit=LIMIT)
