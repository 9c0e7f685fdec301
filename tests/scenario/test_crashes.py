"""Killed again and again, at random times and at every named point: nothing accepted is lost, nothing comes twice."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from broadcaster.engine.blast import AHEAD
from broadcaster.store import Store
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.crashing import Lives, Order
from broadcaster.testing.crashpoints import POINTS
from broadcaster.testing.history import arrivals, duplicates, judge
from broadcaster.testing.rig import configuration, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import (
    MastodonServer,
    SmsGateway,
    WebhookReceiver,
    late,
    performed_not_answered,
)

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(3600)]
SOAK = bool(os.environ.get("SOAK"))
INCIDENTS = 60 if SOAK else 8
RANDOM_KILLS = 400 if SOAK else 6
ROUNDS = 12 if SOAK else 1
READERS = 120


def orders() -> list[Order]:
    """Each update milder than the one before, so that none supersedes another; one corrected, one retracted."""
    said = []
    for number in range(1, INCIDENTS + 1):
        first = f"i{number}u1"
        severities = (
            ["severe", "moderate", "minor"] if number % 2 else ["extreme", "severe", "minor"]
        )
        said += [
            Order(first, "report", severities[0]),
            Order(f"i{number}u2", "update", severities[1], first),
            Order(f"i{number}u3", "correction", severities[1], first, f"i{number}u2"),
            Order(f"i{number}u4", "update", severities[2], first),
            Order(f"i{number}u5", "retraction", severities[2], first, f"i{number}u4"),
        ]
    return said


def plan(dice: random.Random, names: list[str]) -> list[dict[str, Any]]:
    """The lives: each point, soon or a little later, and kills by the clock between them."""
    lives: list[dict[str, Any]] = [
        {"point": name, "count": dice.randint(1, 3), "seconds": 1.5} for name in names * ROUNDS
    ]
    # After a post is made and before it is written down is where duplicates are born.
    lives += [
        {"point": "post made, nothing written", "count": count, "seconds": 1.5}
        for count in (1, 2, 3, 4) * ROUNDS
    ]
    lives += [{"seconds": dice.uniform(0.25, 1.2)} for _ in range(RANDOM_KILLS)]
    dice.shuffle(lives)
    return lives


def test_killed_again_and_again_nothing_is_lost_and_nothing_comes_twice(
    store_url: str, tmp_path: Path
) -> None:
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    other = "PostgreSQL" if store_url.startswith("sqlite") else "SQLite"
    with (
        MastodonServer() as social,
        WebhookReceiver() as hook,
        SmsGateway(preset="kannel") as phones,
    ):
        social.always(performed_not_answered(), method="POST", every=7)
        hook.always(performed_not_answered(), method="POST", every=5)
        phones.always(late(0.02), every=3)
        channels = {"social": mastodon(social), "hook": webhook(hook), "sms": sms(phones)}
        store = Store(store_url, KEY)
        subscribe(store, "sms", numbers(READERS))
        store.close()
        said = orders()
        with Lives(tmp_path, configuration(tmp_path, channels, url=store_url)) as lives:
            planned = plan(dice, [name for name in POINTS if other not in name])
            for number, life in enumerate(planned, start=1):
                # In every life there is something new to say, down to the last.
                lives.live(said[: number * len(said) // len(planned)], **life)
            ending = lives.live(said, seconds=120.0, to_the_end=True)
        told, final = lives.told(), lives.final() if ending == "ended" else []
        posts = arrivals(list(social.effects), "status")
        hooks = arrivals(list(hook.effects), "webhook")
        letters = arrivals(list(phones.effects), "sms")
    what = f"seed {seed}, {lives.kills} kills, {len(told)} told, log {lives.log}"
    assert ending == "ended", what
    assert "failed" not in lives.endings, what
    assert lives.kills >= 25
    assert [one.label for one in told] == [order.label for order in said], what

    flagged = _flagged(final, {(one.incident, one.number): one.label for one in told})
    # A post has a handle, a webhook its id: no reader sees them twice. Letters are repeated only where life
    # depends on them, and then at most what was in flight.
    assert judge(told, posts) == judge(told, hooks) == [], what
    most = lives.kills * min(AHEAD, READERS)
    assert judge(told, letters, readers=numbers(READERS), flagged=flagged, in_flight=most) == []
    extreme = {one.label for one in told if one.severity == "extreme"}
    assert set(duplicates(letters)) <= extreme, what


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
    assert lives.endings == ["killed at its point"] * len(said) + ["ended"], ending
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
    assert ending == "ended"
    flagged = _flagged(final, {(one.incident, one.number): one.label for one in told})
    assert flagged["i1u1"] == 0
    assert judge(told, letters, readers=numbers(20), flagged=flagged, in_flight=40) == []
    assert set(duplicates(letters)) == {"i1u1"}
