"""What a push service's answer means (RFC 8030 §5, and what the services' own pages say)."""

from __future__ import annotations

from broadcaster.bulkhttp import Answer, Problem
from broadcaster.channel import Failure, Permanent, Receipt, Scope, Transient, Uncertain
from broadcaster.httpclient import parse_json, printable

_TAKEN = frozenset({201, 202})
_GONE = frozenset({404, 410})
_FOR_NOW = frozenset({408, 425, 429, 503})


def read(answer: Answer | Problem, service: str, hidden: tuple[str, ...]) -> Receipt | Failure:
    """Judge one answer of `service`; what is `hidden` (the endpoint, its end) never stands in a reply.

    A refusal is about this one browser, never about the channel: anybody may subscribe with what the service refuses.
    """
    if isinstance(answer, Problem):
        return answer.failure()
    if answer.status in _TAKEN or _names_it(answer):
        return Receipt(detail="The push service has taken it; nobody says whether it was seen.")
    reply = printable(answer.body[:500].decode("utf-8", "replace"))
    for secret in hidden:
        reply = reply.replace(secret, "…")
    return _failure(answer, service, reply)


def _failure(answer: Answer, service: str, reply: str) -> Failure:
    status = answer.status
    if status in _GONE:
        sentence = f"{service} says that this browser has no subscription any more."
        return Permanent(sentence, scope=Scope.ADDRESS, reply=reply, gone=True)
    if status in _FOR_NOW:
        sentence = f"{service} asks us to wait ({status})."
        return Transient(sentence, retry_after=answer.retry_after, reply=reply)
    if status >= 500:
        return Uncertain(f"{service} has an error of its own ({status}).", reply=reply)
    if status < 300:
        sentence = f"{service} answered {status} without saying that it took the notification."
        return Uncertain(sentence, reply=reply)
    sentence = f"{service} does not take it for this browser ({status})."
    return Permanent(sentence, scope=Scope.ADDRESS, reply=reply)


def _names_it(answer: Answer) -> bool:
    """Whether a 200, which some UnifiedPush servers give, names what was taken."""
    if answer.status != 200:
        return False
    try:
        said = parse_json(answer.body)
    except ValueError:
        return False
    return isinstance(said, dict) and bool(said.get("id"))
