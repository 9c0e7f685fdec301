"""One feed out of several: judged by readers of feeds, on what the channel of kind `feed` writes."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import feedparser
import icalendar
import pytest
from lxml import etree

from broadcaster.channel import Kind
from broadcaster.domain.board import Board, Entry
from broadcaster.public.merging import ENTRIES, Head, Unmergeable, merged
from broadcaster.testing.boards import AREAS, NOW, board, context, line, power_cut, update
from channels.feed.site import feeds

HEAD = Head(
    title='Ekbyns Energi: A & B, <C> "D"',
    about="Varje besked",
    author="Ekbyns Energi",
    language="sv",
    own="https://drift.ekbyn.example/my/centrum+sjovik/feed.atom",
    home="https://drift.ekbyn.example/",
)
XML = ("feed.atom", "feed.rss")


def told(count: int, *, text: str = "Ström") -> Board:
    """A board on which every second update is about Sjövik too."""
    cut = power_cut()
    incident = line(cut)
    entries = []
    for n in range(count, 0, -1):
        areas = ("centrum", "sjovik") if n % 2 else ("centrum",)
        at = NOW + timedelta(minutes=n)
        entries.append(Entry(incident, update(n, Kind.UPDATE, at, f"{text} {n}", areas=areas)))
    by_area = {area.key: tuple(e for e in entries if area.key in e.update.areas) for area in AREAS}
    return board(cut, feeds={"": tuple(entries)} | by_area)


def published(shown: Board, name: str) -> list[bytes]:
    files = {file.path: file.body for file in feeds(shown, context())}
    return [files[f"areas/{key}/{name}"] for key in ("centrum", "sjovik", "ostra-ekbyn")]


def ids(name: str, body: bytes) -> list[str]:
    if name == "feed.json":
        return [item["id"] for item in json.loads(body)["items"]]
    return [entry.id for entry in feedparser.parse(body).entries]


@pytest.mark.parametrize("name", [*XML, "feed.json"])
def test_the_newest_of_all_areas_stand_in_it_and_none_twice(name: str) -> None:
    sources = published(told(70), name)
    wanted = [f"https://drift.ekbyn.example/incidents/a7/#a7-{n}" for n in range(70, 20, -1)]
    got = ids(name, merged(name, sources, HEAD))
    assert got == wanted
    assert len(got) == ENTRIES


@pytest.mark.parametrize("name", [*XML, "feed.json"])
def test_an_entry_is_the_very_one_of_the_areas_own_feed(name: str) -> None:
    sources = published(told(3), name)
    whole = merged(name, sources, HEAD)
    if name == "feed.json":
        assert json.loads(whole)["items"] == json.loads(sources[0])["items"]
        return
    inner = sources[0][sources[0].index(b"#a7-3") :].split(b"</feed>")[0].split(b"</channel>")[0]
    assert inner in whole


@pytest.mark.parametrize("name", XML)
def test_it_says_what_it_is_and_where_it_stands(name: str) -> None:
    whole = merged(name, published(told(3), name), HEAD)
    etree.fromstring(whole)
    feed: Any = feedparser.parse(whole)
    assert not feed.bozo
    assert (feed.feed.title, feed.feed.subtitle) == (HEAD.title, HEAD.about)
    links = {link.rel: link.href for link in feed.feed.links}
    assert links == {"self": HEAD.own, "alternate": HEAD.home}
    assert feed.feed.language == "sv"
    if name == "feed.atom":
        assert (feed.feed.id, feed.feed.author) == (HEAD.own, "Ekbyns Energi")
    assert feed.feed.updated_parsed[:5] == (2026, 11, 22, 14, 8)


def test_the_json_feed_says_what_it_is_too() -> None:
    feed = json.loads(merged("feed.json", published(told(3), "feed.json"), HEAD))
    assert (feed["title"], feed["feed_url"]) == (HEAD.title, HEAD.own)
    assert feed["version"] == "https://jsonfeed.org/version/1.1"


@pytest.mark.parametrize("name", [*XML, "feed.json"])
def test_areas_about_which_nothing_was_said_make_an_empty_feed(name: str) -> None:
    whole = merged(name, published(told(0), name), HEAD)
    assert ids(name, whole) == []


@pytest.mark.parametrize("name", [*XML, "feed.json"])
def test_markup_in_a_text_ends_no_entry(name: str) -> None:
    text = "</entry></feed><entry><id>x</id>]]></item><guid>y</guid>"
    whole = merged(name, published(told(4, text=text), name), HEAD)
    assert len(ids(name, whole)) == 4
    assert "x" not in ids(name, whole)


@pytest.mark.parametrize("name", [*XML, "feed.json", "calendar.ics"])
@pytest.mark.parametrize(
    "body", [b"", b"<feed/>", b"{}", b"[1]", b"\xff", b"<rss><item></item></rss>"]
)
def test_what_is_no_feed_of_ours_is_refused_whole(name: str, body: bytes) -> None:
    with pytest.raises(Unmergeable):
        merged(name, [body, body], HEAD)


def calendar(*events: str, zone: str = "") -> bytes:
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//x//EN",
        "NAME:Ekbyns Energi: Cent",
        " rum",
    ]
    lines += ["X-WR-CALNAME:Centrum", "DESCRIPTION:about", "URL:https://x.example/"]
    lines += ["REFRESH-INTERVAL;VALUE=DURATION:PT30M"]
    for mark in events:
        lines += ["BEGIN:VEVENT", f"UID:{mark[:40]}", f" {mark[40:]}", "DTSTAMP:20261122T100000Z"]
        lines += ["DTSTART:20261123T100000Z", "SUMMARY:Elarbete", "DESCRIPTION:x", "END:VEVENT"]
    if not events:
        lines += ["BEGIN:VTIMEZONE", "TZID:UTC", "BEGIN:STANDARD", "DTSTART:19700101T000000"]
        lines += ["TZOFFSETFROM:+0000", "TZOFFSETTO:+0000", "END:STANDARD", "END:VTIMEZONE"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


def spoken(value: object) -> str:
    """The text behind RFC 5545's escapes, which the reader leaves in what it does not know."""
    return str(value).replace("\\,", ",")


