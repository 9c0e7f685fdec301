"""CAP as a channel beside page and feed: written once, kept for ever, seen from outside, found by readers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import feedparser
import feedparser_sgmllib
import pytest
from lxml import etree
from reader import make_reader

from broadcaster.bundle.paths import check_path
from broadcaster.channel import (
    Attempt,
    Board,
    CanConfirm,
    CanProbe,
    Kind,
    Permanent,
    Receipt,
    Revision,
    Transient,
)
from broadcaster.domain.board import Struck
from broadcaster.public.answer import answer
from broadcaster.public.site import Site
from broadcaster.testing.boards import (
    NOW,
    board,
    context,
    corrected_cut,
    minutes,
    planned_cut,
    power_cut,
    restored_cut,
    states,
    update,
    water_leak,
)
from broadcaster.testing.ports import free_port
from channels.cap import CapAdapter, checks
from channels.cap.documents import MEDIA_TYPE
from channels.feed import FeedAdapter
from channels.page import PageAdapter

ATTEMPT = Attempt(number=1, at=NOW, not_after=minutes(60), deadline=10)
ReaderOf = Callable[[Path], Any]


def adapter(public: Path, **changes: Any) -> CapAdapter:
    made = context(public_directory=str(public), name="cap", **changes)
    return CapAdapter(CapAdapter.Settings(kind="cap"), made)


def bodies(public: Path) -> dict[str, bytes]:
    return {str(p.relative_to(public)): p.read_bytes() for p in public.glob("cap/*/[!.]*.xml")}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


# ------------------------------------------------------------------------------------------------------------ the board
def test_what_was_shown_stands_also_for_the_next_start(tmp_path: Path) -> None:
    cap = adapter(tmp_path)
    assert cap.standing() is None
    receipt = cap.show(states()["one"], ATTEMPT)
    assert (receipt.handle, receipt.url) == ("1.3", "https://drift.ekbyn.example/cap.atom")
    assert cap.standing() == adapter(tmp_path).standing() == Revision(1, 3)
    assert set(bodies(tmp_path)) == {f"cap/a7/a7-{n}-1.{n}.xml" for n in (1, 2, 3)}


def test_page_feed_and_cap_share_a_directory_and_no_file(tmp_path: Path) -> None:
    shown = states()["three"]
    page = PageAdapter(
        PageAdapter.Settings(kind="page"), context(public_directory=str(tmp_path), name="page")
    )
    feed = FeedAdapter(
        FeedAdapter.Settings(kind="feed"), context(public_directory=str(tmp_path), name="feed")
    )
    written = [{f.path for f in each.files(shown)} for each in (adapter(tmp_path), page, feed)]
    assert not written[0] & (written[1] | written[2])
    assert all(check_path(path) for path in written[0])


def test_the_public_server_says_what_it_is(tmp_path: Path) -> None:
    adapter(tmp_path).show(states()["one"], ATTEMPT)
    site = Site(tmp_path)
    site.look()
    for path, media_type in {
        "/cap.atom": "application/atom+xml; charset=utf-8",
        "/areas/norra-ekbyn/cap.atom": "application/atom+xml; charset=utf-8",
        "/en/areas/0127/cap.atom": "application/atom+xml; charset=utf-8",
        "/cap/a7/a7-3-1.3.xml": "application/cap+xml; charset=utf-8",
    }.items():
        given = answer(site.table, "GET", path, lambda _name: None, NOW.timestamp())
        headers = dict(given.headers)
        assert (given.status, headers["content-type"]) == (200, media_type)
        assert headers["access-control-allow-origin"] == "*"
    assert dict(given.headers)["cache-control"].startswith("public, max-age=3600")


def test_only_what_is_new_is_written(tmp_path: Path) -> None:
    shown = states()["three"]
    newest = replace(power_cut(), updates=power_cut().updates)
    since = Revision(1, 2)
    later = replace(
        shown,
        since=since,
        changed=(newest,),
        feeds={key: shown.feeds[key] for key in ("", "norra-ekbyn")},
    )
    paths = {file.path for file in adapter(tmp_path).files(later)}
    assert paths == {
        "cap/a7/a7-3-1.3.xml",
        *(
            f"{language}{folder}cap.atom"
            for language in ("", "en/")
            for folder in ("", "areas/norra-ekbyn/", "areas/0127/")
        ),
    }


def test_a_document_never_changes_whatever_becomes_of_its_update(tmp_path: Path) -> None:
    first = replace(corrected_cut(), updates=corrected_cut().updates[2:])
    said = replace(first.updates[0], struck=None, changed_at=first.updates[0].at)
    cap = adapter(tmp_path)
    cap.show(board(replace(first, updates=(said, *first.updates[1:]))), ATTEMPT)
    before = bodies(tmp_path)
    assert b"Felet \xc3\xa4r hittat" in before["cap/a7/a7-2-1.2.xml"]
    # Corrected, and everything written anew by another configuration.
    organisation = replace(context().organisation, name="Ekbyns Elnät", phone="0999-1")
    again = adapter(tmp_path, organisation=organisation)
    assert again.standing() is None
    again.show(board(corrected_cut()), ATTEMPT)
    after = bodies(tmp_path)
    assert {path: after[path] for path in before} == before
    assert b"Ekbyns Eln" in after["cap/a7/a7-3-1.3.xml"]


def test_a_damaged_document_is_written_anew_and_the_others_stay(tmp_path: Path) -> None:
    adapter(tmp_path).show(states()["one"], ATTEMPT)
    before = bodies(tmp_path)
    damaged = tmp_path / "cap/a7/a7-2-1.2.xml"
    damaged.write_bytes(b"<alert>half a")
    again = adapter(tmp_path)
    assert again.standing() is None
    again.show(states()["one"], ATTEMPT)
    assert bodies(tmp_path) == before


def test_an_older_board_never_replaces_a_newer_one(tmp_path: Path) -> None:
    cap = adapter(tmp_path)
    cap.show(states()["one"], ATTEMPT)
    assert "newer" in cap.show(board(), ATTEMPT).detail
    assert cap.standing() == Revision(1, 3)


def test_a_directory_that_cannot_be_written_is_named_to_the_operator(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(Transient, match=str(in_the_way)):
        adapter(in_the_way / "public").show(states()["one"], ATTEMPT)


def test_a_document_that_would_break_the_standard_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_FEWEST_POINTS", 99)
    square = ((59.0, 18.0), (59.0, 19.0), (60.0, 19.0), (59.0, 18.0))
    areas = (replace(context().areas[0], outline=(square,)),)
    with pytest.raises(Permanent, match="would break the standard") as refused:
        adapter(tmp_path, areas=areas).show(states()["one"], ATTEMPT)
    assert "polygon" in refused.value.reply
    assert bodies(tmp_path) == {}


# --------------------------------------------------------------------------------------------------------- from outside
def test_it_is_confirmed_when_its_public_address_shows_the_revision(
    tmp_path: Path, address: str
) -> None:
    cap = adapter(tmp_path, public_url=address)
    assert isinstance(cap, CanConfirm)
    receipt = cap.show(states()["one"], ATTEMPT)
    assert cap.confirm(receipt, ATTEMPT, None)
    assert cap.confirm(Receipt(handle="1.2"), ATTEMPT, None)
    with pytest.raises(Transient, match=r"shows revision 1\.3, not 1\.4"):
        cap.confirm(Receipt(handle="1.4"), ATTEMPT, None)
    cap.close()


def test_the_probe_sees_whether_the_index_can_be_read(tmp_path: Path, address: str) -> None:
    cap = adapter(tmp_path, public_url=address)
    assert isinstance(cap, CanProbe)
    assert cap.probe(ATTEMPT).good
    assert "Nothing" in cap.probe(ATTEMPT).sentence
    cap.show(states()["one"], ATTEMPT)
    assert cap.probe(ATTEMPT).sentence == "The index can be read."
    (tmp_path / "cap.atom").write_text("<h1>It works!</h1>")
    wrong = cap.probe(ATTEMPT)
    assert not wrong.good
    assert "correct public.url" in wrong.sentence
    cap.close()


def test_while_the_public_server_comes_up_the_probe_alarms_nobody(tmp_path: Path) -> None:
    cap = adapter(tmp_path, public_url=f"http://127.0.0.1:{free_port()}")
    said = cap.probe(ATTEMPT)
    assert said.good
    assert "could not be read from here just now" in said.sentence
    cap.close()


def test_a_drill_calls_no_host_that_it_may_not(tmp_path: Path) -> None:
    cap = adapter(tmp_path, allowed_hosts=())
    assert cap.hosts() == ("drift.ekbyn.example",)
    with pytest.raises((Permanent, Transient)):
        cap.confirm(Receipt(handle="1.1"), ATTEMPT, None)
    cap.close()


# ------------------------------------------------------------------------------------------------------------ the index
def shown(tmp_path: Path, of: Board) -> Path:
    adapter(tmp_path).show(of, ATTEMPT)
    return tmp_path


def test_the_index_leads_to_the_documents_newest_first(tmp_path: Path, reader_of: ReaderOf) -> None:
    public = shown(tmp_path, states()["three"])
    parsed = feedparser.parse((public / "cap.atom").read_bytes())
    assert not parsed.bozo, parsed.get("bozo_exception")
    links = [link for link in parsed.entries[0].links if link.type == "application/cap+xml"]
    assert [link.rel for link in links] == ["alternate"]
    assert MEDIA_TYPE.startswith("application/cap+xml")
    named = reader_of(public).listed()
    assert [entry.title for entry in parsed.entries] == [
        each.texts("headline")[0] for each in named
    ]
    assert {each.text("incidents") for each in reader_of(public).live()} == {"A7", "A8", "A9"}


def test_an_area_and_a_language_have_their_own(tmp_path: Path, reader_of: ReaderOf) -> None:
    public = shown(tmp_path, states()["three"])
    reader = reader_of(public)
    assert {each.text("incidents") for each in reader.live("areas/centrum/cap.atom")} == {"A8"}
    assert reader.listed("areas/ostra-ekbyn/cap.atom") == []
    english = feedparser.parse((public / "en/areas/centrum/cap.atom").read_bytes())
    assert english.feed.language == "en"
    assert english.entries[0].summary.startswith("Water leak in Storgatan.")
    own = [link.href for link in english.feed.links if link.rel == "self"]
    assert own == ["https://drift.ekbyn.example/en/areas/centrum/cap.atom"]


def test_the_index_of_a_language_that_is_not_whole_tells_in_another_and_says_which(
    tmp_path: Path,
) -> None:
    made = adapter(tmp_path, foreign={"en": {"Power cut": "sv"}})
    made.show(states()["one"], ATTEMPT)
    feed = etree.parse(tmp_path / "en" / "cap.atom").getroot()
    title = feed.find("{*}entry/{*}title")
    assert title is not None
    assert title.text == "Ny bedömning: Strömavbrott i Norra Ekbyn"
    assert title.get("{http://www.w3.org/XML/1998/namespace}lang") == "sv"


def test_the_reader_library_sees_each_message_once_and_none_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The feedparser inside reader asks for this module by its old name, whose package has no wheel.
    monkeypatch.setitem(sys.modules, "sgmllib", feedparser_sgmllib)
    cap = adapter(tmp_path)
    with make_reader(":memory:", feed_root=str(tmp_path)) as reader:
        reader.add_feed("cap.atom")
        seen: dict[str, Any] = {}
        for story in (power_cut(), restored_cut()):
            at = story.updates[0].at
            cap.show(board(story, at=at), ATTEMPT)
            reader.update_feeds(scheduled=False)
            kept = {entry.id: entry for entry in reader.get_entries()}
            assert all(kept[known].title == title for known, title in seen.items())
            seen = {known: entry.title for known, entry in kept.items()}
    assert len(seen) == 4
    assert all(known.startswith("https://drift.ekbyn.example/cap/a7/") for known in seen)


def test_what_was_corrected_is_named_no_more_and_its_document_stands(
    tmp_path: Path, reader_of: ReaderOf
) -> None:
    public = shown(tmp_path, board(corrected_cut()))
    named = [each.text("identifier")[-5:] for each in reader_of(public).listed()]
    assert named == ["4-1.3", "3-1.3", "1-1.1"]
    assert (public / "cap/a7/a7-2-1.2.xml").is_file()


def test_what_has_expired_leaves_the_index_and_what_is_open_stays(
    tmp_path: Path, reader_of: ReaderOf
) -> None:
    later = minutes(26 * 60)
    public = shown(tmp_path, board(power_cut(), restored_cut_of("A8"), at=later))
    (left,) = reader_of(public).listed()
    assert (left.text("incidents"), left.text("identifier")[-5:]) == ("A7", "3-1.3")
    (gone,) = [path for path in bodies(public) if path.endswith("a8-4-1.4.xml")]
    assert (public / gone).is_file()


def restored_cut_of(name: str) -> Any:
    return replace(restored_cut(), id=name)


def test_an_index_is_bounded_however_long_the_history(tmp_path: Path) -> None:
    updates = tuple(
        update(n, Kind.UPDATE, minutes(n), f"Besked {n}.", promise=minutes(n + 45))
        for n in range(400, 0, -1)
    )
    told = board(replace(power_cut(), updates=updates), at=minutes(401))
    index = next(f for f in adapter(tmp_path).files(told) if f.path == "cap.atom")
    assert len(feedparser.parse(index.body).entries) <= 50
    assert len(index.body) < 100_000  # what Google calls ideal


def test_a_retracted_extension_to_an_area_is_replaced_in_its_index_too(
    tmp_path: Path, reader_of: ReaderOf
) -> None:
    """The retraction does not name the area that is out again; its index names it all the same."""
    report, wider, again, back = (
        update(1, Kind.REPORT, minutes(-50), "Borta.", promise=minutes(30)),
        update(2, Kind.UPDATE, minutes(-40), "Fler.", areas=("norra-ekbyn", "centrum")),
        update(3, Kind.HOLDING, minutes(-30), "Inget nytt.", areas=("norra-ekbyn", "centrum")),
        update(4, Kind.RETRACTION, minutes(-20), "Inte centrum.", corrects=2),
    )
    struck = replace(wider, struck=Struck(Kind.RETRACTION, minutes(-20), 4))
    incident = replace(
        power_cut(),
        updates=(back, again, struck, report),
        areas_ever=("norra-ekbyn", "centrum"),
    )
    public = shown(tmp_path, board(incident))
    reader = reader_of(public)
    assert reader.live("areas/centrum/cap.atom", "Centrum") == []
    (live,) = reader.live("areas/norra-ekbyn/cap.atom")
    assert live.text("identifier").endswith("A7-4-1.4")


def test_planned_work_is_announced_until_its_end(tmp_path: Path, reader_of: ReaderOf) -> None:
    (live,) = reader_of(shown(tmp_path, board(planned_cut(), water_leak()))).live(
        "areas/sjovik/cap.atom"
    )
    assert live.texts("event")[0] == "Planerat strömavbrott"
    assert live.texts("expires")[0] == "2026-11-23T03:00:00+01:00"
    assert live.texts("headline")[0].endswith("söndag 22 november 23.00 till mån 23 nov 03.00")
