"""What a server's answers say (docs.bsky.app: "Rate Limits"; atproto.com/specs/xrpc; lexicons com.atproto.repo and .server)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from broadcaster.channel import Attempt, Failure, Permanent, Scope, Transient, Uncertain
from broadcaster.httpclient import Answer, failure_of, printable, retry_after, seconds_until

_EPOCH = re.compile(r"[0-9]{1,10}")
REFUSED = frozenset(range(400, 500)) - {408, 425, 429}
"""Statuses that refuse for good."""
STALE = frozenset({"ExpiredToken", "InvalidToken"})
"""Errors that a new session mends; the server answers them with 400."""
_TOO_LONG = 413
_CLOSED = frozenset(
    {
        "AccountDeactivated",
        "AccountNotFound",
        "AccountSuspended",
        "AccountTakedown",
        "RepoDeactivated",
        "RepoSuspended",
        "RepoTakendown",
    }
)


def named_in(fields: Mapping[str, Any]) -> tuple[str, str]:
    """Name and words of a refusal ({"error": …, "message": …}), "" where it has none."""
    name, words = fields.get("error"), fields.get("message")
    return (
        printable(name, 60) if isinstance(name, str) else "",
        printable(words) if isinstance(words, str) else "",
    )


def refusal_in(answer: Answer, host: str, attempt: Attempt) -> Failure:
    """What a 4xx answer means; a refusal for good ends with the server's own words."""
    if answer.status == 429:
        return _asked_to_wait(answer, host, attempt)
    said = _sentences(host).get(answer.status, "")
    # Whether the same may be asked again is of no account below 500.
    failure = failure_of(answer, host, idempotent=True, sentence=said, now=attempt.at)
    if not isinstance(failure, Permanent):
        return failure or Uncertain(f"{host} answered {answer.status}.")
    return explained(failure, answer, host)


def explained(failure: Permanent, answer: Answer, host: str) -> Failure:
    """A refusal with the server's own words, and with the whole channel as its scope where the account is closed.

    A server of Bluesky names its refusals. One without a name is of something before it, and passes.
    """
    name, words = named_in(answer.fields())
    if not name and answer.status != _TOO_LONG:  # which a proxy may find by itself, and finds again
        return Transient(
            f"{host} answered {answer.status}, but not as a server of Bluesky does: something before it answers, "
            "or the url is wrong.",
            scope=Scope.CHANNEL,
            reply=answer.excerpt(),
        )
    sentence, scope = failure.sentence, failure.scope
    if name in _CLOSED:
        sentence = f"{host} has closed this account, or it was deactivated: see it in the app, then resume the channel."
        scope = Scope.CHANNEL
    said = f' It says: "{words}".' if words else ""
    return Permanent(sentence + said, scope=scope, reply=answer.excerpt())


def _asked_to_wait(answer: Answer, host: str, attempt: Attempt) -> Transient:
    """The server names the time in RateLimit-Reset (seconds since 1970), what stands before it in Retry-After."""
    wait = retry_after(answer.headers, now=attempt.at)
    reset = answer.headers.get("ratelimit-reset", "").strip()
    if wait is None and _EPOCH.fullmatch(reset):
        when = datetime.fromtimestamp(int(reset), UTC)
        wait = seconds_until(when, answer.headers, now=attempt.at)
    return Transient(f"{host} asks us to wait (429).", retry_after=wait, reply=answer.excerpt())


def _sentences(host: str) -> dict[int, str]:
    return {
        400: f"{host} refuses this text.",
        401: f"{host} refuses our app password: make a new one, write it in the configuration, then resume the channel.",
        403: f"{host} does not let this account do that: see it in the app, then resume the channel.",
        404: f"{host} is no server of Bluesky at this address: correct the url.",
    }
