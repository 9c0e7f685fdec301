from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from broadcaster.channel import Mode, Permanent, Receipt, Scope, Transient, Uncertain
from broadcaster.testing.notices import again, attempt, context, message, notice
from broadcaster.testing.outage import OUTAGE, agrees, measure, post as say, sent
from broadcaster.testing.servers import MastodonServer, answers, performed_not_answered
from broadcaster.testing.servers.exchange import json_reply
from broadcaster.testing.servers.faults import Fault
from channels.mastodon import MastodonAdapter
from channels.mastodon.content import text_of

GOLDEN = Path(__file__).parent / "golden"
TOKEN = "masto-token-0001"
PAGE = "<html>maintenance</html>"


def mastodon(far: MastodonServer, **written: Any) -> MastodonAdapter:
    settings = {"kind": "mastodon", "url": f"{far.url}/", "token": TOKEN, **written}
    return MastodonAdapter(MastodonAdapter.Settings.model_validate(settings), context())


@pytest.fixture
def far() -> Iterator[MastodonServer]:
    with MastodonServer(token=TOKEN) as far:
        yield far


@pytest.fixture
def tried(far: MastodonServer) -> Iterator[MastodonAdapter]:
    adapter = mastodon(far)
    yield adapter
    adapter.close()


# ------------------------------------------------------------------------------------------------------------ texts
def test_a_post_says_who_what_since_when_until_when_and_where_to_read_on(
    tried: MastodonAdapter,
) -> None:
    assert tried.render(notice(), {}).texts[0].body == (
        "Ekbyns Energi: Strömavbrott i Norra Ekbyn sedan 14.05.\n\n"
        "Orsaken är okänd, montör är på väg.\n\n"
        "De flesta har ström senast 19.00. Ring inte 112 om avbrottet. Nästa besked senast 15.50.\n\n"
        "https://drift.ekbyn.example/incidents/a7/"
    )


@pytest.mark.parametrize("name", OUTAGE)
def test_what_goes_out_stands_word_for_word_in_a_file(
    far: MastodonServer, tried: MastodonAdapter, name: str
) -> None:
    said = measure(say(tried, OUTAGE[name].notice))
    agrees(GOLDEN / f"{name}.txt", said, *sent(far, headers=("idempotency-key",)))


def test_a_correction_says_so_before_the_headline_and_names_the_area(
    tried: MastodonAdapter,
) -> None:
    said = notice(label="Rättelse av 14.40", headline="Vattenläcka", text="", since="", etr="")
    first_line = tried.render(said, {}).texts[0].body.splitlines()[0]
    assert first_line == "Ekbyns Energi: Rättelse av 14.40. Vattenläcka, Norra Ekbyn."


def test_words_in_another_language_are_marked_as_such(tried: MastodonAdapter) -> None:
    body = tried.render(notice(language="en", text_language="sv"), {}).texts[0].body
    assert "\n[sv] Orsaken är okänd" in body


def test_the_limits_of_the_last_probe_count(tried: MastodonAdapter) -> None:
    text = "Montör är på väg till platsen. " * 25
    assert len(tried.render(notice(text=text), {}).texts) == 2
    roomy = tried.render(notice(text=text), {"max_characters": 5000})
    assert (len(roomy.texts), roomy.limit) == (1, 5000)


def test_each_part_of_a_thread_is_taken_by_the_server_and_answers_the_one_before(
    far: MastodonServer, tried: MastodonAdapter
) -> None:
    drill = notice(
        mode=Mode.DRILL, mode_label="ÖVNING", text="Montör är på väg till platsen. " * 60
    )
    before = ""
    for n, text in enumerate(tried.render(drill, {}).texts):
        said = message(key=f"key-{n}", body=text.body, in_reply_to=before)
        before = tried.post(said, attempt()).handle
    posted = [status for status in far.effects if status.kind == "status"]
    assert len(posted) >= 4
    assert [status.more["reply_to"] for status in posted] == [None, *[s.id for s in posted[:-1]]]
    assert all(status.text.startswith("ÖVNING: ") for status in posted)


def test_more_posts_than_allowed_are_refused(far: MastodonServer) -> None:
    with pytest.raises(ValueError, match="needs 4 posts and at most 2 are sent"):
        mastodon(far, posts=2).render(notice(text="Montör är på väg dit. " * 60), {})


# ------------------------------------------------------------------------------------------------------------- post
def test_language_visibility_and_key_go_along(far: MastodonServer) -> None:
    receipt = mastodon(far, visibility="unlisted").post(message(language="sv-SE"), attempt())
    assert far.effects[0].more["language"] == "sv"
    assert far.effects[0].more["key"] == message().key
    assert far.statuses[receipt.handle]["visibility"] == "unlisted"
    assert receipt.url == f"{far.url}/@ekbyn/{receipt.handle}"


