"""What feed readers get: three forms of one record, read back by parsers that are not ours."""

from __future__ import annotations

import gzip
import json
import os
import random
import sys
import time
from calendar import timegm
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import feedparser
import feedparser_sgmllib
import pytest
from hypothesis import given, settings, strategies as st
from lxml import etree
from reader import make_reader

from broadcaster.bundle import File
from broadcaster.bundle.paths import check_path
from broadcaster.channel import Board, Kind, Mode, Revision
from broadcaster.testing.boards import (
    NOW,
    board,
    context,
    corrected_cut,
    minutes,
    planned_cut,
    power_cut,
    retracted_cut,
    states,
    update,
    water_leak,
)
from broadcaster.testing.outage import OUTAGE, agrees, as_json, told_until
from channels.feed.site import Memory, feeds

GOLDEN = Path(__file__).parent / "golden"
FORMS = ("feed.rss", "feed.atom", "feed.json")
A7 = "https://drift.ekbyn.example/incidents/a7/#a7-"
ATOM = "{http://www.w3.org/2005/Atom}"


def written(shown: Board, **changes: Any) -> dict[str, File]:
    """Every feed that an item stands in; the calendars have tests of their own."""
    made = feeds(shown, context(shown.mode, **changes))
    return {file.path: file for file in made if not file.path.endswith(".ics")}


def utc(parsed: time.struct_time) -> datetime:
    return datetime.fromtimestamp(timegm(parsed), UTC)


def entries(shown: Board, path: str) -> list[dict[str, Any]]:
    """The entries as a stranger's parser sees them: id, title, text, published, updated."""
    body = written(shown)[path].body
    if path.endswith("json"):
        return [
            {
                "id": item["id"],
                "title": item["title"],
                "text": item["content_html"],
                "published": datetime.fromisoformat(item["date_published"]),
                "updated": datetime.fromisoformat(item["date_modified"]),
            }
            for item in json.loads(body)["items"]
        ]
    parsed = feedparser.parse(body)
    assert not parsed.bozo, parsed.get("bozo_exception")
    return [
        {
            "id": entry.id,
            "title": entry.title,
            "text": entry.content[0].value if "content" in entry else entry.summary,
            "published": utc(entry.published_parsed),
            "updated": utc(entry.updated_parsed),
        }
        for entry in parsed.entries
    ]


@pytest.mark.parametrize("name", OUTAGE)
def test_what_readers_get_stands_word_for_word_in_a_file(name: str) -> None:
    told = told_until(name)
    found = written(board(told, at=told.updates[0].at))
    documents = [etree.fromstring(found[form].body) for form in ("feed.rss", "feed.atom")]
    for document in documents:
        etree.indent(document)
    forms = [etree.tostring(document, encoding="unicode") for document in documents]
    as_it_reads = as_json(json.loads(found["feed.json"].body))
    agrees(GOLDEN / f"{name}.txt", *forms, as_it_reads)


@pytest.mark.parametrize("form", FORMS)
def test_every_update_is_one_entry_newest_first_with_its_time(form: str) -> None:
    found = entries(states()["one"], form)
    assert [entry["id"] for entry in found] == [f"{A7}3", f"{A7}2", f"{A7}1"]
    assert [entry["published"] for entry in found] == [NOW, minutes(-25), minutes(-53)]
    assert [entry["title"] for entry in found] == [
        "Ny bedömning: Strömavbrott i Norra Ekbyn",
        "Ny bedömning: Strömavbrott i Norra Ekbyn",
        "Strömavbrott i Norra Ekbyn",
    ]


@pytest.mark.parametrize("form", FORMS)
def test_an_entry_holds_the_whole_text_and_every_fact(form: str) -> None:
    newest = update(
        1,
        Kind.REPORT,
        NOW,
        "Strömmen är borta.",
        since=minutes(-60),
        etr=minutes(235),
        promise=minutes(45),
        cause="Avgrävd kabel.",
        instruction="Håll kylen stängd.",
    )
    shown = board(replace(power_cut(), updates=(newest,)))
    (entry,) = entries(shown, form)
    for words in (
        "Strömmen är borta.",
        "Norra Ekbyn, sedan 14.05",
        "De flesta har ström senast 19.00",
        "Avgrävd kabel.",
        "Håll kylen stängd.",
        "Nästa besked senast 15.50",
    ):
        assert words in entry["text"]


