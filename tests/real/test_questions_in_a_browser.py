"""The pages that ask, answered by the real public server, in a real browser without JavaScript and by keyboard alone.

The drawings are kept in artefacts/questions/.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from broadcaster.bundle import Bundle
from broadcaster.channel import Place
from broadcaster.testing.boards import AREAS, context, states
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.ports import free_port
from channels.feed.site import feeds
from channels.page.settings import PageSettings
from channels.page.site import pages

ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "questions"
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
WIDTHS = (320, 360, 768, 1280)
PLACES = (
    Place("Norra Ekbyn", "12345", "norra-ekbyn"),
    Place("Kvarnvägen", "12345", "norra-ekbyn"),
    Place("Strandvägen", "12345", "norra-ekbyn"),
    Place("Strandvägen", "12347", "sjovik"),
    Place("Åsen", "12346", "ostra-ekbyn"),
    Place("Ängsvägen", "12346", "ostra-ekbyn"),
    Place("Öster om sundet", "12360", "sjovik"),
    *(Place(f"{letter}by", "", "centrum") for letter in "ABCDEFGHIJLMPRTUV"),
    *(Place(f"Byn {n}", "", "centrum") for n in range(25)),
)
Step = Callable[[Page], None]


@pytest.fixture(scope="module")
def browser(chromium_path: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        browser.close()


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real public server with everything published, at its own address."""
    root, port = tmp_path_factory.mktemp("site") / "public", free_port()
    shown = states()["three"]
    surroundings = context(places=PLACES, answers=True, public_url=f"http://127.0.0.1:{port}")
    Bundle(root, "page").publish("1.3", list(pages(shown, surroundings, PageSettings(kind="page"))))
    Bundle(root, "feed").publish("1.3", list(feeds(shown, surroundings)))
    command = [sys.executable, "-m", "broadcaster.public", "--directory", str(root)]
    with subprocess.Popen(
        [*command, "--listen", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL
    ) as process:
        wait_until(lambda: accepts(port), seconds=30)
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def asks(place: str) -> Step:
    def step(page: Page) -> None:
        page.fill("#place", place)
        page.click("button")

    return step


def ticks(page: Page) -> None:
    page.check("input[value=norra-ekbyn]")
    page.check("input[value=sjovik]")
    page.check("input[value='feed.atom']")
    page.click("button")


def presses(page: Page) -> None:
    page.click("button")


SCREENS: dict[str, tuple[str, Step | None]] = {
    "places": ("places/", None),
    "places-several": ("places/", asks("Strandvägen")),
    "places-many": ("places/", asks("by")),
    "places-none": ("places/", asks('Stockholm "<b>x</b>')),
    "places-letter": ("places/b/", None),
    "follow": ("follow/", None),
    "my": ("follow/", ticks),
    "my-none": ("follow/", presses),
    "english-my": ("en/follow/", ticks),
    "english-none": ("en/places/", asks("Nowhere")),
}


def at(page: Page, address: str, screen: str) -> None:
    path, step = SCREENS[screen]
    page.goto(f"{address}/{path}")
    if step is not None:
        step(page)


@pytest.mark.real("chromium", "axe-core")
@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_at_any_width_and_nothing_leaves_the_screen(
    screen: str, browser: Browser, axe_path: Path, address: str
) -> None:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    axe = axe_path.read_text()
    wrong: list[str] = []
    page = browser.new_page(viewport={"width": 360, "height": 740})

    def asked(request: Request) -> None:
        if not request.url.startswith(address):
            wrong.append(f"asks {request.url}")

    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.route("**/favicon.ico", lambda route: route.fulfill(status=200))  # the browser's own wish
    page.on("request", asked)
    at(page, address, screen)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        page.evaluate(f"window.axe || (() => {{ {axe} }})()")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for violation in page.evaluate("axe.run()")["violations"]:
                wrong += [f"{violation['id']}: {n['html'][:200]}" for n in violation["nodes"]]
            if width in (360, 1280):
                page.screenshot(path=ARTEFACTS / f"{screen}.{width}.{scheme}.png", full_page=True)
    page.close()
    assert wrong == []


@pytest.mark.slow
@pytest.mark.real("chromium", "html-validate")
def test_html_validate_finds_nothing(
    html_validate_path: Path, browser: Browser, address: str, tmp_path: Path
) -> None:
    page = browser.new_page(java_script_enabled=False)
    bodies: list[Any] = []
    page.on("response", lambda got: bodies.append(got) if got.status == 200 else None)
    page.route("**/favicon.ico", lambda route: route.abort())
    for screen in SCREENS:
        at(page, address, screen)
        (tmp_path / f"{screen}.html").write_bytes(bodies[-1].body())
    page.close()
    settings, told = tmp_path / "rules.json", tmp_path / "told.json"
    rules = {
        "tel-non-breaking": ["error", {"ignoreClasses": ["nobr"]}],
        "form-dup-name": ["error", {"shared": ["checkbox", "radio"]}],
    }
    settings.write_text(
        json.dumps({"root": True, "extends": ["html-validate:recommended"], "rules": rules})
    )
    options = ["--config", str(settings), "--formatter", "json", *map(str, tmp_path.glob("*.html"))]
    with told.open("wb") as out:
        subprocess.run([html_validate_path, *options], stdout=out, timeout=100, check=False)
    found = [
        f"{Path(file['filePath']).name}:{m['line']} {m['ruleId']}: {m['message']}"
        for file in json.loads(told.read_bytes())
        for m in file["messages"]
    ]
    assert found == []


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until it is there: a keyboard is all that this reader has."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.locator(f"{selector}:focus").count():
            return
    raise AssertionError(f"Tab never comes to {selector}")


@pytest.mark.real("chromium")
def test_a_place_is_asked_about_by_keyboard_without_javascript(
    browser: Browser, address: str
) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(f"{address}/places/")
    tab_to(page, "#place")
    page.keyboard.type("kvarnvagen 7")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/areas/norra-ekbyn/")
    assert "Norra Ekbyn" in page.inner_text("main")
    page.go_back()
    assert page.url == f"{address}/places/"  # the question is in no address
    page.close()


@pytest.mark.real("chromium")
def test_an_address_of_ones_own_is_made_by_keyboard_without_javascript(
    browser: Browser, address: str
) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(f"{address}/follow/")
    for key in ("norra-ekbyn", "sjovik"):
        tab_to(page, f"input[value={key}]")
        page.keyboard.press("Space")
    tab_to(page, "button")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/my/?*")
    own = page.inner_text(".copy")
    assert own == f"{address}/my/norra-ekbyn+sjovik/feed.rss"
    assert page.request.get(own).ok
    assert {area.key for area in AREAS} > {"norra-ekbyn", "sjovik"}
    page.close()
