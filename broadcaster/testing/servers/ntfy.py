"""An ntfy server, as far as publishing needs one.

Built from the public documents (docs.ntfy.sh: "Publishing" with "Publish as JSON", "Updating + deleting notifications",
"Limitations"; "Subscribe via API") and the error codes that the project publishes. What the documents leave out: that a
message of more bytes than the limit becomes an attached file is shown here as an effect of its own.
"""

from __future__ import annotations

import json
import re
from typing import Any

from broadcaster.testing.servers.exchange import Reply, Request, Routes, json_reply
from broadcaster.testing.servers.farend import FarEnd

_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_UNIFIED_PUSH = re.compile(r"up[-_A-Za-z0-9]{12}")
_LIMITATIONS = "https://ntfy.sh/docs/publish/#limitations"
_AUTHENTICATION = "https://ntfy.sh/docs/publish/#authentication"


def ntfy_error(code: int, words: str, link: str = "") -> Reply:
    """A refusal as ntfy words it: the first three digits of its code are the status."""
    body = {"code": code, "http": code // 100, "error": words}
    return json_reply(body | ({"link": link} if link else {}), code // 100)


UNAUTHORIZED = ntfy_error(40101, "unauthorized", _AUTHENTICATION)
FORBIDDEN = ntfy_error(40301, "forbidden", _AUTHENTICATION)
TOO_MANY_REQUESTS = ntfy_error(42901, "limit reached: too many requests", _LIMITATIONS)
DAILY_QUOTA = ntfy_error(42908, "limit reached: daily message quota reached", _LIMITATIONS)
NOT_FOUND = ntfy_error(40401, "page not found")


class NtfyServer(FarEnd):
    """One server with one user, who may write to topics that begin with `may_write` and read them.

    Effects, with the id `topic/sequence`: ``message`` (a new notification), ``update`` (the same notification with
    another text), ``delete``, and ``attachment`` where a text was too long to be a message. ``token`` None takes any
    token. ``readable`` says whether one without an account may read; ``sequences`` off is a server of before 2.16.
    """

    name = "ntfy"

    def __init__(
        self,
        *,
        token: str | None = "tk_token",  # noqa: S107 - the stand-in's own
        may_write: str = "",
        readable: bool = True,
        sequences: bool = True,
        messages_remaining: int = 250,
        size_limit: int = 4096,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.token, self.may_write, self.readable = token, may_write, readable
        self.sequences, self.messages_remaining = sequences, messages_remaining
        self.size_limit = size_limit
        self.cache: list[dict[str, Any]] = []
        self._shown: dict[str, str] = {}
        self._routes = Routes(
            ("GET", "/v1/health", self._health),
            ("GET", "/v1/account", self._account),
            ("POST", "/", self._publish),
            ("GET", "/{topic}/json", self._poll),
            ("DELETE", "/{topic}/{sequence}", self._delete),
        )

    def shown(self, topic: str) -> list[str]:
        """The texts of the notifications that a phone which follows `topic` shows now, oldest first."""
        return [text for place, text in self._shown.items() if place.split("/")[0] == topic]

    def answer(self, request: Request) -> Reply:
        """Refuse a wrong token whatever is asked for, else route."""
        bearer = request.bearer()
        if bearer and self.token not in (None, bearer):
            return UNAUTHORIZED
        return self._routes.answer(request) or NOT_FOUND

    def _is_user(self, request: Request) -> bool:
        return bool(request.bearer()) or not self.token

    def _health(self, _: Request) -> Reply:
        return json_reply({"healthy": True})

    def _account(self, request: Request) -> Reply:
        user = (
            {"username": "ekbyn", "role": "user"} if self._is_user(request) else {"username": "*"}
        )
        return json_reply(
            {
                **user,
                "limits": {"basis": "ip", "messages": 250},
                "stats": {"messages": 0, "messages_remaining": self.messages_remaining},
            }
        )

    # -- writing ----------------------------------------------------------------------------

    def _publish(self, request: Request) -> Reply:
        try:
            fields = request.json()
            topic, text = fields["topic"], str(fields.get("message") or "triggered")
        except (ValueError, KeyError, TypeError):
            return ntfy_error(40017, "invalid request: request body must be message JSON")
        refusal = self._refuse(request, topic, fields)
        if refusal is not None:
            return refusal
        event = self._event("message", topic) | {
            name: fields[name]
            for name in ("title", "message", "priority", "tags", "click")
            if name in fields
        }
        sequence = fields.get("sequence_id") if self.sequences else None
        if sequence:
            event["sequence_id"] = sequence
        self.messages_remaining -= 1
        self.cache.append(event)
        place = f"{topic}/{sequence or event['id']}"
        more = {name: event.get(name) for name in ("title", "priority", "click")}
        if len(text.encode()) > self.size_limit:
            event["message"] = "You received a file: attachment.txt"
            self.effect("attachment", place, text, topic, **more)
        elif self._shown.get(place) != text:
            self.effect("update" if place in self._shown else "message", place, text, topic, **more)
        self._shown[place] = text
        return json_reply(event)

    def _refuse(self, request: Request, topic: str, fields: dict[str, Any]) -> Reply | None:
        if not _TOPIC.fullmatch(topic):
            return ntfy_error(40009, "invalid request: topic invalid")
        if not self._is_user(request) or not topic.startswith(self.may_write):
            return FORBIDDEN
        if fields.get("sequence_id") and not _TOPIC.fullmatch(fields["sequence_id"]):
            return ntfy_error(40049, "invalid request: sequence ID invalid")
        if fields.get("priority", 3) not in range(1, 6):
            return ntfy_error(40007, "invalid priority parameter")
        if _UNIFIED_PUSH.fullmatch(topic):
            words = "cannot publish to UnifiedPush topic without previously active subscriber"
            return ntfy_error(50701, words)
        return DAILY_QUOTA if self.messages_remaining <= 0 else None

    def _delete(self, request: Request, topic: str, sequence: str) -> Reply:
        """Tell the apps; the cache keeps the message and says that it is deleted."""
        if not self._is_user(request) or not topic.startswith(self.may_write):
            return FORBIDDEN
        event = self._event("message_delete", topic) | {"sequence_id": sequence}
        self.cache.append(event)
        text = self._shown.pop(f"{topic}/{sequence}", None)
        if text is not None:
            self.effect("delete", f"{topic}/{sequence}", text, topic)
        return json_reply(event)

    def _event(self, kind: str, topic: str) -> dict[str, Any]:
        now = self.clock()
        return {
            "id": f"m{len(self.cache):011d}",
            "time": int(now.timestamp()),
            "expires": int(now.timestamp()) + 12 * 3600,
            "event": kind,
            "topic": topic,
        }

    # -- reading ----------------------------------------------------------------------------

    def _poll(self, request: Request, topic: str) -> Reply:
        if not (self.readable or self._is_user(request)):
            return FORBIDDEN
        since = int(request.parameters.get("since") or 0)
        rows = [each for each in self.cache if each["topic"] == topic and each["time"] >= since]
        lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows)
        return Reply(
            200, lines.encode(), (("Content-Type", "application/x-ndjson; charset=utf-8"),)
        )
