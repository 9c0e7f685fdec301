"""Every page in every state, judged by a real browser, axe and html-validate, and drawn for people to look at.

The drawings are kept in artefacts/pages/.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, sync_playwright

from broadcaster.channel import Board
from broadcaster.testing.boards import (
    MAPPED,
    board,
    context,
    planned_cut,
    power_cut,
    states,
    water_leak,
)
from channels.page.settings import PageSettings
from channels.page.site import pages

ORIGIN = "https://drift.ekbyn.example"
ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "pages"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def boards_shown() -> dict[str, Board]:
    """Every state, and one with more going on than can be told whole."""
    storm = (replace(power_cut(), id=f"A{number}") for number in range(1, 13))
    return {**states(), "storm": board(*storm, water_leak(), planned_cut())}


STATES = sorted(boards_shown())
# The stylesheet keeps phone numbers whole; hyphens that cannot be dialled would break copying them.
RULES = {
    "tel-non-breaking": ["error", {"ignoreClasses": ["nobr"]}],
    # Several boxes to tick that mean the same are HTML's own way.
    "form-dup-name": ["error", {"shared": ["checkbox", "radio"]}],
}

FRONT = {"index.html", "index.overdue.html"}
VIEWS: list[tuple[int, Literal["light", "dark"]]] = [
    (320, "light"),
    (360, "light"),
    (360, "dark"),
    (768, "light"),
    (1280, "light"),
    (1280, "dark"),
]

Site = dict[str, bytes]


def site(state: str) -> Site:
    """Every page of a state by its path below the root; overdue variants beside their pages."""
    shown = boards_shown()[state]
    advice = {"sv": "Ring 112 vid fara för liv.", "en": "Call 112 when life is in danger."}
    settings = PageSettings(kind="page", advice=advice)
    found: Site = {}
    for file in pages(shown, context(shown.mode, areas=MAPPED), settings):
        if not file.path.endswith(".html"):
            continue
        found[file.path] = file.body
        if file.overdue:
            found[file.path.replace(".html", ".overdue.html")] = file.overdue.body
    return found


def policy(html: bytes) -> str:
    """The strictest policy that the inline stylesheet fits, as the public server sends it."""
    style = re.search(rb"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1]).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@pytest.fixture(scope="module")
def browser(chromium_path: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        browser.close()


def opened(page: Page, files: Site, path: str) -> list[str]:
    """Open one page with `files` as the only far side; return what went wrong: strange requests, console errors."""
    wrong: list[str] = []

    def serve(route: Route) -> None:
        asked = route.request.url
        if asked != f"{ORIGIN}/{path}":
            wrong.append(f"asked for {asked}")
            route.abort()
            return
        body = files[path]
        route.fulfill(
            status=200,
            content_type="text/html; charset=utf-8",
            headers={"Content-Security-Policy": policy(body)},
            body=body,
        )

    def heard(message: ConsoleMessage) -> None:
        wrong.append(f"console: {message.text}")

    page.route("**/*", serve)
    page.on("console", heard)
    page.goto(f"{ORIGIN}/{path}")
    page.unroute("**/*", serve)
    page.remove_listener("console", heard)
    return wrong


def worth_opening(state: str, files: Site) -> list[str]:
    """The pages of a state that differ in kind: lists and areas look alike in all."""
    always = r"(?:en/)?index\.html|index\.overdue\.html|incidents/a7/index\.html"
    once = {
        "three": r"|areas/(?:norra-ekbyn/)?index\.html|archive/index\.html",
        "storm": r"|areas/(?:norra-ekbyn/)?index\.html|now/1/index\.html",
        "restored": r"|archive/find/(?:1/(?:areas/norra-ekbyn/|words/k/)?)?index\.html",
    }
    sorts = always + once.get(state, "")
    return [path for path in files if re.fullmatch(sorts, path)]


def judged(page: Page, axe: str) -> list[str]:
    """What axe and our own eye for overflow find wrong with the page as it stands."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
        "wider than the screen"
    )
    page.evaluate(f"window.axe || (() => {{ {axe} }})()")
    found = page.evaluate("axe.run()")["violations"]
    return [f"{v['id']}: {node['html'][:200]}" for v in found for node in v["nodes"]]


