"""What ntfy's answers say (docs.ntfy.sh: "Publishing", "Subscribe via API", "Limitations"; errors carry a code of their own)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from broadcaster.channel import Failure, Permanent, Scope, Transient, Uncertain
from broadcaster.httpclient import Answer, failure_of, parse_json, printable, retry_after

_DAILY_QUOTA = 42908
_UNTIL_ASKED_AGAIN = 900.0
_WITHOUT_SUBSCRIBER = 507
_TOO_LONG = 413  # which a proxy may find by itself, and finds again


def refused_for_now(answer: Answer, host: str, *, now: Any) -> Transient:
    """A 429 or 507: nothing was taken."""
    named = retry_after(answer.headers, now=now)
    if answer.status == _WITHOUT_SUBSCRIBER:
        sentence = f"{host} takes nothing for a topic that no phone follows yet (507)."
    elif answer.fields().get("code") == _DAILY_QUOTA:
        sentence = f"{host} has taken as many messages from us as it takes in a day (429)."
        named = _UNTIL_ASKED_AGAIN if named is None else named
    else:
        sentence = f"{host} asks us to wait (429)."
    return Transient(sentence, retry_after=named, reply=answer.excerpt())


def refused(answer: Answer, host: str, sentence: str, *, now: datetime) -> Failure:
    """What another 4xx means. A refusal for good is told by `sentence` ("" for the usual one) and the server's own words.

    The server's refusals are JSON with a code; what stands before it, or another at its address, answers with a page.
    """
    # Whether the same may be asked again is of no account below 500.
    failure = failure_of(answer, host, idempotent=True, sentence=sentence, now=now)
    if not isinstance(failure, Permanent):
        return failure or Uncertain(f"{host} answered {answer.status}.")
    content = answer.fields()
    if not {"code", "error"} & content.keys() and answer.status != _TOO_LONG:
        return Transient(
            f"{host} answered {answer.status}, but not as ntfy does: something before it answers, or the url is wrong.",
            scope=Scope.CHANNEL,
            reply=failure.reply,
        )
    said = content.get("error")
    words = f' It says: "{printable(said)}".' if isinstance(said, str) and said else ""
    return Permanent(failure.sentence + words, scope=failure.scope, reply=failure.reply)


def as_unknown(failure: Failure) -> Failure:
    """What a failed search says of a message: nothing. A topic may be written by us and read by others alone."""
    return Uncertain(failure.sentence, retry_after=failure.retry_after, reply=failure.reply)


def events_in(answer: Answer, host: str) -> list[Mapping[str, Any]]:
    """The cached events of a topic, oldest first: one JSON object a line.

    Raises:
        Uncertain: there are more than are read, or it is not such a list.
    """
    if not answer.whole:
        raise Uncertain(
            f"{host} has so many messages in this topic that they were not read to the end."
        )
    try:
        return list(_lines(answer.body))
    except (ValueError, KeyError, TypeError):
        problem = Uncertain(
            f"{host} does not list its messages as it should.", reply=answer.excerpt()
        )
    raise problem


def _lines(body: bytes) -> Iterator[Mapping[str, Any]]:
    for line in body.splitlines():
        event = parse_json(line)
        yield {**event, "event": str(event["event"])}
