from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import Mode, Permanent, Scope, Transient, Uncertain
from broadcaster.testing.notices import again, attempt, context, message, notice
from broadcaster.testing.outage import OUTAGE, agrees, measure, post as say, sent
from broadcaster.testing.servers import XServer, answers, performed_not_answered
from broadcaster.testing.servers.exchange import json_reply
from broadcaster.testing.servers.faults import Fault
from channels.x import XAdapter

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime.now(UTC).replace(microsecond=0)
CREDENTIALS = {
    "consumer_key": "consumer-key-0003",
    "consumer_secret": "consumer-secret-0004",
    "access_token": "12-access-token-0005",
    "access_token_secret": "token-secret-06",
}


def x(far: XServer, **written: Any) -> XAdapter:
    settings = {"kind": "x", "url": far.url, **CREDENTIALS, **written}
    return XAdapter(XAdapter.Settings.model_validate(settings), context())


@pytest.fixture
def far() -> Iterator[XServer]:
    with XServer(token=CREDENTIALS["access_token"]) as far:
        yield far


@pytest.fixture
def tried(far: XServer) -> Iterator[XAdapter]:
    adapter = x(far)
    yield adapter
    adapter.close()


def refusal(status: int, detail: str, headers: dict[str, str] | None = None, **more: str) -> Fault:
    return answers(status, json.dumps({"detail": detail, "status": status, **more}), headers)


# ------------------------------------------------------------------------------------------------------------ texts
def test_a_post_is_one_short_paragraph_with_the_link_last(tried: XAdapter) -> None:
    link = "https://drift.ekbyn.se/incidents/a7/"
    rendered = tried.render(notice(link=link), {})
    assert rendered.texts[0].body == (
        "Strömavbrott i Norra Ekbyn sedan 14.05. Orsaken är okänd, montör är på väg. "
        "De flesta har ström senast 19.00. Ring inte 112 om avbrottet. Nästa besked senast 15.50. "
        "https://drift.ekbyn.se/incidents/a7/"
    )
    assert rendered.used == len(rendered.texts[0].body) - len(link) + 23


@pytest.mark.parametrize("name", OUTAGE)
def test_what_goes_out_stands_word_for_word_in_a_file(
    far: XServer, tried: XAdapter, name: str
) -> None:
    said = measure(say(tried, OUTAGE[name].notice))
    agrees(GOLDEN / f"{name}.txt", said, *sent(far))


def test_each_part_of_a_thread_is_taken_and_answers_the_one_before(
    far: XServer, tried: XAdapter
) -> None:
    drill = notice(mode=Mode.DRILL, mode_label="ÖVNING", text="Montör är på väg → platsen. " * 20)
    before = ""
    for n, text in enumerate(tried.render(drill, {}).texts):
        said = message(key=f"key-{n}", body=text.body, in_reply_to=before)
        before = tried.post(said, attempt()).handle
    tweets = far.effects
    assert len(tweets) >= 3
    assert [tweet.more["reply_to"] for tweet in tweets] == [None, *[t.id for t in tweets[:-1]]]
    assert all(tweet.text.startswith("ÖVNING: ") for tweet in tweets)


# -------------------------------------------------------------------------------------------------------- duplicates
def test_the_same_text_at_a_first_attempt_is_refused_for_good(
    far: XServer, tried: XAdapter
) -> None:
    tried.post(message(), attempt())
    with pytest.raises(Permanent, match="takes no text twice") as refused:
        tried.post(message(key="another"), attempt())
    assert refused.value.scope is Scope.MESSAGE


def test_a_duplicate_after_a_time_out_means_sent_and_is_found(
    far: XServer, tried: XAdapter
) -> None:
    far.next(performed_not_answered())
    with pytest.raises(Uncertain):
        tried.post(message(), attempt())
    receipt = tried.post(message(), again())
    assert receipt.handle == far.effects[0].id
    assert len(far.effects) == 1


