"""What an event of ours holds, and how one is read back (Matrix client-server API, "m.room.message", "Event replacements")."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

_LINK = re.compile(r"https?://[^\s<>\"]+")


def said(body: str, *, in_reply_to: str = "", rings: bool = False) -> dict[str, Any]:
    """The content of a message that reads `body`.

    It is `m.text`: apps keep silent about `m.notice` (push rule `.m.rule.suppress_notices`), which is meant for robots
    nobody waits for. It mentions nobody, whatever names are in the text, or with `rings` the whole room. An answer is a plain
    one: a thread (`m.thread`) is a place aside of which many apps tell nothing.
    """
    content = {
        "msgtype": "m.text",
        "body": body,
        "format": "org.matrix.custom.html",
        "formatted_body": as_html(body),
        "m.mentions": {"room": True} if rings else {},
    }
    if in_reply_to:
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": in_reply_to}}
    return content


def edited(body: str, event: str) -> dict[str, Any]:
    """The content that makes `event` read `body`; what stands outside `m.new_content` is for apps that know no edits."""
    shown = said(f"* {body}")
    relation = {"rel_type": "m.replace", "event_id": event}
    return {**shown, "m.new_content": said(body), "m.relates_to": relation}


def length(body: str) -> int:
    """Bytes of the longest content this text may need: it stands four times in the event that corrects something to it."""
    content = edited(body, "$" + 43 * "x")
    return len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())


def as_html(body: str) -> str:
    """Paragraphs of escaped text, the first in bold; a paragraph that is an address is a link."""
    first, *others = (_paragraph(each) for each in body.split("\n\n"))
    return "".join(f"<p>{each}</p>" for each in (f"<strong>{first}</strong>", *others))


def _paragraph(text: str) -> str:
    shown = html.escape(text).replace("\n", "<br>")
    return f'<a href="{shown}">{shown}</a>' if _LINK.fullmatch(text) else shown


def words_of(event: Mapping[str, Any], *, amended: bool) -> str | None:
    """What an event reads now, as apps show it: its newest replacement, else itself; None when it was taken away.

    With `amended` only a replacement counts: a server that does not gather them shows the old words, which proves nothing.
    """
    replacement = _at(event, "unsigned", "m.relations", "m.replace", "content", "m.new_content")
    content = replacement if replacement or amended else _at(event, "content")
    body = content.get("body")
    return body if isinstance(body, str) else None


def _at(place: Any, *names: str) -> Mapping[str, Any]:
    for name in names:
        place = place.get(name) if isinstance(place, dict) else None
    return place if isinstance(place, dict) else {}
