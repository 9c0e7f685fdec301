"""The feeds as a channel of their own beside the page, in the same directory."""

from __future__ import annotations

from pathlib import Path

from broadcaster.channel import Attempt, Revision
from broadcaster.testing.boards import NOW, board, context, minutes, power_cut, states
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


def test_the_revision_is_found_within_what_a_look_reads(tmp_path: Path) -> None:
    feed = adapter(tmp_path)
    feed.show(board(power_cut()), ATTEMPT)
    found = feed.mark.search((tmp_path / "feed.json").read_bytes()[:65536])
    assert found is not None
    assert found[1] == b"1.3"
