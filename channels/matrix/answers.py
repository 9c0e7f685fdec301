"""What a homeserver's refusals say (Matrix client-server API, "API standards": errcode, error, "Rate limiting")."""

from __future__ import annotations

from datetime import datetime

from broadcaster.channel import Failure, Permanent, Scope, Transient, Uncertain
from broadcaster.httpclient import Answer, failure_of, printable, retry_after

TOO_LONG = 413
_LONGEST_WAIT = 3600.0


def refusal_in(answer: Answer) -> tuple[str, str]:
    """The server's errcode and its own words, each "" when there is none. A homeserver's refusal has an errcode."""
    content = answer.fields()
    code, words = content.get("errcode"), content.get("error")
    return (
        code if isinstance(code, str) else "",
        printable(words) if isinstance(words, str) else "",
    )


def refused(answer: Answer, host: str, sentence: str, *, now: datetime) -> Failure:
    """What a 4xx means. A refusal for good is told by `sentence` ("" for the usual one) and the server's own words."""
    if answer.status == 429:
        return asked_to_wait(answer, host, now=now)
    # Whether the same may be asked again is of no account below 500.
    failure = failure_of(answer, host, idempotent=True, sentence=sentence, now=now)
    if not isinstance(failure, Permanent):
        return failure or Uncertain(f"{host} answered {answer.status}.")
    code, words = refusal_in(answer)
    if not code and answer.status != TOO_LONG:  # which a proxy may find by itself, and finds again
        return Transient(
            f"{host} answered {answer.status}, but not as a Matrix homeserver does: something before it answers, "
            "or the url is wrong.",
            scope=Scope.CHANNEL,
            reply=failure.reply,
        )
    # That it knows no such call concerns the address, not the message.
    scope = Scope.CHANNEL if code == "M_UNRECOGNIZED" else failure.scope
    more = f' It says: "{words}".' if words else ""
    return Permanent(failure.sentence + more, scope=scope, reply=failure.reply)


def asked_to_wait(answer: Answer, host: str, *, now: datetime) -> Transient:
    """A 429: nothing was taken. Servers of before version 1.10 name the wait in the body alone."""
    named = retry_after(answer.headers, now=now)
    if named is None:
        span = answer.fields().get("retry_after_ms")
        named = min(span / 1000, _LONGEST_WAIT) if type(span) is int and span >= 0 else None
    return Transient(f"{host} asks us to wait (429).", retry_after=named, reply=answer.excerpt())
