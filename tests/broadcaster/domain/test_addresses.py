"""Public addresses are for ever."""

from __future__ import annotations

from broadcaster.domain.addresses import area_paths, incident_path, language_folder, update_anchor
from broadcaster.domain.board import BoardArea


def test_the_default_language_stands_at_the_root() -> None:
    assert language_folder(("sv", "en", "sv-FI"), "sv") == ""
    assert language_folder(("sv", "en", "sv-FI"), "en") == "en/"
    assert language_folder(("sv", "en", "sv-FI"), "sv-FI") == "sv-fi/"


def test_an_update_has_a_place_on_the_page_of_its_incident() -> None:
    assert f"{incident_path('a7')}#{update_anchor('a7', 2)}" == "incidents/a7/#a7-2"


def test_an_area_is_found_by_its_key_and_its_codes() -> None:
    area = BoardArea("norra", "Norra", {"scb": "0127", "local": "N1"})
    assert area_paths(area, [area]) == ("areas/norra/", "areas/0127/", "areas/n1/")


def test_one_address_leads_to_one_area() -> None:
    first = BoardArea("norra", "Norra", {"scb": "0127"})
    second = BoardArea("sodra", "Södra", {"scb": "0127", "ssb": "norra"})
    assert area_paths(second, [first, second]) == ("areas/sodra/",)
