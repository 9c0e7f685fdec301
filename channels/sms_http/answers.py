"""What a gateway's answer means, where its documents say nothing better than the status code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from broadcaster import httpclient
from broadcaster.bulkhttp import Answer
from broadcaster.channel import Failure, Permanent, Scope, Uncertain
from broadcaster.httpclient import failure_of, parse_json, printable

_NUMBER = re.compile(r"[+]?[0-9]{7,}")
_WRONG_PLACE = frozenset({404, 405, 410})


def words(answer: Answer) -> str:
    """The beginning of an answer for the log: one line, telephone numbers left out."""
    return _NUMBER.sub("…", printable(answer.body[:2000].decode("utf-8", "replace"), 300))


def understood(answer: Answer) -> Mapping[str, Any]:
    """The answer as a JSON object, {} when it is none."""
    try:
        content = parse_json(answer.body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def refused(
    kind: type[Failure], answer: Answer, sentence: str, scope: Scope = Scope.MESSAGE
) -> Failure:
    """The gateway said no, in words that we know."""
    return kind(sentence, scope=scope, retry_after=answer.retry_after, reply=words(answer))


def failure(answer: Answer, host: str, *, asked: bool = False) -> Failure:
    """The meaning by status code alone; a 2xx that does not say that the text was taken is none for sure.

    `asked`: there was no text in it.
    """
    if 200 <= answer.status < 300:
        return _unclear(answer, host)
    if answer.status in _WRONG_PLACE:
        sentence = f"{host} has no gateway at the configured url ({answer.status}): correct the url, then resume the channel."
        return refused(Permanent, answer, sentence, Scope.CHANNEL)
    headers = {} if answer.retry_after is None else {"retry-after": f"{answer.retry_after:.0f}"}
    whole = httpclient.Answer(answer.status, headers, answer.body)
    found = failure_of(whole, host, idempotent=asked, asked=asked)
    assert found is not None  # noqa: S101 - only 2xx is no failure
    found.reply = words(answer)
    return found


def _unclear(answer: Answer, host: str) -> Failure:
    content = understood(answer)
    says_no = content.get("success") is False or any(
        content.get(key) for key in ("error", "errors", "error_code")
    )
    if says_no or content.get("status") in ("failed", "error", "rejected"):
        sentence = f"{host} answered {answer.status}, but with an error: it did not take the text."
        return refused(Permanent, answer, sentence)
    sentence = f"{host} answered {answer.status}, but did not say that it took the text."
    return refused(Uncertain, answer, sentence)
