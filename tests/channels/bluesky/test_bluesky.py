"""Bluesky: what stands in the account's repository, told by a stand-in; tests/real/test_bluesky.py asks the real server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from broadcaster.channel import (
    CanAmend,
    CanConfirm,
    CanFind,
    CanWithdraw,
    Failure,
    Mode,
    Permanent,
    Receipt,
    Scope,
    Transient,
    Uncertain,
)
from broadcaster.testing.notices import NOW, again, attempt, context, message, notice
from broadcaster.testing.outage import OUTAGE, agrees, measure, post as say, sent
from broadcaster.testing.servers import (
    BlueskyServer,
    Fault,
    answers,
    hang,
    performed_not_answered,
    too_many,
    unavailable,
)
from channels.bluesky import BlueskyAdapter
from channels.bluesky.arrangement import measure as measure_post
from channels.bluesky.records import Handle, Reference, facets_of, record_key

GOLDEN = Path(__file__).parent / "golden"
PASSWORD = "app-pass-word-0008"
PUT = "/xrpc/com.atproto.repo.putRecord"


def bluesky(url: str, **written: Any) -> BlueskyAdapter:
    settings = {"kind": "bluesky", "account": "ekbyn.test", "password": PASSWORD, "url": url}
    return BlueskyAdapter(BlueskyAdapter.Settings.model_validate(settings | written), context())


@pytest.fixture
def far() -> Iterator[BlueskyServer]:
    with BlueskyServer(password=PASSWORD) as far:
        yield far


@pytest.fixture
def tried(far: BlueskyServer) -> Iterator[BlueskyAdapter]:
    adapter = bluesky(far.url)
    yield adapter
    adapter.close()


def refusal(status: int, name: str, words: str = "") -> Fault:
    return answers(status, json.dumps({"error": name, "message": words}))


# ------------------------------------------------------------------------------------------------------------ texts
def body(**changes: Any) -> str:
    return bluesky("https://bsky.social").render(notice(**changes), {}).texts[0].body


def test_a_post_is_one_short_paragraph_and_the_link() -> None:
    rendered = bluesky("https://bsky.social").render(notice(), {})
    assert rendered.texts[0].body == (
        "Strömavbrott i Norra Ekbyn sedan 14.05. Orsaken är okänd, montör är på väg. "
        "De flesta har ström senast 19.00. Ring inte 112 om avbrottet. Nästa besked senast 15.50.\n\n"
        "https://drift.ekbyn.example/incidents/a7/"
    )
    assert (rendered.used, rendered.limit, rendered.unit) == (207, 300, "characters")


def test_a_correction_says_so_before_the_headline_and_names_the_area() -> None:
    said = body(label="Rättelse av 14.40", headline="Vattenläcka", text="", since="", etr="")
    assert said.startswith("Rättelse av 14.40. Vattenläcka, Norra Ekbyn. Ring inte 112")


def test_words_in_another_language_are_marked_as_such() -> None:
    assert " [sv] Orsaken är okänd" in body(language="en", text_language="sv")


@pytest.mark.parametrize("name", OUTAGE)
def test_what_goes_out_stands_word_for_word_in_a_file(
    far: BlueskyServer, tried: BlueskyAdapter, name: str
) -> None:
    said = measure(say(tried, OUTAGE[name].notice))
    agrees(GOLDEN / f"{name}.txt", said, *sent(far, PUT))


@pytest.mark.parametrize("name", OUTAGE)
def test_an_sms_takes_as_many_letters_here_as_units_there(name: str) -> None:
    assert measure_post(OUTAGE[name].sms) == OUTAGE[name].units


def test_a_letter_is_what_a_reader_calls_one_and_bytes_count_where_they_are_more() -> None:
    assert measure_post("👩‍👩‍👧") == 2  # one letter of 18 bytes: a tenth of those, rounded up
    assert measure_post("å" * 7 + "e\u0301") == 8
    bare = dict.fromkeys(("since", "etr", "instruction", "next_word", "link"), "")
    families = bluesky("https://bsky.social").render(notice(text="👩‍👩‍👧" * 155, **bare), {})
    assert (families.unit, families.limit) == ("bytes", 3000)
    assert families.used == len(families.texts[0].body.encode()) < 3000


def test_each_part_of_a_thread_is_taken_and_knows_its_parent_and_its_root(
    far: BlueskyServer, tried: BlueskyAdapter
) -> None:
    drill = notice(mode=Mode.DRILL, mode_label="ÖVNING", text="Montör är på väg → platsen. " * 30)
    handles = [""]
    for n, text in enumerate(tried.render(drill, {}).texts):
        said = message(key=f"key-{n}", body=text.body, in_reply_to=handles[-1])
        handles.append(tried.post(said, attempt()).handle)
    posts = [effect.more["record"] for effect in far.effects]
    assert len(posts) >= 3
    assert all(post["text"].startswith("ÖVNING: ") for post in posts)
    first = Handle.read(handles[1]).post.fields()
    assert "reply" not in posts[0]
    for before, post in zip(handles[1:], posts[1:], strict=False):
        assert post["reply"] == {"root": first, "parent": Handle.read(before).post.fields()}


def test_a_thread_that_would_be_too_long_is_refused_in_whole() -> None:
    with pytest.raises(ValueError, match=r"needs \d+ posts and at most 2 are sent"):
        bluesky("https://bsky.social", posts=2).render(notice(text="Montör på väg. " * 60), {})


# ---------------------------------------------------------------------------------------------------------- records
def test_a_key_follows_from_the_step_and_is_a_valid_one() -> None:
    keys = {record_key(f"step-{n}") for n in range(2000)}
    assert len(keys) == 2000
    assert all(re.fullmatch("[234567abcdefghij][234567a-z]{12}", key) for key in keys)
    assert record_key("step-1") == record_key("step-1") == "3lkv4ls56pkar"


def test_the_time_in_a_key_is_long_past_so_that_nobody_refuses_it() -> None:
    def microseconds(key: str) -> int:
        number = 0
        for letter in key:
            number = number * 32 + "234567abcdefghijklmnopqrstuvwxyz".index(letter)
        return number >> 10

    times = [microseconds(record_key(f"step-{n}")) / 1e6 for n in range(500)]
    assert datetime.fromtimestamp(min(times), UTC).year == 2023
    assert datetime.fromtimestamp(max(times), UTC) < datetime(2025, 4, 1, tzinfo=UTC)


def test_a_record_says_what_in_which_language_and_when(
    far: BlueskyServer, tried: BlueskyAdapter
) -> None:
    tried.post(message(body="Läs mer: https://ekbyn.example/a7."), attempt())
    request = next(each for each in far.requests if each.path == PUT)
    assert request.json() == {
        "repo": "did:plc:ekbyn23456723456723456",
        "collection": "app.bsky.feed.post",
        "rkey": record_key(message().key),
        "swapRecord": None,
        "record": {
            "$type": "app.bsky.feed.post",
            "text": "Läs mer: https://ekbyn.example/a7.",
            "langs": ["sv"],
            "createdAt": NOW.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "facets": [
                {
                    "index": {"byteStart": 10, "byteEnd": 34},
                    "features": [
                        {
                            "$type": "app.bsky.richtext.facet#link",
                            "uri": "https://ekbyn.example/a7",
                        }
                    ],
                }
            ],
        },
    }


LINKS = {
    "Läs (https://ekbyn.example/a7).": ["https://ekbyn.example/a7"],
    "”https://ekbyn.example/å?q=(1)”, http://b.example!": [
        "https://ekbyn.example/å?q=(1)",
        "http://b.example",
    ],
    "@granne.bsky.social #strömavbrott ekbyn.example/a7 mailto:a@b.example": [],
    "👩‍👩‍👧 https://ekbyn.example/a7/\nhttps://c.example": [
        "https://ekbyn.example/a7/",
        "https://c.example",
    ],
}

NAME_NO_SERVER = ("https://...", "Se https://: nu", "(http://)", "https:///a7", "https://_")


@pytest.mark.parametrize("text", LINKS)
def test_links_are_links_and_nothing_mentions_or_tags_anybody(text: str) -> None:
    facets = list(facets_of(text))
    linked = [facet["features"][0]["uri"] for facet in facets]
    assert linked == LINKS[text]
    octets = text.encode()
    places = [(facet["index"]["byteStart"], facet["index"]["byteEnd"]) for facet in facets]
    assert [octets[begin:end].decode() for begin, end in places] == linked
    assert all(facet["features"][0]["$type"].endswith("#link") for facet in facets)


@pytest.mark.parametrize("text", NAME_NO_SERVER)
def test_what_names_no_server_stays_text_for_it_would_take_the_whole_post_with_it(
    text: str,
) -> None:
    assert not list(facets_of(text))


def test_a_handle_is_read_back_as_it_was_written() -> None:
    post = Reference("at://did:plc:abc/app.bsky.feed.post/3k5ccgz24ugvg", "bafy1")
    root = Reference("at://did:web:ekbyn.example/app.bsky.feed.post/3k5ccgz24ugvh", "bafy2")
    for handle in (Handle(post, post), Handle(post, root)):
        assert Handle.read(str(handle)) == handle
    for wrong in ("", "112000000000000001", "at://x y", f"{post.uri}", f"{post.uri} a b"):
        with pytest.raises(ValueError, match="^" + re.escape(wrong.split(" ")[0])):
            Handle.read(wrong)


# ------------------------------------------------------------------------------------------------------- duplicates
def test_the_same_again_leaves_the_post_with_its_first_time(
    far: BlueskyServer, tried: BlueskyAdapter
) -> None:
    first = tried.post(message(), attempt())
    later = again(at=NOW + timedelta(minutes=20))
    assert tried.post(message(), later) == first
    assert [effect.kind for effect in far.effects] == ["post"]


def test_a_post_is_put_in_the_place_of_no_other(far: BlueskyServer, tried: BlueskyAdapter) -> None:
    tried.post(message(), attempt())
    with pytest.raises(Permanent, match="Another text than ours") as refused:
        tried.post(message(body="Annat."), attempt())
    assert refused.value.scope is Scope.MESSAGE
    assert [effect.kind for effect in far.effects] == ["post"]
    assert tried.find(message(body="Annat."), again()) is None


def test_a_post_that_stands_there_and_cannot_be_read_now_is_in_doubt(
    far: BlueskyServer, tried: BlueskyAdapter
) -> None:
    tried.post(message(), attempt())
    far.next(unavailable(), path="getRecord")
    with pytest.raises(Uncertain):
        tried.post(message(), again())


def test_a_post_the_server_hides_is_not_taken_for_out(
    far: BlueskyServer, tried: BlueskyAdapter
) -> None:
    tried.post(message(), attempt())
    far.next(refusal(400, "RecordNotFound"), path="getRecord")
    with pytest.raises(Permanent, match="shows it to nobody"):
        tried.post(message(), again())


def test_a_search_needs_no_login(far: BlueskyServer, tried: BlueskyAdapter) -> None:
    tried.post(message(), attempt())
    fresh = bluesky(far.url, password="revoked-0000")
    assert fresh.find(message(), again()) is not None
    assert "authorization" not in far.requests[-1].headers


def test_an_answer_to_a_post_of_another_kind_is_refused(
    far: BlueskyServer, tried: BlueskyAdapter
) -> None:
    with pytest.raises(Permanent, match="not made on Bluesky") as refused:
        tried.post(message(in_reply_to="112000000000000001"), attempt())
    assert refused.value.scope is Scope.MESSAGE
    assert not far.requests


SAYS_NOTHING = [
    {"uri": "at://did:plc:other/app.bsky.feed.post/3k5ccgz24ugvg", "cid": "bafy"},
    {"uri": f"at://did:plc:ekbyn23456723456723456/app.bsky.feed.post/{record_key(message().key)}"},
]


@pytest.mark.parametrize("said", SAYS_NOTHING)
def test_an_answer_that_names_another_post_is_not_believed(
    far: BlueskyServer, tried: BlueskyAdapter, said: dict[str, str]
) -> None:
    far.next(answers(200, json.dumps(said)), path=PUT)
    with pytest.raises(Uncertain, match="without naming the post"):
        tried.post(message(), attempt())


# --------------------------------------------------------------------------------------------------------- sessions
def test_many_posts_need_one_login(far: BlueskyServer, tried: BlueskyAdapter) -> None:
    with ThreadPoolExecutor(8) as pool:
        posts = [message(key=f"k{n}", body=f"Besked {n}.") for n in range(8)]
        list(pool.map(lambda said: tried.post(said, attempt()), posts))
    assert (far.logins, far.renewals, len(far.effects)) == (1, 0, 8)


def test_a_session_that_has_ended_is_renewed_within_the_call(
    far: BlueskyServer, tried: BlueskyAdapter
) -> None:
    tried.probe(attempt())
    far.expire()
    tried.post(message(), attempt())
    far.expire()
    tried.withdraw(message(target=far.effects[0].id), attempt())
    far.expire()
    assert tried.probe(attempt()).good
    assert (far.logins, far.renewals) == (1, 3)


def test_eight_calls_that_meet_the_end_of_a_session_renew_it_once(
    far: BlueskyServer, tried: BlueskyAdapter
) -> None:
    tried.probe(attempt())
    far.expire()
    with ThreadPoolExecutor(8) as pool:
        posts = [message(key=f"k{n}", body=f"Besked {n}.") for n in range(8)]
        list(pool.map(lambda said: tried.post(said, attempt()), posts))
    assert (far.logins, far.renewals, len(far.effects)) == (1, 1, 8)


def test_where_it_cannot_be_renewed_we_log_in_anew(
    far: BlueskyServer, tried: BlueskyAdapter
) -> None:
    tried.probe(attempt())
    far.expire(all_of_it=True)
    tried.post(message(), attempt())
    assert (far.logins, far.renewals, len(far.effects)) == (2, 0, 1)


def test_a_session_refused_again_after_renewal_is_not_renewed_for_ever(
    far: BlueskyServer, tried: BlueskyAdapter
) -> None:
    far.always(refusal(400, "ExpiredToken", "Token has expired"), path=PUT)
    with pytest.raises(Permanent, match="Token has expired"):
        tried.post(message(), attempt())
    assert (far.logins, far.renewals) == (1, 1)


def test_a_wrong_password_parks_the_channel_and_says_what_to_do(far: BlueskyServer) -> None:
    adapter = bluesky(far.url, password="wrong-pass-0000")
    for act in (
        lambda: adapter.post(message(), attempt()),
        lambda: adapter.withdraw(message(target="x"), attempt()),
        lambda: adapter.probe(attempt()),
    ):
        with pytest.raises(Permanent, match="refuses our account or its app password") as refused:
            act()
        assert refused.value.scope is Scope.CHANNEL
        assert 'It says: "Invalid identifier or password".' in refused.value.sentence
        assert "wrong-pass" not in str(vars(refused.value))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (refusal(401, "AuthFactorTokenRequired", "A sign in code"), "make an app password"),
        (refusal(401, "AccountTakedown", "Account has been taken down"), "has closed this account"),
        (refusal(404, "AccountNotFound"), "has closed this account"),
    ],
)
def test_a_login_refused_for_another_reason_is_told_by_it(
    far: BlueskyServer, tried: BlueskyAdapter, fault: Fault, words: str
) -> None:
    far.next(fault)
    with pytest.raises(Permanent, match=words) as refused:
        tried.post(message(), attempt())
    assert refused.value.scope is Scope.CHANNEL


@pytest.mark.parametrize(
    "fault",
    [hang(), performed_not_answered(), answers(500), unavailable(7), answers(200, "{}")],
    ids=lambda fault: fault.name,
)
def test_a_login_that_fails_has_certainly_sent_nothing(
    far: BlueskyServer, tried: BlueskyAdapter, fault: Fault
) -> None:
    far.next(fault)
    with pytest.raises(Transient) as failure:
        tried.post(message(), attempt(deadline=1.0))
    assert failure.value.retry_after == (7 if fault == unavailable(7) else None)
    assert not far.effects


def test_a_call_that_waits_for_anothers_login_ends_at_its_deadline(
    far: BlueskyServer, tried: BlueskyAdapter
) -> None:
    far.next(hang(), path="createSession")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(tried.probe, attempt(deadline=30))
        far.wait_for(1)
        with pytest.raises(Transient, match="nothing was sent"):
            tried.post(message(), attempt(deadline=0.3))
        far.release()
        assert isinstance(first.exception(), Transient)


@pytest.mark.parametrize("path", ["createSession", PUT])
@pytest.mark.parametrize(
    ("reset", "wait"), [(120, 120.0), (100_000, 3600.0), (-9, 0.0), ("soon", None)]
)
def test_the_end_of_a_limit_is_waited_for(
    far: BlueskyServer, tried: BlueskyAdapter, path: str, reset: int | str, wait: float | None
) -> None:
    """RateLimit-Reset is a time, seconds since 1970; it is measured by the server's own clock."""
    when = str(int(NOW.timestamp()) + reset) if isinstance(reset, int) else reset
    dated = {"RateLimit-Reset": when, "Date": format_datetime(NOW, usegmt=True)}
    far.next(answers(429, '{"error":"RateLimitExceeded"}', dated), path=path)
    with pytest.raises(Transient, match="asks us to wait") as failure:
        tried.post(message(), attempt())
    assert failure.value.retry_after == wait
    far.next(too_many(7), path=path)
    with pytest.raises(Transient) as failure:
        tried.post(message(), attempt())
    assert failure.value.retry_after == 7.0


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_a_session_is_in_no_error(far: BlueskyServer, tried: BlueskyAdapter, status: int) -> None:
    tried.probe(attempt())
    echo = json.dumps({"error": "access-jwt-0001", "message": "Bearer access-jwt-0001"})
    far.next(answers(status, echo))
    with pytest.raises(Failure) as failure:
        tried.post(message(), attempt())
    assert "access-jwt" not in str(failure.value) + str(vars(failure.value))
    assert "[secret]" in failure.value.reply
    assert "jwt" not in repr(tried._session._tokens)


