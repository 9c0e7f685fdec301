"""Which feeds a board changes: a pure function from the board to complete files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from broadcaster.bundle import File
from broadcaster.channel import Board, ChannelContext
from broadcaster.domain.addresses import area_paths
from broadcaster.domain.kept import Kept
from channels.feed import calendar
from channels.feed.calendar import Calendar, Event
from channels.feed.formats import FORMS, page_name, written
from channels.feed.items import Channel, Item, Teller
from channels.feed.outages import events

# What would end an address in a header, as an address writes it.
_IN_A_HEADER = str.maketrans({letter: f"%{ord(letter):02X}" for letter in '<>"'})


@dataclass(frozen=True, slots=True)
class Memory:
    """What was told for the boards before, in one configuration: some six kilobytes an item with its three forms."""

    items: Kept[Item] = field(default_factory=lambda: Kept(2_048))
    forms: Kept[bytes] = field(default_factory=lambda: Kept(6_144))


def feeds(
    board: Board,
    context: ChannelContext,
    memory: Memory | None = None,
    hubs: tuple[str, ...] = (),
) -> Iterator[File]:
    """Render every feed that `board` changes, in every language; all of them when `board.since` is None.

    `memory` is what calls with the same `context` share: it makes them quicker. `hubs` are where readers can ask to be
    told of what is new.
    """
    memory = memory or Memory()
    # With its path: two organisations may share a host.
    world = context.public_url.partition("://")[2]
    for language in context.organisation.languages:
        teller = Teller(board, context, language, memory.items, hubs)
        planned = events(board, "", teller, world)
        newest = teller.channel("", "", "")
        yield from _files(teller, newest, planned, memory)
        yield from _pages(teller, "", newest, memory)
        for area in context.areas:
            if board.since is not None and area.key not in board.feeds:
                continue
            paths = area_paths(area, context.areas)
            planned = events(board, area.key, teller, world)
            for path in paths:
                channel = teller.channel(area.key, path, paths[0])
                yield from _files(teller, channel, planned, memory)
            # Once, by the area's key: there a reader by an official code is led as well.
            newest = teller.channel(area.key, paths[0], paths[0])
            yield from _pages(teller, area.key, newest, memory)


def _files(
    teller: Teller, channel: Channel, planned: tuple[Event, ...], memory: Memory
) -> Iterator[File]:
    for name, form in FORMS.items():
        yield File(
            channel.folder + name,
            written(channel, name, memory.forms),
            form.media_type,
            links=_links(channel, name),
        )
    yield File(
        channel.folder + calendar.NAME,
        calendar.written(_calendar(teller, channel, planned)),
        calendar.MEDIA_TYPE,
    )


def _pages(teller: Teller, key: str, newest: Channel, memory: Memory) -> Iterator[File]:
    """Write the pages of an archive that changed; what became full holds the same items for ever."""
    for page in teller.pages(key, newest):
        path = page.folder + page_name(page.number)
        body = written(page, "feed.atom", memory.forms)
        yield File(path, body, FORMS["feed.atom"].media_type, immutable=True)


def _links(channel: Channel, name: str) -> tuple[tuple[str, str], ...]:
    """What a hub, and whoever asks one, looks for first (WebSub §4)."""
    if not channel.hubs:
        return ()
    links = (("self", channel.address(name)), *(("hub", hub) for hub in channel.hubs))
    return tuple((relation, address.translate(_IN_A_HEADER)) for relation, address in links)


def _calendar(teller: Teller, channel: Channel, planned: tuple[Event, ...]) -> Calendar:
    _ = teller.say
    return Calendar(
        name=_("{title} (planned outages)", title=channel.title),
        description=_("Planned outages, also those that were moved or cancelled."),
        home=channel.home,
        address=channel.address(calendar.NAME),
        events=planned,
    )
