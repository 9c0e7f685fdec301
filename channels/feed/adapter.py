"""The channel of kind `feed`: writes complete feeds into the public directory and looks whether they are seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from broadcaster.bundle import File
from broadcaster.bundle.board import BundleBoard
from broadcaster.channel import Board, ChannelContext
from channels.feed.site import Memory, feeds


class FeedAdapter(BundleBoard):
    """Shows the board as feeds below `public.directory`."""

    seen_at = "feed.json"
    mark = re.compile(rb'"revision": "([0-9]+\.[0-9]+)"')

    def __init__(self, settings: Any, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._memory = Memory()

    def files(self, board: Board) -> Iterator[File]:
        return feeds(board, self.context, self._memory)
