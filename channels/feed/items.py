"""An update as every feed tells it: one item, whose id and place never change, in words.

What was corrected or retracted keeps its id; its text gives way to a line that says so and where the right one stands
(`updated` moves, so that readers fetch it anew).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from broadcaster.channel import ChannelContext, Kind
from broadcaster.domain.addresses import incident_path, language_folder, update_anchor
from broadcaster.domain.board import Board, BoardUpdate, Entry, FeedArchive, IncidentLine
from broadcaster.domain.kept import Kept
from broadcaster.domain.listed import sentences
from broadcaster.domain.markup import legible
from broadcaster.domain.wording import Wording, is_easy, power_cuts, spoken

_NO_ARCHIVE = FeedArchive()


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph of an item; `language` is "" when it is the feed's, `link` is where it leads, if anywhere."""

    text: str
    language: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One update. `id` is the address of its place on its incident's page and never changes.

    `html` is the whole text as HTML in which an operator's words are inert, `text` the same, plain.
    """

    id: str
    incident: str
    number: int
    title: str
    paragraphs: tuple[Paragraph, ...]
    html: str
    text: str
    published: datetime
    updated: datetime
    areas: tuple[tuple[str, str], ...]
    kind: str
    severity: str
    struck: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One feed in words. `folder` is where its three files stand below the root; `home` the page it belongs to.

    `hubs` tell its readers of what is new (WebSub). `number` is that of a page of its archive, 0 of the newest items;
    `older` that of the newest page before it, 0 where there is none (RFC 5005).
    """

    title: str
    description: str
    author: str
    language: str
    folder: str
    public_url: str
    home: str
    revision: str
    updated: datetime
    items: tuple[Item, ...]
    hubs: tuple[str, ...] = ()
    number: int = 0
    older: int = 0

    def address(self, name: str) -> str:
        """Return the address of one of its files, such as "feed.atom"."""
        return f"{self.public_url}/{self.folder}{name}"