# ------------------------------------------------------------------------------------------------ which way it failed
@pytest.mark.parametrize(
    ("fault", "words", "scope"),
    [
        (refusal(400, "InvalidRequest", "too long"), 'this text. It says: "too long".', "message"),
        (refusal(400, "RepoTakendown"), "has closed this account", "channel"),
        (refusal(401, "AccountDeactivated"), "has closed this account", "channel"),
        (refusal(401, "AuthMissing"), "refuses our app password", "channel"),
        (refusal(404, "XRPCNotSupported"), "correct the url", "message"),
        (answers(413, "<html>"), "does not take this message", "message"),
    ],
)
def test_a_refusal_says_what_to_do(
    far: BlueskyServer, tried: BlueskyAdapter, fault: Fault, words: str, scope: str
) -> None:
    far.next(fault, path=PUT)
    with pytest.raises(Permanent) as refused:
        tried.post(message(), attempt())
    assert words in refused.value.sentence
    assert refused.value.scope == scope


FOREIGN = [(400, "<html>"), (401, "<html>"), (403, ""), (404, "404 page not found"), (404, "{}")]


@pytest.mark.parametrize(("status", "said"), FOREIGN)
def test_a_refusal_that_is_no_servers_of_bluesky_loses_no_word_and_parks_nothing(
    far: BlueskyServer, tried: BlueskyAdapter, status: int, said: str
) -> None:
    handle = tried.post(message(), attempt()).handle
    far.always(answers(status, said))
    fresh = bluesky(far.url)  # not logged in
    acts: list[Callable[[], object]] = [
        lambda: tried.post(message(), attempt()),
        lambda: fresh.post(message(), attempt()),
        lambda: tried.withdraw(message(target=handle), attempt()),
        lambda: tried.confirm(Receipt(handle=handle), attempt(), message()),
    ]
    for act in acts:
        with pytest.raises(Transient, match=f"{status}.*something before it") as refused:
            act()
        assert refused.value.scope is Scope.CHANNEL