def test_a_duplicate_that_is_not_among_our_posts_stays_uncertain(
    far: XServer, tried: XAdapter
) -> None:
    far.next(refusal(403, "You are not allowed to create a Tweet with duplicate content."))
    with pytest.raises(Uncertain, match="not among our posts"):
        tried.post(message(), again())


def test_a_post_is_found_by_its_words_though_x_rewrites_links(
    far: XServer, tried: XAdapter
) -> None:
    said = message(body="Läget & läckan: https://drift.ekbyn.example/incidents/a7/")
    rewritten = {
        "id": "77",
        "text": "Läget &amp; läckan: https://t.co/abc",
        "created_at": NOW.isoformat(),
        "entities": {
            "urls": [
                {
                    "url": "https://t.co/abc",
                    "expanded_url": "https://drift.ekbyn.example/incidents/a7",
                }
            ]
        },
    }
    listed = {"data": [rewritten], "meta": {"result_count": 1}}
    far.next(Fault("listed", json_reply(listed)), path="/tweets")
    found = tried.find(said, again())
    assert found is not None
    assert found.handle == "77"


def test_the_same_words_under_another_post_are_another_post(far: XServer, tried: XAdapter) -> None:
    tried.post(message(), attempt())
    assert tried.find(message(in_reply_to="5"), again()) is None


def test_the_same_words_of_an_hour_ago_are_another_post(far: XServer, tried: XAdapter) -> None:
    tried.post(message(), attempt())
    later = datetime.now(UTC) + timedelta(hours=1)
    assert tried.find(message(), attempt(number=2, at=later, first_tried_at=later)) is None


def test_an_account_that_may_not_read_is_not_parked_by_a_search(
    far: XServer, tried: XAdapter
) -> None:
    far.next(refusal(403, "Your client app is not enrolled."), method="GET")
    with pytest.raises(Uncertain):
        tried.find(message(), again())


def test_a_longer_list_than_was_asked_for_is_no_proof_of_absence(
    far: XServer, tried: XAdapter
) -> None:
    listed: dict[str, Any] = {"data": [], "meta": {"result_count": 0, "next_token": "more"}}
    far.next(Fault("listed", json_reply(listed)), path="/tweets")
    with pytest.raises(Uncertain, match="so much since"):
        tried.find(message(), again())


# ---------------------------------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize("status", [400, 403])
def test_a_text_too_long_fails_alone_whatever_code_x_gives_it(status: int) -> None:
    with XServer(long_status=status) as far, pytest.raises(Permanent, match="too long") as refused:
        x(far).post(message(body="å" * 281), attempt())
    assert refused.value.scope is Scope.MESSAGE


def test_an_answer_to_a_post_that_is_gone_fails_alone(far: XServer, tried: XAdapter) -> None:
    with pytest.raises(Permanent, match="is gone") as refused:
        tried.post(message(in_reply_to="5"), attempt())
    assert refused.value.scope is Scope.MESSAGE


def test_a_suspended_account_parks_the_channel(far: XServer, tried: XAdapter) -> None:
    far.next(refusal(403, "You are not permitted to perform this action."))
    with pytest.raises(Permanent, match="not permitted") as refused:
        tried.post(message(), attempt())
    assert refused.value.scope is Scope.CHANNEL


def test_a_revoked_token_parks_the_channel(far: XServer) -> None:
    with pytest.raises(Permanent, match="make new ones") as refused:
        x(far, access_token="12-revoked").post(message(), attempt())
    assert refused.value.scope is Scope.CHANNEL


@pytest.mark.parametrize("status", [402, 429])
def test_a_used_up_quota_parks_the_channel(far: XServer, tried: XAdapter, status: int) -> None:
    kind = "https://api.twitter.com/2/problems/usage-capped"
    far.next(refusal(status, "Usage cap exceeded: Monthly product cap", type=kind))
    with pytest.raises(Permanent, match="quota") as refused:
        tried.post(message(), attempt())
    assert refused.value.scope is Scope.CHANNEL


