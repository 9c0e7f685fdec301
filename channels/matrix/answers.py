"""What a homeserver's refusals say (Matrix client-server API, "API standards": errcode, error, "Rate limiting")."""

from __future__ import annotations

from datetime import datetime

from broadcaster.channel import Transient
from broadcaster.httpclient import Answer, parse_json, printable, retry_after

_LONGEST_WAIT = 3600.0


def refusal_in(reply: str) -> tuple[str, str]:
    """The server's errcode and its own words, each "" when there is none."""
    try:
        content = parse_json(reply.encode())
    except ValueError:
        return "", ""
    if not isinstance(content, dict):
        return "", ""
    code, words = content.get("errcode"), content.get("error")
    return (
        code if isinstance(code, str) else "",
        printable(words) if isinstance(words, str) else "",
    )


def asked_to_wait(answer: Answer, host: str, *, now: datetime) -> Transient:
    """A 429: nothing was taken. Servers of before version 1.10 name the wait in the body alone."""
    named = retry_after(answer.headers, now=now)
    if named is None:
        span = answer.fields().get("retry_after_ms")
        named = min(span / 1000, _LONGEST_WAIT) if type(span) is int and span >= 0 else None
    return Transient(f"{host} asks us to wait (429).", retry_after=named, reply=answer.excerpt())
