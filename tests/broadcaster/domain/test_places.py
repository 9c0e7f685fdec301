"""The table of places: what is read, and what is said of a line that cannot be."""

from __future__ import annotations

import pytest

from broadcaster.domain.places import Place, read_table

AREAS = {"norra": "norra", "0127": "norra", "sodra": "sodra"}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("divider", [",", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_is_read_as_each_office_program_writes_it(
    mark: str, divider: str, end: str
) -> None:
    lines = ["Area,Place,Postcode", "norra,Åsen,123 45", "", 'sodra,"Byn  Lilla ",', "0127,,12346"]
    text = mark + end.join(lines).replace(",", divider) + end
    assert read_table(text, AREAS).places == (
        Place("Åsen", "12345", "norra"),
        Place("Byn Lilla", "", "sodra"),
        Place("", "12346", "norra"),
    )
    assert read_table(text, AREAS).wrong == ()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("Åsen,12345,nora", 'names the area "nora", which is not configured'),
        (",,norra", "names neither a place nor a postcode"),
        ("Åsen,norra", "must have three columns"),
        ("Åsen,12 34 5 6 7,norra", "has a postcode that is none"),
        ("Åsen,abc,norra", "has a postcode that is none"),
        ("A" * 81 + ",,norra", "is longer than 80 letters"),
        ("A\x07b,,norra", "cannot be shown"),
    ],
)
def test_a_wrong_line_is_named_and_the_others_are_read(line: str, sentence: str) -> None:
    table = read_table(f"place,postcode,area\nByn,,sodra\n{line}\nBerget,,norra\n", AREAS)
    assert [place.name for place in table.places] == ["Byn", "Berget"]
    [(number, said)] = table.wrong
    assert number == 3
    assert sentence in said


@pytest.mark.parametrize("text", ["", "namn;nummer\nÅsen;12345\n", "place,area\nÅsen,norra\n"])
def test_a_table_without_its_columns_is_none(text: str) -> None:
    [(number, sentence)] = read_table(text, AREAS).wrong
    assert (number, sentence) == (1, "must begin with the line: place,postcode,area")


def test_a_table_may_not_grow_without_end() -> None:
    rows = "".join(f"Byn {n},,norra\n" for n in range(20_100))
    table = read_table("place,postcode,area\n" + rows, AREAS)
    assert table.wrong == ((20_002, "holds more than 20,000 places"),)


def test_an_open_quotation_mark_swallows_no_rows_in_silence() -> None:
    table = read_table('place,postcode,area\nByn,,sodra\n"Åsen,,norra\nBerget,,norra\n', AREAS)
    assert table.wrong