@pytest.mark.parametrize("form", FORMS)
def test_a_corrected_entry_keeps_id_and_place_and_leads_to_the_right_one(form: str) -> None:
    found = entries(board(corrected_cut()), form)
    assert [entry["id"] for entry in found] == [f"{A7}{n}" for n in (4, 3, 2, 1)]
    struck = found[2]
    assert struck["title"].startswith("Rättat 14.52: ")
    assert "Rättat 14.52, se A7-3." in struck["text"]
    assert f"{A7}3" in struck["text"]
    assert "Felet är hittat" not in struck["text"]
    assert (struck["published"], struck["updated"]) == (minutes(-25), minutes(-13))


@pytest.mark.parametrize("form", FORMS)
def test_a_retraction_takes_every_text_back(form: str) -> None:
    newest, *struck = entries(board(retracted_cut()), form)
    assert "Norra Ekbyn har ström" in newest["text"]
    assert all("Återtaget 15.05, se A7-3." in entry["text"] for entry in struck)
    assert all(entry["updated"] == NOW for entry in struck)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("mode", "word"), [(Mode.DRILL, "ÖVNING"), (Mode.DEMO, "DEMO")])
def test_drill_and_demo_stand_first_in_every_title(mode: Mode, word: str, form: str) -> None:
    shown = board(replace(power_cut(), mode=mode), mode=mode)
    body = written(shown)[form].body
    title = json.loads(body)["title"] if form == "feed.json" else feedparser.parse(body).feed.title
    assert title.startswith(f"{word}: ")
    for entry in entries(shown, form):
        assert entry["title"].startswith(f"{word}: ")
        assert f"{word}: inget av detta har hänt." in entry["text"]


def test_every_feed_knows_its_own_address_and_language() -> None:
    for path, file in written(states()["three"]).items():
        language = "en" if path.startswith("en/") else "sv"
        own = f"https://drift.ekbyn.example/{path}"
        if path.endswith(".json"):
            content = json.loads(file.body)
            assert (content["feed_url"], content["language"]) == (own, language)
            continue
        parsed = feedparser.parse(file.body)
        assert [link.href for link in parsed.feed.links if link.rel == "self"] == [own]
        assert parsed.feed.language == language


def test_an_area_has_its_own_feeds_also_by_its_official_code() -> None:
    shown = states()["three"]
    assert {entry["id"] for entry in entries(shown, "areas/centrum/feed.atom")} == {
        "https://drift.ekbyn.example/incidents/a8/#a8-1"
    }
    files = written(shown)
    assert entries(shown, "areas/0127/feed.rss") == entries(shown, "areas/norra-ekbyn/feed.rss")
    assert files["areas/sjovik/feed.json"].media_type.startswith("application/feed+json")
    assert entries(board(power_cut()), "areas/sjovik/feed.atom") == []


def test_a_text_in_another_language_than_the_feed_is_marked() -> None:
    by_id = {entry["id"]: entry for entry in entries(states()["three"], "en/feed.json")}
    swedish = by_id["https://drift.ekbyn.example/en/incidents/a7/#a7-3"]["text"]
    assert '<p lang="sv">Senast 19.00' in swedish
    assert "Most have power by 19:00, not 17:00" in swedish
    own = by_id["https://drift.ekbyn.example/en/incidents/a8/#a8-1"]["text"]
    assert "<p>Water leak in Storgatan." in own


def test_a_reader_may_sort_by_area_kind_and_severity() -> None:
    parsed = feedparser.parse(written(states()["one"])["feed.atom"].body)
    assert [(tag.term, tag.label) for tag in parsed.entries[0].tags] == [
        ("norra-ekbyn", "Norra Ekbyn"),
        ("update", "update"),
        ("moderate", "moderate"),
    ]
    rss = feedparser.parse(written(states()["one"])["feed.rss"].body)
    assert [tag.term for tag in rss.entries[0].tags] == ["norra-ekbyn", "update", "moderate"]
    assert rss.feed.ttl == "5"
    assert rss.entries[0].author == "Ekbyns Energi"


def test_only_touched_areas_are_written_and_the_whole_feed_always() -> None:
    shown = states()["three"]
    touched = {key: shown.feeds[key] for key in ("", "centrum")}
    paths = written(replace(shown, since=Revision(1, 2), feeds=touched))
    assert {path for path in paths if not path.startswith("en/")} == {
        f"{folder}{form}" for folder in ("", "areas/centrum/") for form in FORMS
    }
    assert all(check_path(path) for path in paths)


