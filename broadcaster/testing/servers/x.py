"""X, as far as posting needs it (API v2).

Built from the public documents (docs.x.com: "Create Post", "Delete Post", "Get me", "Get Posts by
User", "Rate limits", "Response codes and errors"). The sentences for a duplicate, a text too long
and a lost parent are those the live service is reported to send; its documents do not print them.
The OAuth 1.0a header must be there with a token and a signature; the signature is **not** verified.
Texts come back as the service gives them: ``& < >`` escaped and t.co in place of links.
tweepy's host is fixed, so a caller redirects with a transport adapter and speaks plain HTTP here.
"""

from __future__ import annotations

import html
import json
import re
from datetime import datetime, timedelta
from typing import Any

from broadcaster.testing.servers.counting import X_URL, x_weight
from broadcaster.testing.servers.exchange import Reply, Request, Routes, json_reply
from broadcaster.testing.servers.farend import FarEnd

USER = "2244994945"
WINDOW = timedelta(minutes=15)
_OAUTH = re.compile(r'oauth_(\w+)="([^"]*)"')
_TOO_LONG = (
    "Your Tweet text is too long. For more information on how Twitter determines text length "
    "see https://github.com/twitter/twitter-text."
)


def _problem(status: int, title: str, detail: str, kind: str = "about:blank", **more: Any) -> Reply:
    return json_reply(
        {"title": title, "detail": detail, "type": kind, "status": status, **more}, status
    )


def _invalid(sentence: str) -> Reply:
    return _problem(
        400,
        "Invalid Request",
        "One or more parameters to your request was invalid.",
        "https://api.twitter.com/2/problems/invalid-request",
        errors=[{"message": sentence}],
    )


def _forbidden(sentence: str) -> Reply:
    return _problem(403, "Forbidden", sentence)


