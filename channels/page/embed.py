"""What other sites show of us: a small page for a frame, and a badge. Both say the state, until when, and where all of it stands.

They are written beside the pages they sum up, with the same revision and the same overdue variant, and they alone may be
framed by anybody: `data-framed` in their first tag says so to the public server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from broadcaster.bundle import File, Overdue
from broadcaster.domain.board import BoardArea, BoardIncident
from channels.page.frame import Frame
from channels.page.pieces import Pieces
from channels.page.summary import shortened
from channels.page.view import IncidentView, Said, Teller

SHOWN = 3
"""How many incidents the page for a frame tells of; the rest are counted."""
_LINE = 160
"""Letters of an operator's words; the whole is one click away."""
_WIDE = 34
"""Letters of a badge's first line."""
_MARKS = {"open": "●", "planned": "◷"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One incident as the frame tells it: `words` are the newest, short, `etr` the estimate where they do not name it."""

    view: IncidentView
    words: Said
    etr: str
    mark: str


def newest_words(view: IncidentView) -> Said:
    """Return what was said last, short: the operator's words, else what it changed, else what it was."""
    update = view.days[0].updates[0]
    said = update.text or (update.facts[0] if update.facts else Said(update.tag))
    return Said(shortened(said.text, _LINE), said.language)


class Embeds:
    """The page for a frame and the badge beside a page, in one language; `folder` is the language's."""

    def __init__(
        self, frame: Frame, pieces: Pieces, teller: Teller, folder: str, at: datetime
    ) -> None:
        self._frame = frame
        self._pieces = pieces
        self._teller = teller
        self._say = teller.wording(at).say
        self._folder = folder
        self._at = at

    def files(
        self, path: str, incidents: list[BoardIncident], area: BoardArea | None, last_written: str
    ) -> Iterator[File]:
        """Yield "embed/" and "badge.svg" below the page at `path`, which tells of `incidents`."""
        promises = [i.promise for i in incidents if i.is_open and i.promise]
        due = min((promise for promise in promises if promise > self._at), default=None)

        def page(at: datetime) -> bytes:
            return self._page(path, incidents, area, last_written, at)

        def badge(at: datetime) -> bytes:
            return self._badge(incidents, area, last_written, at)

        yield self._file(f"{path}embed/index.html", "text/html; charset=utf-8", page, due)
        yield self._file(f"{path}badge.svg", "image/svg+xml", badge, due)

    def _file(
        self, path: str, media_type: str, render: Callable[[datetime], bytes], due: datetime | None
    ) -> File:
        overdue = Overdue(due, render(due)) if due else None
        return File(f"{self._folder}{path}", render(self._at), media_type, overdue)

    def _views(self, incidents: list[BoardIncident], at: datetime) -> list[IncidentView]:
        """Tell the first of them: in a storm there are hundreds, and nobody reads them in a frame."""
        return [piece.view for piece in self._pieces.of(incidents[:SHOWN], at=at)]

    def _title(self, incidents: list[BoardIncident], area: BoardArea | None, at: datetime) -> str:
        if len(incidents) == 1:
            return self._frame.title_of(self._views(incidents, at), area)
        planned = sum(_is_to_come(incident, at) for incident in incidents)
        return self._frame.title_of_many(len(incidents) - planned, planned, area)

    def _page(
        self,
        path: str,
        incidents: list[BoardIncident],
        area: BoardArea | None,
        last_written: str,
        at: datetime,
    ) -> bytes:
        told = [self._told(view) for view in self._views(incidents, at)]
        return self._frame.page(
            "embed.html.j2",
            f"{path}embed/",
            title=self._title(incidents, area, at),
            canonical=path,
            area=area,
            told=told,
            more=len(incidents) - len(told),
            whole=path,
            last_written=last_written,
        )

    def _told(self, view: IncidentView) -> Told:
        _ = self._say
        words, etr = newest_words(view), ""
        if view.etr and view.etr not in words.text:
            time = view.etr
            etr = (
                _("Most have power by {time}", time=time)
                if view.power
                else _("Expected to be resolved by {time}", time=time)
            )
        return Told(view=view, words=words, etr=etr, mark=_MARKS.get(view.state, ""))

    def _badge(
        self,
        incidents: list[BoardIncident],
        area: BoardArea | None,
        last_written: str,
        at: datetime,
    ) -> bytes:
        _ = self._say
        title = self._title(incidents, area, at)
        late = any(i.is_open and i.promise and i.promise <= at for i in incidents)
        newest = max((incident.updates[0].at for incident in incidents), default=None)
        moment = self._teller.wording(newest).moment(newest) if newest else last_written
        state = "planned" if incidents else ""
        if any(not _is_to_come(incident, at) for incident in incidents):
            state = "open"
        return self._frame.page(
            "badge.svg.j2",
            "badge.svg",
            title=title,
            short=shortened(title, _WIDE),
            under=_("The word we promised has not come") if late else moment,
            late=late,
            state=state,
        )


def _is_to_come(incident: BoardIncident, at: datetime) -> bool:
    """Whether it is planned work that has not begun."""
    return incident.planned is not None and incident.planned.start > at