def test_fifty_entries_are_twelve_kilobytes_compressed_at_most() -> None:
    words = (
        "Montörerna arbetar vid Kvarnvägen {n}. Kabeln är frilagd på {n} meter, skarv {n} av 52."
    )
    updates = tuple(
        update(n, Kind.UPDATE, minutes(n), words.format(n=n), promise=minutes(n + 45))
        for n in range(50, 0, -1)
    )
    files = written(board(replace(power_cut(), updates=updates)))
    assert len(entries(board(replace(power_cut(), updates=updates)), "feed.atom")) == 50
    for form in FORMS:
        assert len(gzip.compress(files[form].body, 6)) <= 12_000


# ---------------------------------------------------------------------------------------------- real readers and foes
def test_the_reader_library_keeps_ids_and_dates_over_a_correction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The feedparser inside reader asks for this module by its old name, whose package has no wheel.
    monkeypatch.setitem(sys.modules, "sgmllib", feedparser_sgmllib)
    with make_reader(":memory:", feed_root=str(tmp_path)) as reader:
        for form in ("feed.atom", "feed.rss"):
            reader.add_feed(form)
        before = replace(power_cut(), updates=power_cut().updates[1:])
        for shown in (board(before), board(corrected_cut())):
            for form in ("feed.atom", "feed.rss"):
                (tmp_path / form).write_bytes(written(shown)[form].body)
            reader.update_feeds(scheduled=False)
        for form in ("feed.atom", "feed.rss"):
            kept = {entry.id: entry for entry in reader.get_entries(feed=form)}
            assert kept.keys() == {f"{A7}{n}" for n in (1, 2, 3, 4)}
            assert kept[f"{A7}2"].published == minutes(-25)
            content = kept[f"{A7}2"].get_content()
            assert content is not None
            assert "Rättat 14.52, se A7-3." in content.value


@pytest.mark.slow
@given(
    st.lists(
        st.text(st.characters(codec=None))
        | st.sampled_from(["]]>", "<!--", "\ud800", "\x00", "&#0;"]),
        min_size=1,
        max_size=6,
    ).map("".join)
)
@settings(max_examples=800, deadline=None)
def test_no_text_breaks_a_feed_or_becomes_markup(text: str) -> None:
    told = update(1, Kind.REPORT, NOW, text or "x", cause=text, instruction=text)
    shown = board(replace(power_cut(headline=text), updates=(told,)))
    files = {file.path: file.body for file in feeds(shown, ONE_LANGUAGE)}
    html = {
        "feed.rss": etree.fromstring(files["feed.rss"]).findtext("channel/item/description"),
        "feed.atom": etree.fromstring(files["feed.atom"]).findtext(f"{ATOM}entry/{ATOM}content"),
        "feed.json": json.loads(files["feed.json"])["items"][0]["content_html"],
    }
    for body in html.values():
        assert body is not None
        fragment = etree.HTML(f"<div>{body}</div>")
        assert {str(node.tag) for node in fragment.iter()} <= {"html", "body", "div", "p", "br"}


ODD = [
    "]]>",
    "<!--",
    "\ud800",
    "\x00",
    "&#0;",
    "<script>",
    "&",
    "<b>",
    '"',
    "'",
    "\r\n",
    "\x1b[2J",
    "\u2028",
    "\ufffe",
]


def odd_text(chance: random.Random) -> str:
    """A few letters of any kind, signs of markup and signs that XML forbids."""
    return "".join(
        chance.choice(ODD) if chance.random() < 0.3 else chr(chance.randrange(0x110000))
        for _ in range(chance.randint(1, 8))
    )


