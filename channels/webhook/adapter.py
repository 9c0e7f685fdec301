"""The webhook channel, by the Standard Webhooks specification (standardwebhooks.com, symmetric signatures `v1`)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from broadcaster.channel import (
    Attempt,
    ChannelContext,
    ChannelSettings,
    Message,
    Notice,
    Permanent,
    PostAdapter,
    Probe,
    Receipt,
    Rendered,
    Text,
)
from broadcaster.httpclient import Caller, Deadline, WebAddress, WebHeaders, host_in

_SET_BY_US = frozenset({"content-type", "content-length", "host", "transfer-encoding"})


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _checked_secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text.startswith("whsec_") or not 24 <= len(_key(text)) <= 64:
        raise ValueError("is not a webhook secret: write whsec_ and 24 to 64 bytes in base64")
    return secret


def _checked_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name in headers:
        if name.lower() in _SET_BY_US or name.lower().startswith("webhook-"):
            raise ValueError(f"the header {name} is set by the channel itself: take it away")
    return headers


class WebhookSettings(ChannelSettings):
    """Where to send, and what to sign with."""

    url: WebAddress = Field(description="The receiver's address, beginning with https://.")
    secret: Annotated[SecretStr, AfterValidator(_checked_secret)] = Field(
        description="The shared secret, whsec_ and base64; both sides know it."
    )
    headers: Annotated[WebHeaders, AfterValidator(_checked_headers)] = Field(
        default_factory=dict, description="Further headers the receiver asks for."
    )


class WebhookAdapter(PostAdapter):
    """Posts each update to one address. A repeat carries the same id, so a receiver acts on it once."""

    Settings = WebhookSettings
    repeatable = True

    def __init__(self, settings: WebhookSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._host = host_in(settings.url)
        self._secret = _key(settings.secret.get_secret_value())
        self._headers = {
            name: secret.get_secret_value() for name, secret in settings.headers.items()
        }
        self._caller = Caller(
            allowed_hosts=context.allowed_hosts, secrets=self.secrets(), headers=self._headers
        )

    def secrets(self) -> tuple[str, ...]:
        return (self.settings.secret.get_secret_value(), *self._headers.values())

    def hosts(self) -> tuple[str, ...]:
        return (self._host,)

    def close(self) -> None:
        self._caller.close()

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        """The update's facts as a document; `body` is for the eyes of whoever previews it."""
        document = {
            "type": f"incident.{notice.kind}",
            "mode": notice.mode,
            "language": notice.language,
            "label": notice.label,
            "headline": notice.headline,
            "since": notice.since,
            "etr": notice.etr,
            "text": notice.text,
            "still_affected": notice.still_affected,
            "no_longer": notice.no_longer,
            "next_word": notice.next_word,
            "missed": notice.missed,
            "link": notice.link,
            "data": dict(notice.facts),
        }
        payload = json.dumps(document, ensure_ascii=False, sort_keys=True)
        what = f"{notice.headline} {notice.since}".strip()
        label = "" if notice.label.casefold() in notice.headline.casefold() else notice.label
        words = [notice.text, notice.etr, notice.no_longer, notice.still_affected, notice.next_word]
        said = [notice.mode_label, label, what, *words]
        text = Text(body=" · ".join(filter(None, said)), payload=payload)
        return Rendered(texts=(text,), unit="bytes", used=len(payload.encode()), limit=0)

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        """Send it once. A 2xx says that the receiver has it; the answer's body is not looked at.

        The id is the message's key, the same over every retry: what is uncertain may be sent again.
        """
        body = message.payload.encode()
        timestamp = str(int(attempt.at.timestamp()))
        answer = self._caller.call(
            "POST",
            self.settings.url,
            deadline=Deadline.of(attempt),
            body=body,
            headers={
                "Content-Type": "application/json",
                "webhook-id": message.key,
                "webhook-timestamp": timestamp,
                "webhook-signature": self._signature(message.key, timestamp, body),
            },
            sentences={
                401: f"{self._host} refuses our signature (401): see that both sides have the same secret and "
                "the right time, then resume the channel.",
                404: f"Nothing answers at the webhook's address on {self._host} (404): correct the url.",
                410: f"The receiver on {self._host} has been taken away (410): remove the channel or correct its url.",
            },
        )
        return Receipt(detail=f"{self._host} answered {answer.status}.")

    def probe(self, attempt: Attempt) -> Probe:
        """See that the receiver can be reached over a connection it is trusted on; nothing is published by HEAD."""
        try:
            self._caller.call(
                "HEAD",
                self.settings.url,
                deadline=Deadline.of(attempt),
                expect=_ANY_ANSWER,
                cap=0,
            )
        except Permanent as failure:
            return Probe(good=False, sentence=failure.sentence)
        return Probe(
            good=True,
            sentence=f"{self._host} answers. Whether it takes our messages is known when one is sent.",
        )

    def _signature(self, key: str, timestamp: str, body: bytes) -> str:
        signed = f"{key}.{timestamp}.".encode() + body
        digest = hmac.digest(self._secret, signed, hashlib.sha256)
        return "v1," + base64.b64encode(digest).decode()


_ANY_ANSWER = range(200, 600)
