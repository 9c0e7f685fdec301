"""The outlines that are shipped: which there are, and which area has one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from broadcaster.registry.boundaries import names, outline_of_code
from broadcaster.registry.building import board_area
from broadcaster.settings.model import AreaSettings, Settings


def test_every_municipality_and_county_of_sweden_is_there_once() -> None:
    known = names()
    assert len([code for code in known if len(code) == 4]) == 290
    assert len([code for code in known if len(code) == 2]) == 21
    assert len(set(known.values())) == 311


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("0180", "Stockholm"),
        ("1280", "Malmö"),
        ("2584", "Kiruna"),
        ("01", "Stockholms län"),
        ("12", "Skåne län"),
    ],
)
def test_a_code_has_the_name_that_statistics_sweden_gave_it(code: str, name: str) -> None:
    assert names()[code] == name


def test_every_outline_is_closed_and_within_sweden() -> None:
    for code in names():
        rings = outline_of_code(code)
        assert rings, code
        for ring in rings:
            assert len(ring) >= 4
            assert ring[0] == ring[-1]
            assert all(55.0 < lat < 69.2 and 10.5 < lon < 24.3 for lat, lon in ring), code


def test_every_municipality_lies_where_its_county_does() -> None:
    def box(code: str) -> tuple[float, float, float, float]:
        points = [point for ring in outline_of_code(code) for point in ring]
        lats, lons = [lat for lat, _ in points], [lon for _, lon in points]
        return min(lats), min(lons), max(lats), max(lons)

    slack = 0.1  # of a degree: the two divisions are generalised each for itself
    for code in names():
        south, west, north, east = box(code)
        bounds = box(code[:2])
        assert south > bounds[0] - slack, code
        assert west > bounds[1] - slack, code
        assert north < bounds[2] + slack, code
        assert east < bounds[3] + slack, code


def settings_of(**areas: AreaSettings) -> Settings:
    return cast("Settings", SimpleNamespace(areas=areas))  # all that an area is made of


def test_an_area_with_a_code_and_no_outline_of_its_own_has_that_of_its_municipality() -> None:
    area = board_area("ekbyn", settings_of(ekbyn=AreaSettings(name="Ekbyn", scb="0127")))
    assert area.outline == outline_of_code("0127")
    assert not board_area("ekbyn", settings_of(ekbyn=AreaSettings(name="Ekbyn"))).outline


def test_an_outline_of_its_own_comes_first(tmp_path: Path) -> None:
    place = tmp_path / "ekbyn.geojson"
    place.write_text('{"type":"Polygon","coordinates":[[[17,59],[18,59],[18,60],[17,59]]]}')
    area = AreaSettings(name="Ekbyn", scb="0127", polygon=place)
    found = board_area("ekbyn", settings_of(ekbyn=area)).outline
    assert found == (((59.0, 17.0), (59.0, 18.0), (60.0, 18.0), (59.0, 17.0)),)


def test_an_outline_that_cannot_be_read_is_not_made_up_for(tmp_path: Path) -> None:
    area = AreaSettings(name="Ekbyn", scb="0127", polygon=tmp_path / "gone.geojson")
    assert not board_area("ekbyn", settings_of(ekbyn=area)).outline


def test_two_parts_of_one_municipality_are_neither_of_them_all_of_it() -> None:
    parts = settings_of(
        norra=AreaSettings(name="Norra", scb="0127"), sodra=AreaSettings(name="Södra", scb="0127")
    )
    assert not board_area("norra", parts).outline
    assert not board_area("sodra", parts).outline
