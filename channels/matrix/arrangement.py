"""How a notice becomes one message. Pure."""

from __future__ import annotations

from broadcaster.channel import Notice, Rendered, Text
from broadcaster.posting import Wording, labelled
from channels.matrix.events import length

LIMIT = 65_536 - 4_096
"""Bytes of a content: an event has at most 65,536 in all ("Size limits"), of which servers may need these for their own part."""

_WORDING = Wording(__file__, "message.j2")


def arrange(notice: Notice) -> Rendered:
    """Arrange `notice` as one message that could also be an edit.

    Raises:
        ValueError: it is too long.
    """
    body = labelled(notice) + _WORDING(notice)
    used = length(body)
    if used > LIMIT:
        raise ValueError(
            f"A message in Matrix holds {LIMIT} bytes and this one needs {used}. Shorten it."
        )
    return Rendered(texts=(Text(body=body),), unit="bytes", used=used, limit=LIMIT)
