"""What the public server answers that no file holds, asked over sockets."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import feedparser
import pytest
from lxml import html

from broadcaster.bundle import Bundle, File
from broadcaster.channel import Place
from broadcaster.domain.board import BoardArea
from broadcaster.public.answer import Table
from broadcaster.public.mine import Channels, Mine
from broadcaster.public.questions import Questions, TooMany
from broadcaster.public.site import Site
from broadcaster.testing.boards import AREAS, board, context, power_cut, states
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.ports import free_port
from channels.feed.site import feeds
from channels.page.settings import PageSettings
from channels.page.site import pages

PLACES = (
    Place("Norra Ekbyn", "12345", "norra-ekbyn"),
    Place("Strandvägen", "12345", "norra-ekbyn"),
    Place("Strandvägen", "12347", "sjovik"),
    *(Place(f"Byn {n}", "", "centrum") for n in range(25)),
)
SECURITY = {
    "content-security-policy",
    "cross-origin-resource-policy",
    "x-content-type-options",
    "referrer-policy",
    "permissions-policy",
    "strict-transport-security",
    "cache-control",
}


class Reply:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.body = response.status, response.read()
        self.headers = [(name.lower(), value) for name, value in response.getheaders()]

    @property
    def text(self) -> str:
        return self.body.decode()

    def __getitem__(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"{name} stands twice"
        return values[0] if values else None


class Public:
    def __init__(self, root: Path) -> None:
        self.root, self.port = root, free_port()
        command = [sys.executable, "-m", "broadcaster.public", "--directory", str(root), "--https"]
        self.log = root.parent / "public.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--listen", f"127.0.0.1:{self.port}"], stdout=log, stderr=log
            )
        wait_until(self.accepts, seconds=30)

    def accepts(self) -> bool:
        with contextlib.suppress(OSError), self.connect():
            return True
        return False

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        connection.request(method, path, body or None, given)
        reply = Reply(connection.getresponse())
        connection.close()
        return reply

    def place(self, place: str, folder: str = "") -> Reply:
        return self.ask(f"/{folder}places/", "POST", urlencode({"place": place}).encode())


def publish(root: Path, n: int, **changes: Any) -> None:
    surroundings = context(places=PLACES, answers=True, **changes)
    shown = states()["three"]
    Bundle(root, "page").publish(
        f"1.{n}", list(pages(shown, surroundings, PageSettings(kind="page")))
    )
    Bundle(root, "feed").publish(f"1.{n}", list(feeds(shown, surroundings)))


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Public]:
    root = tmp_path_factory.mktemp("site") / "public"
    publish(root, 3)
    running = Public(root)
    yield running
    running.process.terminate()
    running.process.wait(20)


def tree_of(text: str) -> Any:
    return html.fromstring(text)


# ---------------------------------------------------------------------------------------------------------- places
def test_a_place_that_lies_in_one_area_leads_to_its_page(public: Public) -> None:
    for folder in ("", "en/"):
        for asked in ("norra ekbyn", "Norra Ekbyn 3", "NORRA EKBYN"):
            got = public.place(asked, folder)
            assert (got.status, got["location"]) == (303, "../areas/norra-ekbyn/")
        assert public.ask(f"/{folder}areas/norra-ekbyn/").status == 200
    assert public.place("123 47")["location"] == "../areas/sjovik/"


def test_a_place_in_several_areas_is_asked_about(public: Public) -> None:
    got = public.place("Strandvägen")
    assert got.status == 200
    tree = tree_of(got.text)
    links = {a.text: a.get("href") for a in tree.xpath("//main//ul[@class='list']/li/a")}
    assert links == {
        "Strandvägen 123 45": "../areas/norra-ekbyn/",
        "Strandvägen 123 47": "../areas/sjovik/",
    }


def test_of_many_places_twenty_are_told_of(public: Public) -> None:
    got = public.place("byn", "en/")
    assert len(tree_of(got.text).xpath("//ul[@class='list']/li")) == 20
    assert "There are more" in got.text


def test_an_unknown_place_is_answered_calmly_with_whom_to_ring(public: Public) -> None:
    got = public.place("Stockholm")
    assert got.status == 200
    assert "”Stockholm”" in got.text
    assert "0123-456 78" in got.text
    assert 'value="Stockholm"' in got.text
    english = public.place("Stockholm", "en/")
    assert "That says nothing about whether you are affected" in english.text


def test_an_empty_question_leads_back_to_the_form(public: Public) -> None:
    for body in (b"", b"place=", b"place=%20%00", b"other=x"):
        got = public.ask("/places/", "POST", body, Content_Type="application/x-www-form-urlencoded")
        assert (got.status, got["location"]) == (303, "./")


PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus=alert(1) x='",
    "</title></style><script>",
    "javascript:alert(1)",
    "{{7*7}}${7*7}{question}",
    "\ue000question\ue001\ue000drawing\ue001",
    "&lt;script&gt;&#60;script>",
    "\u202etxet",
    "%3Cscript%3E",
    "\x1b[31m\r\nset-cookie: a=b",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_strangers_words_are_inert(public: Public, payload: str) -> None:
    got = public.place(payload)
    assert got.status == 200
    tree = tree_of(got.text)
    assert not tree.xpath("//script | //img | //@onerror | //@onfocus | //@autofocus")
    shown = " ".join("".join(c if c.isprintable() else " " for c in payload).split())
    [field] = tree.xpath("//input[@name='place']/@value")
    assert field == shown
    assert "script-src" not in (got["content-security-policy"] or "")
    assert got["set-cookie"] is None


def test_every_answer_carries_every_security_header_once(public: Public) -> None:
    answers = [
        public.place("norra ekbyn"),
        public.place("strand"),
        public.place("x" * 2000),
        public.ask("/places/", "PUT"),
        public.ask("/my/"),
        public.ask("/my/?area=sjovik"),
        public.ask("/my/sjovik/feed.atom"),
        public.ask("/my/no/feed.atom"),
        public.ask("/my/sjovik+centrum/feed.atom"),
        public.ask(f"/my/{'+'.join(map(str, range(31)))}/feed.atom"),
    ]
    assert [got.status for got in answers] == [303, 200, 413, 405, 303, 200, 200, 404, 308, 400]
    for got in answers:
        for name in SECURITY:
            assert got[name], f"{got.status} has no {name}"
    assert answers[3]["allow"] == "GET, HEAD, POST"


def test_what_was_asked_is_kept_nowhere(public: Public) -> None:
    got = public.place("Hemligby")
    assert got["cache-control"] == "no-store"
    assert public.place("norra ekbyn")["cache-control"] == "no-store"
    assert b"Hemligby" not in public.log.read_bytes()
    assert not [p for p in public.root.rglob("*") if p.is_file() and b"Hemligby" in p.read_bytes()]


def test_other_pages_take_no_question(public: Public) -> None:
    for path in ("/", "/areas/", "/follow/", "/my/", "/fi/places/", "/places/table.json"):
        got = public.ask(path, "POST", b"place=x")
        assert (got.status, got["allow"]) == (405, "GET, HEAD")


def test_a_body_that_is_too_long_or_never_ends_is_refused_unread(public: Public) -> None:
    with public.connect() as client:
        client.sendall(b"POST /places/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413")
    with public.connect() as client:
        client.sendall(b"POST /places/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                client.sendall(b"400\r\n" + b"x" * 0x400 + b"\r\n")
        with contextlib.suppress(ConnectionError):
            assert client.recv(100).startswith((b"HTTP/1.1 413", b""))
    assert public.place("norra ekbyn").status == 303


def test_a_body_that_dribbles_is_given_up(public: Public) -> None:
    with public.connect() as client:
        client.sendall(b"POST /places/ HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n")
        begun = time.monotonic()
        client.settimeout(0.2)
        got = b""
        while not got and time.monotonic() - begun < 60:
            with contextlib.suppress(TimeoutError):
                client.sendall(b"x")
                got = client.recv(100)
    assert got.startswith(b"HTTP/1.1 408")


# ------------------------------------------------------------------------------------------------------ my channel
def test_ticked_areas_give_one_address_to_copy_to_open_and_to_photograph(public: Public) -> None:
    got = public.ask("/en/my/?area=sjovik&area=centrum&language=sv&form=feed.atom")
    assert (got.status, got["cache-control"]) == (200, "no-store")
    tree = tree_of(got.text)
    own = "https://drift.ekbyn.example/my/centrum+sjovik/feed.atom"
    assert tree.xpath("string(//p[@class='copy'])") == own
    assert own in tree.xpath("//main//a/@href")
    [drawn] = tree.xpath("//*[local-name()='svg']")
    assert (drawn.get("role"), drawn.get("aria-labelledby")) == ("img", "qr")
    assert "Sjövik, Centrum" in got.text
    assert "style=" not in got.text


def test_all_areas_give_the_address_of_the_plain_feed(public: Public) -> None:
    every = "&".join(f"area={area.key}" for area in AREAS)
    got = public.ask(f"/my/?{every}&form=feed.json&language=en")
    assert '<p class="copy">https://drift.ekbyn.example/en/feed.json</p>' in got.text


@pytest.mark.parametrize(
    "query",
    ["area=", "area=no", "form=feed.rss", "area=sjovik&form=../x", "area=%3Cscript%3E", "x=1"],
)
def test_a_choice_that_is_none_is_told_so_and_repeats_nothing(public: Public, query: str) -> None:
    got = public.ask(f"/en/my/?{query}&language=en")
    assert got.status == 200
    assert "Choose at least one" in got.text
    assert "<script" not in got.text


def test_without_a_choice_the_form_is_shown(public: Public) -> None:
    got = public.ask("/en/my/")
    assert (got.status, got["location"]) == (303, "../follow/")
    assert public.ask("/fi/my/").status == 404


@pytest.mark.parametrize("name", ["feed.atom", "feed.rss", "feed.json"])
def test_the_address_is_a_feed_of_just_these_areas(public: Public, name: str) -> None:
    got = public.ask(f"/en/my/centrum+norra-ekbyn/{name}")
    own = f"https://drift.ekbyn.example/en/my/centrum+norra-ekbyn/{name}"
    assert got.status == 200
    assert own in got.text
    if name == "feed.json":
        found = [item["id"] for item in json.loads(got.body)["items"]]
    else:
        read: Any = feedparser.parse(got.body)
        assert not read.bozo
        found = [entry.id for entry in read.entries]
    assert [re.sub(".*#", "", each) for each in found] == ["a7-3", "a8-1", "a7-2", "a7-1"]
    assert got["content-type"] == public.ask(f"/en/{name}")["content-type"]
    assert got["access-control-allow-origin"] == "*"


def test_who_has_it_already_is_told_so(public: Public) -> None:
    path = "/my/centrum+norra-ekbyn/feed.atom"
    full = public.ask(path)
    assert (full["cache-control"] or "").startswith("public, max-age=20")
    again = public.ask(path, If_None_Match=full["etag"] or "")
    assert (again.status, again.body) == (304, b"")
    dated = public.ask(path, If_Modified_Since=full["last-modified"] or "")
    assert dated.status == 304
    small = public.ask(path, Accept_Encoding="gzip")
    assert small["content-encoding"] == "gzip"
    assert len(small.body) < len(full.body) / 2
    head = public.ask(path, "HEAD")
    assert (head.status, head.body, head["etag"]) == (200, b"", full["etag"])


@pytest.mark.parametrize(
    ("path", "status", "target"),
    [
        ("/my/sjovik+centrum/feed.rss", 308, "../centrum+sjovik/feed.rss"),
        ("/my/sjovik+sjovik/feed.rss", 308, "../sjovik/feed.rss"),
        ("/en/my/sjovik+norra-ekbyn+centrum+ostra-ekbyn/feed.json", 308, "../../feed.json"),
        ("/my/no/feed.atom", 404, None),
        ("/my/sjovik+no/feed.atom", 404, None),
        ("/my/sjovik+/feed.atom", 404, None),
        ("/my/0127/feed.atom", 404, None),
        ("/my/sjovik/cap.atom", 404, None),
        ("/my/sjovik/feed.atom/", 404, None),
        ("/fi/my/sjovik/feed.atom", 404, None),
        ("/x/en/my/sjovik/feed.atom", 404, None),
        (f"/my/{'+'.join(f'a{n}' for n in range(31))}/feed.atom", 400, None),
    ],
)
def test_another_address_leads_to_the_one_or_nowhere(
    public: Public, path: str, status: int, target: str | None
) -> None:
    got = public.ask(path)
    assert (got.status, got["location"]) == (status, target)


def test_what_is_new_in_an_area_is_in_the_channel_and_seen_by_date_too(tmp_path: Path) -> None:
    channels, told, site = local(tmp_path)
    first = channels.of(MINE, told, site.table)
    assert channels.of(MINE, told, site.table) is first
    republish(tmp_path, 2, "Nytt")
    site.look()
    second = channels.of(MINE, told, site.table)
    assert b"Nytt" in second.face.identity.body
    assert second.face.identity.etag != first.face.identity.etag
    assert second.face.modified > first.face.modified


def test_a_change_elsewhere_costs_a_channel_nothing(tmp_path: Path) -> None:
    channels, told, site = local(tmp_path)
    first = channels.of(MINE, told, site.table)
    Bundle(tmp_path, "page").publish("1.1", [File("index.html", b"<p>x", "text/html")])
    site.look()
    assert channels.of(MINE, told, site.table) is first


MINE = Mine("", ("a0", "a1"), "feed.atom")
KEYS = [f"a{n}" for n in range(40)]
TOLD: dict[str, Any] = {
    "public_url": "https://drift.ekbyn.example",
    "language": "sv",
    "author": "Ekbyns Energi",
    "title": "Ekbyns Energi: ",
    "about": "Besked",
    "areas": {key: key.upper() for key in KEYS},
}


def republish(root: Path, n: int, text: str) -> None:
    cut = replace(power_cut(), areas=("a0",), areas_ever=("a0",))
    updates = tuple(replace(u, areas=("a0",), texts={"sv": text}) for u in cut.updates)
    shown = board(replace(cut, updates=updates))
    entries = tuple(replace(e, update=replace(e.update, areas=("a0",))) for e in shown.feeds[""])
    shown = replace(shown, feeds={"": entries, "a0": entries})
    areas = tuple(BoardArea(key, key.upper()) for key in KEYS)
    Bundle(root, "feed").publish(f"1.{n}", list(feeds(shown, context(areas=areas))))


def local(root: Path) -> tuple[Channels, dict[str, Any], Site]:
    republish(root, 1, "Gammalt")
    site = Site(root)
    site.look()
    return Channels(), TOLD, site


def test_a_storm_of_combinations_costs_a_bounded_memory(tmp_path: Path) -> None:
    channels, told, site = local(tmp_path)
    for n in range(39):
        for m in range(n + 1, 39):
            channels.of(Mine("", tuple(sorted((KEYS[n], KEYS[m]))), "feed.atom"), told, site.table)
    assert len(channels) == 128


def test_a_feed_that_cannot_be_put_together_is_no_feed_at_all(tmp_path: Path) -> None:
    """503 with Retry-After, over the wire; never a half feed."""
    root = tmp_path / "public"
    publish(root, 1)
    broken = File("areas/sjovik/feed.atom", b"<feed>", "application/atom+xml; charset=utf-8")
    Bundle(root, "feed").publish("1.2", [broken])
    running = Public(root)
    try:
        for keys in ("centrum+sjovik", "sjovik"):
            got = running.ask(f"/my/{keys}/feed.atom")
            assert (got.status, got["retry-after"], got["cache-control"]) == (503, "5", "no-store")
            assert b"<feed" not in got.body
        assert running.ask("/my/centrum/feed.atom").status == 200
    finally:
        running.process.terminate()
        running.process.wait(20)


def test_a_storm_of_questions_is_turned_away_and_the_pages_stand(public: Public) -> None:
    """More wait than can be answered soon: 503, at once; what is published is read meanwhile."""
    statuses: list[int] = []

    def storm(n: int) -> None:
        statuses.extend(public.place(f"Byn {n} {m}").status for m in range(40))

    threads = [threading.Thread(target=storm, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert public.ask("/").status == 200
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 303, 503}
    assert public.place("norra ekbyn").status == 303


def test_what_no_table_holds_is_not_asked_about(tmp_path: Path) -> None:
    root = tmp_path / "public"
    surroundings = context(answers=False, places=PLACES)
    shown = states()["one"]
    Bundle(root, "page").publish("1.1", list(pages(shown, surroundings, PageSettings(kind="page"))))
    site = Site(root)
    site.look()
    table: Table = site.table
    assert "/places/" in table
    assert "/places/answers.json" not in table


def test_more_questions_than_can_be_answered_soon_are_turned_away_at_once() -> None:
    """And those that wait are answered, each: nobody is forgotten."""
    held = threading.Event()

    def table() -> Table:
        held.wait(60)
        return {}

    async def storm() -> None:
        questions = Questions(table, https=False)
        path, headers = "/my/sjovik/feed.atom", dict[str, str]().get
        waiting = [
            asyncio.ensure_future(questions.channel(path, "", headers, 0.0)) for _ in range(64)
        ]
        await asyncio.sleep(0)  # each of them is under way
        try:
            with pytest.raises(TooMany):
                await asyncio.wait_for(questions.channel(path, "", headers, 0.0), 20)
        finally:
            held.set()
        assert await asyncio.gather(*waiting) == [None] * 64
        assert await questions.channel(path, "", headers, 0.0) is None

    asyncio.run(storm())
