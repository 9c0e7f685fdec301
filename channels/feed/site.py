"""Which feeds a board changes: a pure function from the board to complete files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from broadcaster.bundle import File
from broadcaster.channel import Board, ChannelContext
from broadcaster.domain.addresses import area_paths
from broadcaster.domain.kept import Kept
from channels.feed.formats import FORMS, written
from channels.feed.items import Channel, Item, Teller


@dataclass(frozen=True, slots=True)
class Memory:
    """What was told for the boards before, in one configuration: some six kilobytes an item with its three forms."""

    items: Kept[Item] = field(default_factory=lambda: Kept(2_048))
    forms: Kept[bytes] = field(default_factory=lambda: Kept(6_144))


def feeds(board: Board, context: ChannelContext, memory: Memory | None = None) -> Iterator[File]:
    """Render every feed that `board` changes, in every language; all of them when `board.since` is None.

    `memory` is what calls with the same `context` share: it makes them quicker.
    """
    memory = memory or Memory()
    for language in context.organisation.languages:
        teller = Teller(board, context, language, memory.items)
        yield from _files(teller.channel("", "", ""), memory)
        for area in context.areas:
            if board.since is not None and area.key not in board.feeds:
                continue
            paths = area_paths(area, context.areas)
            for path in paths:
                yield from _files(teller.channel(area.key, path, paths[0]), memory)


def _files(channel: Channel, memory: Memory) -> Iterator[File]:
    for name, form in FORMS.items():
        yield File(channel.folder + name, written(channel, name, memory.forms), form.media_type)