@pytest.mark.slow
def test_thousands_of_odd_texts_leave_every_feed_well_formed_for_three_parsers() -> None:
    seed = random.randrange(10**6)  # others in every run; `make soak` takes many more of them
    chance, per_feed, texts = random.Random(seed), 50, 0
    print(f"seed {seed}")
    while texts < (100_000 if os.environ.get("SOAK") else 25_000):
        told = tuple(
            update(
                number,
                Kind.REPORT if number == 1 else Kind.UPDATE,
                NOW,
                odd_text(chance),
                cause=odd_text(chance),
                instruction=odd_text(chance),
            )
            for number in range(1, per_feed + 1)
        )
        shown = board(replace(power_cut(), updates=told))
        files = {file.path: file.body for file in feeds(shown, ONE_LANGUAGE)}
        assert len(json.loads(files["feed.json"])["items"]) == per_feed
        for path, entry in (("feed.rss", "channel/item"), ("feed.atom", f"{ATOM}entry")):
            assert len(etree.fromstring(files[path]).findall(entry)) == per_feed  # libxml2
            by_expat = ElementTree.fromstring(files[path])  # noqa: S314 - our own feed, to see whether expat takes it
            assert len(by_expat.findall(entry)) == per_feed
        if texts % (30 * per_feed) == 0:  # it takes longer than all of the rest
            for path in ("feed.rss", "feed.atom"):
                parsed = feedparser.parse(files[path])
                assert (parsed.bozo, len(parsed.entries)) == (False, per_feed)
        texts += 3 * per_feed


ONE_LANGUAGE = replace(
    context(), areas=(), organisation=replace(context().organisation, languages=("sv",))
)


@pytest.mark.parametrize("state", sorted(states()))
def test_every_state_is_read_without_complaint(state: str) -> None:
    for path, file in written(states()[state]).items():
        if path.endswith(".json"):
            assert json.loads(file.body)["version"] == "https://jsonfeed.org/version/1.1"
        else:
            assert not feedparser.parse(file.body).bozo


@pytest.mark.parametrize("form", FORMS)
def test_planned_work_is_called_so_with_start_and_end_in_title_and_text(form: str) -> None:
    (entry,) = entries(states()["planned"], form)
    period = "söndag 22 november 23.00 till mån 23 nov 03.00"
    assert entry["title"] == f"Planerat strömavbrott i Sjövik, {period}"
    assert f"Sjövik, {period}" in entry["text"]
    assert "sedan" not in entry["text"]


def test_planned_work_that_has_begun_goes_on_since_its_start() -> None:
    (plan,) = planned_cut().updates
    begun = update(
        2,
        Kind.UPDATE,
        minutes(8 * 60),
        "Arbetet har börjat.",
        areas=("sjovik",),
        planned=plan.planned,
    )
    shown = board(replace(planned_cut(), updates=(begun, plan)))
    newest, announced = entries(shown, "feed.atom")
    assert newest["title"] == "Nytt besked: Strömavbrott i Sjövik"
    assert "Sjövik, sedan 23.00" in newest["text"]
    assert announced["title"].startswith("Planerat strömavbrott")


@pytest.mark.parametrize("form", FORMS)
def test_power_back_in_one_area_is_told_of_that_area_and_never_of_the_other(form: str) -> None:
    newest, *_ = entries(states()["partly-restored"], form)
    assert newest["title"] == "Strömmen är åter i Östra Ekbyn"
    assert "Strömmen är åter: Östra Ekbyn" in newest["text"]
    assert "Fortfarande berört: Norra Ekbyn" in newest["text"]
    assert "Nästa besked senast 16.50" in newest["text"]
    assert "Håll kyl" not in newest["text"]


def test_an_estimate_that_is_withdrawn_is_no_new_one() -> None:
    newest, *_ = entries(states()["withdrawn-estimate"], "feed.atom")
    assert newest["title"] == "Nytt besked: Strömavbrott i Norra Ekbyn och Östra Ekbyn"
    assert "Bedömningen 19.00 gäller inte längre" in newest["text"]


def test_who_sorts_by_area_finds_the_end_only_where_it_is_over() -> None:
    item = json.loads(written(states()["partly-restored"])["feed.json"].body)["items"][0]
    assert item["_broadcaster"]["areas"] == ["ostra-ekbyn"]


def test_a_leak_is_told_by_its_headline() -> None:
    (entry,) = entries(board(water_leak()), "feed.atom")
    assert entry["title"] == "Vattenläcka på Storgatan · Centrum"


# ------------------------------------------------------------------------------------- what is kept from board to board
def test_a_feed_reads_the_same_whatever_was_written_before() -> None:
    memory = Memory()
    for shown in (*states().values(), *reversed([*states().values()])):
        kept = list(feeds(shown, context(), memory))
        assert kept == list(feeds(shown, context()))


def test_an_entry_is_written_once_for_all_feeds_that_hold_it() -> None:
    memory = Memory()
    list(feeds(board(power_cut()), context(), memory))
    # Updates, languages; and each feed of the area holds all three.
    assert len(memory.items) == 3 * 2
    assert len(memory.forms) == 3 * 2 * len(FORMS)