class Teller:
    """Tells a board's entries in one `language`; `kept` are those told of boards before, in the same `context`."""

    def __init__(
        self,
        board: Board,
        context: ChannelContext,
        language: str,
        kept: Kept[Item] | None = None,
        hubs: tuple[str, ...] = (),
    ) -> None:
        self._kept: Kept[Item] = kept if kept is not None else Kept(0)
        self._hubs = hubs
        self._board = board
        self._language = language
        self._organisation = context.organisation
        self._public_url = context.public_url
        self._folder = language_folder(context.organisation.languages, language)
        self._phrases = context.phrases.get(language, {})
        self._power_cuts = power_cuts(context.phrases.values())
        self._zone = ZoneInfo(context.organisation.timezone)
        self._areas = {area.key: legible(area.name) for area in context.areas_in(language)}

    def channel(self, key: str, path: str, home: str) -> Channel:
        """Tell the feed of the area `key` ("" for all), that stands at `path` and belongs to the page at `home`."""
        words = self.wording(self._board.at)
        _ = words.say
        archive = self._board.feed_archives.get(key, _NO_ARCHIVE)
        items = tuple(map(self.told, (*self._board.feeds.get(key, ()), *archive.again)))
        return Channel(
            title=self.title(key),
            description=_("Disruptions and what we know of them, every word as it is said."),
            author=legible(self._organisation.name),
            language=self._language,
            folder=self._folder + path,
            public_url=self._public_url,
            home=f"{self._public_url}/{self._folder}{home}",
            revision=str(self._board.revision),
            updated=max((item.updated for item in items), default=self._board.at),
            items=items,
            hubs=self._hubs,
            older=archive.pages,
        )

    def pages(self, key: str, newest: Channel) -> Iterator[Channel]:
        """Tell the pages of an area's archive ("" for all) that changed; `newest` is the feed that they belong to."""
        for page in self._board.feed_archives.get(key, _NO_ARCHIVE).changed:
            items = tuple(map(self.told, page.entries))
            yield replace(
                newest,
                updated=max(item.updated for item in items),
                items=items,
                hubs=(),
                number=page.number,
                older=page.number - 1,
            )

    def title(self, key: str) -> str:
        """Say who tells of which area ("" for all): "Ekbyns Energi: Norra Ekbyn"."""
        words = self.wording(self._board.at)
        mode = words.mode_label(self._board.mode)
        title = f"{self._organisation.name}: {self._areas[key] if key else words.say('All areas')}"
        return legible(f"{mode}: {title}" if mode else title)

    def told(self, entry: Entry) -> Item:
        """Tell one entry, or return what was told of the very same one before."""
        return self._kept.of(self._name(entry), entry, partial(self.item, entry))

    def item(self, entry: Entry) -> Item:
        """Tell one entry."""
        incident, update = entry.incident, entry.update
        words = self.wording(update.at)
        said = self._struck(words, entry) if update.struck else self._said(words, entry)
        paragraphs = tuple(replace(p, text=legible(p.text)) for p in said if p.text)
        keys = _concerned(update) or incident.areas_ever
        return Item(
            id=self._address(incident, update.number),
            incident=incident.id,
            number=update.number,
            title=legible(self._title(words, incident, update, self.names(keys))),
            paragraphs=paragraphs,
            html=Markup("\n").join(map(_html, paragraphs)),
            text="\n\n".join(paragraph.text for paragraph in paragraphs),
            published=update.at,
            updated=max(update.at, update.changed_at),
            areas=tuple((key, self._areas.get(key, key)) for key in keys),
            kind=update.kind.value,
            severity=incident.severity.value,
            struck=update.struck is not None,
        )

    def _name(self, entry: Entry) -> tuple[str, str, int]:
        return self._language, entry.incident.id, entry.update.number

    # ------------------------------------------------------------------------------------------------------ in words
    def say(self, sentence: str, **values: object) -> str:
        """Say the English `sentence` in this language."""
        return self.wording(self._board.at).say(sentence, **values)

    def wording(self, near: datetime) -> Wording:
        """Return what says facts in this language, in a text that is dated `near`."""
        return Wording(self._phrases, self._zone, near, self._power_cuts)

    def _address(self, incident: IncidentLine, number: int) -> str:
        page = f"{self._public_url}/{self._folder}{incident_path(incident.slug)}"
        return f"{page}#{update_anchor(incident.slug, number)}"

    def names(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """Return what the areas are called."""
        return tuple(self._areas.get(key, key) for key in keys)

    def _title(
        self, words: Wording, incident: IncidentLine, update: BoardUpdate, names: tuple[str, ...]
    ) -> str:
        what = _what(words, incident, update, names)
        if update.struck:
            what = f"{words.struck_label(update.struck.kind, update.struck.at)}: {what}"
        elif update.kind not in (Kind.REPORT, Kind.RESTORED):
            new_etr = update.etr not in (None, update.etr_before)
            tag = words.tag(
                update.kind,
                headline=incident.headline,
                corrects_at=update.corrects_at,
                new_etr=new_etr,
            )
            what = f"{tag}: {what}"
        mode = words.mode_label(incident.mode)
        return f"{mode}: {what}" if mode else what

    def _struck(self, words: Wording, entry: Entry) -> Iterator[Paragraph]:
        struck = entry.update.struck
        if struck is not None:
            _ = words.say
            label = words.struck_label(struck.kind, struck.at)
            name = f"{entry.incident.id}-{struck.by}"
            text = _("{label}, see {name}.", label=label, name=name)
            yield Paragraph(text, link=self._address(entry.incident, struck.by))

    def _said(self, words: Wording, entry: Entry) -> Iterator[Paragraph]:
        """Say the operator's words, then each fact in words of ours: what the text leaves out is not lost."""
        update, headline = entry.update, entry.incident.headline
        _ = words.say
        mode = words.mode_label(entry.incident.mode)
        yield Paragraph(_("{mode}: nothing of this has happened.", mode=mode) if mode else "")
        text, language = spoken(update.texts, self._language, self._organisation.languages[0])
        yield Paragraph(text, self._foreign(language))
        if text and is_easy(self._language) and language != self._language:
            yield Paragraph(
                "" if self._foreign(language) else _("The text is not in easy language.")
            )
        if update.kind is Kind.RESTORED:
            label, place = words.restored_label(headline), words.listing(self.names(update.ended))
            yield Paragraph(_("{label}: {place}", label=label, place=place) if place else "")
            yield Paragraph(words.still_affected(self.names(update.areas)))
            yield Paragraph(words.next_word_phrase(update.promise))
            return
        yield Paragraph(words.no_longer(update.kind, self.names(update.ended)))
        if update.areas:
            place = words.listing(self.names(update.areas))
            when = words.when_phrase(update.since, update.planned, headline="")
            yield Paragraph(_("Where: {place}", place=f"{place}, {when}" if when else place))
        yield Paragraph(words.etr_phrase(update.etr, update.etr_before, headline=headline))
        own = self._foreign(self._organisation.languages[0])
        for fact in (update.cause, update.instruction):
            yield Paragraph(words.own(fact), "" if fact in sentences() else own)
        yield Paragraph(words.next_word_phrase(update.promise))

    def _foreign(self, language: str) -> str:
        """A language, "" where who reads this feed reads it, too: easy Swedish is Swedish."""
        same = language.partition("-")[0] == self._language.partition("-")[0]
        return "" if same else language


def _concerned(update: BoardUpdate) -> tuple[str, ...]:
    """The areas an entry is about: of a return of power those that have it again, not those that still wait."""
    if update.kind is Kind.RESTORED:
        return update.ended
    return update.areas or update.ended


def _what(
    words: Wording, incident: IncidentLine, update: BoardUpdate, names: tuple[str, ...]
) -> str:
    """Say what the entry is about and where; planned work that is to come says when, for titles are read alone."""
    headline = incident.headline
    if update.kind is Kind.RESTORED:
        return words.restored_title(headline, names)
    planned = update.planned or (incident.planned if incident.retracted else None)
    to_come = words.to_come(planned)
    title = words.title(headline, names, to_come=to_come)
    when = words.when_phrase(None, planned, headline=headline)
    return f"{title}, {when}" if to_come else title


def _html(paragraph: Paragraph) -> Markup:
    text = escape(paragraph.text).replace("\n", Markup("<br>"))
    if paragraph.link:
        return Markup('<p><a href="{}">{}</a></p>').format(paragraph.link, text)
    if paragraph.language:
        return Markup('<p lang="{}">{}</p>').format(paragraph.language, text)
    return Markup("<p>{}</p>").format(text)
