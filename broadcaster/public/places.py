"""Which areas a reader's words may mean: pure, over the table that the municipality supplied."""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

MOST = 20
"""So many places are told of at most."""

_LONGEST = 100  # letters of a question that count
_HOUSE = re.compile(r"\s+\d+\s*[a-z]?$")
_OTHER_LETTERS = str.maketrans({"ø": "o", "æ": "a", "ð": "d", "ß": "ss"})


@dataclass(frozen=True, slots=True)
class Place:
    """One line of the table; a name or a postcode may be ""."""

    name: str
    postcode: str
    area: str

    @property
    def shown(self) -> str:
        """What it is called in an answer."""
        code = self.postcode
        grouped = f"{code[:3]} {code[3:]}" if len(code) == 5 else code
        return " ".join(part for part in (self.name, grouped) if part)


@dataclass(frozen=True, slots=True)
class Found:
    """What a question may mean: at most `MOST` places, `more` when there are more.

    `area` is where it lies when it can be nowhere else, "" otherwise: of what was only guessed it is not said.
    """

    places: tuple[Place, ...] = ()
    area: str = ""
    more: bool = False


def plain(question: str) -> str:
    """Return what a reader wrote without what cannot be shown, cut to a sensible length."""
    told = "".join(letter if letter.isprintable() else " " for letter in question)
    return " ".join(told.split())[:_LONGEST]


class Gazetteer:
    """The table, ready to be asked."""

    def __init__(self, rows: Sequence[Sequence[str]]) -> None:
        places = [Place(name, postcode, area) for name, postcode, area in rows]
        self._codes = _Shelf((place.postcode, place) for place in places if place.postcode)
        self._names = _Shelf((_small(place.name), place) for place in places if place.name)
        self._folded = _Shelf((_folded(place.name), place) for place in places if place.name)

    def find(self, question: str) -> Found:
        """Look a place or postcode up: as it is written first, then without accents, then by how names begin."""
        asked = plain(question)
        code = asked.replace(" ", "")
        if not asked:
            return Found()
        if code.isascii() and code.isdecimal():
            return self._coded(code)
        return next((found for found in self._tries(asked) if found.places), Found())

    def _coded(self, code: str) -> Found:
        """Of a postcode in several areas each is told of once, whatever streets have it."""
        found = self._codes.exactly(code)
        if not found.places:
            return self._codes.beginning(code)
        areas = {place.area: Place("", code, place.area) for place in self._codes.all_of(code)}
        return found if found.area else Found(tuple(areas.values())[:MOST], "", len(areas) > MOST)

    def _tries(self, asked: str) -> Iterator[Found]:
        street = _HOUSE.sub("", _small(asked))  # "Storgatan 5 b" is in Storgatan
        kinds: tuple[tuple[_Shelf, Callable[[str], str]], ...] = (
            (self._names, _small),
            (self._folded, _folded),
        )
        for words in dict.fromkeys((asked, street)):
            for shelf, made in kinds:
                yield shelf.exactly(made(words))
        for words in dict.fromkeys((asked, street)):
            for shelf, made in kinds:
                yield shelf.beginning(made(words))


class _Shelf:
    """Places by a name, in order."""

    def __init__(self, named: Iterator[tuple[str, Place]]) -> None:
        self._rows = sorted(named, key=lambda row: (row[0], row[1].shown, row[1].area))
        self._names = [name for name, _ in self._rows]

    def exactly(self, name: str) -> Found:
        """Find the places of just this name."""
        places = self.all_of(name)
        areas = {place.area for place in places}
        return Found(places[:MOST], areas.pop() if len(areas) == 1 else "", len(places) > MOST)

    def beginning(self, name: str) -> Found:
        """Find the places whose names begin so."""
        places = tuple(islice(self._from(name, str.startswith), MOST + 1))
        return Found(places[:MOST], "", len(places) > MOST)

    def all_of(self, name: str) -> tuple[Place, ...]:
        """Return every place of just this name."""
        return tuple(self._from(name, str.__eq__))

    def _from(self, name: str, fits: Callable[[str, str], bool]) -> Iterator[Place]:
        first = bisect_left(self._names, name) if name else len(self._names)
        for n in range(first, len(self._names)):
            if not fits(self._names[n], name):
                return
            yield self._rows[n][1]


def _small(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def _folded(name: str) -> str:
    """Return the name without rings, dots and accents: "Åsen" as "asen"."""
    apart = unicodedata.normalize("NFKD", _small(name))
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return " ".join(bare.translate(_OTHER_LETTERS).split())
