"""The Mastodon stand-in keeps the promises of the public API documents."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from broadcaster.testing.servers import MastodonServer


class Hands:
    """A clock whose hands the test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def far() -> Iterator[MastodonServer]:
    with MastodonServer() as server:
        yield server


def call(far: MastodonServer, method: str, path: str, **more: Any) -> requests.Response:
    headers = {"Authorization": "Bearer token", **more.pop("headers", {})}
    return requests.request(method, far.url + path, headers=headers, timeout=5, **more)


def post(far: MastodonServer, text: str, key: str = "", **fields: Any) -> requests.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return call(far, "POST", "/api/v1/statuses", data={"status": text, **fields}, headers=headers)


def test_limits_are_read_from_the_instance() -> None:
    with MastodonServer(max_characters=5000, per_url=30) as far:
        v2 = requests.get(f"{far.url}/api/v2/instance", timeout=5).json()
        v1 = requests.get(f"{far.url}/api/v1/instance", timeout=5).json()
    for instance in (v1, v2):
        limits = instance["configuration"]["statuses"]
        assert (limits["max_characters"], limits["characters_reserved_per_url"]) == (5000, 30)


def test_a_status_is_published_with_what_was_asked(far: MastodonServer) -> None:
    status = post(far, "Strömmen <är> borta", language="sv", visibility="unlisted").json()
    assert status["content"] == "<p>Strömmen &lt;är&gt; borta</p>"
    assert (status["language"], status["visibility"]) == ("sv", "unlisted")
    assert call(far, "GET", f"/api/v1/statuses/{status['id']}").json() == status
    assert far.texts("status") == ["Strömmen <är> borta"]
    assert "Strömmen &lt;är&gt; borta" in requests.get(status["url"], timeout=5).text


def test_a_json_body_is_as_good_as_a_form(far: MastodonServer) -> None:
    call(far, "POST", "/api/v1/statuses", json={"status": "åäö"}).raise_for_status()
    assert far.texts() == ["åäö"]


def test_text_comes_back_as_html_with_links_shortened_for_the_eye(far: MastodonServer) -> None:
    link = "https://www.ekbyn.example/incidents/A7-och-ett-långt-namn"
    status = post(far, f"Läget:\n{link}\n\nVi återkommer.").json()
    assert status["content"] == (
        f'<p>Läget:<br /><a href="{link}" target="_blank" rel="nofollow noopener" translate="no">'
        '<span class="invisible">https://www.</span>'
        '<span class="ellipsis">ekbyn.example/incidents/A7-och</span>'
        '<span class="invisible">-ett-långt-namn</span></a></p><p>Vi återkommer.</p>'
    )
    assert "text" not in status
    source = call(far, "GET", f"/api/v1/statuses/{status['id']}/source").json()
    assert source["text"] == f"Läget:\n{link}\n\nVi återkommer."


def test_the_same_key_within_the_hour_gives_the_same_status() -> None:
    hands = Hands()
    with MastodonServer(clock=hands) as far:
        first = post(far, "en", key="a").json()["id"]
        hands.now += timedelta(minutes=59)
        assert post(far, "en", key="a").json()["id"] == first
        assert post(far, "en", key="b").json()["id"] != first
        hands.now += timedelta(minutes=1)
        assert post(far, "en", key="a").json()["id"] != first
        assert far.texts("status") == ["en", "en", "en"]


def test_a_server_may_ignore_the_key() -> None:
    with MastodonServer(honours_idempotency=False) as far:
        assert post(far, "en", key="a").json()["id"] != post(far, "en", key="a").json()["id"]
        assert len(far.effects) == 2


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        ({"status": " "}, 422, "Validation failed: Text can't be blank"),
        ({"status": "x" * 501}, 422, "Validation failed: Text character limit of 500 exceeded"),
        (
            {"status": "x", "in_reply_to_id": "9"},
            404,
            "The post you are trying to reply to does not appear to exist.",
        ),
    ],
)
def test_what_it_refuses_and_in_which_words(
    far: MastodonServer, fields: dict[str, str], status: int, sentence: str
) -> None:
    reply = call(far, "POST", "/api/v1/statuses", data=fields)
    assert (reply.status_code, reply.json()) == (status, {"error": sentence})
    assert far.effects == []


