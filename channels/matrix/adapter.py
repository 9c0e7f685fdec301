"""The Matrix channel: client-server API v3 (spec.matrix.org), version 1.1 of the specification and later."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field

from broadcaster.channel import (
    Attempt,
    ChannelContext,
    ChannelSettings,
    Failure,
    Kind,
    Message,
    Notice,
    Permanent,
    Probe,
    Receipt,
    Rendered,
    Scope,
    Severity,
    Uncertain,
)
from broadcaster.httpclient import Answer, Deadline, HeaderSecret, WebAddress, printable
from broadcaster.posting import ServerPostAdapter
from channels.matrix.answers import TOO_LONG, refusal_in, refused
from channels.matrix.arrangement import arrange
from channels.matrix.events import edited, said, words_of
from channels.matrix.rooms import Room, hindrance, may_ring

_API = "/_matrix/client/v3"
_ROOM = re.compile(r"#[^\s:/]+:[^\s/]+|![^\s/]+")
_EVENT_CAP = 512 * 1024  # an event and its newest replacement, with what a server may add
_STATE_CAP = 256 * 1024


def _checked_server(value: str) -> str:
    if value.rstrip("/").count("/") > 2:
        raise ValueError("must be the homeserver's address alone, such as https://matrix.example")
    return value


def _checked_room(value: str) -> str:
    if not _ROOM.fullmatch(value):
        raise ValueError(
            "is no room: write its address (#alerts:matrix.example) or its id (!…), in quotes"
        )
    return value


class MatrixSettings(ChannelSettings):
    """Which account speaks, in which room, and when phones ring."""

    url: Annotated[WebAddress, AfterValidator(_checked_server)] = Field(
        description="The homeserver's address for apps, such as https://matrix.example."
    )
    room: Annotated[str, AfterValidator(_checked_room)] = Field(
        description="The room: its address, such as #alerts:matrix.example, or its id (!…)."
    )
    token: HeaderSecret = Field(description="The access token of the account that speaks.")
    ring: Severity | Literal["never"] = Field(
        Severity.SEVERE,
        description="From this severity on the whole room is mentioned, so that silenced phones ring; or never.",
    )


class MatrixAdapter(ServerPostAdapter):
    """Speaks in one room, edits and redacts. A transaction repeated by the same token has no second effect."""

    Settings = MatrixSettings
    repeatable = True

    def __init__(self, settings: MatrixSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._authorisation = {"Authorization": f"Bearer {settings.token.get_secret_value()}"}
        self._room_id = settings.room if settings.room.startswith("!") else ""

    def secrets(self) -> tuple[str, ...]:
        return (self.settings.token.get_secret_value(),)

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        return arrange(notice)

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        """Say it in the room. An address is first looked up, if no probe has: that has no effect."""
        deadline = Deadline.of(attempt)
        room = self._room_id or self._look_up(attempt, deadline)
        answered_room, _, answered = message.in_reply_to.rpartition("/$")
        content = said(
            message.body,
            in_reply_to=f"${answered}" if answered_room == room else "",
            rings=self._rings(message),
        )
        event = self._write(
            f"/rooms/{_q(room)}/send/m.room.message/{_transaction('post', message)}",
            content,
            attempt,
            deadline,
        )
        shown = self.settings.room if self.settings.room.startswith("#") else room
        return Receipt(handle=f"{room}/{event}", url=f"https://matrix.to/#/{_q(shown)}/{_q(event)}")

    def amend(self, message: Message, attempt: Attempt) -> Receipt:
        """Replace the text of `message.target`; apps mark it as edited, and no phone rings."""
        room, event = _place(message.target)
        path = f"/rooms/{_q(room)}/send/m.room.message/{_transaction('amend', message)}"
        self._write(path, edited(message.body, event), attempt, Deadline.of(attempt))
        return Receipt(handle=message.target)

    def withdraw(self, message: Message, attempt: Attempt) -> Receipt:
        """Redact `message.target`: every server of the room is told to forget its words."""
        room, event = _place(message.target)
        path = f"/rooms/{_q(room)}/redact/{_q(event)}/{_transaction('withdraw', message)}"
        answer = self._put(path, {}, attempt, Deadline.of(attempt), expect={403, 404})
        code, _ = refusal_in(answer)
        if code == "M_NOT_FOUND":
            return Receipt(handle=message.target, detail="The message was gone already.")
        if code == "M_FORBIDDEN":
            # Whether we may speak is another matter: the word that takes it back has to go out.
            raise Permanent(
                f"{self._host} does not let this account take its message away: have a moderator of the room do it.",
                reply=answer.excerpt(),
            )
        if not answer.ok:
            raise self._refused(answer, attempt)
        self._event_in(answer)
        return Receipt(handle=message.target, detail="The message is taken away.")

    def confirm(self, receipt: Receipt, attempt: Attempt, message: Message | None) -> bool:
        """Whether the homeserver shows it in our words. It shows rooms to accounts only, so to ours."""
        room, event = _place(receipt.handle)
        answer = self._ask(
            "GET",
            f"{_API}/rooms/{_q(room)}/event/{_q(event)}",
            attempt,
            cap=_EVENT_CAP,
            expect={403, 404},
        )
        amended = message is not None and bool(message.target)
        words = words_of(answer.fields(), amended=amended) if answer.ok else None
        if words is None:
            return False
        if message is not None and words != message.body:
            raise Permanent(
                f"The message on {self._host} does not say what was sent: see who has changed it.",
                reply=printable(words, 300),
            )
        return True

    def probe(self, attempt: Attempt) -> Probe:
        """Whether the token is good and the room can be spoken in. It joins nothing: that would be seen in the room."""
        deadline = Deadline.of(attempt)
        versions = self._ask(
            "GET", "/_matrix/client/versions", attempt, deadline=deadline, expect={404}, whose="any"
        )
        if not isinstance(versions.fields().get("versions"), list):
            return Probe(good=False, sentence=self._sentences()[404])
        whoami = self._ask("GET", f"{_API}/account/whoami", attempt, deadline=deadline).fields()
        me, name = printable(str(whoami.get("user_id") or "?"), 255), self.settings.room
        if not whoami.get("device_id"):
            return Probe(
                good=False,
                sentence=f"The token of {me} belongs to no device, so {self._host} forgets at a restart what it has "
                "taken: make one by logging in.",
            )
        room_id = name if name.startswith("!") else self._look_up(attempt, deadline)
        room = self._state(me, room_id, attempt, deadline)
        if wrong := hindrance(room, name):
            return Probe(good=False, sentence=wrong)
        if self.settings.ring != "never" and not may_ring(room):
            return Probe(
                good=True,
                sentence=f"{me} may write in {name}, but not mention the whole room: no silenced phone will ring.",
            )
        return Probe(good=True, sentence=f"{me} may write in {name}.")

    # ------------------------------------------------------------------------------------------------------------ calls
    def _rings(self, message: Message) -> bool:
        """Whether the whole room is mentioned: never that it is over, or that there is nothing new."""
        if self.settings.ring == "never" or message.kind in (Kind.RESTORED, Kind.HOLDING):
            return False
        return message.severity.at_least(self.settings.ring)

    def _look_up(self, attempt: Attempt, deadline: Deadline) -> str:
        """The id of the room that the address in the settings leads to, kept until a probe looks again."""
        path = f"{_API}/directory/room/{_q(self.settings.room)}"
        answer = self._ask("GET", path, attempt, deadline=deadline, expect={404})
        found = answer.fields().get("room_id")
        code, _ = refusal_in(answer)
        if answer.status == 404 and code == "M_NOT_FOUND":
            raise Permanent(
                f"{self._host} knows no room {self.settings.room}: correct it, then resume the channel.",
                scope=Scope.CHANNEL,
            )
        if not isinstance(found, str) or not _ROOM.fullmatch(found):
            raise Permanent(self._sentences()[404], scope=Scope.CHANNEL, reply=answer.excerpt())
        self._room_id = found
        return found

    def _state(self, me: str, room_id: str, attempt: Attempt, deadline: Deadline) -> Room:
        def asked(path: str, **more: Any) -> dict[str, Any]:
            """What stands there; {} where nothing does, or where it is not for our eyes."""
            return self._ask(
                "GET",
                _API + path,
                attempt,
                deadline=deadline,
                cap=_STATE_CAP,
                expect={403, 404},
                **more,
            ).fields()

        of_room = f"/rooms/{_q(room_id)}/state"
        joined = asked("/joined_rooms").get("joined_rooms")
        if not isinstance(joined, list) or room_id not in joined:
            return Room(me=me, joined=False, creation={}, levels={}, encryption={}, tombstone={})
        return Room(
            me=me,
            joined=True,
            creation=asked(f"{of_room}/m.room.create/", params={"format": "event"}),
            levels=_content(asked(f"{of_room}/m.room.power_levels/")),
            encryption=_content(asked(f"{of_room}/m.room.encryption/")),
            tombstone=_content(asked(f"{of_room}/m.room.tombstone/")),
        )

    def _write(
        self, path: str, content: Mapping[str, Any], attempt: Attempt, deadline: Deadline
    ) -> str:
        """Make one event; returns its id."""
        return self._event_in(self._put(path, content, attempt, deadline))

    def _put(
        self,
        path: str,
        content: Mapping[str, Any],
        attempt: Attempt,
        deadline: Deadline,
        expect: Collection[int] = (),
    ) -> Answer:
        """A transaction may be repeated, but it may also have gone: that is not hidden."""
        return self._ask(
            "PUT",
            _API + path,
            attempt,
            deadline=deadline,
            json=content,
            idempotent=False,
            expect=expect,
        )

    def _event_in(self, answer: Answer) -> str:
        event = answer.fields().get("event_id")
        if not isinstance(event, str) or not event.startswith("$"):
            raise Uncertain(
                f"{self._host} answered {answer.status} without naming the message.",
                reply=answer.excerpt(),
            )
        return event

    def _ask(
        self,
        method: str,
        path: str,
        attempt: Attempt,
        *,
        deadline: Deadline | None = None,
        expect: Collection[int] = (),
        whose: Literal["homeserver", "any"] = "homeserver",
        **more: Any,
    ) -> Answer:
        """One request; a refusal comes back with a sentence that says what to do about it.

        Returned and not raised are refusals with a status in `expect`, those of a homeserver alone or of `any` that answers.
        """
        answer = self._caller.call(
            method,
            self._base + path,
            deadline=deadline or Deadline.of(attempt),
            headers=self._authorisation,
            expect=range(400, 500),
            **more,
        )
        expected = answer.status in expect and (whose == "any" or refusal_in(answer)[0] != "")
        if answer.ok or expected:
            return answer
        raise self._refused(answer, attempt)

    def _refused(self, answer: Answer, attempt: Attempt) -> Failure:
        said = self._sentences().get(answer.status, "")
        return refused(answer, self._host, said, now=attempt.at)

    def _sentences(self) -> dict[int, str]:
        host = self._host
        return {
            401: f"{host} refuses our token: make a new one, write it in the configuration, then resume the channel.",
            403: f"{host} does not let this account do that in {self.settings.room}: see that it has joined and has the "
            "power to, then resume the channel.",
            404: f"{host} is no Matrix homeserver at this address: correct the url.",
            TOO_LONG: f"{host} takes no message that long.",
        }


def _content(state: dict[str, Any]) -> dict[str, Any]:
    """The content of a state event, {} for a refusal, which has an errcode instead."""
    return {} if "errcode" in state else state


def _transaction(act: str, message: Message) -> str:
    """The same over every retry of one act, also after a restart.

    The act is a part of it: Synapse knows a transaction by room and token alone, and would take an edit for the post it edits.
    """
    return hashlib.sha256(f"{act} {message.key}".encode()).hexdigest()[:40]


def _place(handle: str) -> tuple[str, str]:
    room, _, event = handle.rpartition("/$")
    return room, f"${event}"


def _q(part: str) -> str:
    return quote(part, safe="")