@pytest.mark.real("chromium", "axe-core")
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_and_no_request_leaves_the_page(
    state: str, browser: Browser, axe_path: Path
) -> None:
    """Every sort of page on a narrow phone; the front page also wide and dark, and drawn each time."""
    files, axe = site(state), axe_path.read_text()
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": 360, "height": 900})
    wrong: list[str] = []
    for path in worth_opening(state, files):
        wrong += opened(page, files, path)
        wrong += judged(page, axe)
        if path not in FRONT:
            continue
        name = path.removesuffix(".html")
        for width, scheme in VIEWS:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            if (width, scheme) in {
                (360, "dark"),
                (1280, "light"),
            }:  # the colours and the widths, once each
                wrong += judged(page, axe)
            page.screenshot(path=ARTEFACTS / f"{state}.{name}.{width}.{scheme}.png", full_page=True)
        page.emulate_media(media="print", color_scheme="light")
        page.screenshot(path=ARTEFACTS / f"{state}.{name}.print.png", full_page=True)
        page.emulate_media(media="screen")
        page.set_viewport_size({"width": 360, "height": 900})
    page.close()
    assert wrong == []


@pytest.mark.slow
@pytest.mark.real("html-validate")
def test_html_validate_finds_nothing(html_validate_path: Path, tmp_path: Path) -> None:
    for state in STATES:
        for path, body in site(state).items():
            place = tmp_path / state / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(body)
    settings = tmp_path / "rules.json"
    rules = {"root": True, "extends": ["html-validate:recommended"], "rules": RULES}
    settings.write_text(json.dumps(rules))
    options = ["--config", str(settings), "--formatter", "json", str(tmp_path)]
    told = tmp_path / "told.json"  # of a pipe it would leave its last words unsaid
    with told.open("wb") as out:
        run = subprocess.run(
            [html_validate_path, *options],
            stdout=out, stderr=subprocess.PIPE, text=True, timeout=100, check=False,
        )  # fmt: skip
    found = [
        f"{file['filePath']}:{m['line']} {m['ruleId']}: {m['message']}"
        for file in json.loads(told.read_bytes())
        for m in file["messages"]
    ]
    assert found == []
    assert run.returncode == 0, run.stderr


@pytest.mark.real("chromium")
def test_the_keyboard_meets_the_skip_link_first(browser: Browser) -> None:
    page = browser.new_page()
    opened(page, site("one"), "index.html")
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert focused.inner_text() == "Till läget"
    assert focused.get_attribute("href") == "#now"
    page.close()


@pytest.mark.real("chromium")
def test_struck_text_is_announced_as_no_longer_holding(browser: Browser) -> None:
    page = browser.new_page()
    opened(page, site("corrected"), "index.html")
    struck = page.locator("#a7-2 del")
    assert struck.text_content() is not None
    assert "Detta gäller inte längre:" in str(struck.text_content())
    assert page.locator("#a7-2 .tag a").get_attribute("href") == "#a7-3"
    page.close()


# --------------------------------------------------------------------------------------------------- the first screen
ANSWERS = {
    "is it me": "h1",
    "since when": ".kind",
    "until when, and when the next word comes": ".facts .big",
    "whom to ring": ".asof a[href^='tel:']",
    "what to do": ".do .say",
}
_BOXES = """names => names.map(name => {
  const found = [...document.querySelectorAll(`main ${name}`)].filter(each => each.offsetParent);
  const boxes = found.map(each => each.getBoundingClientRect());
  return [found.length, Math.max(...boxes.map(box => box.bottom)), Math.max(...boxes.map(box => box.right))];
})"""


@pytest.mark.real("chromium")
@pytest.mark.parametrize("path", ["index.html", "incidents/a7/index.html", "en/index.html"])
def test_every_answer_stands_in_the_first_screen_of_a_phone(browser: Browser, path: str) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    assert opened(page, site("one"), path) == []
    boxes = page.evaluate(_BOXES, list(ANSWERS.values()))
    page.close()
    for answer, (count, bottom, right) in zip(ANSWERS, boxes, strict=True):
        assert count, f"{answer}: not there"
        assert bottom <= 740, f"{answer}: ends at {bottom}"
        assert right <= 360, f"{answer}: reaches to {right}"


# Half of 360 is what zooming to 200 % leaves; a reader's own large type is another matter than zoom.
NARROW = [(320, "100%"), (180, "100%"), (320, "200%")]


@pytest.mark.real("chromium")
@pytest.mark.parametrize("state", STATES)
def test_nothing_scrolls_sideways_on_a_narrow_screen_or_in_large_type(
    browser: Browser, state: str
) -> None:
    files = site(state)
    page = browser.new_page()
    wrong = []
    for path in worth_opening(state, files):
        opened(page, files, path)
        for width, size in NARROW:
            page.set_viewport_size({"width": width, "height": 700})
            page.evaluate("size => { document.documentElement.style.fontSize = size }", size)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wrong.append(f"{path} at {width} px, {size}")
    page.close()
    assert wrong == []
