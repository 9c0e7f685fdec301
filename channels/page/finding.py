"""Finding what is over: static indexes by month, area and word, for each volume of the archive.

A volume is an unchanging part of the archive, so an update writes pages of one volume only, however long history is. What goes
on is not in it: that stands in front.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup

from broadcaster.channel import Board, Kind, Revision
from broadcaster.domain.board import ArchiveVolume, BoardIncident, IncidentLine
from broadcaster.domain.wording import spoken
from channels.page.frame import Frame
from channels.page.pieces import Memory, Pieces
from channels.page.view import Said, Teller

FOLDER = "archive/find/"
_WORD = re.compile(r"[^\W\d_]{4,}")  # shorter ones say little
_WORDS = 40  # of one incident
_COMMON = 20  # incidents of a volume; a word in more of them tells nothing apart
_LAST_LETTERS = {"sv": "åäö", "fi": "åäö", "nb": "æøå", "nn": "æøå", "no": "æøå", "da": "æøå"}


@dataclass(frozen=True, slots=True)
class Found:
    """Where a word leads: an incident's part of an address, its title, and when it was."""

    slug: str
    title: Said
    month: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an index, yet to be rendered. `final` is what only a correction changes."""

    template: str
    path: str
    values: Mapping[str, Any]
    final: bool = False


class Finding:
    """The indexes in one language."""

    def __init__(
        self, board: Board, frame: Frame, pieces: Pieces, teller: Teller, memory: Memory
    ) -> None:
        self._board = board
        self._memory = memory
        self._frame = frame
        self._pieces = pieces
        self._teller = teller
        self._words = teller.wording(board.at)

    def pages(self) -> Iterator[Page]:
        """Yield the pages that the board changes."""
        _ = self._words.say
        if self._board.volumes or self._board.since is None:
            newest = reversed([*enumerate(self._board.volumes_begin, 1)])
            volumes = [(f"{FOLDER}{n}/", self._words.month(begun)) for n, begun in newest]
            title = _("Find in the archive")
            yield Page("find.html.j2", FOLDER, {"title": title, "volumes": volumes})
        grown = self._only_grown()
        for volume in self._board.volumes:
            yield from self._volume(volume, grown)

    def _only_grown(self) -> set[str] | None:
        """The incidents that the volumes have got; None when one was in them before, and may have been told otherwise."""
        since, over = self._board.since, [i for i in self._board.changed if i.may_have_been_over]
        if since is None or not all(_is_just_over(incident, since) for incident in over):
            return None
        return {incident.id for incident in over}

    def _volume(self, volume: ArchiveVolume, grown: set[str] | None) -> Iterator[Page]:
        _ = self._words.say
        folder = f"{FOLDER}{volume.number}/"
        final = volume.full
        areas, letters = self._by_area(volume), self._by_letter(volume)
        month = self._words.month(self._board.volumes_begin[volume.number - 1])
        title = _("Archive from {month}", month=month)
        root = self._frame.root(folder)
        values: dict[str, Any] = {
            "title": title,
            "areas": [
                (f"{folder}areas/{key}/", self._teller.names((key,))[0], len(lines))
                for key, lines in areas.items()
            ],
            "letters": [(f"{folder}words/{_slug(each)}/", each.upper()) for each in letters],
            "months": self._by_month(volume, root),
        }
        yield Page("volume.html.j2", folder, values, final)
        for key, lines in areas.items():
            if _concerns(lines, grown):
                path = f"{folder}areas/{key}/"
                name = self._teller.names((key,))[0]
                said = _("{title} in {name}", title=title, name=name)
                rows = self._rows(lines, self._frame.root(path))
                yield Page("list.html.j2", path, {"title": said, "lines": rows}, final)
        for letter, words in letters.items():
            if _concerns((line for held in words.values() for line in held), grown):
                told = [
                    (word, [self._found(each) for each in held]) for word, held in words.items()
                ]
                said = _("{title}: {letter}", title=title, letter=letter.upper())
                path = f"{folder}words/{_slug(letter)}/"
                # Another language has other words, and perhaps none with this letter.
                values = {"title": said, "words": told, "elsewhere": folder}
                yield Page("words.html.j2", path, values, final)

    # ----------------------------------------------------------------------------------------------- by what is looked
    def _by_month(self, volume: ArchiveVolume, root: str) -> dict[str, Markup]:
        """The lines by month, newest first."""
        newest = sorted(volume.lines, key=lambda line: line.opened_at, reverse=True)
        months = groupby(newest, lambda line: self._words.month(line.opened_at))
        return {month: self._rows(lines, root) for month, lines in months}

    def _by_area(self, volume: ArchiveVolume) -> dict[str, list[IncidentLine]]:
        """The lines by area, in the order of the areas' names."""
        found: dict[str, list[IncidentLine]] = defaultdict(list)
        for line in volume.lines:
            for key in line.areas_ever:
                found[key].append(line)
        by_name = sorted(found, key=lambda key: self._order(self._teller.names((key,))[0]))
        return {key: found[key] for key in by_name}

    def _by_letter(self, volume: ArchiveVolume) -> dict[str, dict[str, list[IncidentLine]]]:
        """The lines by word and, around that, its first letter."""
        found: dict[str, list[IncidentLine]] = defaultdict(list)
        for line in volume.lines:
            for word in self._known_words_of(line):
                found[word].append(line)
        telling = sorted(
            (word for word, lines in found.items() if len(lines) <= _COMMON), key=self._order
        )
        letters = groupby(telling, lambda word: word[0])
        return {letter: {word: found[word] for word in words} for letter, words in letters}

    def _known_words_of(self, line: IncidentLine) -> tuple[str, ...]:
        name = (self._teller.language, line.id)
        return self._memory.words.of(name, line, lambda: self._words_of(line))

    def _words_of(self, line: IncidentLine) -> tuple[str, ...]:
        """What an incident can be found by: title, cause, and what was said first."""
        said, _ = spoken(line.texts, self._teller.language, self._teller.default)
        cause = "" if line.retracted else line.cause
        text = f"{self._title(line).text} {cause} {said}"
        return tuple(dict.fromkeys(_WORD.findall(text.casefold())))[:_WORDS]

    def _found(self, line: IncidentLine) -> Found:
        return Found(line.slug, self._title(line), self._words.month(line.opened_at))

    def _title(self, line: IncidentLine) -> Said:
        return self._teller.line(line, at=self._board.at).title

    def _rows(self, lines: Iterable[IncidentLine], root: str) -> Markup:
        return self._pieces.rows(lines, root, at=self._board.at)

    def _order(self, word: str) -> str:
        """What to sort by: the last letters of an alphabet are not where Unicode has them."""
        last = _LAST_LETTERS.get(self._teller.language.partition("-")[0].lower(), "")
        places = {ord(letter): chr(0xF0000 + n) for n, letter in enumerate(last)}
        return word.casefold().translate(places)


def _is_just_over(incident: BoardIncident, since: Revision) -> bool:
    """Whether it came to its end after `since`, and was in no index before."""
    new = [update for update in incident.updates if update.revision > since]
    before = incident.updates[len(new) :]
    put_right = any(update.kind in (Kind.CORRECTION, Kind.RETRACTION) for update in new)
    return not put_right and all(update.areas and not update.struck for update in before)


def _concerns(lines: Iterable[IncidentLine], grown: set[str] | None) -> bool:
    return grown is None or any(line.id in grown for line in lines)


def _slug(letter: str) -> str:
    """A letter's part of an address: "a", "u00e5"."""
    return letter if letter.isascii() else f"u{ord(letter):04x}"
