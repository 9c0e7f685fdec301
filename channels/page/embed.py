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
from broadcaster.domain.localtime import Say
from channels.page.frame import Frame
from channels.page.pieces import Pieces
from channels.page.summary import shortened
from channels.page.view import IncidentView, Said

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
    """The page for a frame and the badge beside a page, in one language."""

    def __init__(self, frame: Frame, pieces: Pieces, say: Say, folder: str, at: datetime) -> None:
        self._frame = frame
        self._pieces = pieces
        self._say = say
        self._folder = folder
        self._at = at

    def files(
        self, path: str, incidents: list[BoardIncident], area: BoardArea | None, last_written: str
    ) -> Iterator[File]:
        """Yield "embed/" and "badge.svg" below the page at `path`, which tells of `incidents`."""
        promises = [i.promise for i in incidents if i.is_open and i.promise]
        due = min((promise for promise in promises if promise > self._at), default=None)

        def page(at: datetime) -> bytes:
            return self._page(path, self._views(incidents, at), area, last_written)

        def badge(at: datetime) -> bytes:
            return self._badge(self._views(incidents, at), area, last_written)

        yield self._file(f"{path}embed/index.html", "text/html; charset=utf-8", page, due)
        yield self._file(f"{path}badge.svg", "image/svg+xml", badge, due)

    def _file(
        self, path: str, media_type: str, render: Callable[[datetime], bytes], due: datetime | None
    ) -> File:
        overdue = Overdue(due, render(due)) if due else None
        return File(f"{self._folder}{path}", render(self._at), media_type, overdue)

    def _views(self, incidents: list[BoardIncident], at: datetime) -> list[IncidentView]:
        return [piece.view for piece in self._pieces.of(incidents, at=at)]

    def _page(
        self, path: str, views: list[IncidentView], area: BoardArea | None, last_written: str
    ) -> bytes:
        told = [self._told(view) for view in views[:SHOWN]]
        return self._frame.page(
            "embed.html.j2",
            f"{path}embed/",
            title=self._frame.title_of(views, area),
            canonical=path,
            area=area,
            told=told,
            more=len(views) - len(told),
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

    def _badge(self, views: list[IncidentView], area: BoardArea | None, last_written: str) -> bytes:
        _ = self._say
        title = self._frame.title_of(views, area)
        late = any(view.late for view in views)
        newest = max((view.updated.iso for view in views), default="")
        moment = next((v.updated.text for v in views if v.updated.iso == newest), last_written)
        under = _("The word we promised has not come") if late else moment
        state = next(
            (state for state in ("open", "planned") if any(v.state == state for v in views)), ""
        )
        return self._frame.page(
            "badge.svg.j2",
            "badge.svg",
            title=title,
            short=shortened(title, _WIDE),
            under=under,
            late=late,
            state=state,
            moment=moment,
        )
