"""The X channel: API v2 by tweepy, OAuth 1.0a user context (docs.x.com). Tested against a stand-in only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import requests
import tweepy
from pydantic import Field, SecretStr

from broadcaster.channel import (
    Attempt,
    ChannelContext,
    ChannelSettings,
    Failure,
    Message,
    Notice,
    Permanent,
    PostAdapter,
    Probe,
    Receipt,
    Rendered,
    Uncertain,
)
from broadcaster.httpclient import (
    Answer,
    Deadline,
    Reach,
    Redaction,
    Transport,
    WebAddress,
    answer_of,
    guard_session,
    host_in,
    printable,
    within,
)
from channels.x.arrangement import arrange
from channels.x.refusal import Duplicate, failure_in
from channels.x.search import find_tweet

_HOME = "https://api.twitter.com"  # tweepy's, and part of what it signs
_CAP = 512 * 1024
_CLOCKS_APART = timedelta(minutes=2)


class XSettings(ChannelSettings):
    """The four credentials of one app acting for one account."""

    consumer_key: SecretStr = Field(description="The app's API key.")
    consumer_secret: SecretStr = Field(description="The app's API key secret.")
    access_token: SecretStr = Field(
        description="The account's access token, made with read and write."
    )
    access_token_secret: SecretStr = Field(description="The account's access token secret.")
    url: WebAddress | None = Field(None, description="A stand-in's address instead of X's.")
    posts: int = Field(
        4, ge=1, le=25, description="At most so many posts in a thread for one update."
    )


class _Refused(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def _stop_refusal(response: requests.Response, *_: Any, **__: Any) -> None:
    answer = answer_of(response)
    if not answer.ok:
        raise _Refused(answer)


def _exchange(request: Callable[[], requests.Response]) -> Answer:
    try:
        return answer_of(request())
    except _Refused as refused:
        return refused.answer


class _Rerouted(Transport):
    """Carries what tweepy addresses to X to the host that the configuration names."""

    def __init__(self, reach: Reach, base: str) -> None:
        super().__init__(reach)
        self._base = base.rstrip("/")

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        request.url = self._base + (request.url or "").removeprefix(_HOME)
        return super().send(request, *args, **kwargs)


class XAdapter(PostAdapter):
    """Posts, threads and withdraws on one account."""

    Settings = XSettings

    def __init__(self, settings: XSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        key, secret, token, token_secret = self.secrets()
        self._redaction = Redaction(self.secrets())
        self._client = tweepy.Client(
            consumer_key=key,
            consumer_secret=secret,
            access_token=token,
            access_token_secret=token_secret,
            return_type=requests.Response,
            wait_on_rate_limit=False,
        )
        transport = _Rerouted(Reach(context.allowed_hosts), settings.url or _HOME)
        guard_session(self._client.session, transport)
        self._client.session.hooks["response"] = [_stop_refusal]

    def secrets(self) -> tuple[str, ...]:
        held = self.settings
        secrets = (
            held.consumer_key,
            held.consumer_secret,
            held.access_token,
            held.access_token_secret,
        )
        return tuple(secret.get_secret_value() for secret in secrets)

    def hosts(self) -> tuple[str, ...]:
        return (host_in(self.settings.url or _HOME),)

    def close(self) -> None:
        self._client.session.close()

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        return arrange(notice, most_posts=self.settings.posts)

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        """Publish. X knows no idempotency key but refuses a text it has just taken: after a first attempt, that is it."""
        deadline = Deadline.of(attempt)
        try:
            answer = self._ask(
                lambda: self._client.create_tweet(
                    text=message.body, in_reply_to_tweet_id=message.in_reply_to or None
                ),
                deadline,
                idempotent=False,
            )
        except Duplicate:
            if attempt.number == 1:
                raise
        else:
            return self._receipt(_text(answer, "id"), answer)
        found = self._find(message, attempt, deadline)
        if found is None:
            raise Uncertain("X says that it has this text already, yet it is not among our posts.")
        return found

    def find(self, message: Message, attempt: Attempt) -> Receipt | None:
        """Look through the account's own posts since the first attempt for one that reads the same."""
        return self._find(message, attempt, Deadline.of(attempt))

    def withdraw(self, message: Message, attempt: Attempt) -> Receipt:
        """Delete the post `message.target`; one that X no longer knows counts as deleted."""
        answer = self._ask(
            lambda: self._client.delete_tweet(message.target),
            Deadline.of(attempt),
            idempotent=True,
            expect=404,
        )
        if answer.status == 404:
            return Receipt(handle=message.target, detail="The post was gone already.")
        if _content(answer).get("deleted") is not True:
            raise Uncertain("X did not say that the post is deleted.", reply=answer.excerpt())
        return Receipt(handle=message.target, detail="The post is deleted.")

    def probe(self, attempt: Attempt) -> Probe:
        """Ask X whose credentials these are."""
        answer = self._ask(self._client.get_me, Deadline.of(attempt), idempotent=True)
        name = printable(_text(answer, "username"), 60)
        return Probe(good=bool(name), sentence=f"Token valid for @{name}." if name else _UNREADABLE)

    def _find(self, message: Message, attempt: Attempt, deadline: Deadline) -> Receipt | None:
        since = (attempt.first_tried_at or attempt.at) - _CLOCKS_APART
        try:
            me = str(_content(self._ask(self._client.get_me, deadline, idempotent=True))["id"])
            answer = self._ask(lambda: self._timeline(me, since), deadline, idempotent=True)
            handle = find_tweet(answer.json(), message, since)
        except (AttributeError, KeyError, TypeError, ValueError):
            problem: Failure = Uncertain(_UNREADABLE)
        except Failure as failure:
            # That we may not read says nothing of what was written, and is no reason to park the channel.
            problem = Uncertain(
                failure.sentence, retry_after=failure.retry_after, reply=failure.reply
            )
        else:
            return None if handle is None else self._receipt(handle, answer)
        raise problem

    def _timeline(self, account: str, since: datetime) -> requests.Response:
        response: requests.Response = self._client.get_users_tweets(
            account,
            max_results=100,
            start_time=since,
            tweet_fields=["created_at", "entities", "referenced_tweets"],
            user_auth=True,
        )
        return response

    def _ask(
        self,
        request: Callable[[], requests.Response],
        deadline: Deadline,
        *,
        idempotent: bool,
        expect: int = 0,
    ) -> Answer:
        """Let tweepy make one request, and read the answer ourselves."""
        problem: Failure | None
        try:
            with within(deadline, idempotent=idempotent, cap=_CAP):
                answer = self._redaction.answer(_exchange(request))
            problem = failure_in(answer, self.hosts()[0], deadline, idempotent=idempotent)
            if problem is None or (answer.status == expect and isinstance(problem, Permanent)):
                return answer
        except Failure as failure:
            problem = failure
        raise self._redaction.failure(problem)

    def _receipt(self, handle: str, answer: Answer) -> Receipt:
        if not handle.isdecimal():
            raise Uncertain("X took the post without naming it.", reply=answer.excerpt())
        shown = "" if self.settings.url else f"https://x.com/i/status/{handle}"
        return Receipt(handle=handle, url=shown)


_UNREADABLE = "X answered something that its documents do not describe."


def _content(answer: Answer) -> Mapping[str, Any]:
    content = answer.fields().get("data")
    return content if isinstance(content, dict) else {}


def _text(answer: Answer, name: str) -> str:
    content = _content(answer).get(name)
    return content if isinstance(content, str) else ""
