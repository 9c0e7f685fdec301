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
from broadcaster.domain.board import BoardIncident, IncidentLine
from broadcaster.domain.kept import Kept
from channels.page.settings import PageSettings
from channels.page.templating import environment, saying
from channels.page.tongue import direction_beside
from channels.page.view import IncidentView, LineView, Teller


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What the pages say of one incident: all of it (`told`), and its place in what stands around that.

    `late` is above everything when it is late, else empty, `jump` leads to it from the top of a page about several,
    `foot` names its promise, `in_area` is its line in the list of areas.
    """

    view: IncidentView
    told: Markup
    late: Markup
    jump: Markup
    foot: Markup
    in_area: Markup


@dataclass(frozen=True, slots=True)
class Memory:
    """What was rendered for the boards before, in one configuration; some ten kilobytes an incident and language."""

    pieces: Kept[Piece] = field(default_factory=lambda: Kept(4_096))
    rows: Kept[Markup] = field(default_factory=lambda: Kept(4_096))


class Pieces:
    """Renders incidents in one language, for a configuration."""

    def __init__(
        self, context: ChannelContext, settings: PageSettings, teller: Teller, memory: Memory
    ) -> None:
        self._teller = teller
        self._memory = memory
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
        to_come = incident.planned is not None and incident.planned.start > at
        late = incident.promise is not None and incident.promise <= at
        name = (self._teller.language, incident.id, alone, to_come, late)
        return self._memory.pieces.of(
            name, incident, lambda: self._cut(self._teller.incident(incident, at=at), alone)
        )

    def _cut(self, view: IncidentView, alone: bool) -> Piece:
        parts = self._parts
        return Piece(
            view=view,
            told=parts.told(view, 1 if alone else 2),
            late=parts.late_box(view),
            jump=parts.jump(view),
            foot=parts.foot(view, alone),
            in_area=parts.in_area(view),
        )

    def rows(self, lines: Iterable[IncidentLine], root: str, *, at: datetime) -> Markup:
        """Render lines of a list on a page from which `root` leads up to the first one."""
        return joined(self._row(line, root, at) for line in lines)

    def _row(self, line: IncidentLine, root: str, at: datetime) -> Markup:
        to_come = line.planned is not None and line.planned.start > at
        name = (self._teller.language, line.id, root, to_come)
        return self._memory.rows.of(
            name, line, lambda: self.row(self._teller.line(line, at=at), root)
        )

    def row(self, line: LineView, root: str) -> Markup:
        """Render one line, as `rows` does."""
        rendered: Markup = self._parts.row(line, root)
        return rendered


def joined(pieces: Iterable[Markup]) -> Markup:
    """Put HTML together."""
    return Markup("".join(pieces))  # noqa: S704 - each of them is markup, escaped when it was made


def each(pieces: Iterable[Piece], cut: Callable[[Piece], Markup]) -> Markup:
    """Put one cut of all the pieces together."""
    return joined(map(cut, pieces))
