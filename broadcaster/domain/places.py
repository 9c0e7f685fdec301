"""Which area a place or a postcode lies in: the table that a municipality supplies (CSV)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from broadcaster.domain.markup import legible

COLUMNS = ("place", "postcode", "area")
_LONGEST_NAME = 80  # letters
_MOST_PLACES = 20_000


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A name residents use, a postcode, or both (the other is ""), and the key of the area there."""

    name: str
    postcode: str
    area: str


@dataclass(frozen=True, slots=True)
class Table:
    """What was read, and what is wrong with it: (line, sentence), lines from 1. What is wrong is not among `places`."""

    places: tuple[Place, ...] = ()
    wrong: tuple[tuple[int, str], ...] = ()


def read_table(text: str, areas: Mapping[str, str]) -> Table:
    """Read a table with the columns place, postcode, area in its first line, divided by commas or semicolons.

    `areas` leads from an area's key or official code to its key. A byte-order mark is left out, empty lines are.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    first = lines[0] if lines else ""
    divider = ";" if first.count(";") > first.count(",") else ","
    rows = csv.reader(lines, delimiter=divider, strict=True)
    places: dict[Place, None] = {}
    wrong: list[tuple[int, str]] = []
    try:
        header = [cell.strip().lower() for cell in next(rows, [])]
        if sorted(header) != sorted(COLUMNS):
            return Table((), ((1, "must begin with the line: place,postcode,area"),))
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            try:
                places[_place(dict(_cells(header, row)), areas)] = None
            except ValueError as error:
                wrong.append((rows.line_num, str(error)))
            if len(places) > _MOST_PLACES:
                wrong.append((rows.line_num, "holds more than 20,000 places"))
                break
    except csv.Error:
        wrong.append((rows.line_num, "cannot be read: see its quotation marks"))
    return Table(tuple(places), tuple(wrong))


def _cells(header: Sequence[str], row: Sequence[str]) -> Iterator[tuple[str, str]]:
    if len(row) != len(header):
        raise ValueError("must have three columns: place, postcode, area")
    return zip(header, (" ".join(cell.split()) for cell in row), strict=True)


def _place(cells: Mapping[str, str], areas: Mapping[str, str]) -> Place:
    name, postcode, area = (cells[column] for column in COLUMNS)
    if not name and not postcode:
        raise ValueError("names neither a place nor a postcode")
    if len(name) > _LONGEST_NAME or len(postcode) > _LONGEST_NAME:
        raise ValueError("is longer than 80 letters")
    if legible(name) != name:
        raise ValueError("holds a letter that cannot be shown")
    digits = postcode.replace(" ", "")
    if postcode and not (digits.isascii() and digits.isdecimal() and 3 <= len(digits) <= 6):
        raise ValueError("has a postcode that is none: write such as 123 45")
    if area not in areas:
        raise ValueError(f'names the area "{area}", which is not configured')
    return Place(name, digits, areas[area])
