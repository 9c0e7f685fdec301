"""A sink for what a library posts to chats and push services: it takes all and answers as a content service does.

Which service it plays is the first part of the path: where that names Slack it answers ``ok`` as incoming webhooks do
(docs.slack.dev), else ``{"ok": true}`` as Telegram's Bot API (core.telegram.org/bots/api).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from broadcaster.testing.servers.exchange import Reply, Request, json_reply, text_reply
from broadcaster.testing.servers.farend import FarEnd


class Chats(FarEnd):
    """Effects: one for each request with a text, of the kind that its path begins with, ``to`` the rest of the path."""

    name = "chats"

    def answer(self, request: Request) -> Reply:
        """Keep the longest text of the request, say yes. HEAD, and what holds no text, change nothing."""
        said = {} if request.method == "HEAD" else request.fields()
        text = max(_texts(said), key=len, default="")
        if not text:
            return json_reply({"ok": False}, 400)
        service, _, to = request.path.strip("/").partition("/")
        self.effect(service, str(len(self.effects) + 1), text, to, said=said)
        if "slack" in service:
            return text_reply("ok")
        return json_reply({"ok": True, "result": {"message_id": len(self.effects)}})


def _texts(said: Any) -> Iterator[str]:
    """Every text in a document of JSON, or in a form."""
    if isinstance(said, str):
        yield said
    elif isinstance(said, dict | list):
        for part in said.values() if isinstance(said, dict) else said:
            yield from _texts(part)
