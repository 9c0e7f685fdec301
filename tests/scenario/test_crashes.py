"""Killed again and again, at random times and at every named point: nothing accepted is lost, nothing comes twice."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcaster.engine.blast import AHEAD
from broadcaster.store import Store
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.crashing import POINTS, Lives, Order
from broadcaster.testing.peers import PostgresServer
from broadcaster.testing.rig import configuration, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import (
    MastodonServer,
    SmsGateway,
    WebhookReceiver,
    late,
    performed_not_answered,
)
from broadcaster.testing.verdict import (
    after_taken_back,
    arrivals,
    duplicates,
    lost,
    not_followed,
    out_of_order,
)

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(3600)]
SOAK = bool(os.environ.get("SOAK"))
INCIDENTS = 60 if SOAK else 8
RANDOM_KILLS = 400 if SOAK else 10
ROUNDS = 12 if SOAK else 1
READERS = 120
DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.real("postgresql"))]


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


@pytest.fixture(params=DATABASES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/broadcaster.db"
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    url = server.database()
    yield url
    server.drop(url)


def plan(dice: random.Random, names: list[str]) -> list[dict[str, Any]]:
    """The lives: each point some times, early and later, and kills by the clock between them."""
    lives: list[dict[str, Any]] = [
        {"point": name, "count": dice.randint(1, 6), "seconds": 2.0} for name in names * ROUNDS
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
            for life in plan(dice, [name for name in POINTS if other not in name]):
                lives.live(said, **life)
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
    assert lost(told, posts) == [], what
    assert lost(told, hooks) == [], what
    assert lost(told, letters, numbers(READERS), flagged) == [], what
    assert not_followed(told, posts) == not_followed(told, hooks) == [], what
    assert not_followed(told, letters, flagged) == [], what
    # A post has a handle, a webhook its id: no reader sees them twice. Letters are repeated only where life
    # depends on them, and then at most what was in flight.
    assert duplicates(posts) == duplicates(hooks) == {}, what
    extreme = {one.label for one in told if one.severity == "extreme"}
    twice = duplicates(letters)
    assert set(twice) <= extreme, what
    assert sum(twice.values()) <= lives.kills * min(AHEAD, READERS), what
    for came in (posts, hooks, letters):
        assert out_of_order(told, came) == [], what
        assert after_taken_back(told, came) == [], what


def _flagged(final: list[dict[str, Any]], labels: dict[tuple[str, int], str]) -> dict[str, int]:
    """How many letters of a label the client was told to be uncertain about."""
    return {
        labels[row["incident"], row["update"]]: row["counts"]["uncertain"]
        for row in final
        if row["channel"] == "sms" and (row["incident"], row["update"]) in labels
    }
