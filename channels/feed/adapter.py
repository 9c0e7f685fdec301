"""The channel of kind `feed`: writes complete feeds into the public directory and looks whether they are seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import Field

from broadcaster.bundle import File
from broadcaster.bundle.board import BundleBoard
from broadcaster.channel import Board, ChannelContext, ChannelSettings
from broadcaster.httpclient import WebAddress
from channels.feed.site import Memory, feeds


class FeedSettings(ChannelSettings):
    """The keys of a channel of kind `feed`."""

    hubs: tuple[WebAddress, ...] = Field(
        (),
        max_length=5,
        description="WebSub hubs where readers can ask to be told at once; a channel of kind websub tells each of them.",
    )


class FeedAdapter(BundleBoard):
    """Shows the board as feeds below `public.directory`."""

    Settings = FeedSettings
    settings: FeedSettings
    seen_at = "feed.json"
    mark = re.compile(rb'"revision": "([0-9]+\.[0-9]+)"')

    def __init__(self, settings: Any, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._memory = Memory()

    def files(self, board: Board) -> Iterator[File]:
        return feeds(board, self.context, self._memory, self.settings.hubs)