def test_a_post_of_another_account_is_not_said_to_be_deleted(
    far: BlueskyServer, tried: BlueskyAdapter
) -> None:
    for target in ("at://did:plc:other/app.bsky.feed.post/3k5ccgz24ugvg bafy", "1120001"):
        with pytest.raises(Permanent, match="not made by this account") as refused:
            tried.withdraw(message(target=target), attempt())
        assert refused.value.scope is Scope.MESSAGE


@pytest.mark.parametrize("said", ["", "<html>", '{"error": "Nope"}'])
def test_a_deletion_that_is_not_said_is_in_doubt(
    far: BlueskyServer, tried: BlueskyAdapter, said: str
) -> None:
    handle = tried.post(message(), attempt()).handle
    far.next(answers(200, said))
    with pytest.raises(Uncertain, match="is deleted"):
        tried.withdraw(message(target=handle), attempt())


# --------------------------------------------------------------------------------------------------- seen from outside
def test_it_is_seen_from_outside_until_it_is_taken_away(
    far: BlueskyServer, tried: BlueskyAdapter
) -> None:
    receipt = tried.post(message(), attempt())
    assert tried.confirm(receipt, attempt(), message())
    assert tried.confirm(receipt, attempt(), None)
    assert "authorization" not in far.requests[-1].headers
    tried.withdraw(message(target=receipt.handle), attempt())
    assert not tried.confirm(receipt, attempt(), message())


