"""The page on a phone with one bar: what it asks for, when something is painted, and what those who judge pages find."""

from __future__ import annotations

import json
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import feedparser
from playwright.sync_api import Browser, sync_playwright

from broadcaster.testing.peers import PEERS
from tests.bench.ground import Ground
from tests.bench.group_read import FEEDS, UPDATES, filled
from tests.bench.machine import p50
from tests.bench.sinks import Nginx
from tests.bench.subject import Subject
from tests.bench.table import Row

# "Slow 3G" as Chromium's own tools have it: 500 kbit/s less a fifth, 400 ms five times over.
_SLOW = {
    "offline": False,
    "downloadThroughput": 50_000,
    "uploadThroughput": 50_000,
    "latency": 2_000,
}
_PAINTED = """() => new Promise(found => new PerformanceObserver(list => {
    const paint = list.getEntries().find(entry => entry.name === "first-contentful-paint");
    if (paint) found(paint.startTime);
}).observe({type: "paint", buffered: true}))"""
_EMPTY = "<!doctype html><html lang=sv><meta charset=utf-8><title>.</title><p>.</p></html>"
# The stylesheet keeps phone numbers whole; hyphens that cannot be dialled would break copying them.
_RULES = {"tel-non-breaking": ["error", {"ignoreClasses": ["nobr"]}]}
_JUDGES = ("chromium", "axe-core", "html-validate")


def run(ground: Ground) -> Iterator[Row]:
    """A daemon with fifty updates on its page, read by Chromium."""
    missing = [name for name in _JUDGES if PEERS[name].missing()]
    if missing:
        ground.say(f"phone: left out, not on this machine: {', '.join(missing)} (make peers)")
        return
    boards = {"page": {"kind": "page"}, "feed": {"kind": "feed"}}
    empty = f"location / {{ default_type text/html; return 200 '{_EMPTY}'; }}"
    with (
        Subject(boards, public=True) as subject,
        Nginx(empty) as nothing,
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=PEERS["chromium"].path("chromium"), args=["--no-sandbox"]
        ) as browser,
    ):
        filled(subject)
        ground.say("the page on a phone")
        yield from _asked_for(browser, subject.page)
        yield _painted(ground, browser, subject.page, nothing.url)
        yield _judged(browser, subject)


def _asked_for(browser: Browser, url: str) -> Iterator[Row]:
    asked: list[tuple[str, str]] = []
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.on("request", lambda request: asked.append((request.url, request.resource_type)))
    page.goto(url + "/", wait_until="networkidle")
    page.close()
    home = urlsplit(url).netloc
    strangers = [address for address, _ in asked if urlsplit(address).netloc != home]
    scripts = [address for address, kind in asked if kind == "script"]
    for what, found, floor, target in (
        (f"requests for a page with {UPDATES} updates", asked, 3, 2),
        ("of them for scripts", scripts, 0, 0),
        ("of them to somebody else", strangers, 0, 0),
    ):
        yield Row(
            group="phone", what=what, value=len(found), unit="", floor=floor, target=target,
        )  # fmt: skip


def _painted(ground: Ground, browser: Browser, ours: str, empty: str) -> Row:
    pairs = [
        (_paint(browser, ours), _paint(browser, empty)) for _ in range(2 * ground.size.rounds + 1)
    ]
    page, nothing = (p50([pair[which] for pair in pairs]) for which in (0, 1))
    return Row(
        group="phone", what="first paint on slow 3G, less that of an empty page",
        value=(page - nothing) / 1000, unit="s", floor=0.6, target=0.3,
        note=f"{page / 1000:.2f} s and {nothing / 1000:.2f} s, each the median of {len(pairs)}",
    )  # fmt: skip


def _paint(browser: Browser, url: str) -> float:
    """Milliseconds until Chromium first paints some of the page; nothing of it is kept from before."""
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    line = context.new_cdp_session(page)
    line.send("Network.enable")
    line.send("Network.emulateNetworkConditions", _SLOW)
    page.goto(url + "/")
    painted = float(page.evaluate(_PAINTED))
    context.close()
    return painted


def _judged(browser: Browser, subject: Subject) -> Row:
    """What axe finds on the page, Chromium's console says of it, html-validate of its HTML and feedparser of the feeds."""
    page, said = browser.new_page(viewport={"width": 360, "height": 740}), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.goto(subject.page + "/", wait_until="networkidle")
    page.evaluate(f"(() => {{ {PEERS['axe-core'].path('axe').read_text()} }})()")
    violations = [each["id"] for each in page.evaluate("axe.run()")["violations"]]
    page.close()
    feeds = [path for path in FEEDS if path.endswith((".atom", ".rss"))]
    broken = [path for path in feeds if feedparser.parse(_read(subject.page + path)).bozo]
    found = [*violations, *said, *_faults_of_html(subject.public / "index.html"), *broken]
    return Row(
        group="phone", what="faults found by axe, html-validate, feedparser and the console",
        value=len(found), unit="", floor=0, target=0, note="; ".join(found[:3]),
    )  # fmt: skip


def _faults_of_html(file: Path) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.json"
        extends = ["html-validate:recommended"]
        rules.write_text(json.dumps({"root": True, "extends": extends, "rules": _RULES}))
        program = PEERS["html-validate"].path("html_validate")
        told = Path(folder) / "told.json"  # of a pipe it would leave its last words unsaid
        with told.open("wb") as out:
            command: list[str | Path] = [program, "--config", rules, "--formatter", "json", file]
            subprocess.run(command, stdout=out, timeout=60, check=False)
        faults = json.loads(told.read_bytes())
    return [each["ruleId"] for one in faults for each in one["messages"]]


def _read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
        return bytes(answer.read())