def test_a_text_the_server_finds_too_long_is_refused_with_its_words(
    far: MastodonServer, tried: MastodonAdapter
) -> None:
    far.max_characters = 20
    with pytest.raises(Permanent, match="Text character limit of 20 exceeded") as refused:
        tried.post(message(), attempt())
    assert refused.value.scope is Scope.MESSAGE


@pytest.mark.parametrize("status", [400, 401])
def test_a_revoked_token_parks_the_channel_whatever_the_server_calls_it(status: int) -> None:
    with MastodonServer(token="another", bad_token_status=status) as far:
        with pytest.raises(Permanent, match="make a new one") as refused:
            mastodon(far).post(message(), attempt())
        assert refused.value.scope is Scope.CHANNEL


def test_an_answer_to_a_post_that_is_gone_fails_alone(
    far: MastodonServer, tried: MastodonAdapter
) -> None:
    with pytest.raises(Permanent, match="does not know the post") as refused:
        tried.post(message(in_reply_to="999"), attempt())
    assert refused.value.scope is Scope.MESSAGE


def test_a_page_that_is_not_found_costs_no_thread_but_the_lost_post_above_does(
    far: MastodonServer, tried: MastodonAdapter
) -> None:
    for above, gone in (("", False), ("999", True)):
        far.next(answers(404, '{"error": "Record not found"}'))
        with pytest.raises(Permanent) as refused:
            tried.post(message(in_reply_to=above), attempt())
        assert refused.value.gone is gone


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 418, 421, 422])
@pytest.mark.parametrize("body", ["", PAGE, '{"message": "no Route matched"}', "[" * 9000])
def test_a_refusal_by_something_before_the_server_is_none_of_its_and_passes(
    far: MastodonServer, tried: MastodonAdapter, status: int, body: str
) -> None:
    for ask in (
        lambda: tried.post(message(in_reply_to="7"), attempt()),
        lambda: tried.amend(message(target="7"), attempt()),
        lambda: tried.withdraw(message(target="7"), attempt()),
        lambda: tried.probe(attempt()),
    ):
        far.next(answers(status, body), path="verify_credentials")
        far.next(answers(status, body), path="/api/v1/statuses")
        with pytest.raises(Transient, match="not as Mastodon does") as passing:
            ask()
        assert passing.value.scope is Scope.CHANNEL
        far.heal()


def test_a_post_that_the_server_no_longer_knows_counts_as_deleted(
    far: MastodonServer, tried: MastodonAdapter
) -> None:
    assert tried.withdraw(message(target="7"), attempt()).detail == "The post was gone already."


def test_the_end_of_the_five_minutes_is_waited_for() -> None:
    with MastodonServer(token=TOKEN, limit=1) as far:
        adapter = mastodon(far)
        adapter.post(message(), attempt(at=datetime.now(UTC)))
        with pytest.raises(Transient) as refused:
            adapter.post(message(key="other"), attempt(at=datetime.now(UTC)))
    assert refused.value.retry_after == pytest.approx(300, abs=5)


# ------------------------------------------------------------------------------------------------------------- find
def test_a_post_is_found_on_a_server_that_ignores_keys() -> None:
    with MastodonServer(token=TOKEN, honours_idempotency=False) as far:
        adapter = mastodon(far)
        far.next(performed_not_answered())
        with pytest.raises(Uncertain):
            adapter.post(message(), attempt())
        found = adapter.find(message(), again())
        assert found is not None
        assert found.handle == far.effects[0].id


def test_the_same_words_under_another_post_are_another_post(
    far: MastodonServer, tried: MastodonAdapter
) -> None:
    first = tried.post(message(), attempt())
    reply = message(key="other", in_reply_to=first.handle)
    assert tried.find(reply, again()) is None
    second = tried.post(reply, attempt())
    assert tried.find(reply, again()) == second


def test_the_same_words_of_an_hour_ago_are_another_post(
    far: MastodonServer, tried: MastodonAdapter
) -> None:
    tried.post(message(), attempt())
    later = datetime.now(UTC) + timedelta(hours=1)
    assert tried.find(message(), attempt(number=2, at=later, first_tried_at=later)) is None


@pytest.mark.parametrize("others", [45, 300])  # so many a server takes in three hours
def test_a_post_is_found_behind_all_that_a_server_takes(
    far: MastodonServer, tried: MastodonAdapter, others: int
) -> None:
    wanted = tried.post(message(), attempt())
    _post_many(tried, others)
    assert tried.find(message(), again()) == wanted


