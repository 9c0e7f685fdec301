"""The residents' front door in a real browser: by keyboard alone, judged by axe and html-validate, drawn to be looked at.

The drawings are kept in artefacts/follow/.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Response, sync_playwright

from broadcaster.store import personal
from broadcaster.testing.operators import CONFIGURATION, Daemonless

ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "follow"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MORE = "".join(
    f"  plats-{n}: {{name: {name}}}\n"
    for n, name in enumerate(("Västerby", "Sjövik", "Storängen", "Kvarnbackens fritidsområde"))
)
RESIDENTS = CONFIGURATION.replace("channels:\n  page:", f"{MORE}channels:\n  page:").replace(
    "  sms:\n",
    "  mail: {kind: email, sender: varning@ekbyn.example, suppliers: [{host: 127.0.0.1, port: 1, tls: none}]}\n  sms:\n",
).replace("channels: [page, hook, sms]", "channels: [page, hook, mail, sms]").replace(
    "timezone: Europe/Stockholm}", "timezone: Europe/Stockholm, phone: 0123-456 78}"
) + "residents: {channels: [mail, sms], number: 71 120}\n"  # fmt: skip
# Each place is a tick of its own under one name, as HTML has it (form-associated "multiple values").
RULES = {"form-dup-name": ["error", {"shared": ["radio", "checkbox", "submit"]}]}


@pytest.fixture(scope="module")
def browser(chromium_path: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Daemonless]:
    with Daemonless(tmp_path, RESIDENTS) as running:
        yield running


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until this has the focus, as somebody does who has no mouse."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"nothing leads to {selector}")


class Watched:
    """A page that is judged and drawn at each step; `wrong` is what was found."""

    def __init__(self, page: Page, axe: str, folder: Path) -> None:
        self.page, self.axe, self.folder = page, axe, folder
        self.wrong: list[str] = []
        page.on("response", self._served)
        page.on("console", lambda message: self.wrong.append(f"console: {message.text}"))

    def _served(self, response: Response) -> None:
        if response.request.is_navigation_request():
            self.response = response

    def see(self, name: str) -> None:
        (self.folder / f"{name}.html").write_bytes(self.response.body())
        for width in (320, 768, 1280):
            for scheme in ("light", "dark"):
                self.page.set_viewport_size({"width": width, "height": 800})
                self.page.emulate_media(color_scheme=scheme)
                if self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                    self.wrong.append(f"{name}: wider than {width}")
                if (width, scheme) in {(320, "light"), (1280, "dark")}:
                    self.wrong += self.judged(name)
                    shot = ARTEFACTS / f"{name}.{width}.{scheme}.png"
                    self.page.screenshot(path=shot, full_page=True)
        self.page.set_viewport_size({"width": 360, "height": 740})

    def judged(self, name: str) -> list[str]:
        self.page.evaluate(self.axe)
        found = self.page.evaluate("axe.run()")["violations"]
        return [f"{name} {v['id']}: {node['html'][:200]}" for v in found for node in v["nodes"]]


def link_of(desk: Daemonless) -> str:
    """The path that the letter to confirm leads to."""
    [letter] = desk.store.write(
        lambda c: personal.claim(c, "mail", desk.clock(), timedelta(hours=1), 10)
    ).result()
    found = re.search(r"/follow/confirm/[a-z0-9]+", letter.opened(desk.store.vault)[2])
    assert found is not None
    return found[0]


@pytest.mark.real("chromium", "axe-core", "html-validate")
def test_subscribing_changing_and_leaving_by_keyboard_alone(
    door: Daemonless, browser: Browser, axe_path: Path, html_validate_path: Path, tmp_path: Path
) -> None:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    seen = tmp_path / "seen"
    seen.mkdir()
    # Scripts of the page itself have no chance by its policy; axe is put in past it, to look.
    context = browser.new_context(bypass_csp=True, viewport={"width": 360, "height": 740})
    page = context.new_page()
    look = Watched(page, axe_path.read_text(), seen)
    at = f"http://127.0.0.1:{door.inbound.port}"

    page.goto(f"{at}/follow/")
    look.see("1-form")
    tab_to(page, "#address")
    page.keyboard.type("asa.berg@example.org")
    door.clock.pass_by(seconds=3)
    tab_to(page, "form button")
    page.keyboard.press("Enter")
    page.wait_for_selector(".wrong")
    look.see("2-no-place")
    for key in ("norra-ekbyn", "plats-1"):
        tab_to(page, f'input[value="{key}"]')
        page.keyboard.press("Space")
    tab_to(page, "#least")
    page.keyboard.press("ArrowDown")
    door.clock.pass_by(seconds=3)
    tab_to(page, "form button")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Titta bland dina brev")
    look.see("3-asked")

    page.goto(f"{at}{link_of(door)}")
    look.see("4-confirm")
    tab_to(page, "form button")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Det har börjat")
    look.see("5-begun")

    tab_to(page, 'a[href*="/mine/"]')
    page.keyboard.press("Enter")
    page.wait_for_selector("text=a…@example.org")
    look.see("6-mine")
    assert page.locator('input[name="area"]:checked').count() == 2
    assert page.locator("#least").input_value() == "moderate"
    tab_to(page, 'input[value="plats-2"]')
    page.keyboard.press("Space")
    tab_to(page, "form:nth-of-type(2) button")
    page.keyboard.press("Enter")
    page.wait_for_selector(".kept")
    look.see("7-kept")
    assert page.locator('input[name="area"]:checked').count() == 3

    tab_to(page, 'form[action$="/leave"] button')
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Du har slutat")
    look.see("8-left")
    page.goto(f"{at}/follow/en/nothing")
    look.see("9-not-here")
    page.goto(f"{at}/follow/link/")
    look.see("10-link")
    context.close()
    # A page that is not there is said to be so in the console, too: by the browser, not by us.
    assert [each for each in look.wrong if "404" not in each and "422" not in each] == []
    assert validated(html_validate_path, seen) == []


@pytest.mark.real("chromium")
def test_the_policy_lets_our_style_in_and_nothing_else(door: Daemonless, browser: Browser) -> None:
    page = browser.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.goto(f"http://127.0.0.1:{door.inbound.port}/follow/")
    assert page.evaluate("getComputedStyle(document.querySelector('.way')).borderTopStyle") == "solid"  # fmt: skip
    page.close()
    assert wrong == []


def validated(program: Path, folder: Path) -> list[str]:
    """What html-validate finds wrong with what the browser was shown."""
    rules = folder / "rules.json"
    rules.write_text(
        json.dumps({"root": True, "extends": ["html-validate:recommended"], "rules": RULES})
    )
    told = folder / "told.json"
    with told.open("wb") as out:
        subprocess.run(
            [program, "--config", str(rules), "--formatter", "json", str(folder)],
            stdout=out, stderr=subprocess.PIPE, timeout=100, check=False,
        )  # fmt: skip
    return [
        f"{Path(file['filePath']).name}:{m['line']} {m['ruleId']}: {m['message']}"
        for file in json.loads(told.read_bytes())
        for m in file["messages"]
    ]
