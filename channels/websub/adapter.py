"""The channel of kind `websub`: tells a hub which feeds a revision has changed (W3C WebSub, 2018).

It is a board beside the feeds: what it shows is that the hub knows. So a hub that is slow or away holds up nothing but
itself, and is told as soon as it is back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pydantic import Field

from broadcaster.channel import (
    Attempt,
    Board,
    BoardAdapter,
    ChannelContext,
    ChannelSettings,
    Receipt,
    Revision,
    Transient,
)
from broadcaster.domain.addresses import area_paths, language_folder
from broadcaster.httpclient import Caller, Deadline, WebAddress, host_in
from channels.websub.published import wait_for
from channels.websub.record import Record

_LATELY = timedelta(days=1)  # what a hub is told at once when nobody knows what it was told before
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class WebSubSettings(ChannelSettings):
    """The keys of a channel of kind `websub`."""

    is_way = False

    url: WebAddress = Field(
        description="The hub's address, the same as in `hubs` of the channel of kind feed."
    )
    feed: str = Field(
        "feed",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$",
        description="The channel of kind feed whose documents the hub is told of.",
    )
    together: int = Field(
        1,
        ge=1,
        le=100,
        description="How many feeds are named in one call; more than one only where the hub says that it takes a list.",
    )


class WebSubAdapter(BoardAdapter):
    """Tells one hub of every feed that a revision has changed, once the feed's files stand."""

    Settings = WebSubSettings
    settings: WebSubSettings

    def __init__(self, settings: Any, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._caller = Caller(allowed_hosts=context.allowed_hosts)
        self._directory = Path(context.public_directory)
        self._record = Record(self._directory / ".websub" / f"{context.name}.json", settings.url)
        self._told: tuple[Revision | None, set[str]] = (None, set())

    def hosts(self) -> tuple[str, ...]:
        """Return the hub's host."""
        return (host_in(self.settings.url),)

    def close(self) -> None:
        self._caller.close()

    def standing(self) -> Revision | None:
        """Return the revision of which the hub knows; None when nobody knows what it was told.

        Raises:
            Transient: the record of it cannot be read.
        """
        return self._record.read()

    def show(self, board: Board, attempt: Attempt) -> Receipt:
        """Tell the hub of each feed that `board` changes. A call that was answered is not repeated in the next try.

        Raises:
            Transient: the feeds of this revision do not stand yet, or name another hub; or the hub cannot be reached.
            Permanent: the hub refuses us.
        """
        deadline = Deadline.of(attempt)
        names = wait_for(
            self._directory, self.settings.feed, self.settings.url, board.revision, deadline
        )
        if self._told[0] != board.revision:
            self._told = (board.revision, set())
        told = self._told[1]
        topics = list(self._topics(board, names))
        left = [topic for topic in topics if topic not in told]
        for start in range(0, len(left), self.settings.together):
            some = left[start : start + self.settings.together]
            self._tell(some, deadline)
            told.update(some)
        self._record.write(board.revision)
        return Receipt(
            handle=str(board.revision), detail=f"the hub was told of {len(topics)} feeds"
        )

    def _tell(self, topics: Sequence[str], deadline: Deadline) -> None:
        if not deadline.left():
            raise Transient("The hub was told of a part of the feeds in time: the rest follows.")
        # Hubs have asked for either name of the same.
        fields = [(name, topic) for topic in topics for name in ("hub.url", "hub.topic")]
        body = urlencode([("hub.mode", "publish"), *fields]).encode()
        self._caller.call(
            "POST",
            self.settings.url,
            deadline=deadline,
            headers=_FORM,
            body=body,
            idempotent=True,  # told again it looks again
        )

    def _topics(self, board: Board, names: Sequence[str]) -> Iterator[str]:
        organisation, areas = self.context.organisation, self.context.areas
        folders = [
            path
            for area in areas
            if self._changed(board, area.key)
            for path in area_paths(area, areas)
        ]
        for language in organisation.languages:
            root = f"{self.context.public_url}/{language_folder(organisation.languages, language)}"
            for folder in ("", *folders):
                yield from (f"{root}{folder}{name}" for name in names)

    def _changed(self, board: Board, key: str) -> bool:
        entries = board.feeds.get(key, ())
        if board.since is not None:
            return bool(entries)
        return any(each.update.changed_at > board.at - _LATELY for each in entries)