def test_calendars_become_one_with_every_outage_once() -> None:
    long = "a" * 60
    sources = [calendar(f"{long}1", f"{long}2"), calendar(), calendar(f"{long}2", f"{long}3")]
    whole = merged("calendar.ics", sources, HEAD)
    read: Any = icalendar.Calendar.from_ical(whole)
    assert [str(event["UID"]) for event in read.walk("VEVENT")] == [f"{long}{n}" for n in (1, 2, 3)]
    assert all(str(event["DESCRIPTION"]) == "x" for event in read.walk("VEVENT"))
    assert spoken(read["X-WR-CALNAME"]) == spoken(read["NAME"]) == HEAD.title
    assert "URL" not in read
    assert "DESCRIPTION" not in read
    assert whole.count(b"BEGIN:VCALENDAR") == whole.count(b"END:VCALENDAR") == 1
    assert all(len(line) <= 75 for line in whole.split(b"\r\n"))


def test_a_long_title_of_a_calendar_is_folded_between_letters() -> None:
    head = Head("å" * 200 + ", slut", "", "", "sv", "", "")
    whole = merged("calendar.ics", [calendar(), calendar("b")], head)
    assert all(len(line) <= 75 for line in whole.split(b"\r\n"))
    assert spoken(icalendar.Calendar.from_ical(whole)["NAME"]) == head.title


def test_order_is_by_when_it_was_said() -> None:
    feed: Any = feedparser.parse(merged("feed.atom", published(told(9), "feed.atom"), HEAD))
    times = [entry.published_parsed for entry in feed.entries]
    assert all(earlier >= later for earlier, later in pairwise(times))


@pytest.mark.parametrize("name", [*XML, "feed.json"])
def test_one_that_is_cut_leaves_none_rather_than_half(name: str) -> None:
    sources = published(told(4), name)
    cut = sources[1][: len(sources[1]) // 2]
    with pytest.raises(Unmergeable):
        merged(name, [sources[0], cut], HEAD)
