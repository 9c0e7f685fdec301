"""How a notice becomes one notification for each topic. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from broadcaster.channel import Kind, Message, Mode, Notice, Rendered, Severity, Text
from broadcaster.domain.text import utf8_length
from broadcaster.posting import Wording, labelled

LIMIT = 4096
"""Bytes of a message; a longer one becomes an attached file that nobody reads ("Limitations")."""
TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_PRIORITIES = {Severity.MINOR: 2, Severity.MODERATE: 3, Severity.SEVERE: 4, Severity.EXTREME: 5}
_USUAL, SILENT = 3, 2

_WORDING = Wording(__file__, "message.j2")


def topic_of(prefix: str, mode: Mode, area: str, language: str) -> str:
    """The topic of an area, "" for no area, in a language, "" for the first one.

    Drill and demo have topics of their own. An area's key holds no underscore, so no topic can be meant twice.
    """
    name = prefix if mode is Mode.LIVE else f"{prefix}_{mode}"
    return name + (f"-{area}" if area else "") + (f"_{language}" if language else "")


def arrange(notice: Notice, *, prefix: str, first_language: str) -> Rendered:
    """Arrange `notice` as one notification for each area it concerns or where it ends.

    Raises:
        ValueError: it is too long, or a topic is.
    """
    mode_label = labelled(notice)
    body = mode_label + _WORDING(notice)
    used = utf8_length(body)
    if used > LIMIT:
        raise ValueError(
            f"A notification holds {LIMIT} bytes and this one needs {used}. Shorten it."
        )
    topics = tuple(_topics(notice, prefix, first_language))
    shown = {"title": f"{mode_label}{notice.organisation}: {notice.label}", "click": notice.link}
    payload = json.dumps({name: said for name, said in shown.items() if said}, ensure_ascii=False)
    return Rendered(
        texts=tuple(Text(body=body, subject=topic, payload=payload) for topic in topics),
        unit="bytes",
        used=used,
        limit=LIMIT,
        remarks=tuple(f"Goes to {topic}" for topic in topics),
    )


def _topics(notice: Notice, prefix: str, first_language: str) -> Iterator[str]:
    language = "" if notice.language == first_language else notice.language
    areas = (*(notice.facts.get("areas") or ()), *(notice.facts.get("ended") or ()))
    for area in dict.fromkeys(areas) or ("",):
        topic = topic_of(prefix, notice.mode, area, language)
        if not TOPIC.fullmatch(topic):
            raise ValueError(
                f"The topic {topic} is longer than 64 letters: shorten prefix in the configuration."
            )
        yield topic


def priority_of(message: Message) -> int:
    """1 to 5 by severity; that it is over, or that there is nothing new, wakes nobody at night."""
    priority = _PRIORITIES[message.severity]
    calm = message.kind in (Kind.RESTORED, Kind.HOLDING)
    return min(priority, _USUAL) if calm else priority
