"""Look for a post among those an account has made."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from broadcaster.channel import Message, Uncertain

_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_LAST_SLASH = re.compile(r"/(?=\s|$)")


def find_tweet(timeline: Mapping[str, Any], message: Message, since: datetime) -> str | None:
    """The id of the tweet in an answer of GET /2/users/:id/tweets that reads as `message`, made at `since` or later.

    Raises:
        Uncertain: it is not among those listed, and there are more.
        KeyError, TypeError, ValueError: the list is not what X's documents say.
    """
    wanted = _comparable(message.body)
    more = timeline["meta"].get("next_token")
    for tweet in timeline.get("data") or []:
        if datetime.fromisoformat(tweet["created_at"]) < since:
            continue
        if _answers(tweet) == message.in_reply_to and _comparable(_expanded(tweet)) == wanted:
            return str(tweet["id"])
    if more:
        raise Uncertain(
            "The account has posted so much since that the post was not looked for further."
        )
    return None


def _answers(tweet: Mapping[str, Any]) -> str:
    references = tweet.get("referenced_tweets") or []
    return next((str(r["id"]) for r in references if r["type"] == "replied_to"), "")


def _expanded(tweet: Mapping[str, Any]) -> str:
    """The text as it was written: X puts its own short address in place of each link, and escapes & < >."""
    text: str = tweet["text"]
    for link in (tweet.get("entities") or {}).get("urls") or []:
        text = text.replace(link["url"], link["expanded_url"])
    return html.unescape(text)


def _comparable(text: str) -> str:
    """White space collapsed, and links as they read with and without their scheme."""
    return _LAST_SLASH.sub("", _SCHEME.sub("", " ".join(text.split())))