def test_the_end_of_the_quarter_hour_is_waited_for() -> None:
    with XServer(limit=1) as far:
        adapter = x(far)
        adapter.post(message(), attempt(at=datetime.now(UTC)))
        with pytest.raises(Transient) as refused:
            adapter.post(message(body="Annat."), attempt(at=datetime.now(UTC)))
    assert refused.value.retry_after == pytest.approx(900, abs=5)


@pytest.mark.parametrize(
    ("reset", "waits"),
    [
        ({"x-rate-limit-reset": str(int(NOW.timestamp()) + 60)}, 60),
        (
            {
                "x-rate-limit-reset": str(int(NOW.timestamp()) + 60),
                "x-user-limit-24hour-remaining": "0",
                "x-user-limit-24hour-reset": str(int(NOW.timestamp()) + 7200),
            },
            7200,
        ),
        ({"x-rate-limit-reset": "99999999999999999999"}, None),
        ({"x-rate-limit-reset": "soon"}, None),
        ({"x-rate-limit-reset": "1"}, 0),
    ],
)
def test_the_longest_exhausted_limit_counts_and_garbage_does_not(
    far: XServer, tried: XAdapter, reset: dict[str, str], waits: float | None
) -> None:
    far.next(refusal(429, "Too Many Requests", headers=reset))
    with pytest.raises(Transient) as refused:
        tried.post(message(), attempt(at=NOW))
    assert refused.value.retry_after == waits


@pytest.mark.parametrize(
    "body", ["[]", '{"errors": "no"}', '{"errors": [1]}', '{"detail": 7}', '"x"', "[" * 9000]
)
@pytest.mark.parametrize("status", [200, 201, 400, 403, 500])
def test_no_answer_makes_the_library_stumble(
    far: XServer, tried: XAdapter, status: int, body: str
) -> None:
    far.next(answers(status, body))
    with pytest.raises((Permanent, Transient, Uncertain)):
        tried.post(message(), attempt())


PAGE = "<html>maintenance</html>"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 418, 421])
@pytest.mark.parametrize("body", ["", PAGE, '{"message": "no Route matched"}', "[" * 9000])
def test_a_refusal_by_something_before_x_is_none_of_xs_and_passes(
    far: XServer, tried: XAdapter, status: int, body: str
) -> None:
    far.next(answers(status, body))
    with pytest.raises(Transient, match="not as X does") as passing:
        tried.post(message(in_reply_to="7"), attempt())
    assert passing.value.scope is Scope.CHANNEL


def test_a_page_that_is_not_found_is_no_post_that_was_gone_already(
    far: XServer, tried: XAdapter
) -> None:
    far.next(answers(404, PAGE), refusal(404, "Not Found"))
    with pytest.raises(Transient):
        tried.withdraw(message(target="5"), attempt())
    assert tried.withdraw(message(target="5"), attempt()).detail == "The post was gone already."


# ------------------------------------------------------------------------------------------------------------ others
def test_a_delete_that_x_does_not_own_to_is_uncertain(far: XServer, tried: XAdapter) -> None:
    far.next(answers(200, '{"data": {"deleted": false}}'))
    with pytest.raises(Uncertain):
        tried.withdraw(message(target="5"), attempt())


@pytest.mark.parametrize("given", ["", "../users/me", "5?x=", None, 5])
def test_an_id_that_is_none_is_not_believed(far: XServer, tried: XAdapter, given: object) -> None:
    far.next(answers(201, json.dumps({"data": {"id": given}})))
    with pytest.raises(Uncertain, match="without naming it"):
        tried.post(message(), attempt())


def test_a_stand_ins_post_gets_no_address_at_x(far: XServer, tried: XAdapter) -> None:
    assert tried.post(message(), attempt()).url == ""


def test_by_default_the_host_is_the_one_tweepy_signs_for() -> None:
    settings = XAdapter.Settings.model_validate({"kind": "x", **CREDENTIALS})
    assert XAdapter(settings, context()).hosts() == ("api.twitter.com",)


def test_a_probe_names_the_account(far: XServer, tried: XAdapter) -> None:
    assert tried.probe(attempt()).sentence == "Token valid for @ekbyn."
