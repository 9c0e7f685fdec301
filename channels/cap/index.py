"""The Atom index (RFC 4287) by which machines find the documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree

from broadcaster.channel import Board, ChannelContext
from broadcaster.domain.addresses import language_folder
from broadcaster.domain.board import BoardArea, BoardUpdate
from broadcaster.domain.localtime import say
from broadcaster.domain.markup import legible
from channels.cap.telling import Alert, AnIncident, Teller, Told, expiry

NAME = "cap.atom"
MEDIA_TYPE = "application/atom+xml; charset=utf-8"
_ATOM = "http://www.w3.org/2005/Atom"
_XML = "http://www.w3.org/XML/1998/namespace"


@dataclass(frozen=True, slots=True)
class Listed:
    """One message that an index names."""

    incident: AnIncident
    update: BoardUpdate


def listed(board: Board, key: str) -> list[Listed]:
    """Return what the index of the area `key` ("" for all) names, newest first.

    The newest word of all that is open; what else has not expired, for by Google's profile what was replaced stays for a
    while; and, of whatever is named, what replaced it last. What was corrected or retracted is named no more, lest a
    reader shows it that knows no `references`.
    """
    newest = _newest(board)
    found = {
        incident.id: [newest[incident.id]]
        for incident in board.open
        if not key or key in incident.areas
    }
    for entry in board.feeds.get(key, ()):
        update = entry.update
        if not update.struck and expiry(update) > board.at:
            last = newest.get(entry.incident.id)
            named = found.setdefault(entry.incident.id, [last] if last else [])
            if update.number not in {each.update.number for each in named}:
                named.append(Listed(entry.incident, update))
    every = (each for named in found.values() for each in named)
    return sorted(every, key=lambda each: each.update.revision, reverse=True)


def _newest(board: Board) -> dict[str, Listed]:
    """The newest word of each incident, as far as this board tells of it."""
    found: dict[str, Listed] = {}
    for entry in board.feeds.get("", ()):
        found.setdefault(entry.incident.id, Listed(entry.incident, entry.update))
    for incident in (*board.changed, *board.open):
        found[incident.id] = Listed(incident, incident.updates[0])
    return found


class Index:
    """Writes indexes for one board in one language; by `told` the indexes of a board share what was told already."""

    def __init__(
        self,
        board: Board,
        context: ChannelContext,
        language: str,
        teller: Teller,
        told: dict[tuple[str, int], Alert],
    ) -> None:
        self._told = told
        self._board = board
        self._context = context
        self._language = language
        self._teller = teller
        self.folder = language_folder(context.organisation.languages, language)

    def written(self, area: BoardArea | None, path: str) -> bytes:
        """Write the index of an area (None: all), that stands in the folder `path`."""
        alerts = [self._alert(each) for each in listed(self._board, area.key if area else "")]
        return etree.tostring(
            self._feed(area, path, alerts), xml_declaration=True, encoding="utf-8"
        )

    def _alert(self, of: Listed) -> Alert:
        name = (of.incident.id, of.update.number)
        if name not in self._told:
            self._told[name] = self._teller.alert(of.incident, of.update)
        return self._told[name]

    def _feed(self, area: BoardArea | None, path: str, alerts: Sequence[Alert]) -> etree._Element:
        context, name = self._context, self._context.organisation.name
        about = area.called(self._language) if area else self._say("All areas")
        home = f"{context.public_url}/{self.folder}{path}"
        root = etree.Element(
            f"{{{_ATOM}}}feed",
            {f"{{{_XML}}}lang": self._language},
            nsmap={None: _ATOM},  # type: ignore[dict-item]  # the stubs know no default namespace
        )
        # By this the channel is confirmed from outside.
        root.append(etree.Comment(f" revision {self._board.revision} "))
        _add(root, "id", f"{home}{NAME}")
        _add(root, "title", f"{name}: {about} (CAP)")
        newest = max((alert.sent for alert in alerts), default=self._board.at)
        _add(root, "updated", newest.isoformat(timespec="seconds"))
        _add(_add(root, "author"), "name", name)
        _add(root, "link", rel="self", type="application/atom+xml", href=f"{home}{NAME}")
        _add(root, "link", rel="alternate", type="text/html", href=home)
        for alert in alerts:
            self._entry(_add(root, "entry"), alert)
        return root

    def _entry(self, node: etree._Element, alert: Alert) -> None:
        address = f"{self._context.public_url}/{alert.path}"
        told = self._in_its_language(alert)
        sent = alert.sent.isoformat(timespec="seconds")
        _add(node, "id", address)
        title = _add(node, "title", told.headline)
        _add(node, "published", sent)
        _add(node, "updated", sent)
        _add(node, "link", rel="alternate", type="application/cap+xml", href=address)
        _add(node, "link", rel="related", type="text/html", href=told.web)
        for label in _sorted_by(alert):
            _add(node, "category", term=label)
        summary = _add(node, "summary", told.description)
        if told.language != self._language:
            for each in (title, summary):
                each.set(f"{{{_XML}}}lang", told.language)

    def _in_its_language(self, alert: Alert) -> Told:
        """Of a language that is not whole there are no words in the warning: then the first it has, marked as what they are."""
        own = (told for told in alert.told if told.language == self._language)
        return next(own, alert.told[0])

    def _say(self, sentence: str) -> str:
        return say(self._context.phrases.get(self._language, {}), sentence)


def _sorted_by(alert: Alert) -> Iterator[str]:
    """What a reader may choose by before it fetches a document."""
    yield alert.status
    yield alert.severity
    for area in alert.areas:
        yield area.key


def _add(parent: etree._Element, tag: str, text: str = "", **attributes: str) -> etree._Element:
    written: dict[str, Any] = {name: legible(value) for name, value in attributes.items()}
    node = etree.SubElement(parent, f"{{{_ATOM}}}{tag}", written)
    if text:
        node.text = legible(text)
    return node
