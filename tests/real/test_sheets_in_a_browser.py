"""The sheet for the shop door as a printer gets it: one page, nothing cut off, whatever has happened and however much was said.

The sheets are drawn into artefacts/sheets/ for people to look at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, sync_playwright

from broadcaster.domain.board import BoardIncident
from broadcaster.domain.incident import Mode
from broadcaster.domain.situation import Situation, Speaker
from broadcaster.domain.wording import Wording, power_cuts
from broadcaster.locale import phrases
from broadcaster.service.commands import Refused
from broadcaster.service.sheet import sheet
from broadcaster.testing import boards
from broadcaster.testing.boards import minutes

ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "sheets"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
WIDTH, HEIGHT = 794, 1123  # A4 at 96 dots an inch
CUT_OFF = """() => {
  const foot = document.querySelector('.foot').getBoundingClientRect();
  const words = document.querySelector('.words');
  return [words.scrollHeight > words.clientHeight, foot.bottom > innerHeight,
          document.documentElement.scrollWidth > innerWidth];
}"""


def endless() -> BoardIncident:
    """A drill about everything, in more words than anybody reads."""
    cut = boards.power_cut()
    long = {"sv": "Mycket text, rad på rad.\n" * 300, "en": "Word " * 2_000}
    return replace(
        cut,
        mode=Mode.DRILL,
        headline="Vattenläcka och " + "brott på ledningen " * 14,
        areas=tuple(area.key for area in boards.AREAS),
        instruction="W" * 1_500,
        cause="Ett rör. " * 60,
        updates=(replace(cut.updates[0], texts=long), *cut.updates[1:]),
    )


def told(incident: BoardIncident, *languages: str) -> list[Situation[Wording]]:
    known = power_cuts([phrases("sv"), phrases("en")])
    near = incident.updates[0].at
    return [
        Situation(
            incident=incident,
            words=Wording(phrases(tag), ZoneInfo("Europe/Stockholm"), near, known),
            language=tag,
            at=minutes(20),
            speaker=Speaker(
                name="Ekbyns Energi",
                phone="0123-456 78",
                language="sv",
                areas={area.key: area.name for area in boards.AREAS},
            ),
            link=f"https://drift.ekbyn.example/incidents/{incident.slug}/",
        )
        for tag in languages
    ]


SHEETS = {
    "one": told(boards.power_cut(), "sv"),
    "two-languages": told(boards.power_cut(), "sv", "en"),
    "planned": told(boards.planned_cut(), "sv"),
    "restored": told(boards.restored_cut(), "sv", "en"),
    "retracted": told(boards.retracted_cut(), "sv"),
    "endless": told(endless(), "sv"),
    "endless-in-two-languages": told(endless(), "sv", "en"),
}


@pytest.fixture(scope="module")
def browser(chromium_path: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        browser.close()


@pytest.mark.real("chromium")
@pytest.mark.parametrize("name", SHEETS)
def test_a_sheet_is_one_page_and_nothing_of_it_is_cut_off(name: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.emulate_media(media="print", color_scheme="dark")
    page.set_content(sheet(SHEETS[name]).html)
    assert page.evaluate(CUT_OFF) == [False, False, False]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")
    printed = page.pdf(prefer_css_page_size=True)
    page.close()
    (ARTEFACTS / f"{name}.pdf").write_bytes(printed)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
    assert re.search(rb"/MediaBox\s*\[0 0 59[45][.0-9]* 84[12][.0-9]*\]", printed)


@pytest.mark.real("chromium", "axe-core")
def test_axe_finds_nothing_on_a_sheet(browser: Browser, axe_path: Path) -> None:
    page = browser.new_page()
    for told_in in SHEETS.values():
        page.set_content(sheet(told_in).html)
        page.evaluate(axe_path.read_text())
        found = page.evaluate("axe.run()")["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    page.close()


def test_a_sheet_says_when_words_are_left_out() -> None:
    assert {name: sheet(told_in).whole for name, told_in in SHEETS.items()} == {
        name: not name.startswith("endless") for name in SHEETS
    }


def test_what_fits_on_no_sheet_is_refused_and_not_cut() -> None:
    with pytest.raises(Refused, match="ask for fewer languages"):
        sheet(told(endless(), *["sv", "en"] * 4))