class XServer(FarEnd):
    """One account on X. Effects: ``tweet`` and ``delete``.

    ``token`` is the OAuth 1.0a access token asked for, None accepts any. ``limit`` posts in fifteen
    minutes, then 429 with ``x-rate-limit-reset`` in epoch seconds. ``long_status`` is the code for a
    text over 280: 400, or 403 as some accounts see.
    """

    name = "x"

    def __init__(
        self,
        *,
        token: str | None = None,
        username: str = "ekbyn",
        limit: int = 100,
        long_status: int = 400,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.token, self.username, self.limit = token, username, limit
        self.long_status = long_status
        self.tweets: dict[str, dict[str, Any]] = {}
        self._window: tuple[datetime, int] | None = None
        self._sent: dict[str, str] = {}
        self._last_id = self._last_link = 0
        self._routes = Routes(
            ("POST", "/2/tweets", self._limited),
            ("DELETE", "/2/tweets/{id}", self._delete),
            ("GET", "/2/tweets/{id}", self._one),
            ("GET", "/2/users/me", self._me),
            ("GET", f"/2/users/{USER}/tweets", self._timeline),
        )

    def answer(self, request: Request) -> Reply:
        """Check the OAuth header, then route."""
        if not self._known(request):
            return _problem(401, "Unauthorized", "Unauthorized")
        return self._routes.answer(request) or _problem(404, "Not Found", "Not Found")

    def _known(self, request: Request) -> bool:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        given = dict(_OAUTH.findall(rest))
        if scheme != "OAuth" or not given.get("signature") or not given.get("token"):
            return False
        return self.token in (None, given["token"])

    def _limited(self, request: Request) -> Reply:
        now = self.clock()
        if self._window is None or now - self._window[0] >= WINDOW:
            self._window = (now, 0)
        began, used = self._window[0], self._window[1] + 1
        self._window = (began, used)
        rate = (
            ("x-rate-limit-limit", str(self.limit)),
            ("x-rate-limit-remaining", str(max(0, self.limit - used))),
            ("x-rate-limit-reset", str(int((began + WINDOW).timestamp()))),
        )
        if used > self.limit:
            reply = _problem(429, "Too Many Requests", "Too Many Requests")
        else:
            reply = self._create(request)
        return Reply(reply.status, reply.body, (*reply.headers, *rate))

    def _create(self, request: Request) -> Reply:
        try:
            fields = request.fields()
        except (ValueError, json.JSONDecodeError):
            return _invalid("Request body is not valid JSON.")
        text = fields.get("text")
        if not isinstance(text, str) or not text.strip():
            return _invalid("$.text: is missing but it is required")
        if x_weight(text) > 280:
            return _invalid(_TOO_LONG) if self.long_status == 400 else _forbidden(_TOO_LONG)
        if text in self._sent.values():
            return _forbidden("You are not allowed to create a Tweet with duplicate content.")
        parent = (fields.get("reply") or {}).get("in_reply_to_tweet_id")
        if parent is not None and parent not in self.tweets:
            return _forbidden(
                "You attempted to reply to a Tweet that is deleted or not visible to you."
            )
        return self._publish(text, parent)

    def _publish(self, text: str, parent: str | None) -> Reply:
        self._last_id += 1
        tweet_id = str(1_990_000_000_000_000_000 + self._last_id)
        shown, links = self._as_shown(text)
        self._sent[tweet_id] = text
        self.tweets[tweet_id] = {
            "id": tweet_id,
            "text": shown,
            "edit_history_tweet_ids": [tweet_id],
            "author_id": USER,
            "created_at": self.clock().strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            **({"entities": {"urls": links}} if links else {}),
            **({"referenced_tweets": [{"type": "replied_to", "id": parent}]} if parent else {}),
        }
        self.effect("tweet", tweet_id, text, reply_to=parent)
        return json_reply({"data": _fields(self.tweets[tweet_id])}, 201)

    def _as_shown(self, text: str) -> tuple[str, list[dict[str, Any]]]:
        """The text as the API gives it back: ``& < >`` escaped, a t.co address for each link."""
        links: list[dict[str, Any]] = []

        def shorten(found: re.Match[str]) -> str:
            self._last_link += 1
            short = f"https://t.co/{self._last_link:010d}"
            written = found[0] if "://" in found[0] else f"http://{found[0]}"
            links.append({"url": short, "expanded_url": written})
            return short

        shown = html.escape(X_URL.sub(shorten, text), quote=False)
        for link in links:
            link["start"] = shown.index(link["url"])
            link["end"] = link["start"] + len(link["url"])
        return shown, links

    def _delete(self, _: Request, tweet_id: str) -> Reply:
        tweet = self.tweets.pop(tweet_id, None)
        if tweet is None:
            return _missing(tweet_id)
        self.effect("delete", tweet_id, self._sent.pop(tweet_id))
        return json_reply({"data": {"deleted": True}})

    def _one(self, request: Request, tweet_id: str) -> Reply:
        # The live service answers 200 with an error inside for a tweet that is gone.
        tweet = self.tweets.get(tweet_id)
        if tweet is None:
            return json_reply({"errors": [_gone(tweet_id)]})
        return json_reply({"data": _fields(tweet, request)})

    def _timeline(self, request: Request) -> Reply:
        wanted = request.parameters
        most = int(wanted.get("max_results") or 10)
        if not 5 <= most <= 100:
            return _invalid(
                f"The `max_results` query parameter value [{most}] is not between 5 and 100"
            )
        rows = [t for t in self.tweets.values() if int(t["id"]) > int(wanted.get("since_id") or 0)]
        rows = rows[::-1][:most]
        meta: dict[str, Any] = {"result_count": len(rows)}
        if not rows:
            return json_reply({"meta": meta})
        meta |= {"newest_id": rows[0]["id"], "oldest_id": rows[-1]["id"]}
        return json_reply({"data": [_fields(row, request) for row in rows], "meta": meta})

    def _me(self, _: Request) -> Reply:
        return json_reply({"data": {"id": USER, "name": self.username, "username": self.username}})


def _fields(tweet: dict[str, Any], request: Request | None = None) -> dict[str, Any]:
    """The default fields, and what ``tweet.fields`` asks for besides."""
    asked = request.parameters.get("tweet.fields", "") if request else ""
    wanted = {"id", "text", "edit_history_tweet_ids", *asked.split(",")}
    return {name: content for name, content in tweet.items() if name in wanted}


def _gone(tweet_id: str) -> dict[str, Any]:
    return {
        "value": tweet_id,
        "detail": f"Could not find tweet with id: [{tweet_id}].",
        "title": "Not Found Error",
        "resource_type": "tweet",
        "parameter": "id",
        "resource_id": tweet_id,
        "type": "https://api.twitter.com/2/problems/resource-not-found",
    }


def _missing(tweet_id: str) -> Reply:
    return json_reply({"errors": [_gone(tweet_id)], "title": "Not Found", "status": 404}, 404)
