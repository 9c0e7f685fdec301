"""The feeds as a channel of their own beside the page, in the same directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from broadcaster.channel import Attempt, Revision
from broadcaster.public.answer import answer
from broadcaster.public.site import Site
from broadcaster.testing.boards import (
    NOW,
    board,
    context,
    minutes,
    planned_cut,
    power_cut,
    states,
)
from channels.feed import FeedAdapter

ATTEMPT = Attempt(number=1, at=NOW, not_after=minutes(60), deadline=10)


def adapter(public: Path) -> FeedAdapter:
    made = context(public_directory=str(public), name="feed")
    return FeedAdapter(FeedAdapter.Settings(kind="feed"), made)


def test_what_was_shown_stands_also_for_the_next_start(tmp_path: Path) -> None:
    feed = adapter(tmp_path)
    assert feed.standing() is None
    receipt = feed.show(states()["one"], ATTEMPT)
    assert (receipt.handle, receipt.url) == ("1.3", "https://drift.ekbyn.example/feed.json")
    assert feed.standing() == adapter(tmp_path).standing() == Revision(1, 3)
    assert {path.name for path in tmp_path.glob("feed.*")} >= {"feed.rss", "feed.atom", "feed.json"}


def test_who_follows_an_area_where_nothing_happened_is_answered_304(tmp_path: Path) -> None:
    feed, site = adapter(tmp_path), Site(tmp_path)
    feed.show(board(power_cut(), planned_cut()), ATTEMPT)
    site.look()
    untouched = [path for path in site.table if "sjovik" in path or path.endswith(".ics")]
    assert len(untouched) > 10
    nothing: dict[str, str] = {}
    known = {
        path: dict(answer(site.table, "GET", path, nothing.get, 0.0).headers) for path in untouched
    }
    newer = board(power_cut(), planned_cut(), revision=Revision(1, 9), since=Revision(1, 4))
    held = {key: newer.feeds[key] for key in ("", "norra-ekbyn")}
    feed.show(replace(newer, feeds=held), ATTEMPT)
    site.look()
    for path, headers in known.items():
        for asked in (
            {"if-none-match": headers["etag"]},
            {"if-modified-since": headers["last-modified"]},
        ):
            assert answer(site.table, "GET", path, asked.get, 0.0).status == 304, path


def test_the_revision_is_found_within_what_a_look_reads(tmp_path: Path) -> None:
    feed = adapter(tmp_path)
    feed.show(board(power_cut()), ATTEMPT)
    found = feed.mark.search((tmp_path / "feed.json").read_bytes()[:65536])
    assert found is not None
    assert found[1] == b"1.3"
