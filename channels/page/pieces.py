"""An incident as HTML, cut where the pages put it: made once, and kept for every page and revision until it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from markupsafe import Markup

from broadcaster.channel import ChannelContext
from broadcaster.domain.addresses import language_folder
from broadcaster.domain.board import BoardArea, BoardIncident, IncidentLine
from broadcaster.domain.kept import Kept
from channels.page.map import drawn
from channels.page.settings import PageSettings
from channels.page.templating import environment, saying
from channels.page.tongue import direction_beside
from channels.page.view import IncidentView, LineView, Teller


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What the pages say of one incident: all of it (`told`), and its place in what stands around that.

    `late` is above everything when it is late, else empty, `jump` leads to it from the top of a page about several,
    `foot` names its promise.
    """

    view: IncidentView
    told: Markup
    late: Markup
    jump: Markup
    foot: Markup


@dataclass(frozen=True, slots=True)
class Memory:
    """What was rendered for the boards before, in one configuration; some ten kilobytes an incident and language."""

    pieces: Kept[Piece] = field(default_factory=lambda: Kept(4_096))
    rows: Kept[Markup] = field(default_factory=lambda: Kept(4_096))
    words: Kept[tuple[str, ...]] = field(default_factory=lambda: Kept(4_096))


class Pieces:
    """Renders incidents in one language, for a configuration."""

    def __init__(
        self, context: ChannelContext, settings: PageSettings, teller: Teller, memory: Memory
    ) -> None:
        self._teller = teller
        self._memory = memory
        self._areas = context.areas
        words = {
            "_": saying(teller.phrases),
            "advice": settings.advised(teller.language),
            "direction": partial(direction_beside, teller.language),
            "here": language_folder(context.organisation.languages, teller.language),
            "organisation": context.organisation,
        }
        self._parts: Any = environment().get_template("parts.html.j2").make_module(words)

    def of(self, incidents: Iterable[BoardIncident], *, at: datetime) -> list[Piece]:
        """Render the incidents of one page as they read at `at`."""
        shown = list(incidents)
        return [self._piece(each, at, alone=len(shown) == 1) for each in shown]

    def _piece(self, incident: BoardIncident, at: datetime, *, alone: bool) -> Piece:
        # All of it that is told otherwise as time goes by.
        to_come = _is_to_come(incident, at)
        late = incident.promise is not None and incident.promise <= at
        name = (self._teller.language, incident.id, alone, to_come, late)
        return self._memory.pieces.of(name, incident, lambda: self._cut(incident, at, alone=alone))

    def _cut(self, incident: BoardIncident, at: datetime, *, alone: bool) -> Piece:
        parts, view = self._parts, self._teller.incident(incident, at=at)
        where = self.map(incident.areas) if alone else ""
        return Piece(
            view=view,
            told=parts.told(view, 1 if alone else 2, where),
            late=parts.late_box(view),
            jump=parts.jump(view),
            foot=parts.foot(view, alone),
        )

    def brief(self, incident: BoardIncident, page: str, *, at: datetime) -> Markup:
        """Render what stands of an incident, without all that was said of it: that is at `page`."""
        (piece,) = self.of([incident], at=at)
        name = (self._teller.language, "brief", page, piece.view.state, piece.view.late)
        return self._memory.rows.of(
            name, incident, lambda: self._parts.incident_box(piece.view, 2, page)
        )

    def going_on(self, incident: BoardIncident, root: str, *, at: datetime) -> Markup:
        """Render an open incident as one line of a list, as `rows` does."""
        name = (self._teller.language, "now", incident.id, root, _is_to_come(incident, at))
        return self._memory.rows.of(
            name, incident, lambda: self.row(self._teller.going_on(incident, at=at), root)
        )

    def state(self, incident: BoardIncident, *, at: datetime) -> Markup:
        """Render what goes on as a list of areas says it."""
        name = (self._teller.language, "state", incident.id, _is_to_come(incident, at))
        return self._memory.rows.of(
            name, incident, lambda: self._parts.in_area(self._teller.going_on(incident, at=at))
        )

    def area_row(self, area: BoardArea, root: str, state: Markup) -> Markup:
        """Render one line of a list of areas; `state` is what goes on there."""
        rendered: Markup = self._parts.area_row(area, root, state)
        return rendered

    def counted(self, now: int, said: str) -> Markup:
        """Render how many incidents there are; `now` of them go on."""
        rendered: Markup = self._parts.counted(now, said)
        return rendered

    def map(self, keys: tuple[str, ...]) -> Markup:
        """Draw the areas with these keys; empty where nobody knows where they are."""
        name = (self._teller.language, "map", keys)
        return self._memory.rows.of(name, keys, lambda: self._map(keys))

    def _map(self, keys: tuple[str, ...]) -> Markup:
        drawing = drawn(keys, self._areas)
        if drawing is None:
            return Markup()
        known = tuple(area.key for area in self._areas if area.outline and area.key in keys)
        rendered: Markup = self._parts.map(drawing, self._teller.place(known))
        return rendered

    def rows(self, lines: Iterable[IncidentLine], root: str, *, at: datetime) -> Markup:
        """Render lines of a list on a page from which `root` leads up to the first one."""
        return joined(self._row(line, root, at) for line in lines)

    def _row(self, line: IncidentLine, root: str, at: datetime) -> Markup:
        to_come = _is_to_come(line, at)
        name = (self._teller.language, line.id, root, to_come)
        return self._memory.rows.of(
            name, line, lambda: self.row(self._teller.line(line, at=at), root)
        )

    def row(self, line: LineView, root: str) -> Markup:
        """Render one line, as `rows` does."""
        rendered: Markup = self._parts.row(line, root)
        return rendered


def _is_to_come(told: BoardIncident | IncidentLine, at: datetime) -> bool:
    return told.planned is not None and told.planned.start > at


def joined(pieces: Iterable[Markup]) -> Markup:
    """Put HTML together."""
    return Markup("".join(pieces))  # noqa: S704 - each of them is markup, escaped when it was made


def each(pieces: Iterable[Piece], cut: Callable[[Piece], Markup]) -> Markup:
    """Put one cut of all the pieces together."""
    return joined(map(cut, pieces))
