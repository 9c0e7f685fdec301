"""A Matrix homeserver with one room, as far as speaking in it needs one.

Built from the client-server API (spec.matrix.org): "API standards" with its errors and transaction identifiers,
"Sending events to a room", "Redactions", "Event replacements" and "Room aliases". What Synapse does beyond the documents is
done here as well: a transaction is known by room and token alone, whatever act it was. The tests in tests/real/ try the same
adapter against Synapse itself.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from broadcaster.testing.servers.exchange import Reply, Request, Routes, json_reply
from broadcaster.testing.servers.farend import FarEnd

ME, ROOM, ALIAS = "@ekbyn:matrix.example", "!room:matrix.example", "#ekbyn:matrix.example"
MOST_BYTES = 65_536
_V3 = "/_matrix/client/v3"


def matrix_error(status: int, code: str, words: str, **more: Any) -> Reply:
    """A refusal as Matrix words it."""
    return json_reply({"errcode": code, "error": words, **more}, status)


NOT_IN_ROOM = matrix_error(403, "M_FORBIDDEN", f"User {ME} not in room {ROOM}")
UNKNOWN_TOKEN = matrix_error(401, "M_UNKNOWN_TOKEN", "Invalid access token passed.")
NOT_FOUND = matrix_error(404, "M_NOT_FOUND", "Event not found.")
UNRECOGNIZED = matrix_error(404, "M_UNRECOGNIZED", "Unrecognized request")


class MatrixServer(FarEnd):
    """One homeserver with one room and one account in it.

    Effects: ``message``, ``edit`` (its id that of the message it replaces) and ``redaction``. ``token`` None takes any token.
    ``state`` holds the room's state by type and can be changed; so can ``joined`` and ``creator``. ``device`` "" is a token without one.
    """

    name = "matrix"

    def __init__(self, *, token: str | None = "token", device: str = "DESK", **rest: Any) -> None:  # noqa: S107 - the stand-in's own
        super().__init__(**rest)
        self.token, self.device, self.joined, self.creator = token, device, True, ME
        self.events: dict[str, dict[str, Any]] = {}
        self.state: dict[str, dict[str, Any]] = {
            "m.room.create": {"room_version": "10", "creator": self.creator},
            "m.room.power_levels": {"users": {ME: 50}, "events_default": 50},
        }
        self._transactions: dict[str, str] = {}
        self._routes = Routes(
            ("GET", f"{_V3}/account/whoami", self._whoami),
            ("GET", f"{_V3}/joined_rooms", self._joined_rooms),
            ("GET", f"{_V3}/directory/room/{{alias}}", self._directory),
            ("GET", f"{_V3}/rooms/{{room}}/state/{{type}}/", self._one_state),
            ("GET", f"{_V3}/rooms/{{room}}/event/{{event}}", self._one),
            ("PUT", f"{_V3}/rooms/{{room}}/send/m.room.message/{{transaction}}", self._send),
            ("PUT", f"{_V3}/rooms/{{room}}/redact/{{event}}/{{transaction}}", self._redact),
        )

    def answer(self, request: Request) -> Reply:
        """Say which versions are spoken to anybody, refuse a wrong token, else route."""
        if request.path == "/_matrix/client/versions":
            return json_reply({"versions": ["v1.1", "v1.11"]})
        if self.token not in (None, request.bearer()):
            return UNKNOWN_TOKEN
        return self._routes.answer(request) or UNRECOGNIZED

    def _whoami(self, _: Request) -> Reply:
        device = {"device_id": self.device} if self.device else {}
        return json_reply({"user_id": ME, "is_guest": False, **device})

    def _joined_rooms(self, _: Request) -> Reply:
        return json_reply({"joined_rooms": [ROOM] if self.joined else []})

    def _directory(self, _: Request, alias: str) -> Reply:
        if unquote(alias) != ALIAS:
            return matrix_error(404, "M_NOT_FOUND", f"Room alias {unquote(alias)} not found.")
        return json_reply({"room_id": ROOM, "servers": ["matrix.example"]})

    # -- writing ----------------------------------------------------------------------------

    def _send(self, request: Request, room: str, transaction: str) -> Reply:
        return self._once(request, room, transaction, "m.room.message")

    def _redact(self, request: Request, room: str, event: str, transaction: str) -> Reply:
        return self._once(request, room, transaction, "m.room.redaction", unquote(event))

    def _once(
        self, request: Request, room: str, transaction: str, kind: str, redacts: str = ""
    ) -> Reply:
        """Make an event, unless this transaction has made one; before that, whatever is wrong is refused."""
        if not self.joined or unquote(room) != ROOM:
            return NOT_IN_ROOM
        if transaction in self._transactions:
            return json_reply({"event_id": self._transactions[transaction]})
        event = {
            "type": kind,
            "event_id": f"$event-{len(self._transactions)}",
            "room_id": ROOM,
            "sender": ME,
            "content": request.json(),
            "origin_server_ts": int(self.clock().timestamp() * 1000),
        }
        if len(json.dumps(event, ensure_ascii=False).encode()) > MOST_BYTES:
            return matrix_error(413, "M_TOO_LARGE", "event too large")
        self._transactions[transaction] = event["event_id"]
        if redacts:
            self._take_away(redacts)
        else:
            self._add(event)
        return json_reply({"event_id": event["event_id"]})

    def _add(self, event: dict[str, Any]) -> None:
        content = event["content"]
        relation = content.get("m.relates_to", {})
        self.events[event["event_id"]] = event
        if relation.get("rel_type") == "m.replace":
            original = self.events[relation["event_id"]]
            original["unsigned"] = {"m.relations": {"m.replace": event}}
            new = content["m.new_content"]
            self.effect("edit", f"{ROOM}/{original['event_id']}", new["body"], ROOM, **content)
            return
        self.effect("message", f"{ROOM}/{event['event_id']}", content["body"], ROOM, **content)

    def _take_away(self, redacts: str) -> None:
        event = self.events.get(redacts)
        if event is not None and event["content"]:
            self.effect("redaction", f"{ROOM}/{redacts}", event["content"]["body"], ROOM)
            event["content"], event["unsigned"] = {}, {"redacted_because": {}}

    # -- reading ----------------------------------------------------------------------------

    def _one_state(self, request: Request, room: str, kind: str) -> Reply:
        if unquote(room) != ROOM or kind not in self.state:
            return matrix_error(404, "M_NOT_FOUND", "Event not found.")
        if request.parameters.get("format") == "event":
            return json_reply({"type": kind, "sender": self.creator, "content": self.state[kind]})
        return json_reply(self.state[kind])

    def _one(self, _: Request, room: str, event: str) -> Reply:
        found = self.events.get(unquote(event)) if unquote(room) == ROOM else None
        return json_reply(found) if found else NOT_FOUND
