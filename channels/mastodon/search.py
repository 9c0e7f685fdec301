"""Look for a post among those an account has made."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from broadcaster.channel import Message, Uncertain
from channels.mastodon.content import collapsed, text_of

SEARCH_CAP = 2 * 1024 * 1024
_PAGE = 40
_PAGES = 10  # a server lets an account make 300 posts in three hours: all of them, and a hundred to spare
_CLOCKS_APART = timedelta(minutes=2)
_MENTION = re.compile(r"(?<!\w)@(\w+)@[\w.-]*\w")


def find_status(
    fetch: Callable[[Mapping[str, str]], Any], message: Message, since: datetime
) -> dict[str, Any] | None:
    """Find the status that reads as `message`, made since `since` (by the server's clock, give or take two minutes).

    Args:
        fetch: the account's statuses, newest first, for these query parameters.

    Raises:
        Uncertain: there are more posts than are looked through.
        KeyError, TypeError, ValueError: the list is not what Mastodon's documents say.
    """
    wanted, earliest = _comparable(message.body), since - _CLOCKS_APART
    query = {"limit": str(_PAGE), "exclude_reblogs": "true"}
    for _ in range(_PAGES):
        statuses = fetch(query)
        recent = [status for status in statuses if _made_at(status) >= earliest]
        for status in recent:
            answers = str(status["in_reply_to_id"] or "")
            if answers == message.in_reply_to and _comparable(text_of(status["content"])) == wanted:
                found: dict[str, Any] = status
                return found
        if len(recent) < _PAGE:
            return None
        query["max_id"] = str(statuses[-1]["id"])
    raise Uncertain(
        "The account has posted so much since that the post was not looked for further."
    )


def _made_at(status: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(status["created_at"])


def reads_as(content: str, text: str) -> bool:
    """Whether a status, as HTML, has the words of `text`: how they are set, linked and punctuated is the server's."""
    return _words(text_of(content)) == _words(text)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", _comparable(text)))


def _comparable(text: str) -> str:
    """White space collapsed, and mentions without their server, which Mastodon does not show."""
    return _MENTION.sub(r"@\1", collapsed(text))
