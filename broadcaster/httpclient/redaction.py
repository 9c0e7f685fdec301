"""Keep secrets out of what is said: a far side may echo what it was sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache, partial
from urllib.parse import quote

from broadcaster.channel import Failure
from broadcaster.httpclient.answer import Answer
from broadcaster.locale import SOURCE_LANGUAGE, catalogue, languages

_SHORTEST = 4  # a shorter one would blot out half of every sentence, and is none
_BLOT = "[secret]"
_WHOLE = rb"(?:(?<![0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"
"""What stands before a number that is no part of a longer one; a sign may be written by its number there."""


class Redaction:
    """Replaces these secrets, plain or as they stand in an address, wherever they turn up.

    A secret that is a word of our own sentences ("token") is left where it stands as a word of prose in a sentence, and as
    the name of a field in an answer: there it says nothing of what the secret is, and without it neither could be read. So
    is one of digits alone within a longer number in an answer.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
        self._forms = sorted((f for f in forms if len(f) >= _SHORTEST), key=len, reverse=True)

    def text(self, text: str) -> str:
        """`text`, which came from outside, without them."""
        for form in self._forms:
            text = text.replace(form, _BLOT)
        return text

    def answer(self, answer: Answer) -> Answer:
        """The same answer without them in its headers and body: what is made of it later needs no further care."""
        body = answer.body
        for form in self._forms:
            written = re.escape(form.encode())
            if form.isdecimal():
                written = _WHOLE + written + rb"(?![0-9])"
            if form.encode() in body and _is_ours(form):
                written += rb'(?![\w-]*"\s*:)'
            body = re.sub(written, _BLOT.encode(), body)
        headers = {name: self.text(content) for name, content in answer.headers.items()}
        return replace(answer, headers=headers, body=body)

    def failure(self, failure: Failure) -> Failure:
        """The same failure without them in its sentence and reply."""
        return type(failure)(
            self._sentence(failure.sentence),
            scope=failure.scope,
            retry_after=failure.retry_after,
            reply=self.text(failure.reply),
            gone=failure.gone,
        )

    def _sentence(self, sentence: str) -> str:
        for form in self._forms:
            if form in sentence:
                sentence = re.sub(rf"\S*{re.escape(form)}\S*", partial(_without, form), sentence)
        return sentence


def _without(form: str, found: re.Match[str]) -> str:
    """What stands between two spaces: as it is when it is a word of ours, else without the secret."""
    word = found[0].strip("().,:;")
    return found[0] if word in _words() else found[0].replace(form, _BLOT)


def _is_ours(form: str) -> bool:
    """Whether a secret is a word of our own sentences, or a part of one."""
    return any(form in word for word in _words())


@cache
def _words() -> frozenset[str]:
    """The words that our sentences are made of; read only when a secret turned up somewhere."""
    spoken = (catalogue(tag, "failures") for tag in languages() if tag != SOURCE_LANGUAGE)
    said = (re.sub(r"\{[^}]*\}", " ", sentence) for known in spoken for sentence in known)
    return frozenset(word for sentence in said for word in re.findall(r"[^\W\d_]+", sentence))
