"""Bluesky by its real server: judged by what anybody can read in the account's repository, and by its revision."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import Kind, Mode, Permanent, Scope, Transient, Uncertain
from broadcaster.domain.delivery import State
from broadcaster.domain.text import grapheme_length
from broadcaster.testing.faultproxy import ANSWER, RESET, FaultProxy, strike
from broadcaster.testing.notices import again, attempt, context, message, notice
from broadcaster.testing.pds import Account, PdsServer
from broadcaster.testing.rig import Rig
from channels.bluesky import BlueskyAdapter
from channels.bluesky.arrangement import measure
from channels.bluesky.records import record_key

pytestmark = pytest.mark.real("pds")
_NAMES = count(1)
FAMILY = "👩‍👩‍👧"


@pytest.fixture(scope="module")
def pds() -> Iterator[PdsServer]:
    with PdsServer() as server:
        yield server


@pytest.fixture
def account(pds: PdsServer) -> Account:
    return pds.account(f"ekbyn{next(_NAMES)}")


def block(account: Account, url: str, **written: Any) -> dict[str, Any]:
    words = {"account": account.handle, "password": account.app_password}
    return {"kind": "bluesky", "url": url, **words, **written}


def bluesky(account: Account, url: str, **written: Any) -> BlueskyAdapter:
    settings = BlueskyAdapter.Settings.model_validate(block(account, url, **written))
    return BlueskyAdapter(settings, context())


@pytest.fixture
def tried(pds: PdsServer, account: Account) -> Iterator[BlueskyAdapter]:
    adapter = bluesky(account, pds.url)
    yield adapter
    adapter.close()


# --------------------------------------------------------------------------------------------------- what is published
def test_a_post_is_there_for_everybody_with_its_language_and_its_link(
    pds: PdsServer, account: Account, tried: BlueskyAdapter
) -> None:
    link = "https://drift.ekbyn.example/å/"
    receipt = tried.post(message(body=f"Åter {FAMILY}: {link}."), attempt())
    [(uri, post)] = pds.posts(account).items()
    assert uri == f"at://{account.did}/app.bsky.feed.post/{record_key(message().key)}"
    assert receipt.handle == f"{uri} {post['cid']}"
    assert (post["text"], post["langs"]) == (f"Åter {FAMILY}: {link}.", ["sv"])
    [facet] = post["facets"]
    begin, end = facet["index"]["byteStart"], facet["index"]["byteEnd"]
    assert post["text"].encode()[begin:end].decode() == link == facet["features"][0]["uri"]


def test_a_broken_link_is_text_and_the_post_is_taken(
    pds: PdsServer, account: Account, tried: BlueskyAdapter
) -> None:
    tried.post(message(body="Se https://... eller (http://)."), attempt())
    [post] = pds.posts(account).values()
    assert "facets" not in post


def test_the_same_again_changes_nothing_at_all(
    pds: PdsServer, account: Account, tried: BlueskyAdapter
) -> None:
    first = tried.post(message(), attempt())
    revision = pds.revision(account)
    assert tried.post(message(), again(at=attempt().not_after)) == first
    assert pds.revision(account) == revision
    tried.post(message(key="another"), attempt())
    assert pds.revision(account) != revision  # so that what did not change could have


def test_eight_at_once_under_one_key_are_one_post(
    pds: PdsServer, account: Account, tried: BlueskyAdapter
) -> None:
    with ThreadPoolExecutor(8) as pool:
        receipts = set(pool.map(lambda _: tried.post(message(), attempt(deadline=30)), range(8)))
    assert len(pds.posts(account)) == len(receipts) == 1


def test_a_post_whose_answer_was_lost_is_found_and_goes_out_once(
    pds: PdsServer, account: Account
) -> None:
    with FaultProxy(pds.port) as proxy:
        adapter = bluesky(account, proxy.url)
        adapter.probe(attempt())
        proxy.trouble = strike(ANSWER, at=1, by=RESET)
        with pytest.raises(Uncertain, match="may have arrived"):
            adapter.post(message(), attempt())
        proxy.trouble = None
        found = adapter.find(message(), again())
        assert found is not None
        assert adapter.post(message(), again()) == found
        assert adapter.find(message(key="never-sent"), again()) is None
        adapter.close()
    assert pds.texts(account) == [message().body]


def test_a_thread_hangs_together_by_root_and_parent(
    pds: PdsServer, account: Account, tried: BlueskyAdapter
) -> None:
    drill = notice(mode=Mode.DRILL, mode_label="ÖVNING", text="Montör är på väg dit. " * 40)
    handle, refs = "", []
    for n, text in enumerate(tried.render(drill, {}).texts):
        said = message(key=f"key-{n}", body=text.body, in_reply_to=handle)
        handle = tried.post(said, attempt()).handle
        refs.append(dict(zip(("uri", "cid"), handle.split()[:2], strict=True)))
    posts = pds.posts(account)
    assert len(refs) >= 3
    assert all(post["text"].startswith("ÖVNING: ") for post in posts.values())
    for parent, ref in pairwise(refs):
        assert posts[ref["uri"]]["reply"] == {"root": refs[0], "parent": parent}
        assert posts[parent["uri"]]["cid"] == parent["cid"]


LETTERS = {
    "plain": "a",
    "Swedish": "å",
    "newlines": "a\n",
    "combined": "e\u0301",
    "flags": "🇸🇪",
    "keycaps": "1️⃣",
    "Devanagari": "क्षि",
    "Thai": "กำ",
    "Korean": "한",
}


@pytest.mark.parametrize("name", LETTERS)
def test_as_many_letters_fit_as_we_count(
    pds: PdsServer, account: Account, tried: BlueskyAdapter, name: str
) -> None:
    half = LETTERS[name] * 150
    fits = half + "b" * (300 - grapheme_length(half))
    assert measure(fits) == 300
    tried.post(message(body=fits), attempt())
    with pytest.raises(Permanent, match=r"maximum 300, got 301") as refused:
        tried.post(message(key="more", body=fits + "b"), attempt())
    assert refused.value.scope is Scope.MESSAGE
    assert pds.texts(account) == [fits]


def test_three_thousand_bytes_fit_and_one_more_is_refused(
    pds: PdsServer, account: Account, tried: BlueskyAdapter
) -> None:
    families = FAMILY * 166 + "b" * 12
    assert len(families.encode()) == 3000
    assert measure(families) == 300
    tried.post(message(body=families), attempt())
    assert measure(families + "b") == 301
    with pytest.raises(Permanent, match="maximum 3000, got 3001"):
        tried.post(message(key="more", body=families + "b"), attempt())
    assert pds.texts(account) == [families]


# ------------------------------------------------------------------------------------------------ seen, changed, removed
def test_what_is_withdrawn_is_gone_and_gone_counts_as_withdrawn(
    pds: PdsServer, account: Account, tried: BlueskyAdapter
) -> None:
    receipt = tried.post(message(), attempt())
    assert tried.confirm(receipt, attempt(), message())
    for _ in range(2):
        tried.withdraw(message(target=receipt.handle), attempt())
        assert pds.posts(account) == {}
    assert not tried.confirm(receipt, attempt(), message())


def test_a_text_that_somebody_changed_is_seen_and_not_written_over(
    pds: PdsServer, account: Account, tried: BlueskyAdapter
) -> None:
    receipt = tried.post(message(), attempt())
    pds.write(account, record_key(message().key), "Allt är bra.")
    for look in (message(), None):
        with pytest.raises(Permanent, match="Another text than ours"):
            tried.confirm(receipt, attempt(), look)
    assert tried.find(message(), again()) is None
    with pytest.raises(Permanent, match="Another text than ours"):
        tried.post(message(), again())
    assert pds.texts(account) == ["Allt är bra."]


def test_a_post_that_a_moderator_took_down_is_neither_confirmed_nor_repeated(
    pds: PdsServer, account: Account, tried: BlueskyAdapter
) -> None:
    receipt = tried.post(message(), attempt())
    uri, cid = receipt.handle.split()
    pds.take_down({"$type": "com.atproto.repo.strongRef", "uri": uri, "cid": cid})
    assert not tried.confirm(receipt, attempt(), message())
    with pytest.raises(Permanent, match="shows it to nobody"):
        tried.post(message(), again(at=attempt().not_after))


# --------------------------------------------------------------------------------------------------------- sessions
def test_a_token_whose_time_has_passed_is_renewed_within_the_call(
    pds: PdsServer, account: Account, tried: BlueskyAdapter
) -> None:
    tried.probe(attempt())
    held = tried._session._tokens
    assert held is not None
    old = replace(held, access=pds.expired(held.access))
    assert pds.ask("com.atproto.server.getSession", access=f"Bearer {old.access}")[0] == 400
    tried._session._tokens = old
    tried.post(message(), attempt())
    assert pds.texts(account) == [message().body]
    assert tried._session._tokens != old
    # The old one for renewing is used up; with neither left it logs in.
    tried._session._tokens = replace(old, refresh=pds.expired(old.refresh))
    tried.post(message(key="second"), attempt())
    assert len(pds.posts(account)) == 2


def test_a_revoked_password_parks_the_channel(
    pds: PdsServer, account: Account, tried: BlueskyAdapter
) -> None:
    tried.probe(attempt())
    pds.revoke(account)
    held = tried._session._tokens
    assert held is not None
    tried._session._tokens = replace(held, access=pds.expired(held.access))
    for act in (tried.probe, lambda now: tried.post(message(), now)):
        with pytest.raises(Permanent, match="refuses our account or its app password") as refused:
            act(attempt())
        assert refused.value.scope is Scope.CHANNEL
        assert "Invalid identifier or password" in refused.value.sentence
    assert pds.posts(account) == {}


def test_an_account_that_nobody_has_parks_the_channel(pds: PdsServer, account: Account) -> None:
    stranger = bluesky(replace(account, handle="ingen.test"), pds.url)
    with pytest.raises(Permanent, match="refuses our account") as refused:
        stranger.post(message(), attempt())
    assert refused.value.scope is Scope.CHANNEL
    with pytest.raises(Uncertain):  # it asks the network, which is not here
        stranger.find(message(), again())


@pytest.mark.parametrize("how", ["by its owner", "by a moderator"])
def test_a_closed_account_parks_the_channel(
    pds: PdsServer, account: Account, tried: BlueskyAdapter, how: str
) -> None:
    tried.probe(attempt())
    if how == "by its owner":
        pds.deactivate(account)
    else:
        pds.take_down({"$type": "com.atproto.admin.defs#repoRef", "did": account.did})
    probe = tried.probe(attempt())
    assert not probe.good
    assert f"@{account.handle}: " in probe.sentence
    with pytest.raises(Permanent, match="has closed this account") as refused:
        tried.post(message(), attempt())
    assert refused.value.scope is Scope.CHANNEL


@pytest.mark.slow  # thirty passwords are checked, each with care
def test_logins_that_were_too_many_are_waited_for() -> None:
    with PdsServer(limits=True) as strict:
        account = strict.account("ekbyn")
        for _ in range(30):
            bluesky(account, strict.url).probe(attempt())
        late = bluesky(account, strict.url)
        with pytest.raises(Transient, match="asks us to wait") as failure:
            late.post(message(), attempt())
        assert failure.value.retry_after is not None
        assert 0 < failure.value.retry_after <= 300


# ----------------------------------------------------------------------------------------- by the whole broadcaster
@pytest.mark.parametrize("own_process", [False, True], ids=["in the daemon", "own process"])
def test_one_incident_from_report_to_all_clear(
    pds: PdsServer, account: Account, tmp_path: Path, own_process: bool
) -> None:
    """Judged by what the account shows after each command."""
    with Rig(tmp_path, {"sky": block(account, pds.url, own_process=own_process)}) as rig:
        rig.say("Montör är på väg.")
        rig.reached(State.CONFIRMED, channel="sky")
        [first] = pds.posts(account)
        rig.say("Södra Ekbyn är utan ström.", kind=Kind.UPDATE)
        rig.accepted("sky", 2)
        rig.say("Det är Norra Ekbyn.", kind=Kind.CORRECTION, number=2)
        rig.accepted("sky", 3)
        texts = pds.texts(account)
        assert [("DEMO" in text, "kind" in text) for text in texts] == [(True, False)] * 3
        assert "Det är Norra Ekbyn." in texts[2]
        replies = [post["reply"] for post in pds.posts(account).values() if "reply" in post]
        assert len(replies) == 2
        assert {reply["root"]["uri"] for reply in replies} == {first}
        rig.say("Allt var fel.", kind=Kind.RETRACTION, number=1, whole=True)
        rig.accepted("sky", 4)
        [last] = pds.texts(account)
        assert "Allt var fel." in last
        assert rig.delivery("sky", 4)["attempts"] == 1


def test_a_word_whose_answer_was_lost_goes_out_once(
    pds: PdsServer, account: Account, tmp_path: Path
) -> None:
    with FaultProxy(pds.port) as proxy, Rig(tmp_path, {"sky": block(account, proxy.url)}) as rig:
        rig.say("Montör är på väg.")
        rig.reached(State.CONFIRMED, channel="sky")
        proxy.trouble = strike(ANSWER, at=1, by=RESET)
        rig.say("Södra Ekbyn är utan ström.", kind=Kind.UPDATE)
        rig.reached(State.UNCERTAIN, channel="sky", number=2)
        assert len(pds.posts(account)) == 2
        proxy.trouble = None
        rig.wake()
        rig.reached(State.CONFIRMED, channel="sky", number=2)
        rig.say("Allt är klart.", kind=Kind.RESTORED)
        rig.reached(State.CONFIRMED, channel="sky", number=3)
    assert len(pds.posts(account)) == 3
    [first, *rest] = sorted(pds.posts(account).values(), key=lambda post: str(post["createdAt"]))
    assert [post["reply"]["root"]["cid"] for post in rest] == [first["cid"]] * 2
