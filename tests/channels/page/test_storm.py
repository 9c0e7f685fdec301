"""Hundreds of incidents at once: no page grows beyond what a phone with one bar can fetch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import brotli
from lxml import html

from broadcaster.bundle import File
from broadcaster.channel import Board, Kind, Revision, Severity
from broadcaster.domain.board import BoardArea, BoardIncident
from broadcaster.registry.boundaries import names, outline_of_code
from broadcaster.testing.boards import board, context, incident, minutes, update
from channels.page.pieces import Memory
from channels.page.settings import PageSettings
from channels.page.site import pages

SETTINGS = PageSettings(kind="page", advice={"sv": "Ring 112 bara vid fara för liv."})
AREAS = tuple(
    BoardArea(f"area-{code}", name, {"scb": code}, outline_of_code(code))
    for code, name in names().items()
    if len(code) == 4
)
WORST = 30  # the number of the incident that is extreme
MOST = 20_000


def cut(number: int, *, area: str | None = None, updates: int = 4) -> BoardIncident:
    where = (area or AREAS[number % 40].key,)
    words = tuple(
        update(
            n,
            Kind.UPDATE,
            minutes(number % 50 + n - 100),
            f"Träd har fallit över ledningen vid mast {number} och {n * 7}. Vi röjer.",
            areas=where,
            promise=minutes(20 + number % 60),
            since=minutes(-100),
        )
        for n in range(updates, 0, -1)
    )
    severity = Severity.EXTREME if number == WORST else Severity.MODERATE
    return incident(f"A{number}", words, severity=severity, instruction=f"Mast {number}.")


def storm(incidents: Iterable[BoardIncident]) -> Board:
    return board(*incidents, feeds={"": ()})


def published(shown: Board, memory: Memory | None = None) -> dict[str, File]:
    return {f.path: f for f in pages(shown, context(areas=AREAS), SETTINGS, memory)}


FIVE_HUNDRED = storm(cut(number) for number in range(1, 501))


@cache
def of_the_storm() -> dict[str, File]:
    return published(FIVE_HUNDRED)


def parsed(path: str, files: dict[str, File] | None = None) -> Any:
    return html.fromstring((files or of_the_storm())[path].body)


def text(tree: Any) -> str:
    return re.sub(r"\s+", " ", str(tree.text_content()))


def test_no_page_grows_with_what_goes_on() -> None:
    weights = {
        f"{path} {what}": len(brotli.compress(body, quality=5))
        for path, file in of_the_storm().items()
        if path.endswith(".html")
        for what, body in (("", file.body), ("late", file.overdue.body if file.overdue else b""))
    }
    assert {path: weight for path, weight in weights.items() if weight > MOST} == {}


def test_the_front_page_counts_by_area_and_tells_the_severest_first() -> None:
    assert parsed("index.html").xpath("//h1")[0].text == "500 störningar"
    assert parsed("index.html").xpath("//section[contains(@class,'now')]/@id")[0] == f"a{WORST}"
    assert f"Mast {WORST}." in text(parsed("index.html"))
    rows = parsed("index.html").xpath("//h2[@id='areas']/following-sibling::ul[1]/li")
    assert len(rows) == 40
    assert rows[0].xpath("./a/@href") == [f"./areas/{AREAS[WORST % 40].key}/"]
    assert "● 12 störningar" in text(rows[0])
    assert len(parsed("index.html").xpath("//figure/svg")) == 1


def test_every_incident_is_one_click_from_the_front_page() -> None:
    found = set()
    for link in parsed("index.html").xpath("//h2[@id='all']/following-sibling::ul[1]//a/@href"):
        tree = parsed(f"{link.removeprefix('./')}index.html")
        lines = tree.xpath("//main//li/a/@href")
        assert len(lines) <= 50
        found |= set(lines)
    assert found == {f"../../incidents/a{number}/" for number in range(1, 501)}


def test_every_link_of_a_storm_leads_somewhere() -> None:
    for path in ("index.html", "now/3/index.html", f"areas/{AREAS[7].key}/index.html"):
        tree = parsed(path)
        tree.make_links_absolute(f"/{path}")
        for link in tree.xpath("//main//a/@href"):
            if link.startswith("tel:") or "/feed." in link or link.endswith(".ics"):
                continue
            target, _, anchor = link.lstrip("/").partition("#")
            assert f"{target}index.html" in of_the_storm(), f"{path} leads to {link}"
            there = parsed(f"{target}index.html")
            assert not anchor or there.xpath(f"//*[@id='{anchor}']")


def test_an_area_with_hundreds_of_incidents_lists_fifty_and_leads_to_the_rest() -> None:
    hard_hit = AREAS[0].key
    files = published(storm(cut(number, area=hard_hit) for number in range(1, 301)))
    page = files[f"areas/{hard_hit}/index.html"]
    assert len(brotli.compress(page.body, quality=5)) <= MOST
    tree = parsed(f"areas/{hard_hit}/index.html", files)
    assert len(tree.xpath("//section[contains(@class,'now')]")) == 3
    assert len(tree.xpath("//ul[@class='list']/li")) == 50
    assert "247 till" in text(tree)
    assert "är berört nu" in text(tree)


def test_a_few_incidents_of_very_many_words_are_told_without_them() -> None:
    files = published(storm(cut(number, updates=50) for number in range(1, 4)))
    tree = parsed("index.html", files)
    assert len(tree.xpath("//section[contains(@class,'now')]")) == 3
    assert not tree.xpath("//ol")
    assert tree.xpath("//h2/a/@href") == ["./incidents/a3/", "./incidents/a2/", "./incidents/a1/"]
    assert len(brotli.compress(files["index.html"].body, quality=5)) <= MOST


def test_broken_promises_are_told_of_the_severest_and_counted_of_the_others() -> None:
    late = published(replace(FIVE_HUNDRED, at=minutes(200)))["index.html"]
    tree: Any = html.fromstring(late.body)
    assert len(tree.xpath("//p[@class='head']")) == 3
    assert "Vi är sena med nästa besked om 497 till." in text(tree)
    assert late.overdue is None
    waits = of_the_storm()["index.html"].overdue
    assert waits is not None
    assert waits.after == minutes(20)


def test_one_more_word_in_a_storm_writes_only_the_pages_it_is_on() -> None:
    memory = Memory()
    published(FIVE_HUNDRED, memory)
    told = replace(FIVE_HUNDRED.open[6], affected=9)
    going_on = tuple(told if each.id == told.id else each for each in FIVE_HUNDRED.open)
    after = replace(
        FIVE_HUNDRED,
        since=Revision(1, 1_999),
        open=going_on,
        changed=(told,),
        archive=(),
    )
    paths = {path for path in published(after, memory) if not path.startswith("en/")}
    area = next(each for each in AREAS if each.key == told.areas[0])
    assert paths == {
        "index.html",
        "areas/index.html",
        f"areas/{area.key}/index.html",
        f"areas/{area.codes['scb']}/index.html",
        f"incidents/{told.slug}/index.html",
        "now/1/index.html",
        "embed/index.html",
        "badge.svg",
        f"areas/{area.key}/embed/index.html",
        f"areas/{area.key}/badge.svg",
    }


def test_what_is_over_leaves_its_page_of_what_goes_on() -> None:
    over = replace(FIVE_HUNDRED.open[6], closed_at=minutes(1), areas=())
    left = tuple(each for each in FIVE_HUNDRED.open if each.id != over.id)
    after = replace(FIVE_HUNDRED, since=Revision(1, 1_999), open=left, changed=(over,), archive=())
    lines = parsed("now/1/index.html", published(after)).xpath("//main//li/a/@href")
    assert len(lines) == 49
    assert f"../../incidents/{over.slug}/" not in lines


def test_a_page_of_what_goes_on_that_is_empty_says_so() -> None:
    over = replace(cut(7), closed_at=minutes(1), areas=())
    after = replace(storm([over]), since=Revision(1, 3), changed=(over,), open=())
    tree = parsed("now/1/index.html", published(after))
    assert tree.xpath("//h1")[0].text == "Inga kända störningar"
