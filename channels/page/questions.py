"""The pages that ask: which area is my place in, and which areas shall my channel carry.

The public server answers them. It knows no template: beside each page stands, as JSON, what it answers with, cut where
words of the moment go (docs/adr/0010). So what a stranger wrote never passes through a template, and nothing that the
public server says is written in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from broadcaster.bundle import File
from broadcaster.channel import ChannelContext, Place
from broadcaster.domain.addresses import language_folder
from broadcaster.domain.markup import legible
from channels.page.frame import Frame
from channels.page.templating import environment
from channels.page.view import Teller

# Private letters of Unicode; in a name they would only show the moment's words, escaped, once more.
_OPEN, _CLOSE = "\ue000", "\ue001"
_SLOT = re.compile(f"{_OPEN}([a-z]+){_CLOSE}")
_HTML, _JSON = "text/html; charset=utf-8", "application/json"
_LAST_LETTERS = "æøåäö"  # in the order of Swedish, and of Norwegian


def _slot(name: str) -> Markup:
    return Markup(f"{_OPEN}{name}{_CLOSE}")  # noqa: S704 - a mark of ours


_SLOTS = {name: _slot(name) for name in ("question", "links", "areas", "address", "drawing")}


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a feed: its file, its name, and for what program it is, in words."""

    file: str
    name: str
    words: str


def pieces(html: str) -> list[str]:
    """Cut where words of the moment go: text, the name of what goes there, text and so on."""
    return _SLOT.split(html)


def questions(
    frame: Frame, context: ChannelContext, teller: Teller, *, feeds: bool
) -> Iterator[File]:
    """Render the pages that ask in one language, and what they are answered with; `feeds`: there are feeds."""
    asking = _Questions(frame, context, teller)
    if feeds:
        yield from asking.following()
    if context.places:
        yield from asking.places()


class _Questions:
    def __init__(self, frame: Frame, context: ChannelContext, teller: Teller) -> None:
        self._frame = frame
        self._context = context
        self._language = teller.language
        self._languages = context.organisation.languages
        self._folder = language_folder(self._languages, teller.language)
        self._phrases = teller.phrases
        self._areas = {area.key: area for area in context.areas}

    def _say(self, sentence: str) -> str:
        return self._phrases.get(sentence, sentence)

    # ------------------------------------------------------------------------------------------------------- places
    def places(self) -> Iterator[File]:
        shelves: dict[str, list[Place]] = {}
        for place in sorted(self._context.places, key=_order):
            shelves.setdefault(_letter(place), []).append(place)
        values: dict[str, Any] = {
            "title": self._say("Is my place affected?"),
            "letters": [(letter, f"places/{_slug(letter)}/") for letter in shelves],
            "answers": self._context.answers,
        }
        yield self._page("places.html.j2", "places/", found="", **values)
        for letter, places in shelves.items():
            title = f"{values['title']} {letter}"
            rows = [(_shown(place), self._areas[place.area]) for place in places]
            yield self._page("letter.html.j2", f"places/{_slug(letter)}/", title=title, rows=rows)
        if not self._context.answers:
            return
        told = {
            found: self._cut("places.html.j2", "places/", found=found, **values)
            for found in ("none", "several", "many")
        }
        yield self._json("places/answers.json", {**told, "row": self._row(), **self._names()})
        if self._language == self._languages[0]:
            yield File("places/table.json", _encoded(_rows(self._context.places)), _JSON)

    def _row(self) -> list[str]:
        values = {"root": self._frame.root("places/"), "here": self._folder}
        made: Any = environment().get_template("asked.html.j2").make_module(values)
        return pieces(str(made.place_row(_slot("place"), _slot("key"), _slot("area"))))

    # ----------------------------------------------------------------------------------------------------- following
    def following(self) -> Iterator[File]:
        values: dict[str, Any] = {
            "title": self._say("My channel"),
            "answers": self._context.answers,
            "areas": self._context.areas,
            "forms": self._forms(),
        }
        yield self._page("follow.html.j2", "follow/", **values)
        if not self._context.answers:
            return
        told = {
            found: self._cut("my.html.j2", "my/", canonical="follow/", found=found, **values)
            for found in ("address", "many", "none")
        }
        organisation = legible(self._context.organisation.name)
        mode = self._frame.mode_prefix
        words = {
            "public_url": self._context.public_url,
            "folders": {tag: language_folder(self._languages, tag) for tag in self._languages},
            "language": self._language,
            "author": organisation,
            "title": f"{mode}{organisation}: ",
            "about": self._say("Disruptions and what we know of them, every word as it is said."),
            "square": self._say("The same address as a square for the camera of a phone"),
        }
        yield self._json("follow/answers.json", {**told, **words, **self._names()})

    def _forms(self) -> Sequence[Form]:
        say = self._say
        return (
            Form("feed.rss", "RSS", say("A feed reader (RSS)")),
            Form("feed.atom", "Atom", say("A feed reader (Atom)")),
            Form("feed.json", "JSON Feed", say("A feed reader (JSON Feed)")),
            Form("calendar.ics", say("Calendar"), say("A calendar, for planned work")),
        )

    # --------------------------------------------------------------------------------------------------- one file
    def _names(self) -> Mapping[str, Mapping[str, str]]:
        return {"areas": {key: legible(area.name) for key, area in self._areas.items()}}

    def _page(self, template: str, path: str, **values: Any) -> File:
        return File(f"{self._folder}{path}index.html", self._html(template, path, **values), _HTML)

    def _cut(self, template: str, path: str, **values: Any) -> list[str]:
        return pieces(self._html(template, path, **values).decode())

    def _html(self, template: str, path: str, **values: Any) -> bytes:
        return self._frame.page(template, path, slots=_SLOTS, **values)

    def _json(self, path: str, content: Mapping[str, Any]) -> File:
        return File(self._folder + path, _encoded(content), _JSON)


def _rows(places: Sequence[Place]) -> list[tuple[str, str, str]]:
    return [(place.name, place.postcode, place.area) for place in places]


def _encoded(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _shown(place: Place) -> str:
    return " ".join(part for part in (place.name, _grouped(place.postcode)) if part)


def _grouped(postcode: str) -> str:
    """Write "12345" as "123 45"; others stay as they are."""
    return f"{postcode[:3]} {postcode[3:]}" if len(postcode) == 5 else postcode


def _letter(place: Place) -> str:
    return (place.name or place.postcode)[0].upper()[0]


def _order(place: Place) -> tuple[list[tuple[int, str]], str]:
    said = (place.name or place.postcode).lower()
    return [(_LAST_LETTERS.find(letter) + 1, letter) for letter in said], place.postcode


def _slug(letter: str) -> str:
    """Return what a letter's page is called in addresses: itself, else its number in Unicode."""
    small = letter.lower()
    return small if small.isascii() and small.isalnum() else f"u{ord(small[0]):04x}"
