"""What X's refusals mean (docs.x.com: "Response codes and errors", "Rate limits")."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from broadcaster.channel import Failure, Permanent, Scope, Transient
from broadcaster.httpclient import (
    Answer,
    Deadline,
    failure_of,
    printable,
    retry_after,
    seconds_until,
)

_LIMITS = ("x-rate-limit", "x-user-limit-24hour", "x-app-limit-24hour")
_DAY = 86_400.0
_OWN = frozenset({"detail", "errors", "title"})
"""One of them at least is in each of X's refusals."""


class Duplicate(Permanent):
    """X has taken the same text a short while ago."""


def failure_in(
    answer: Answer, host: str, deadline: Deadline, *, idempotent: bool
) -> Failure | None:
    """The failure that an answer stands for, None for 2xx."""
    problem = answer.fields()
    detail = _detail(problem)
    words, reply = f' It says: "{detail}".' if detail else "", answer.excerpt()
    if answer.status == 429 and "usage-capped" not in str(problem.get("type")):
        return Transient(
            "X asks us to wait (429).", retry_after=_wait(answer, deadline), reply=reply
        )
    if answer.status in {402, 429}:
        return Permanent(
            f"The account's quota at X is used up: raise it, then resume the channel.{words}",
            scope=Scope.CHANNEL,
            reply=reply,
        )
    if answer.status in {400, 403} and (about := _about_the_text(detail)) is not None:
        kind, sentence = about
        return kind(sentence + words, reply=reply, gone=sentence == _ANSWERED_IS_GONE)
    if 400 <= answer.status < 500 and not _OWN & problem.keys():
        return _of_another(answer, host, deadline)
    sentence = _SENTENCES.get(answer.status, "")
    said = sentence and sentence + words
    return failure_of(answer, host, idempotent=idempotent, sentence=said, now=deadline.at)


def _of_another(answer: Answer, host: str, deadline: Deadline) -> Failure | None:
    """What a 4xx means that is none of X's: nothing is said of the post, and it passes."""
    failure = failure_of(answer, host, idempotent=True, now=deadline.at)
    if not isinstance(failure, Permanent) or answer.status == 413:  # a proxy finds that again
        return failure
    return Transient(
        f"{host} answered {answer.status}, but not as X does: something before it answers.",
        scope=Scope.CHANNEL,
        reply=answer.excerpt(),
    )


_SENTENCES = {
    400: "X does not take this post.",
    401: "X refuses our credentials: make new ones in its developer portal, write them in the configuration, "
    "then resume the channel.",
    403: "X does not let this account post: see its state, and that the app has read and write, "
    "then resume the channel.",
}


_ANSWERED_IS_GONE = "The post that this one answers is gone."


def _about_the_text(detail: str) -> tuple[type[Permanent], str] | None:
    """403 is X's answer to a bad text as well as to a closed account; only its words tell which."""
    said = detail.lower()
    if "duplicate content" in said:
        return Duplicate, "X has this very text already and takes no text twice: change a word."
    if "too long" in said:
        return Permanent, "X counts this text as too long."
    if "reply to a tweet" in said or "reply to a post" in said:
        return Permanent, _ANSWERED_IS_GONE
    return None


def _detail(problem: Mapping[str, Any]) -> str:
    errors = problem.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    told = first.get("message") if isinstance(first, dict) else None
    detail = told or problem.get("detail")
    return printable(detail) if isinstance(detail, str) else ""


def _wait(answer: Answer, deadline: Deadline) -> float | None:
    """The longest wait any exhausted limit asks for, at most a day."""
    spent = [
        f"{limit}-reset"
        for limit in _LIMITS
        if answer.headers.get(f"{limit}-remaining", "0") == "0"
    ]
    waits = [_until(answer.headers.get(reset, ""), answer, deadline) for reset in spent]
    named = retry_after(answer.headers, now=deadline.at)
    return max((wait for wait in [named, *waits] if wait is not None), default=None)


def _until(epoch: str, answer: Answer, deadline: Deadline) -> float | None:
    try:
        reset = datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return seconds_until(reset, answer.headers, now=deadline.at, most=_DAY)
