"""The channel of kind `page`: writes complete pages into the public directory and looks whether they are seen."""

from __future__ import annotations

import re
from collections.abc import Iterator

from broadcaster.bundle import File
from broadcaster.bundle.board import BundleBoard
from broadcaster.channel import Board, ChannelContext
from channels.page.pieces import Memory
from channels.page.settings import PageSettings
from channels.page.site import pages


class PageAdapter(BundleBoard):
    """Shows the board as pages below `public.directory`."""

    Settings = PageSettings
    seen_at = ""
    mark = re.compile(rb'<meta name="revision" content="([0-9]+\.[0-9]+)">')

    def __init__(self, settings: PageSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._memory = Memory()

    def files(self, board: Board) -> Iterator[File]:
        return pages(board, self.context, self.settings, self._memory)
