"""A sink for what a library posts to chats and push services: it takes all and answers as a content service does.

Which service it plays is the first part of the path: ``/slack/…`` is answered ``ok`` as Slack's incoming webhooks do
(docs.slack.dev), everything else ``{"ok": true}`` as Telegram's Bot API (core.telegram.org/bots/api).
"""

from __future__ import annotations

from broadcaster.testing.servers.exchange import Reply, Request, json_reply, text_reply
from broadcaster.testing.servers.farend import FarEnd

_TEXTS = ("text", "content", "message")


class Chats(FarEnd):
    """Effects: one for each request with a text, of the kind that its path begins with, ``to`` the path."""

    name = "chats"

    def answer(self, request: Request) -> Reply:
        """Keep the text, say yes. HEAD and what holds no text change nothing."""
        said = {} if request.method == "HEAD" else request.fields()
        text = next((str(said[key]) for key in _TEXTS if key in said), None)
        if text is None:
            return json_reply({"ok": False}, 400)
        service = request.path.strip("/").split("/")[0]
        self.effect(service, str(len(self.effects) + 1), text, request.path)
        if service == "slack":
            return text_reply("ok")
        return json_reply({"ok": True, "result": {"message_id": len(self.effects)}})
