"""What a hub is told, and when, whatever becomes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from broadcaster.channel import Attempt, Board, Permanent, Revision, Transient
from broadcaster.testing.boards import NOW, board, context, minutes, planned_cut, power_cut
from broadcaster.testing.rig import Rig
from broadcaster.testing.servers import FarEnd, Reply, Request, answers
from channels.feed import FeedAdapter
from channels.websub import WebSubAdapter

ATTEMPT = Attempt(number=1, at=NOW, not_after=minutes(60), deadline=10)
ROOT = "https://drift.ekbyn.example/"
FORMS = ("feed.atom", "feed.json", "feed.rss")


class Hub(FarEnd):
    """Takes whatever it is told."""

    name = "hub"

    def answer(self, request: Request) -> Reply:
        return Reply(204)

    @property
    def topics(self) -> list[str]:
        return [topic for form in self.forms for topic in form["hub.topic"]]

    @property
    def forms(self) -> list[dict[str, list[str]]]:
        return [parse_qs(request.body.decode()) for request in self.requests]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


class Place:
    """A public directory with its feeds and the channel that tells the hub of them."""

    def __init__(self, folder: Path, hub: Hub, **settings: Any) -> None:
        made = context(public_directory=str(folder), name="feed")
        written: dict[str, Any] = {"kind": "feed", "hubs": [hub.url]}
        self.feed = FeedAdapter(FeedAdapter.Settings.model_validate(written), made)
        written = {"kind": "websub", "url": hub.url, **settings}
        self.websub = WebSubAdapter(
            WebSubAdapter.Settings.model_validate(written), replace(made, name="websub")
        )

    def publish(self, shown: Board) -> None:
        self.feed.show(shown, ATTEMPT)
        self.websub.show(replace(shown, since=self.websub.standing()), ATTEMPT)


@pytest.fixture
def place(tmp_path: Path, hub: Hub) -> Iterator[Place]:
    place = Place(tmp_path, hub)
    yield place
    place.feed.close()
    place.websub.close()


def addresses(*folders: str) -> list[str]:
    every = [f"{language}{folder}" for language in ("", "en/") for folder in folders]
    return sorted(f"{ROOT}{folder}{form}" for folder in every for form in FORMS)


def later(*keys: str) -> Board:
    """The next revision, which has touched these areas."""
    shown = board(power_cut(), planned_cut(), revision=Revision(1, 9))
    held = {key: shown.feeds[key] for key in ("", *keys)}
    return replace(shown, feeds=held, since=Revision(1, 4))


def test_the_hub_is_told_of_every_feed_that_changed_and_of_no_other(hub: Hub, place: Place) -> None:
    place.publish(board(power_cut(), planned_cut()))
    before = len(hub.topics)
    place.publish(later("sjovik"))
    assert sorted(hub.topics[before:]) == addresses("", "areas/sjovik/", "areas/0128/")
    assert place.websub.standing() == Revision(1, 9)


def test_it_is_told_in_the_words_that_hubs_know(hub: Hub, place: Place) -> None:
    place.publish(board(power_cut()))
    request = hub.requests[0]
    assert (request.method, request.headers["content-type"]) == (
        "POST",
        "application/x-www-form-urlencoded",
    )
    form = hub.forms[0]
    assert form["hub.mode"] == ["publish"]
    assert form["hub.url"] == form["hub.topic"] == [f"{ROOT}feed.atom"]


def test_a_hub_that_takes_lists_is_told_in_fewer_calls(hub: Hub, tmp_path: Path) -> None:
    Place(tmp_path, hub, together=100).publish(board(power_cut()))
    assert len(hub.requests) == 1
    assert sorted(hub.topics) == addresses("", "areas/norra-ekbyn/", "areas/0127/")


def test_a_restart_neither_forgets_nor_repeats(hub: Hub, tmp_path: Path, place: Place) -> None:
    place.publish(board(power_cut()))
    assert Place(tmp_path, hub).websub.standing() == place.websub.standing() == Revision(1, 3)


def test_of_another_hub_nothing_is_known(hub: Hub, tmp_path: Path, place: Place) -> None:
    place.publish(board(power_cut()))
    with Hub() as other:
        assert Place(tmp_path, other).websub.standing() is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"revision": 4}', b"\xff"])
def test_a_damaged_record_counts_as_none(damage: bytes, tmp_path: Path, place: Place) -> None:
    place.publish(board(power_cut()))
    (tmp_path / ".websub" / "websub.json").write_bytes(damage)
    assert place.websub.standing() is None


def test_without_a_record_it_is_told_of_what_is_new_lately_only(hub: Hub, place: Place) -> None:
    shown = board(power_cut(), planned_cut(), at=minutes(23 * 60))  # Sjövik heard 25 hours ago
    place.publish(shown)
    assert sorted(hub.topics) == addresses("", "areas/norra-ekbyn/", "areas/0127/")


def test_nothing_is_told_before_the_feeds_stand(hub: Hub, place: Place) -> None:
    place.feed.show(board(), ATTEMPT)
    brief = replace(ATTEMPT, deadline=0.3)
    with pytest.raises(Transient, match=r"feed has not shown revision 1\.3 yet"):
        place.websub.show(board(power_cut()), brief)
    assert hub.requests == []


def test_feeds_that_name_no_such_hub_are_said_to_the_operator(hub: Hub, tmp_path: Path) -> None:
    place = Place(tmp_path, hub)
    plain = FeedAdapter(FeedAdapter.Settings(kind="feed"), place.feed.context)
    plain.show(board(power_cut()), ATTEMPT)
    with pytest.raises(Transient, match="write its address in hubs of that channel"):
        place.websub.show(board(power_cut()), replace(ATTEMPT, deadline=0.3))
    assert hub.requests == []


def test_a_hub_that_fails_is_told_the_rest_in_the_next_try(hub: Hub, place: Place) -> None:
    shown = board(power_cut())
    place.feed.show(shown, ATTEMPT)
    hub.next(answers(202), answers(503))
    with pytest.raises(Transient):
        place.websub.show(shown, ATTEMPT)
    assert place.websub.standing() is None
    place.websub.show(shown, ATTEMPT)
    # All of them once, and once more the one that was refused.
    assert len(hub.requests) == len(addresses("", "areas/norra-ekbyn/", "areas/0127/")) + 1
    assert place.websub.standing() == Revision(1, 3)


def test_a_hub_that_refuses_us_is_told_so_in_status(hub: Hub, place: Place) -> None:
    place.feed.show(board(power_cut()), ATTEMPT)
    hub.next(answers(400, "no such topic"))
    with pytest.raises(Permanent) as refused:
        place.websub.show(board(power_cut()), ATTEMPT)
    assert refused.value.reply == "no such topic"


def test_its_host_is_named_so_that_a_drill_does_not_reach_it(hub: Hub, place: Place) -> None:
    assert place.websub.hosts() == ("127.0.0.1",)


def test_every_document_leads_to_the_hub(hub: Hub, tmp_path: Path, place: Place) -> None:
    place.feed.show(board(power_cut()), ATTEMPT)
    assert f'<link rel="hub" href="{hub.url}"/>' in (tmp_path / "feed.atom").read_text()
    assert f'<atom:link rel="hub" href="{hub.url}"/>' in (tmp_path / "feed.rss").read_text()
    written = json.loads((tmp_path / "en/feed.json").read_text())
    assert written["hubs"] == [{"type": "WebSub", "url": hub.url}]


def test_a_hub_that_is_away_holds_up_no_feed_and_is_told_when_it_is_back(tmp_path: Path) -> None:
    public = tmp_path / "public"
    with Hub() as hub:
        channels: dict[str, dict[str, Any]] = {
            "feed": {"kind": "feed", "hubs": [hub.url], "confirm": False},
            "hub": {"kind": "websub", "url": hub.url},  # named by no route
        }
        hub.stop()
        routes = [{"severity": "minor", "channels": ["feed"]}]
        with Rig(tmp_path, channels, routes=routes) as rig:
            rig.say("Strömmen är borta.")
            rig.accepted("feed")
            assert (public / "feed.atom").exists()
            assert rig.lane("hub").shown is None
            hub.start()
            rig.until(lambda: rig.lane("hub").shown == rig.lane("feed").shown)
            assert hub.topics
            assert [each["channel"] for each in rig.deliveries()] == ["feed"]
