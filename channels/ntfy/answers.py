"""What ntfy's answers say (docs.ntfy.sh: "Publishing", "Subscribe via API", "Limitations"; errors carry a code of their own)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from broadcaster.channel import Failure, Transient, Uncertain
from broadcaster.httpclient import Answer, parse_json, printable, retry_after

_DAILY_QUOTA = 42908
_UNTIL_ASKED_AGAIN = 900.0
_WITHOUT_SUBSCRIBER = 507


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


def error_in(reply: str) -> str:
    """The server's own words in a refusal, "" when it has none."""
    try:
        content = parse_json(reply.encode())
    except ValueError:
        return ""
    said = content.get("error") if isinstance(content, dict) else None
    return printable(said) if isinstance(said, str) else ""


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