def test_another_text_in_its_place_is_not_ours(far: BlueskyServer, tried: BlueskyAdapter) -> None:
    receipt = tried.post(message(), attempt())
    [record] = far.records.values()
    record["value"] = {**record["value"], "text": "Allt är bra."}
    with pytest.raises(Permanent, match="Another text") as changed:
        tried.confirm(receipt, attempt(), message())
    assert (changed.value.scope, changed.value.reply) == (Scope.MESSAGE, "Allt är bra.")
    record.update({"value": {**record["value"], "text": message().body}, "cid": "bafyother"})
    with pytest.raises(Permanent, match="Another text"):
        tried.confirm(receipt, attempt(), None)


def test_a_handle_of_another_kind_is_not_seen(far: BlueskyServer, tried: BlueskyAdapter) -> None:
    assert not tried.confirm(Receipt(handle="112000000000000001"), attempt(), message())
    assert not far.requests


@pytest.mark.parametrize(
    "said", ["[]", "{}", '{"uri": "at://x", "cid": "b", "value": {"text": 1}}']
)
def test_a_post_shown_as_something_else_is_not_confirmed(
    far: BlueskyServer, tried: BlueskyAdapter, said: str
) -> None:
    receipt = tried.post(message(), attempt())
    far.next(answers(200, said))
    with pytest.raises(Uncertain, match="as it should"):
        tried.confirm(receipt, attempt(), message())


