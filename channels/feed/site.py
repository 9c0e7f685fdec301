"""Which feeds a board changes: a pure function from the board to complete files."""

from __future__ import annotations

from collections.abc import Iterator

from broadcaster.bundle import File
from broadcaster.channel import Board, ChannelContext
from broadcaster.domain.addresses import area_paths
from channels.feed.formats import FORMATS
from channels.feed.items import Channel, Teller


def feeds(board: Board, context: ChannelContext) -> Iterator[File]:
    """Render every feed that `board` changes, in every language; all of them when `board.since` is None."""
    for language in context.organisation.languages:
        teller = Teller(board, context, language)
        yield from _files(teller.channel("", "", ""))
        for area in context.areas:
            if board.since is not None and area.key not in board.feeds:
                continue
            paths = area_paths(area, context.areas)
            for path in paths:
                yield from _files(teller.channel(area.key, path, paths[0]))


def _files(channel: Channel) -> Iterator[File]:
    for name, (media_type, write) in FORMATS.items():
        yield File(channel.folder + name, write(channel), media_type)
