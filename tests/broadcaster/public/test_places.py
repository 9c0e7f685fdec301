"""What a reader's words find in the table of places."""

from __future__ import annotations

import pytest

from broadcaster.public.places import MOST, Found, Gazetteer, plain

ROWS = [
    ("Åsen", "12346", "norra"),
    ("Asen", "", "sodra"),
    ("Ängsvägen", "12346", "norra"),
    ("Norra Ekbyn", "12345", "norra"),
    ("Strandvägen", "12345", "norra"),
    ("Strandvägen", "12360", "skargarden"),
    ("Björkö", "12361", "skargarden"),
    ("Søndre Ærø", "", "sodra"),
    ("", "12399", "sodra"),
]
TABLE = Gazetteer(ROWS)


def areas(found: Found) -> list[str]:
    return [place.area for place in found.places]


@pytest.mark.parametrize(
    ("asked", "area"),
    [
        ("Norra Ekbyn", "norra"),
        ("  norra   EKBYN ", "norra"),
        ("Åsen", "norra"),
        ("A\u030asen", "norra"),  # the ring as a letter of its own, as some phones write it
        ("asen", "sodra"),  # as it is written comes first
        ("bjorko", "skargarden"),
        ("BJÖRKÖ", "skargarden"),
        ("angsvagen", "norra"),
        ("Ängsvägen 12 B", "norra"),
        ("angsvagen 5", "norra"),
        ("sondre aro", "sodra"),
        ("123 46", "norra"),
        ("12346", "norra"),
        (" 1 23 46 ", "norra"),
        ("12399", "sodra"),
    ],
)
def test_a_place_is_found_however_it_is_spelled(asked: str, area: str) -> None:
    assert TABLE.find(asked).area == area


def test_a_name_in_two_areas_is_asked_about() -> None:
    found = TABLE.find("strandvägen")
    assert (found.area, areas(found)) == ("", ["norra", "skargarden"])


def test_a_postcode_in_two_areas_names_each_once() -> None:
    rows = [(f"Gata {n}", "12345", "norra") for n in range(60)] + [("Gränden", "12345", "sodra")]
    found = Gazetteer(rows).find("123 45")
    assert [(place.shown, place.area) for place in found.places] == [
        ("123 45", "norra"),
        ("123 45", "sodra"),
    ]
    assert not found.more


def test_a_postcode_with_many_streets_of_one_area_leads_there() -> None:
    rows = [(f"Gata {n}", "12345", "norra") for n in range(60)]
    assert Gazetteer(rows).find("12345").area == "norra"


@pytest.mark.parametrize("asked", ["Bj", "stra", "123", "norra e"])
def test_what_is_only_guessed_is_never_said_to_be_the_place(asked: str) -> None:
    found = TABLE.find(asked)
    assert found.places
    assert found.area == ""


def test_a_guess_names_so_many_places_and_says_that_there_are_more() -> None:
    found = Gazetteer([(f"Byn {n:03}", "", "norra") for n in range(500)]).find("byn")
    assert (len(found.places), found.more) == (MOST, True)


@pytest.mark.parametrize(
    "asked", ["", " ", "Stockholm", "99999", "\x00", "<script>", "*", "%", "å" * 5000]
)
def test_what_is_not_there_is_not_found(asked: str) -> None:
    assert TABLE.find(asked) == Found()


def test_a_question_is_cut_and_freed_of_what_cannot_be_shown() -> None:
    assert plain("  Å\x00sen\r\n\u202e x ") == "Å sen x"
    assert len(plain("a" * 5000)) == 100