def test_a_probe_sees_an_account_that_was_deactivated(
    far: BlueskyServer, tried: BlueskyAdapter
) -> None:
    assert tried.probe(attempt()).sentence == "Password valid for @ekbyn.test, 300 characters."
    far.active = False
    probe = tried.probe(attempt())
    assert not probe.good
    assert "@ekbyn.test: deactivated" in probe.sentence
    far.next(refusal(400, "InvalidRequest", "Could not find user info"), path="getSession")
    probe = tried.probe(attempt())
    assert not probe.good
    assert "@ekbyn.test: Could not find user info. See it" in probe.sentence


# --------------------------------------------------------------------------------------------------------- settings
def test_it_declares_what_it_can() -> None:
    adapter = bluesky("https://bsky.social")
    for ability in (CanConfirm, CanFind, CanWithdraw):
        assert isinstance(adapter, ability)
    assert not isinstance(adapter, CanAmend)
    assert adapter.repeatable
    assert adapter.hosts() == ("bsky.social",)


def test_where_a_person_can_see_it(far: BlueskyServer, tried: BlueskyAdapter) -> None:
    made = Reference("at://did:plc:abc/app.bsky.feed.post/3k5ccgz24ugvg", "bafy")
    shown = bluesky("https://bsky.social")._receipt(made, message()).url
    assert shown == "https://bsky.app/profile/did:plc:abc/post/3k5ccgz24ugvg"
    assert tried.post(message(), attempt()).url == ""


@pytest.mark.parametrize("account", ["ekbyn", "https://bsky.app/profile/ekbyn", "ekbyn bsky", ""])
def test_an_account_that_is_none_is_refused(account: str) -> None:
    with pytest.raises(ValidationError, match="write its handle, such as"):
        bluesky("https://bsky.social", account=account)


@pytest.mark.parametrize(
    "account", ["@ekbyn.bsky.social", "ekbyn.se", "did:plc:abc", "did:web:ekbyn.se"]
)
def test_an_account_is_a_handle_or_a_did(account: str) -> None:
    settings = bluesky("https://bsky.social", account=account).settings
    assert settings.account == account.removeprefix("@")
