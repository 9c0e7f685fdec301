"""The X stand-in answers tweepy as the live service is documented and reported to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import tweepy
from requests.adapters import HTTPAdapter

from broadcaster.testing.servers import XServer


class Detour(HTTPAdapter):
    """Sends what is meant for tweepy's fixed host to the stand-in."""

    def __init__(self, to: str) -> None:
        super().__init__()
        self.to = to

    def send(  # type: ignore[override]  # passes on whatever requests hands over
        self, request: requests.PreparedRequest, **more: Any
    ) -> requests.Response:
        request.url = (request.url or "").replace("https://api.twitter.com", self.to)
        return super().send(request, **more)


def client_of(far: XServer, token: str = "token") -> tweepy.Client:
    client = tweepy.Client(
        consumer_key="key",
        consumer_secret="secret",
        access_token=token,
        access_token_secret="secret",
    )
    client.session.mount("https://api.twitter.com", Detour(far.url))
    return client


@pytest.fixture
def far() -> Iterator[XServer]:
    with XServer() as server:
        yield server


def test_a_tweet_and_its_reply_make_a_thread(far: XServer) -> None:
    client = client_of(far)
    first = client.create_tweet(text="Strömmen är borta").data["id"]
    second = client.create_tweet(text="Åter 19.00", in_reply_to_tweet_id=first).data["id"]
    assert far.tweets[second]["referenced_tweets"] == [{"type": "replied_to", "id": first}]
    assert [(e.kind, e.text, e.more["reply_to"]) for e in far.effects] == [
        ("tweet", "Strömmen är borta", None),
        ("tweet", "Åter 19.00", first),
    ]


def test_equal_text_is_refused_in_the_documented_words(far: XServer) -> None:
    client_of(far).create_tweet(text="hej")
    with pytest.raises(tweepy.Forbidden) as refused:
        client_of(far).create_tweet(text="hej")
    assert refused.value.response.json() == {
        "detail": "You are not allowed to create a Tweet with duplicate content.",
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
    }
    assert far.texts() == ["hej"]


def test_a_deleted_text_may_be_posted_again(far: XServer) -> None:
    client = client_of(far)
    id_ = client.create_tweet(text="hej").data["id"]
    assert client.delete_tweet(id_).data == {"deleted": True}
    client.create_tweet(text="hej")
    assert [effect.kind for effect in far.effects] == ["tweet", "delete", "tweet"]
    with pytest.raises(tweepy.NotFound):
        client.delete_tweet("1")


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("å" * 280, True),
        ("å" * 281, False),
        ("漢" * 140, True),
        ("漢" * 141, False),
        ("👨‍👩‍👧" * 140, True),
        ("👨‍👩‍👧" * 141, False),
        ("x" * 256 + " https://drift.ekbyn.example/" + "y" * 90, True),
        ("x" * 257 + " https://drift.ekbyn.example/", False),
    ],
)
def test_length_is_weighted(far: XServer, text: str, fits: bool) -> None:
    if fits:
        client_of(far).create_tweet(text=text)
    else:
        with pytest.raises(tweepy.BadRequest, match="Your Tweet text is too long"):
            client_of(far).create_tweet(text=text)
    assert len(far.effects) == fits


def test_some_accounts_see_403_for_a_text_too_long() -> None:
    with XServer(long_status=403) as far, pytest.raises(tweepy.Forbidden, match="too long"):
        client_of(far).create_tweet(text="x" * 281)


def test_text_comes_back_escaped_and_with_short_links(far: XServer) -> None:
    client = client_of(far)
    text = "El & värme < 5 grader: https://drift.ekbyn.example/a7"
    made = client.create_tweet(text=text).data
    assert made["text"] == "El &amp; värme &lt; 5 grader: https://t.co/0000000001"
    with pytest.raises(tweepy.Forbidden, match="duplicate"):
        client.create_tweet(text=text)
    plain = client.get_tweet(made["id"], user_auth=True).data
    assert plain.entities is None
    found = client.get_tweet(made["id"], user_auth=True, tweet_fields=["entities"]).data
    (link,) = found.entities["urls"]
    assert link["expanded_url"] == "https://drift.ekbyn.example/a7"
    assert found["text"][link["start"] : link["end"]] == link["url"]
    assert far.texts() == [text]


def test_a_reply_to_what_is_gone_is_refused(far: XServer) -> None:
    with pytest.raises(tweepy.Forbidden, match="deleted or not visible"):
        client_of(far).create_tweet(text="x", in_reply_to_tweet_id="1")


def test_the_oauth_header_is_asked_for(far: XServer) -> None:
    bare = requests.post(f"{far.url}/2/tweets", json={"text": "x"}, timeout=5)
    assert (bare.status_code, bare.json()["title"]) == (401, "Unauthorized")
    assert far.effects == []


def test_a_revoked_token_is_refused() -> None:
    with XServer(token="new") as far:
        with pytest.raises(tweepy.Unauthorized):
            client_of(far, "old").create_tweet(text="x")
        client_of(far, "new").create_tweet(text="x")


def test_past_the_limit_the_reset_time_is_named() -> None:
    now = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
    with XServer(limit=1, clock=lambda: now) as far:
        client_of(far).create_tweet(text="1")
        with pytest.raises(tweepy.TooManyRequests) as refused:
            client_of(far).create_tweet(text="2")
        headers = refused.value.response.headers
        assert headers["x-rate-limit-reset"] == str(int(now.timestamp()) + 900)
        assert (headers["x-rate-limit-limit"], headers["x-rate-limit-remaining"]) == ("1", "0")
        assert far.texts() == ["1"]


def test_a_tweet_sent_but_not_answered_can_be_found(far: XServer) -> None:
    client = client_of(far)
    for n in range(6):
        client.create_tweet(text=f"nr {n}")
    me = client.get_me(user_auth=True).data.id
    found = client.get_users_tweets(me, max_results=5, user_auth=True)
    assert [tweet.text for tweet in found.data] == [f"nr {n}" for n in (5, 4, 3, 2, 1)]
    assert found.meta["result_count"] == 5
