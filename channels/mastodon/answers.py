"""What Mastodon's answers say (docs.joinmastodon.org: entities Status, Instance, Error; "Rate limits")."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from broadcaster.channel import Attempt, Receipt, Uncertain
from broadcaster.domain.text import MASTODON_LIMIT, MASTODON_PER_LINK
from broadcaster.httpclient import Answer, parse_json, printable, retry_after, seconds_until

_MOST_CHARACTERS = 100_000


def limits_in(instance: Mapping[str, Any]) -> dict[str, int]:
    """The limits in an answer of /api/v2/instance; what is missing or absurd is left at Mastodon's defaults."""
    limits = {"max_characters": MASTODON_LIMIT, "characters_reserved_per_url": MASTODON_PER_LINK}
    try:
        said = instance["configuration"]["statuses"]
        found = {name: said[name] for name in limits if type(said[name]) is int}
    except (KeyError, TypeError):
        return limits
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


def error_in(reply: str) -> str:
    """The server's own words in a refusal, "" when it has none."""
    try:
        content = parse_json(reply.encode())
    except ValueError:
        return ""
    said = content.get("error") if isinstance(content, dict) else None
    return printable(said) if isinstance(said, str) else ""
