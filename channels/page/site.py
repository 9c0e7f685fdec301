"""Which pages there are and which of them a board changes: a pure function from the board to complete files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any

from markupsafe import Markup

from broadcaster.bundle import File, Overdue
from broadcaster.channel import Board, ChannelContext
from broadcaster.domain.addresses import area_paths, incident_path, language_folder
from broadcaster.domain.board import ArchivePage, BoardArea, BoardIncident, IncidentLine
from channels.page import geojson
from channels.page.embed import Embeds
from channels.page.finding import Finding
from channels.page.frame import Frame
from channels.page.pieces import Memory, Pieces, joined
from channels.page.questions import questions
from channels.page.settings import PageSettings
from channels.page.storm import Storm, is_much
from channels.page.view import Teller


def pages(
    board: Board, context: ChannelContext, settings: PageSettings, memory: Memory | None = None
) -> Iterator[File]:
    """Render every page that `board` changes, in every language; all of them when `board.since` is None.

    Yields complete files with paths such as "en/incidents/a7/index.html". Reads nothing but its arguments and the
    templates beside it. `memory` is what calls with the same `context` and `settings` share: it makes them quicker.
    """
    memory = memory or Memory()
    if board.since is None:  # what is configured is written with everything else
        yield geojson.areas_file(context.areas)
    for language in context.organisation.languages:
        yield from _Site(board, context, settings, language, memory).files()


class _Site:
    """The pages in one language."""

    def __init__(
        self,
        board: Board,
        context: ChannelContext,
        settings: PageSettings,
        language: str,
        memory: Memory,
    ) -> None:
        self._board = board
        self._context = context
        self._has_feeds = settings.feeds
        self._configured = context.areas_in(language)
        self._teller = Teller(context, language)
        self._say = self._teller.wording(board.at).say
        self._folder = language_folder(context.organisation.languages, language)
        self._frame = Frame(board, context, settings, self._teller)
        self._pieces = Pieces(context, settings, self._teller, memory)
        self._embeds = Embeds(self._frame, self._pieces, self._teller, self._folder, board.at)
        self._open = sorted(board.open, key=self._urgency, reverse=True)
        self._storm = Storm(
            board, self._frame, self._pieces, self._teller, self._open, context.areas
        )
        self._finding = Finding(board, self._frame, self._pieces, self._teller, memory)
        self._newest = sorted(self._open, key=lambda told: told.updates[0].at, reverse=True)

    def _urgency(self, incident: BoardIncident) -> tuple[bool, int, datetime]:
        """What goes on before what is planned, then the severest, then the newest."""
        begun = incident.planned is None or incident.planned.start <= self._board.at
        return begun, incident.severity.rank, incident.updates[0].at

    def files(self) -> Iterator[File]:
        """Yield the index first, then what changed."""
        yield self._index()
        yield from self._embeds.files("", self._open, None, self._last_written(""))
        yield self._areas()
        for area in self._changed_areas():
            yield from self._area(area)
        for incident in self._board.changed:
            began = self._teller.stamp(incident.opened_at, "").iso
            path = incident_path(incident.slug)
            yield self._current("incident.html.j2", path, [incident], published=began)
        # Of what is over, a page of what goes on need only be written where it stood on one.
        touched = self._open if self._board.since is None else self._board.changed
        for path, title, lines in self._storm.block_pages(touched):
            yield self._page("list.html.j2", path, title=title, lines=lines)
        for page in self._board.archive:
            yield from self._archive(page)
        for found in self._finding.pages():
            yield self._page(found.template, found.path, immutable=found.final, **found.values)
        if self._board.since is None:  # they change with the configuration only
            yield from questions(self._frame, self._context, self._teller, feeds=self._has_feeds)
        if not self._board.archive_pages and self._board.since is None:
            yield self._page("archive.html.j2", "archive/", title=self._archive_title(), months={})

    # ---------------------------------------------------------------------------------------------------- each page
    def _index(self) -> File:
        recent = self._lines_beside("", self._open)
        newest = self._last_written("")
        return self._current(
            "index.html.j2", "", self._open, recent=recent, area=None, last_written=newest
        )

    def _areas(self) -> File:
        rows = joined(
            self._pieces.area_row(area, self._frame.root("areas/"), self._storm.state(area))
            for area in self._configured
        )
        return self._page(
            "areas.html.j2",
            "areas/",
            title=self._say("All areas"),
            rows=rows,
            map=self._storm.map(self._open),
            feeds=self._frame.feeds(None),
        )

    def _changed_areas(self) -> Iterable[BoardArea]:
        if self._board.since is None:
            return self._configured
        touched = {key for incident in self._board.changed for key in incident.areas_ever}
        touched |= self._board.feeds.keys()
        return [area for area in self._configured if area.key in touched]

    def _area(self, area: BoardArea) -> Iterator[File]:
        """Render an area's page, and the same at the address of each of its official codes."""
        here = self._storm.in_area[area.key]
        paths = area_paths(area, self._configured)
        values: dict[str, Any] = {
            "canonical": paths[0],
            "recent": self._left(area.key, paths[0]) + self._lines_beside(paths[0], here, area.key),
            "area": area,
            "last_written": self._last_written(area.key),
            "verdict": self._storm.verdict(here),
        }
        for path in paths:
            yield self._current("index.html.j2", path, here, **values)
        yield from self._embeds.files(paths[0], here, area, values["last_written"])

    def _archive(self, page: ArchivePage) -> Iterator[File]:
        """Render a numbered page; the newest also as the archive's front page.

        A full page points to its successor, and while there is none to the front page, where that will be: so it need
        never be written again.
        """
        newest = page.number == self._board.archive_pages
        path = f"archive/{page.number}/"
        values: dict[str, Any] = {
            "title": self._archive_title(page.number),
            "canonical": path,
            "older": f"archive/{page.number - 1}/" if page.number > 1 else "",
        }
        newer = "" if not page.full else "archive/" if newest else f"archive/{page.number + 1}/"
        final = page.full and all(line.closed_at or line.retracted for line in page.lines)
        yield self._page(
            "archive.html.j2",
            path,
            immutable=final,
            newer=newer,
            months=self._months(path, page),
            **values,
        )
        if newest:
            months = self._months("archive/", page)
            yield self._page("archive.html.j2", "archive/", newer="", months=months, **values)

    # ----------------------------------------------------------------------------------------------- what they hold
    def _lines_beside(
        self, path: str, shown: list[BoardIncident], area: str | None = None
    ) -> Markup:
        known = {incident.id for incident in shown}
        lines = (
            line
            for line in self._board.recent
            if line.id not in known and (area is None or area in line.areas_ever)
        )
        return self._pieces.rows(lines, self._frame.root(path), at=self._board.at)

    def _left(self, area: str, path: str) -> Markup:
        """Tell what is over in an area and goes on elsewhere, newest first."""
        told = (self._teller.line_of_left(incident, area) for incident in self._newest)
        root = self._frame.root(path)
        return joined(self._pieces.row(line, root) for line in told if line is not None)

    def _last_written(self, feed: str) -> str:
        """Say when the newest update was written, "" when there is none."""
        entries = self._board.feeds.get(feed, ())
        return self._teller.wording(self._board.at).dated(entries[0].update.at) if entries else ""

    def _archive_title(self, number: int | None = None) -> str:
        _ = self._say
        return _("Archive, page {number}", number=number) if number else _("Archive")

    def _months(self, path: str, page: ArchivePage) -> dict[str, Markup]:
        """Tell a page's lines by month, newest first."""
        newest = sorted(page.lines, key=lambda line: line.opened_at, reverse=True)
        root = self._frame.root(path)
        return {
            month: self._pieces.rows(lines, root, at=self._board.at)
            for month, lines in groupby(newest, self._month)
        }

    def _month(self, line: IncidentLine) -> str:
        return self._teller.wording(line.opened_at).month(line.opened_at)

    # --------------------------------------------------------------------------------------------------- one file
    def _current(
        self, template: str, path: str, incidents: list[BoardIncident], **values: Any
    ) -> File:
        """Render a page about incidents, and how it reads once the first promise on it has passed unkept."""
        at = self._board.at
        due = [i.promise for i in incidents if i.is_open and i.promise and i.promise > at]
        overdue = None
        if due:
            late = self._situation(template, path, incidents, min(due), values)
            overdue = Overdue(min(due), late)
        body = self._situation(template, path, incidents, at, values)
        return self._file(path, body, overdue=overdue)

    def _situation(
        self,
        template: str,
        path: str,
        incidents: list[BoardIncident],
        at: datetime,
        values: dict[str, Any],
    ) -> bytes:
        """Render a page about incidents as it reads at a time."""
        if not is_much(incidents):
            shown = self._pieces.of(incidents, at=at)
            several = self._storm.map(incidents) if len(incidents) > 1 else ""
            return self._frame.current(template, path, shown, **{"map": several} | values)
        area = values.get("area")
        told = self._storm.values(path, incidents, area) | {
            "late": self._storm.late(incidents, at),
            "feeds": self._frame.feeds(area),
        }
        return self._frame.page("storm.html.j2", path, **values | told)

    def _page(self, template: str, path: str, *, immutable: bool = False, **values: Any) -> File:
        return self._file(path, self._frame.page(template, path, **values), immutable=immutable)

    def _file(
        self, path: str, body: bytes, *, overdue: Overdue | None = None, immutable: bool = False
    ) -> File:
        name = f"{self._folder}{path}index.html"
        return File(name, body, "text/html; charset=utf-8", overdue, immutable)
