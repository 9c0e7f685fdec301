"""The ntfy channel: publishing as JSON, updating and deleting by sequence id (docs.ntfy.sh), ntfy 2.16 and later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from broadcaster.channel import (
    Attempt,
    ChannelContext,
    ChannelSettings,
    Failure,
    Message,
    Notice,
    Permanent,
    Probe,
    Receipt,
    Remaining,
    Rendered,
    Scope,
    Uncertain,
)
from broadcaster.httpclient import Answer, Deadline, HeaderSecret, WebAddress, printable
from broadcaster.posting import ServerPostAdapter
from channels.ntfy.answers import as_unknown, events_in, refused, refused_for_now
from channels.ntfy.arrangement import SILENT, TOPIC, arrange, priority_of, topic_of

_CLOCKS_APART = timedelta(minutes=2)
_SEARCH_CAP = 1024 * 1024
_LONGEST_PREFIX = 32
_FOR_NOW = frozenset({429, 507})
_STORM = 10  # words about every area: so many must be left of a day's messages


def _checked_server(value: str) -> str:
    if value.rstrip("/").count("/") > 2:
        raise ValueError(
            "must be the server's address alone: the topics follow from prefix and the areas"
        )
    return value


def _checked_prefix(value: str) -> str:
    if not TOPIC.fullmatch(value) or len(value) > _LONGEST_PREFIX:
        raise ValueError(
            f"is not the beginning of a topic: write at most {_LONGEST_PREFIX} of A-Z, a-z, 0-9, - and _"
        )
    if value.startswith("up"):
        # The server keeps topics of this form for UnifiedPush and takes nothing for one that no app has asked for.
        raise ValueError("begins with up, as only the topics of UnifiedPush do: choose another")
    return value


_STORM = 10  # words about every area that a day must have room for


class NtfySettings(ChannelSettings):
    """Which server, as whom, and where the topics begin."""

    url: Annotated[WebAddress, AfterValidator(_checked_server)] = Field(
        description="The server's address, such as https://ntfy.example."
    )
    prefix: Annotated[str, AfterValidator(_checked_prefix)] = Field(
        description="What every topic begins with; an area's topic is this, a - and the area's key."
    )
    token: HeaderSecret = Field(
        SecretStr(""),
        description="The access token (tk_…) of a user who may write to these topics.",
    )


class NtfyAdapter(ServerPostAdapter):
    """Publishes a notification for each area, changes and deletes it by its sequence id."""

    Settings = NtfySettings

    def __init__(self, settings: NtfySettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        token = settings.token.get_secret_value()
        self._authorisation = {"Authorization": f"Bearer {token}"} if token else {}

    def secrets(self) -> tuple[str, ...]:
        token = self.settings.token.get_secret_value()
        return (token,) if token else ()

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        return arrange(
            notice,
            prefix=self.settings.prefix,
            first_language=self.context.organisation.languages[0],
        )

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        """Publish it to the topic in its subject, under a sequence id of our own."""
        topic, sequence = self._place(message)
        return self._publish(message, topic, sequence, priority_of(message), attempt)

    def amend(self, message: Message, attempt: Attempt) -> Receipt:
        """Publish the right text under the sequence id of the wrong one: apps show it in its place, without a sound."""
        topic, sequence = message.target.split("/")
        return self._publish(message, topic, sequence, SILENT, attempt)

    def withdraw(self, message: Message, attempt: Attempt) -> Receipt:
        """Have the apps take the notification away; ntfy says yes as well when it is gone already."""
        answer = self._ask("DELETE", f"/{message.target}", attempt)
        if answer.fields().get("event") != "message_delete":
            raise Uncertain(
                f"{self._host} answered {answer.status} without saying that the notification is taken away.",
                reply=answer.excerpt(),
            )
        return Receipt(handle=message.target, detail="Phones are told to take it away.")

    def find(self, message: Message, attempt: Attempt) -> Receipt | None:
        """Look through what the server keeps of the topic since the first attempt."""
        topic, sequence = self._place(message)
        since = (attempt.first_tried_at or attempt.at) - _CLOCKS_APART
        try:
            events = self._events(topic, int(since.timestamp()), attempt)
        except Failure as failure:
            problem = as_unknown(failure)
        else:
            # A server of before 2.16 keeps no sequence ids.
            is_there = any(
                event.get("sequence_id") == sequence
                or ("sequence_id" not in event and event.get("message") == message.body)
                for event in events
                if event["event"] == "message"
            )
            return self._receipt(topic, sequence) if is_there else None
        raise problem

    def confirm(self, receipt: Receipt, attempt: Attempt, message: Message | None) -> bool:
        """Whether the server has it, in our words, for one who follows the topic without an account."""
        topic, sequence = receipt.handle.split("/")
        since = int((attempt.at - timedelta(minutes=15)).timestamp())
        try:
            events = self._events(topic, since, attempt, anonymous=True)
        except Permanent as failure:
            raise Permanent(
                f"{self._host} shows this to nobody without an account: it cannot be seen from outside.",
                scope=Scope.CHANNEL,
                reply=failure.reply,
            ) from None
        of_ours = [event for event in events if event.get("sequence_id") == sequence]
        if not of_ours or of_ours[-1]["event"] != "message":
            return False
        said = str(of_ours[-1].get("message", ""))
        if message is not None and said.split() != message.body.split():
            raise Permanent(
                f"What stands on {self._host} is not what was sent: see who has changed it.",
                reply=printable(said, 300),
            )
        return True

    def probe(self, attempt: Attempt) -> Probe:
        """Whether the server is well, knows the token, and takes more messages today; nothing is published."""
        deadline = Deadline.of(attempt)
        health = self._ask(
            "GET", "/v1/health", attempt, deadline=deadline, anonymous=True, expect={404}
        )
        if health.fields().get("healthy") is not True:
            return Probe(
                good=False, sentence=f"{self._host} is no ntfy server, or not well: see the url."
            )
        account = self._ask("GET", "/v1/account", attempt, deadline=deadline).fields()
        if wrong := self._wrong_topic():
            return Probe(good=False, sentence=wrong)
        statistics = account.get("stats")
        left = statistics.get("messages_remaining") if isinstance(statistics, dict) else None
        if left == 0:
            return Probe(good=False, sentence=f"{self._host} takes no more messages from us today.")
        name = printable(str(account.get("username") or "*"), 60)
        if name == "*":
            return Probe(good=True, sentence="Anybody may publish here.")
        if type(left) is int:
            few = _STORM * max(1, len(self.context.areas))
            quota = Remaining(what="quota", of=self._host, amount=left, unit="messages", least=few)
            sentence = f"Token valid for {name}, {left} messages left today."
            return Probe(good=True, sentence=sentence, remaining=(quota,))
        return Probe(good=True, sentence=f"Token valid for {name}.")

    def _wrong_topic(self) -> str:
        """What is to be mended when an area's topic would be too long, "" when all is well."""
        _, *others = self.context.organisation.languages
        for area in self.context.areas:
            for language in ("", *others):
                topic = topic_of(self.settings.prefix, self.context.mode, area.key, language)
                if not TOPIC.fullmatch(topic):
                    return f"The topic {topic} is longer than 64 letters: shorten prefix in the configuration."
        return ""

    # ------------------------------------------------------------------------------------------------------------ calls
    def _place(self, message: Message) -> tuple[str, str]:
        """Topic and sequence id of a message: the same over every retry."""
        topic = message.subject or topic_of(self.settings.prefix, self.context.mode, "", "")
        return topic, hashlib.sha256(message.key.encode()).hexdigest()[:32]

    def _publish(
        self, message: Message, topic: str, sequence: str, priority: int, attempt: Attempt
    ) -> Receipt:
        further = json.loads(message.payload) if message.payload else {}
        answer = self._ask(
            "POST",
            "/",
            attempt,
            json={
                "topic": topic,
                "sequence_id": sequence,
                "message": message.body,
                "priority": priority,
                **{name: further[name] for name in ("title", "click") if name in further},
            },
        )
        said = answer.fields()
        if said.get("event") != "message" or said.get("topic") != topic or not said.get("id"):
            raise Uncertain(
                f"{self._host} answered {answer.status} without naming the message.",
                reply=answer.excerpt(),
            )
        return self._receipt(topic, sequence)

    def _receipt(self, topic: str, sequence: str) -> Receipt:
        return Receipt(handle=f"{topic}/{sequence}", url=f"{self._base}/{topic}")

    def _events(
        self, topic: str, since: int, attempt: Attempt, *, anonymous: bool = False
    ) -> list[Mapping[str, Any]]:
        query = {"poll": "1", "since": str(since)}
        answer = self._ask(
            "GET", f"/{topic}/json", attempt, params=query, cap=_SEARCH_CAP, anonymous=anonymous
        )
        return events_in(answer, self._host)

    def _ask(
        self,
        method: str,
        path: str,
        attempt: Attempt,
        *,
        deadline: Deadline | None = None,
        anonymous: bool = False,
        expect: Collection[int] = (),
        **more: Any,
    ) -> Answer:
        """One request; a refusal comes back with a sentence that says what to do about it."""
        answer = self._caller.call(
            method,
            self._base + path,
            deadline=deadline or Deadline.of(attempt),
            headers={} if anonymous else self._authorisation,
            expect={*range(400, 500), *_FOR_NOW},
            **more,
        )
        if answer.ok or answer.status in expect:
            return answer
        if answer.status in _FOR_NOW:
            raise refused_for_now(answer, self._host, now=attempt.at)
        sentence = self._sentences().get(answer.status, "")
        raise refused(answer, self._host, sentence, now=attempt.at)

    def _sentences(self) -> dict[int, str]:
        host = self._host
        return {
            401: f"{host} refuses our token: make a new one, write it in the configuration, then resume the channel.",
            403: f"{host} does not let us write to this topic: give our user access to {self.settings.prefix}*, then "
            "resume the channel.",
            404: f"{host} is no ntfy server at this address: correct the url.",
            413: f"{host} takes no message that long.",
        }
