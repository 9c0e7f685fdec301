"""What Mastodon's answers say (docs.joinmastodon.org: entities Status, Instance, Error; "Rate limits")."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from broadcaster.channel import Attempt, Receipt, Scope, Transient, Uncertain
from broadcaster.domain.text import MASTODON_LIMIT, MASTODON_PER_LINK
from broadcaster.httpclient import Answer, printable, retry_after, seconds_until

_MOST_CHARACTERS = 100_000


def limits_in(instance: Mapping[str, Any]) -> dict[str, int]:
    """The limits in an answer of /api/v2/instance; what is missing or absurd is left at Mastodon's defaults."""
    limits = {"max_characters": MASTODON_LIMIT, "characters_reserved_per_url": MASTODON_PER_LINK}
    try:
        said = instance["configuration"]["statuses"]
        found = {name: said.get(name) for name in limits}
    except (AttributeError, KeyError, TypeError):
        return limits
    found = {name: n for name, n in found.items() if type(n) is int}
    return limits | {name: n for name, n in found.items() if 1 <= n <= _MOST_CHARACTERS}


def receipt_in(answer: Answer, host: str) -> Receipt:
    """The receipt for a status made or changed; raises Uncertain when the answer names none."""
    status = answer.fields()
    if not isinstance(status.get("id"), str) or not status["id"]:
        raise Uncertain(
            f"{host} answered {answer.status} without naming the post.", reply=answer.excerpt()
        )
    return receipt_of(status)


def receipt_of(status: Mapping[str, Any]) -> Receipt:
    """The receipt for a status that has an id."""
    url = printable(str(status.get("url") or ""), 500)
    shown = url if url.startswith(("https://", "http://")) else ""
    return Receipt(handle=str(status["id"]), url=shown)


def wait_in(answer: Answer, attempt: Attempt) -> float | None:
    """Mastodon names the end of its five minutes in X-RateLimit-Reset; what stands before it may use Retry-After."""
    named = retry_after(answer.headers, now=attempt.at)
    if named is not None:
        return named
    try:
        reset = datetime.fromisoformat(answer.headers.get("x-ratelimit-reset", ""))
        return seconds_until(reset, answer.headers, now=attempt.at)
    except (ValueError, TypeError):
        return None


def refusal_in(answer: Answer) -> str | None:
    """The server's own words in a refusal, "" where it gives none. None: that is no refusal of a server of this kind.

    Each of theirs is an entity Error; what stands before a server, or another at its address, answers with a page.
    """
    content = answer.fields()
    if not {"error", "errors"} & content.keys():
        return None
    said = content.get("error")
    return printable(said) if isinstance(said, str) else ""


def unlike_mastodon(answer: Answer, host: str) -> Transient:
    """The failure for a refusal that is none of the server's: nothing is said of the post, and it passes or is mended."""
    return Transient(
        f"{host} answered {answer.status}, but not as Mastodon does: something before it answers, or the url is wrong.",
        scope=Scope.CHANNEL,
        reply=answer.excerpt(),
    )
