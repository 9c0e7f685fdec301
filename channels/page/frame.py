"""What every page has around it: head, banner of drill and demo, languages, feeds, footer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from babel.core import get_global
from markupsafe import Markup

from broadcaster.channel import Board, ChannelContext, Mode
from broadcaster.domain.addresses import language_folder
from broadcaster.domain.board import BoardArea
from broadcaster.domain.markup import legible
from channels.page.marking import shown
from channels.page.pieces import Piece, each
from channels.page.settings import PageSettings
from channels.page.templating import environment, saying
from channels.page.tongue import direction_beside, tongue
from channels.page.view import IncidentView, Teller

_FEEDS = {
    "RSS": ("feed.rss", "application/rss+xml"),
    "Atom": ("feed.atom", "application/atom+xml"),
    "JSON Feed": ("feed.json", "application/feed+json"),
    "Calendar": ("calendar.ics", "text/calendar"),
}
_TERRITORY = 2  # letters; what is longer is a script or a variant
_CAP = {"CAP": ("cap.atom", "application/atom+xml")}


@cache
def og_locale(tag: str) -> str:
    """Return a language as link previews name it, "sv_SE"; without a territory of its own, where most speak it."""
    language, _, territory = tag.partition("-")
    likely = get_global("likely_subtags").get(language, "").rpartition("_")[2]
    known = territory if len(territory) == _TERRITORY else likely
    return f"{language}_{known.upper()}" if known else language


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed that the page points at; `path` is below the root."""

    name: str
    about: str
    title: str
    path: str
    media_type: str


class Frame:
    """Renders templates for one board, configuration and language, whose pages stand in `folder`."""

    def __init__(
        self, board: Board, context: ChannelContext, settings: PageSettings, teller: Teller
    ) -> None:
        self._organisation = context.organisation
        self._public_url = context.public_url
        self._settings = settings
        self._language = teller.language
        self.folder = language_folder(context.organisation.languages, teller.language)
        self._words = teller.wording(board.at)
        mode = self._words.mode_label(board.mode)
        self._same: dict[str, Any] = {
            "_": saying(teller.phrases),
            "address": self._address,
            "advice": settings.advised(teller.language),
            "direction": partial(direction_beside, teller.language),
            "follow_url": context.follow_url,
            "places": bool(context.places),
            "here": self.folder,
            "is_drill": board.mode is Mode.DRILL,
            "language": tongue(teller.language, teller.phrases),
            "languages": [
                tongue(tag, context.phrases.get(tag, {})) for tag in context.organisation.languages
            ],
            "mode": mode,
            "mode_prefix": f"{mode}: " if mode else "",
            "og_locale": og_locale,
            "organisation": context.organisation,
            "prefix": partial(language_folder, context.organisation.languages),
            "revision": str(board.revision),
            "settings": settings,
        }

    def current(
        self,
        template: str,
        path: str,
        incidents: list[Piece],
        *,
        area: BoardArea | None = None,
        last_written: str = "",
        **values: Any,
    ) -> bytes:
        """Render a page about `incidents`: its title and description say how many and which."""
        views = [piece.view for piece in incidents]
        return self.page(
            template,
            path,
            title=self._title(views, area),
            description=self._description(views, last_written),
            incidents=views,
            told=each(incidents, lambda piece: piece.told),
            late=each(incidents, lambda piece: piece.late),
            jumps=each(incidents, lambda piece: piece.jump),
            feet=each(incidents, lambda piece: piece.foot),
            area=area,
            last_written=last_written,
            **{"feeds": self.feeds(area)} | values,
        )

    def page(self, template: str, path: str, *, title: str, **values: Any) -> bytes:
        """Render the page at `path` ("areas/norra-ekbyn/"), as bytes without a character that would break it.

        `elsewhere` among the values is what stands for it in the other languages, where they have no such page.
        """
        defaults: dict[str, Any] = {
            "canonical": path,
            "description": title,
            "elsewhere": path,
            "feeds": self.feeds(None),
            "area": None,
            "feet": "",
            "incidents": (),
            "last_written": "",
            "recent": "",
            "late": "",
            "newer": "",
            "older": "",
            "path": path,
            "published": "",
            "root": self.root(path),
            "title": title,
        }
        html = environment().get_template(template).render(self._same | defaults | values)
        return legible(shown(html, self._language)).encode()

    @property
    def mode_prefix(self) -> str:
        """Return "DRILL: " or the like, which begins what is told in a drill or a demo; "" in live mode."""
        return str(self._same["mode_prefix"])

    def root(self, path: str) -> str:
        """Return what leads from the page at `path` up to the very first."""
        return "../" * (self.folder + path).count("/") or "./"

    def title_of(self, incidents: list[IncidentView], area: BoardArea | None) -> str:
        """Say how many disruptions there are and where; of one alone, which."""
        return self._title(incidents, area)

    def _address(self, path: str, language: str | None = None) -> str:
        tag = self._language if language is None else language
        return f"{self._public_url}/{language_folder(self._organisation.languages, tag)}{path}"

    def _title(self, incidents: list[IncidentView], area: BoardArea | None) -> str:
        if len(incidents) == 1:
            return self._title_of(incidents[0])
        planned = sum(incident.state == "planned" for incident in incidents)
        return self.title_of_many(len(incidents) - planned, planned, area)

    def title_of_many(self, now: int, planned: int, area: BoardArea | None) -> str:
        """Say how many incidents go on and are planned."""
        _ = self._words.say
        what = self.counted(now, planned) if now or planned else _("No known disruptions")
        return _("{title} in {name}", title=what, name=area.name) if area else what

    def also_late(self, count: int) -> Markup:
        """Say that more promises are broken than are told."""
        _ = saying(self._words.phrases)
        sentence = _("We are late with the next word about {count} more.", count=count)
        return Markup('<div class="late"><p>{}</p></div>').format(sentence)

    def counted(self, now: int, planned: int) -> str:
        """Count incidents, several of them."""
        _ = self._words.say
        if not planned:
            return _("{count} disruptions", count=now)
        if not now:
            return _("{count} planned disruptions", count=planned)
        return _("Disruptions: {count} now, {planned} planned", count=now, planned=planned)

    def _title_of(self, one: IncidentView) -> str:
        _ = self._words.say
        title = one.title.text
        if one.state == "retracted":
            title = _("Retracted: {title}", title=title)
        # On a board that is itself a drill, every title begins with the word already.
        return title if self._same["mode"] or not one.mode_label else f"{one.mode_label}: {title}"

    def _description(self, incidents: list[IncidentView], last_written: str) -> str:
        _ = self._words.say
        if len(incidents) == 1:
            return incidents[0].summary
        if incidents:
            return "; ".join(incident.title.text for incident in incidents)
        if last_written:
            return _("Our latest word is from {moment}.", moment=last_written)
        return self._organisation.name

    def feeds(self, area: BoardArea | None) -> list[Feed]:
        """Return the feeds of an area, or of all."""
        found = (_FEEDS if self._settings.feeds else {}) | (_CAP if self._settings.cap else {})
        _ = self._words.say
        about = area.name if area else _("All areas")
        place = f"{self.folder}areas/{area.key}/" if area else self.folder
        return [
            Feed(
                _(name),
                about,
                f"{self._organisation.name}: {about} ({_(name)})",
                place + file,
                media_type,
            )
            for name, (file, media_type) in found.items()
        ]