def test_a_link_counts_twenty_three_and_a_grapheme_one(far: MastodonServer) -> None:
    link = "https://drift.ekbyn.example/" + "x" * 100
    assert post(far, "👨‍👩‍👧" * 476 + " " + link).status_code == 200
    assert post(far, "x" * 477 + " " + link).status_code == 422


@pytest.mark.parametrize("bad", [401, 400])
def test_a_wrong_token_is_refused(bad: int) -> None:
    with MastodonServer(bad_token_status=bad) as far:
        for header in ({}, {"Authorization": "Bearer other"}):
            refused = requests.get(
                f"{far.url}/api/v1/accounts/verify_credentials", headers=header, timeout=5
            )
            assert refused.status_code == bad
            assert refused.json() == {"error": "The access token is invalid"}
        assert call(far, "GET", "/api/v1/accounts/verify_credentials").json()["acct"] == "ekbyn"
        assert call(far, "GET", "/api/v1/apps/verify_credentials").status_code == 200


def test_a_thread_can_be_read_from_any_of_its_statuses(far: MastodonServer) -> None:
    first = post(far, "1").json()["id"]
    second = post(far, "2", in_reply_to_id=first).json()["id"]
    third = post(far, "3", in_reply_to_id=second).json()["id"]
    context = call(far, "GET", f"/api/v1/statuses/{second}/context").json()
    assert [status["id"] for status in context["ancestors"]] == [first]
    assert [status["id"] for status in context["descendants"]] == [third]


def test_the_accounts_statuses_come_newest_first(far: MastodonServer) -> None:
    ids = [post(far, str(n)).json()["id"] for n in range(4)]

    def listed(query: str) -> list[str]:
        rows = call(far, "GET", f"/api/v1/accounts/1/statuses?{query}").json()
        return [row["content"] for row in rows]

    assert listed("limit=2") == ["<p>3</p>", "<p>2</p>"]
    assert listed(f"min_id={ids[0]}&limit=2") == ["<p>2</p>", "<p>1</p>"]
    assert listed(f"since_id={ids[1]}") == ["<p>3</p>", "<p>2</p>"]
    assert listed(f"max_id={ids[1]}") == ["<p>0</p>"]


def test_an_edit_replaces_the_text_and_keeps_the_id(far: MastodonServer) -> None:
    id_ = post(far, "fel").json()["id"]
    edited = call(far, "PUT", f"/api/v1/statuses/{id_}", data={"status": "rätt"}).json()
    assert (edited["id"], edited["content"]) == (id_, "<p>rätt</p>")
    assert edited["edited_at"] is not None
    too_long = call(far, "PUT", f"/api/v1/statuses/{id_}", data={"status": "x" * 501})
    assert too_long.status_code == 422
    assert far.texts("edit") == ["rätt"]


def test_a_deleted_status_is_gone_everywhere(far: MastodonServer) -> None:
    status = post(far, "fel", key="a").json()
    gone = f"/api/v1/statuses/{status['id']}"
    assert call(far, "DELETE", gone).json()["text"] == "fel"
    assert call(far, "GET", gone).json() == {"error": "Record not found"}
    assert call(far, "DELETE", gone).status_code == 404
    assert requests.get(status["url"], timeout=5).status_code == 404
    assert call(far, "GET", "/api/v1/accounts/1/statuses").json() == []


def test_rate_headers_count_down_and_carry_iso_times() -> None:
    hands = Hands()
    with MastodonServer(limit=2, clock=hands) as far:
        replies = [post(far, str(n)) for n in range(3)]
        assert [reply.headers["X-RateLimit-Remaining"] for reply in replies] == ["1", "0", "0"]
        assert replies[2].status_code == 429
        assert replies[2].json() == {"error": "Too many requests"}
        resets = datetime.fromisoformat(replies[2].headers["X-RateLimit-Reset"])
        assert resets == hands.now + timedelta(minutes=5)
        hands.now = resets
        assert post(far, "åter").status_code == 200
        assert far.texts() == ["0", "1", "åter"]


def test_a_server_may_send_no_rate_headers() -> None:
    with MastodonServer(rate_headers=False) as far:
        assert "X-RateLimit-Remaining" not in post(far, "x").headers
