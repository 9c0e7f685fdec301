"""The web push channel: one encrypted notification for each browser (RFC 8030, 8291, 8292)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from broadcaster.bulkhttp import Answer, BulkClient, Problem, Request
from broadcaster.channel import (
    Attempt,
    ChannelContext,
    Failure,
    Letter,
    LetterAdapter,
    LetterOutcome,
    Notice,
    Permanent,
    Probe,
    Receipt,
    Rendered,
    Scope,
    Text,
)
from broadcaster.posting import Wording, labelled
from channels.webpush import answers
from channels.webpush.browsers import Browser, named, read
from channels.webpush.run import Run
from channels.webpush.sealing import MOST, sealed
from channels.webpush.settings import WebPushSettings
from channels.webpush.vapid import Vapid

_SUPPLIER = "push"
_WORDING = Wording(__file__, "body.j2")
_LONGEST_LINK = 512


class WebPushAdapter(LetterAdapter):
    """Each letter is one request to the push service of its browser; what the service stores it cannot read."""

    Settings = WebPushSettings
    settings: WebPushSettings
    medium = "webpush"

    def __init__(self, settings: WebPushSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self.vapid = Vapid(settings.secret_key, settings.contact)
        self._ours = named(self.vapid.public)
        self._client = BulkClient(
            window=settings.window,
            rate=settings.rate,
            deadline=settings.deadline,
            allowed_hosts=context.allowed_hosts,
        )
        self._client.room = min(self._client.window, 10)

    # ---------------------------------------------------------------------------------------------- what is configured
    def suppliers(self) -> tuple[str, ...]:
        """One: which service carries a letter is its browser's choice."""
        return (_SUPPLIER,)

    def secrets(self) -> tuple[str, ...]:
        """The private key."""
        return (self.settings.key.get_secret_value(),)

    def hosts(self) -> tuple[str, ...]:
        """The push services', without ports."""
        places = (service.removeprefix("*.") for service in self.settings.services)
        return tuple(urlsplit(f"https://{place}").hostname or place for place in places)

    def close(self) -> None:
        self._client.close()

    # ------------------------------------------------------------------------------------------------------- rendering
    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        """Title and text of the notification; the last line is where a tap leads. Raises ValueError when it is too long."""
        opening = notice.headline or notice.label
        if notice.label and notice.label.casefold() not in opening.casefold():
            opening = f"{notice.label}: {opening}"
        title = f"{labelled(notice)}{opening}"
        body = _WORDING(notice)
        used = len(self._message(title, body, notice.language))
        if used > MOST:
            raise ValueError(
                f"A notification holds {MOST} bytes and this one needs {used}. Shorten it."
            )
        return Rendered(
            texts=(Text(body=body, subject=title),), unit="bytes", used=used, limit=MOST
        )

    def _message(self, title: str, body: str, language: str) -> bytes:
        """As a service worker reads it, and a browser that needs none (declarative web push, 8030)."""
        text, _, link = body.rpartition("\n")
        if not link.startswith(("https://", "http://")) or len(link) > _LONGEST_LINK:
            text, link = body, f"{self.context.public_url}/"
        shown = {"title": title, "body": text, "lang": language, "navigate": link, "tag": link}
        return json.dumps(
            {"web_push": 8030, "notification": shown}, ensure_ascii=False, separators=(",", ":")
        ).encode("utf-8", "replace")

    def address(self, raw: str) -> str:
        """What a browser gives when it subscribes, as it is kept."""
        return self._browser(raw).written()

    def _browser(self, raw: str) -> Browser:
        return read(raw, self.settings.services, self._ours)

    # --------------------------------------------------------------------------------------------------------- sending
    def send(
        self, letters: Iterator[Letter], attempt: Attempt
    ) -> Iterable[tuple[Letter, LetterOutcome]]:
        """Send each by its own push service; see `LetterAdapter.send` and `Run`."""
        self.supplier_of(attempt)
        seconds = (attempt.not_after - attempt.at).total_seconds()
        deadline = min(self.settings.deadline, attempt.deadline)
        run = Run(self._client, partial(self._request, attempt), self._judge)
        return run.send(letters, seconds, deadline)

    def _request(
        self, attempt: Attempt, letter: Letter, seconds: int
    ) -> tuple[Request[Letter], str]:
        try:
            browser = self._browser(letter.address)
            browser.require(self._ours)
            title = letter.subject or self.context.organisation.name
            message = self._message(title, letter.body, letter.language)
            content = sealed(message, browser.reader, browser.auth)
        except ValueError as error:
            raise Permanent(f"This browser's subscription {error}.", scope=Scope.ADDRESS) from None
        # A repeat that overtakes its first takes its place at the service (RFC 8030 §5.4) and is shown once.
        topic = hashlib.sha256(letter.key.encode()).hexdigest()[:32]
        headers = (
            "Content-Type: application/octet-stream",
            "Content-Encoding: aes128gcm",
            f"TTL: {seconds}",
            "Urgency: high",
            f"Topic: {topic}",
            f"Authorization: {self.vapid.header(browser.origin, attempt.at)}",
        )
        return Request(browser.endpoint, content, headers, letter), browser.origin

    def _judge(self, answer: Answer | Problem, letter: Letter) -> Receipt | Failure:
        browser = self._browser(letter.address)
        parts = urlsplit(browser.endpoint)
        hidden = (letter.address, browser.endpoint, parts.path.strip("/"), *self.secrets())
        return answers.read(answer, parts.hostname or "", tuple(filter(None, hidden)))

    def enrolment_key(self) -> str:
        """The public key that browsers subscribe with."""
        return self.vapid.public

    # --------------------------------------------------------------------------------------------------------- probing
    def probe(self, attempt: Attempt) -> Probe:
        """No push service can be asked without a browser: what is said is what we are to them."""
        return Probe(
            good=True,
            sentence="No push service can be asked without sending; browsers subscribe with the key that ends in "
            f"{self._ours}.",
            limits={"key": self.vapid.public},
        )
