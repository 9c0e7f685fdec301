"""The map of what is affected, and the areas as a file for other programs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import brotli
import pytest
from lxml import html

from broadcaster.channel import Board
from broadcaster.domain.board import BoardArea
from broadcaster.registry.boundaries import names, outline_of_code
from broadcaster.testing.boards import AREAS, MAPPED, board, context, power_cut, states
from channels.page.map import WIDTH, drawn
from channels.page.settings import PageSettings
from channels.page.site import pages

SWEDEN = tuple(
    BoardArea(f"area-{code}", name, {"scb": code}, outline_of_code(code))
    for code, name in names().items()
    if len(code) == 4
)


def page(shown: Board, path: str = "index.html", areas: Sequence[BoardArea] = MAPPED) -> Any:
    files = {f.path: f for f in pages(shown, context(areas=areas), PageSettings(kind="page"))}
    return html.fromstring(files[path].body)


@pytest.mark.parametrize("path", ["index.html", "incidents/a7/index.html"])
def test_what_is_affected_is_hatched_named_and_told_as_text(path: str) -> None:
    tree = page(states()["one"], path)
    (svg,) = tree.xpath("//main//figure/svg")
    assert svg.get("role") == "img"
    (title,) = svg.xpath("./title")
    assert svg.get("aria-labelledby") == title.get("id")
    assert title.text == "Karta. Streckat: Norra Ekbyn"
    assert len(svg.xpath("./path[@class='hit']")) == 1
    assert svg.xpath("./text[@class='b']/text()") == ["Norra Ekbyn"]
    assert "Östra Ekbyn" in svg.xpath("./text[not(@class)]/text()")
    assert tree.xpath("//figure/figcaption")[0].text == "Streckat: Norra Ekbyn"
    assert "Norra Ekbyn" in tree.xpath("//dl")[-1].text_content()


def test_of_several_incidents_one_map_shows_all_that_is_affected() -> None:
    tree = page(states()["three"])
    assert len(tree.xpath("//figure/svg")) == 1
    assert len(tree.xpath("//path[@class='hit']")) == 3


@pytest.mark.parametrize("state", ["restored", "nothing-known", "retracted"])
def test_where_nothing_is_affected_there_is_no_map(state: str) -> None:
    shown = states()[state]
    for path in ("index.html", "areas/index.html", "areas/norra-ekbyn/index.html"):
        assert not page(shown, path).xpath("//svg"), path


def test_where_nobody_knows_where_an_area_is_there_is_no_map() -> None:
    assert not page(states()["one"], areas=AREAS).xpath("//svg")
    assert drawn(["norra-ekbyn"], [AREAS[0], *MAPPED[1:]]) is None


def test_a_map_costs_a_page_two_and_a_half_kilobytes_at_most() -> None:
    def weight(told: Sequence[str], areas: Sequence[BoardArea]) -> int:
        shown = board(power_cut(areas=tuple(told), areas_ever=tuple(told)))
        (body,) = [
            f.body
            for f in pages(shown, context(areas=areas), PageSettings(kind="page"))
            if f.path == "index.html"
        ]
        return len(brotli.compress(body, quality=5))

    stockholm = [area.key for area in SWEDEN if area.codes["scb"].startswith("01")]
    for told in (["area-0127"], ["area-0180"], stockholm, [area.key for area in SWEDEN]):
        plain = tuple(BoardArea(area.key, area.name, area.codes) for area in SWEDEN)
        assert weight(told, SWEDEN) - weight(told, plain) <= 2_500


def test_north_is_up_and_east_is_to_the_right() -> None:
    def square(key: str, south: float, west: float) -> BoardArea:
        corners = ((0, 0), (0, 0.2), (0.1, 0.2), (0.1, 0), (0, 0))
        return BoardArea(key, key, {}, (tuple((south + up, west + on) for up, on in corners),))

    areas = [square("here", 59.0, 17.0), square("north", 59.11, 17.0), square("east", 59.0, 17.21)]
    picture = drawn([area.key for area in areas], areas)
    assert picture is not None
    at = {shape.name: (shape.x, shape.y) for shape in picture.affected}
    assert at["north"][1] < at["here"][1]
    assert at["east"][0] > at["here"][0]


def test_what_is_far_away_is_not_drawn_and_no_name_stands_on_another() -> None:
    picture = drawn(["area-0127"], SWEDEN)
    assert picture is not None
    assert len(picture.around) < 30
    named = [shape for shape in (*picture.affected, *picture.around) if shape.name]
    assert all(0 < shape.x < WIDTH and 0 < shape.y < picture.height for shape in named)
    assert len({(shape.x, shape.y) for shape in named}) == len(named)


def test_what_is_affected_is_drawn_however_small_it_is() -> None:
    tiny = BoardArea("tiny", "Tiny", {}, (((59, 17), (59, 17.0001), (59.0001, 17), (59, 17)),))
    picture = drawn(["tiny", "area-2584"], [tiny, *SWEDEN])
    assert picture is not None
    assert all(shape.path for shape in picture.affected)
    assert len(picture.affected) == 2


def test_a_name_from_the_configuration_is_text_on_the_map_too() -> None:
    named = (BoardArea("norra-ekbyn", "<b>&\"'", {}, MAPPED[0].outline),)
    tree = page(states()["one"], areas=named)
    assert not tree.xpath("//b[not(parent::div)]")
    assert tree.xpath("//svg/text/text()") == ["<b>&\"'"]


# ------------------------------------------------------------------------------------------------ for other programs
def test_every_area_is_in_the_file_with_key_name_and_codes() -> None:
    areas = (*MAPPED[:2], AREAS[2])
    (file,) = [
        f
        for f in pages(states()["one"], context(areas=areas), PageSettings(kind="page"))
        if f.path == "areas/areas.geojson"
    ]
    assert file.media_type == "application/geo+json"
    told = json.loads(file.body)
    assert told["type"] == "FeatureCollection"
    assert [each["properties"] for each in told["features"]] == [
        {"key": "norra-ekbyn", "name": "Norra Ekbyn", "codes": {"scb": "0127"}},
        {"key": "ostra-ekbyn", "name": "Östra Ekbyn", "codes": {}},
        {"key": "sjovik", "name": "Sjövik", "codes": {"scb": "0128"}},
    ]
    assert [bool(each["geometry"]) for each in told["features"]] == [True, True, False]
    for feature in told["features"][:2]:
        ((ring,),) = feature["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        assert all(17 < longitude < 19 and 59 < latitude < 60 for longitude, latitude in ring)
        turned = sum((b[0] - a[0]) * (b[1] + a[1]) for a, b in pairwise(ring))
        assert turned < 0, "clockwise: RFC 7946 wants it the other way round"


def test_the_list_of_areas_leads_to_the_file() -> None:
    links = page(states()["one"], "areas/index.html").xpath("//a/@href")
    assert "../areas/areas.geojson" in links
    links = page(states()["one"], "en/areas/index.html").xpath("//a/@href")
    assert "../../areas/areas.geojson" in links


def test_the_list_of_areas_names_code_and_state() -> None:
    rows = page(states()["three"], "areas/index.html").xpath("//main/ul/li")
    said = [re.sub(r"\s+", " ", row.text_content()).strip() for row in rows]
    assert said[0] == "Norra Ekbyn 0127 ● Strömavbrott i Norra Ekbyn"
    assert said[1] == "Östra Ekbyn Inget känt"


def test_an_areas_page_says_at_once_whether_it_is_affected() -> None:
    def verdict(state: str, key: str) -> str:
        tree = page(states()[state], f"areas/{key}/index.html")
        found = tree.xpath("//main/p[contains(@class,'verdict')]") or tree.xpath("//h1")
        return str(found[0].text_content())

    assert verdict("three", "norra-ekbyn") == "● Norra Ekbyn är berört nu"
    assert verdict("three", "sjovik") == "◷ Sjövik är inte berört nu, men något är planerat"
    assert verdict("three", "ostra-ekbyn") == "Inga kända störningar i Östra Ekbyn"