def test_a_search_that_had_to_stop_says_so(far: MastodonServer, tried: MastodonAdapter) -> None:
    tried.post(message(), attempt())
    _post_many(tried, 401)
    with pytest.raises(Uncertain, match="so much since"):
        tried.find(message(), again())


def test_mastodons_html_reads_as_the_text_that_was_sent() -> None:
    # A status as Mastodon 4.3 returned it, with its shortened link.
    content = (
        "<p>Strömmen är borta &amp; montör på väg.<br />Se &lt;sidan&gt;:</p><p>"
        '<a href="https://drift.ekbyn.example/incidents/a7/" target="_blank" rel="nofollow noopener">'
        '<span class="invisible">https://</span><span class="ellipsis">drift.ekbyn.example/incidents/</span>'
        '<span class="invisible">a7/</span></a></p>'
    )
    assert text_of(content) == (
        "Strömmen är borta & montör på väg. Se <sidan>: https://drift.ekbyn.example/incidents/a7/"
    )


def _post_many(tried: MastodonAdapter, many: int) -> None:
    for n in range(many):
        tried.post(message(key=f"other-{n}", body=f"Annat besked {n}."), attempt())


# --------------------------------------------------------------------------------------------- probe, confirm, amend
def test_a_probe_brings_the_servers_limits() -> None:
    with MastodonServer(token=TOKEN, max_characters=1234, per_url=30) as far:
        probe = mastodon(far).probe(attempt())
    assert probe.limits == {"max_characters": 1234, "characters_reserved_per_url": 30}
    assert probe.sentence == "Token valid for @ekbyn, 1234 characters."


@pytest.mark.parametrize("said", [True, -1, 10**9, "500", None])
def test_an_absurd_limit_is_not_believed(
    far: MastodonServer, tried: MastodonAdapter, said: object
) -> None:
    instance = {
        "configuration": {"statuses": {"max_characters": said, "characters_reserved_per_url": 23}}
    }
    far.next(Fault("absurd", json_reply(instance)))
    assert tried.probe(attempt()).limits["max_characters"] == 500


@pytest.mark.parametrize("other", [{}, {"characters_reserved_per_url": "many"}])
def test_a_limit_that_is_missing_takes_no_other_with_it(
    far: MastodonServer, tried: MastodonAdapter, other: dict[str, object]
) -> None:
    instance = {"configuration": {"statuses": {"max_characters": 5000, **other}}}
    far.next(Fault("a server of its own kind", json_reply(instance)))
    limits = tried.probe(attempt()).limits
    assert limits == {"max_characters": 5000, "characters_reserved_per_url": 23}


def test_a_server_that_is_no_mastodon_is_not_good(
    far: MastodonServer, tried: MastodonAdapter
) -> None:
    far.next(answers(404), path="/api/v2/instance")
    probe = tried.probe(attempt())
    assert not probe.good
    assert "correct the url" in probe.sentence


def test_a_probe_with_a_bad_token_fails_as_a_post_would(far: MastodonServer) -> None:
    with pytest.raises(Permanent) as refused:
        mastodon(far, token="wrong-token").probe(attempt())
    assert refused.value.scope is Scope.CHANNEL


def test_a_post_is_confirmed_by_one_without_an_account(
    far: MastodonServer, tried: MastodonAdapter
) -> None:
    receipt = tried.post(message(), attempt())
    assert tried.confirm(receipt, attempt(), message())
    assert "authorization" not in far.requests[-1].headers
    tried.withdraw(message(target=receipt.handle), attempt())
    assert not tried.confirm(receipt, attempt(), message())


def test_a_private_post_is_confirmed_with_the_token(far: MastodonServer) -> None:
    adapter = mastodon(far, visibility="private")
    assert adapter.confirm(adapter.post(message(), attempt()), attempt(), message())
    assert "authorization" in far.requests[-1].headers


def test_a_handle_cannot_leave_its_path(far: MastodonServer, tried: MastodonAdapter) -> None:
    assert not tried.confirm(Receipt(handle="../../v2/instance"), attempt(), message())
    assert far.requests[-1].path == "/api/v1/statuses/..%2F..%2Fv2%2Finstance"


# --------------------------------------------------------------------------------------------------------- settings
@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "social.example"},
        {"visibility": "direct"},
        {"tokn": "x"},
        {"posts": 0},
        {"url": "https://u:p@a.example"},
    ],
)
def test_wrong_settings_are_refused_without_the_token(
    far: MastodonServer, wrong: dict[str, object]
) -> None:
    with pytest.raises(ValidationError) as refused:
        mastodon(far, **wrong)
    assert TOKEN not in str(refused.value)
