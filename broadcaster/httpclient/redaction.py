"""Keep secrets out of what is said: a far side may echo what it was sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote

from broadcaster.channel import Failure
from broadcaster.httpclient.answer import Answer

_SHORTEST = 4  # a shorter one would blot out half of every sentence, and is none


class Redaction:
    """Replaces these secrets, plain or as they stand in an address, wherever they turn up."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
        self._forms = sorted((f for f in forms if len(f) >= _SHORTEST), key=len, reverse=True)

    def text(self, text: str) -> str:
        """`text` without them."""
        for form in self._forms:
            text = text.replace(form, "[secret]")
        return text

    def answer(self, answer: Answer) -> Answer:
        """The same answer without them in its headers and body: what is made of it later needs no further care."""
        body = answer.body
        for form in self._forms:
            body = body.replace(form.encode(), b"[secret]")
        headers = {name: self.text(content) for name, content in answer.headers.items()}
        return replace(answer, headers=headers, body=body)

    def failure(self, failure: Failure) -> Failure:
        """The same failure without them in its sentence and reply."""
        return type(failure)(
            self.text(failure.sentence),
            scope=failure.scope,
            retry_after=failure.retry_after,
            reply=self.text(failure.reply),
            gone=failure.gone,
        )
