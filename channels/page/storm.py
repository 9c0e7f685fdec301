"""What a page says when more goes on than can be told whole: by area, the severest first, the rest on pages of their own.

However much goes on, no page grows beyond what a phone with one bar can fetch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from markupsafe import Markup

from broadcaster.channel import Board
from broadcaster.domain.addresses import incident_path
from broadcaster.domain.board import BoardArea, BoardIncident
from channels.page.frame import Frame
from channels.page.pieces import Pieces, joined
from channels.page.view import Teller

_WHOLE = 5  # incidents with all that was said of them
_WORDS = 60  # updates of these together
_SEVEREST = 3
_LISTED = 50  # lines on one page
_AREAS = 100  # of the front page
_NAMED = 3  # incidents of one area in a list of areas
_BLOCK = 50  # incidents that share a page of what goes on, by their numbers


def is_much(incidents: Sequence[BoardIncident]) -> bool:
    """Whether a page cannot tell these whole; one alone it always can."""
    words = sum(len(incident.updates) for incident in incidents)
    return len(incidents) > 1 and (len(incidents) > _WHOLE or words > _WORDS)


class Storm:
    """Tells, in one language, what goes on; `going_on` is that by urgency, `areas` those configured."""

    def __init__(
        self,
        board: Board,
        frame: Frame,
        pieces: Pieces,
        teller: Teller,
        going_on: Sequence[BoardIncident],
        areas: Iterable[BoardArea],
    ) -> None:
        self._at = board.at
        self._frame = frame
        self._pieces = pieces
        self._teller = teller
        self._going_on = going_on
        self._areas = tuple(areas)
        self.in_area: Mapping[str, list[BoardIncident]] = {area.key: [] for area in self._areas}
        for incident in going_on:
            for key in incident.areas:
                if key in self.in_area:  # one may have left the configuration
                    self.in_area[key].append(incident)

    # ----------------------------------------------------------------------------------------- a page about very much
    def values(
        self, path: str, incidents: Sequence[BoardIncident], area: BoardArea | None
    ) -> dict[str, Any]:
        """Return what the template of a page at `path` says of so many incidents, but for what is late."""
        root = self._frame.root(path)
        told, others = incidents[:_SEVEREST], incidents[_SEVEREST:]
        counts = self._counts(incidents)
        values: dict[str, Any] = {
            "title": self._frame.title_of_many(*counts, area),
            "verdict": self.verdict(incidents),
            "told": joined(
                self._pieces.brief(
                    each, root + self._frame.folder + incident_path(each.slug), at=self._at
                )
                for each in told
            ),
            "feet": joined(each.foot for each in self._pieces.of(told, at=self._at)),
            "map": self.map(incidents),
        }
        if area is None:
            values |= {"by_area": self.by_area(root), "blocks": list(self.blocks())}
            values["areas_left"] = max(0, sum(map(bool, self.in_area.values())) - _AREAS)
        else:
            shown = others[:_LISTED]
            values["others"] = joined(
                self._pieces.going_on(each, root, at=self._at) for each in shown
            )
            values["others_left"] = len(others) - len(shown)
        return values

    def late(self, incidents: Iterable[BoardIncident], at: datetime) -> Markup:
        """Tell the promises that are broken `at` a time: those of the severest whole, the others by their number."""
        late = [each for each in incidents if each.promise is not None and each.promise <= at]
        boxes = joined(piece.late for piece in self._pieces.of(late[:_SEVEREST], at=at))
        left = len(late) - _SEVEREST
        return boxes + self._frame.also_late(left) if left > 0 else boxes

    def map(self, incidents: Sequence[BoardIncident]) -> Markup:
        """Draw every area that one of these concerns."""
        keys = dict.fromkeys(key for incident in incidents for key in incident.areas)
        return self._pieces.map(tuple(keys))

    def verdict(self, incidents: Sequence[BoardIncident]) -> str:
        """How things stand where these are: "open", "planned", or "" where nothing is."""
        now, planned = self._counts(incidents)
        return "open" if now else "planned" if planned else ""

    def _counts(self, incidents: Sequence[BoardIncident]) -> tuple[int, int]:
        planned = sum(1 for each in incidents if each.planned and each.planned.start > self._at)
        return len(incidents) - planned, planned

    # ------------------------------------------------------------------------------------------------- area by area
    def by_area(self, root: str) -> Markup:
        """List the areas that something concerns, the worst first."""
        concerned = [area for area in self._areas if self.in_area[area.key]]
        concerned.sort(key=lambda area: self._weight(self.in_area[area.key]), reverse=True)
        return joined(
            self._pieces.area_row(area, root, self.state(area)) for area in concerned[:_AREAS]
        )

    def _weight(self, incidents: list[BoardIncident]) -> tuple[bool, int, int]:
        now, _ = self._counts(incidents)
        return now > 0, max(each.severity.rank for each in incidents), len(incidents)

    def state(self, area: BoardArea) -> Markup:
        """Say what goes on in an area: of a few what it is, of more how many."""
        here = self.in_area[area.key]
        if len(here) <= _NAMED:
            return joined(self._pieces.state(each, at=self._at) for each in here)
        now, planned = self._counts(here)
        return self._pieces.counted(now, self._frame.counted(now, planned))

    # ------------------------------------------------------------------------------------- all of it, fifty a page
    def blocks(self) -> Iterator[tuple[str, str, int]]:
        """Path, title and number of incidents of every page of what goes on that holds any, the newest first."""
        for number, incidents in self._by_block():
            yield block_path(number), self._title_of_block(incidents), len(incidents)

    def block_pages(self, changed: Iterable[BoardIncident]) -> Iterator[tuple[str, str, Markup]]:
        """Path, title and lines of every page of what goes on that one of these is or was on."""
        known = dict(self._by_block())
        for number in sorted({_block(incident) for incident in changed}):
            here = known.get(number, [])
            root = self._frame.root(block_path(number))
            lines = joined(self._pieces.going_on(each, root, at=self._at) for each in here)
            title = "All that goes on, page {number}" if here else "No known disruptions"
            yield (
                block_path(number),
                self._teller.wording(self._at).say(title, number=number),
                lines,
            )

    def _by_block(self) -> Iterator[tuple[int, list[BoardIncident]]]:
        newest = sorted(self._going_on, key=_number, reverse=True)
        for number, incidents in groupby(newest, _block):
            yield number, list(incidents)

    def _title_of_block(self, incidents: Sequence[BoardIncident]) -> str:
        words = self._teller.wording(self._at)
        first, last = (
            words.dated(end(incidents, key=lambda each: each.opened_at).opened_at)
            for end in (min, max)
        )
        if first == last:
            return words.say("Reported {moment}", moment=first)
        return words.say("Reported {first} to {last}", first=first, last=last)


def block_path(number: int) -> str:
    """Return "now/3/"."""
    return f"now/{number}/"


def _number(incident: BoardIncident) -> int:
    return int(incident.id[1:])  # A7


def _block(incident: BoardIncident) -> int:
    return (_number(incident) - 1) // _BLOCK + 1
