"""Killed where it hurts most: a post or a letter that is out and not written down; and a product broken on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from broadcaster.daemon import offline
from broadcaster.store import Store
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.crashing import Order
from broadcaster.testing.history import STOP_SECONDS, Rule, arrivals, duplicates, judge
from broadcaster.testing.lives import ENDED, KILLED_AT_ITS_POINT, Lives
from broadcaster.testing.published import judge_looks, look, shown
from broadcaster.testing.rig import configuration, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import FarEnd, MastodonServer, SmsGateway, WebhookReceiver

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(3600)]


def _flagged(final: list[dict[str, Any]], labels: dict[tuple[str, int], str]) -> dict[str, int]:
    """How many letters of a label the client was told to be uncertain about."""
    return {
        labels[row["incident"], row["update"]]: row["counts"]["uncertain"]
        for row in final
        if row["channel"] == "sms" and (row["incident"], row["update"]) in labels
    }


def test_a_post_made_and_not_written_down_is_found_and_not_made_again(tmp_path: Path) -> None:
    said = [Order(f"i{number}u1", "report", "severe") for number in range(1, 7)]
    with MastodonServer(honours_idempotency=False) as social:
        document = configuration(tmp_path, {"social": mastodon(social)})
        with Lives(tmp_path, document) as lives:
            for number in range(1, len(said) + 1):
                lives.live(said[:number], seconds=30.0, point="post made, nothing written")
            ending = lives.live(said, seconds=60.0, to_the_end=True)
        posts = arrivals(list(social.effects), "status")
        told = lives.told()
    hows = [death.how for death in lives.deaths]
    assert hows == [KILLED_AT_ITS_POINT] * len(said) + [ENDED], ending
    assert judge(told, posts) == []


def test_a_letter_sent_and_not_written_down_is_sent_again_only_where_life_depends_on_it(
    tmp_path: Path,
) -> None:
    with SmsGateway(preset="kannel") as phones:
        document = configuration(tmp_path, {"sms": sms(phones)})
        store = Store(document["store"]["url"], KEY)
        subscribe(store, "sms", numbers(20))
        store.close()
        said = [Order("i1u1", "report", "extreme"), Order("i2u1", "report", "severe")]
        with Lives(tmp_path, document) as lives:
            for number in (1, 2):
                lives.live(said[:number], seconds=30.0, point="letters about to be flushed")
            ending = lives.live(said, seconds=60.0, to_the_end=True)
        letters = arrivals(list(phones.effects), "sms")
        told, final = lives.told(), lives.final()
    assert ending.how == ENDED
    flagged = _flagged(final, {(one.incident, one.number): one.label for one in told})
    assert flagged["i1u1"] == 0
    assert judge(told, letters, readers=numbers(20), flagged=flagged, in_flight=40) == []
    assert set(duplicates(letters)) == {"i1u1"}


# ---------------------------------------------------------------------------------------------- broken on purpose
LAST = 60.0


FIRST = Order("i1u1", "report", "severe")
SECOND = Order("i1u2", "update", "moderate", "i1u1")
TAKEN_BACK = Order("i1u2", "retraction", "severe", "i1u1", "i1u1")


def rules(run: Lives, far: FarEnd, kind: str, readers: list[str]) -> set[Rule]:
    """What the checker says after a last life that ended by itself."""
    assert run.deaths[-1].how == ENDED, run.log.read_text("utf-8")[-2000:]
    came = arrivals(list(far.effects), kind)
    return {one.rule for one in judge(run.told(), came, readers=readers)}


@pytest.mark.parametrize(
    ("broken", "point"),
    [
        ("answered and never committed", "answered, not heard"),
        ("outcome written before the call", "post about to be made"),
    ],
)
def test_what_is_lost_by_a_broken_product_is_noticed(
    broken: str, point: str, tmp_path: Path
) -> None:
    with WebhookReceiver() as hook:
        document = configuration(tmp_path, {"hook": webhook(hook)})
        with Lives(tmp_path, document) as run:
            count = 2 if broken.startswith("answered") else 1
            orders = [FIRST, Order("i2u1", "report", "minor")]
            run.live(orders, seconds=LAST, point=point, count=count, sabotage=broken)
            run.live(orders, seconds=LAST, to_the_end=True)
        assert rules(run, hook, "webhook", [""]) == {Rule.LOST}


def test_a_watermark_that_is_not_written_is_noticed(tmp_path: Path) -> None:
    with SmsGateway(preset="kannel") as phones:
        document = configuration(tmp_path, {"sms": sms(phones)})
        store = Store(document["store"]["url"], KEY)
        subscribe(store, "sms", numbers(20))
        store.close()
        point, broken = "letters about to be flushed", "watermark not written"
        with Lives(tmp_path, document) as run:
            run.live([FIRST], seconds=LAST, point=point, sabotage=broken)
            run.live([FIRST], seconds=LAST, to_the_end=True)
        assert rules(run, phones, "sms", numbers(20)) == {Rule.DUPLICATE}


def test_a_post_in_doubt_that_is_not_looked_for_is_noticed(tmp_path: Path) -> None:
    with MastodonServer(honours_idempotency=False) as social:
        document = configuration(tmp_path, {"social": mastodon(social)})
        broken = "what is in doubt counts as not made"
        with Lives(tmp_path, document) as run:
            died = run.live([FIRST], seconds=LAST, point="post made, nothing written")
            assert died.how == KILLED_AT_ITS_POINT
            run.live([FIRST], seconds=LAST, to_the_end=True, sabotage=broken)
        assert rules(run, social, "status", [""]) == {Rule.DUPLICATE}


def until_told(run: Lives, orders: list[Order], sabotage: str = "") -> None:
    """Live until the client was told of everything, with far ends that cannot be reached."""
    for _ in range(10):
        run.live(orders, seconds=2.5, sabotage=sabotage)
        if len(run.told()) == len(orders):
            return
    raise TimeoutError(run.log.read_text("utf-8")[-2000:])


def test_words_that_overtake_each_other_are_noticed(tmp_path: Path) -> None:
    with WebhookReceiver() as hook:
        document = configuration(tmp_path, {"hook": webhook(hook)})
        with Lives(tmp_path, document) as run:
            hook.stop()
            until_told(run, [FIRST, SECOND])
            hook.start()
            run.live([FIRST, SECOND], seconds=LAST, to_the_end=True, sabotage="newest first")
        assert rules(run, hook, "webhook", [""]) == {Rule.OUT_OF_ORDER}


def test_a_retraction_that_stops_nothing_is_noticed(tmp_path: Path) -> None:
    said = [FIRST, TAKEN_BACK]
    with WebhookReceiver() as hook:
        document = configuration(tmp_path, {"hook": webhook(hook)})
        with Lives(tmp_path, document) as run:
            hook.stop()
            until_told(run, said, "retraction stops nothing")
            run.live(said, seconds=STOP_SECONDS + 0.5)
            hook.start()
            run.live(said, seconds=LAST, to_the_end=True)
        # Whether the retraction finds a reader to follow depends on how far the wrong word was when it came.
        found = rules(run, hook, "webhook", [""])
        assert Rule.AFTER_RETRACTION in found
        assert found <= {Rule.AFTER_RETRACTION, Rule.LOST}


def test_a_body_that_is_there_before_its_manifest_is_noticed(tmp_path: Path) -> None:
    document = configuration(tmp_path, {"page": {"kind": "page"}})
    point, broken = "manifest about to be staged", "bodies before the manifest"
    with Lives(tmp_path, document) as run:
        run.live([FIRST], seconds=LAST, to_the_end=True)
        before = look(tmp_path / "public", "page")
        assert run.live([FIRST, SECOND], seconds=LAST, point=point, sabotage=broken).was_killed
        after = look(tmp_path / "public", "page")
    assert judge_looks(run.told(), [before]) == []
    assert {one.rule for one in judge_looks(run.told(), [before, after])} == {Rule.TORN}


def test_what_is_published_must_not_fall_back_nor_stay_behind(tmp_path: Path) -> None:
    document = configuration(tmp_path, {"page": {"kind": "page"}})
    public = tmp_path / "public"
    with Lives(tmp_path, document) as run:
        run.live([FIRST], seconds=LAST, to_the_end=True)
        first = look(public, "page")
        showed = shown(public, first, "index.html")
        run.live([FIRST, SECOND], seconds=LAST, to_the_end=True)
        second = look(public, "page")
    told = run.told()
    assert judge_looks(told, [first, second], shown(public, second, "index.html")) == []
    assert {one.rule for one in judge_looks(told, [second, first])} == {Rule.BACKWARDS}
    assert {one.rule for one in judge_looks(told, [first], showed)} == {Rule.STALE}


def test_a_chain_of_seals_that_holds_nothing_is_noticed(tmp_path: Path) -> None:
    with WebhookReceiver() as hook:
        document = configuration(
            tmp_path, {"hook": webhook(hook)}, audit_head=str(tmp_path / "head")
        )
        with Lives(tmp_path, document) as run:
            broken = "seals that chain nothing"
            point = "head exported"
            assert run.live([FIRST], seconds=LAST, point=point, sabotage=broken).was_killed
            assert offline.verify_audit(run.config) != []
