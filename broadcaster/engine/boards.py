"""The lane of a board: it shows the newest revision, on every node that has it; many updates may collapse into one."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from broadcaster.channel import Failure, Receipt
from broadcaster.domain.board import BoardIncident
from broadcaster.domain.delivery import Outcome
from broadcaster.domain.incident import Mode, Revision
from broadcaster.domain.kept import Kept
from broadcaster.engine import confirming, correcting
from broadcaster.engine.lane import Lane, Surroundings
from broadcaster.engine.pacing import pause
from broadcaster.store import Connection, boards, channels, deliveries, nodes

log = structlog.get_logger()


class BoardLane(Lane):
    """Keeps one board at the newest revision. Not claimed: it is idempotent, and each node shows its own."""

    def __init__(
        self,
        name: str,
        adapter: Any,
        around: Surroundings,
        mode: Mode,
        kept: Kept[BoardIncident],
    ) -> None:
        super().__init__(name, adapter, around, slots=2)
        self._mode = mode
        self._kept = kept
        self._failures = 0
        self._retry_at: datetime | None = None
        self._behind_since: datetime | None = None

    def shift(self, by: timedelta) -> None:
        """As of every lane; a board also knows since when it lags behind, and when it is tried again."""
        self._retry_at = self._retry_at and self._retry_at + by
        self._behind_since = self._behind_since and self._behind_since + by
        super().shift(by)

    @property
    def tries_again_at(self) -> datetime | None:
        """As of every lane; a board also pauses after a failure, all of it."""
        return max(filter(None, (super().tries_again_at, self._retry_at)), default=None)

    async def turn(self) -> datetime | None:
        """Show the newest revision if it is not shown yet."""
        if self.busy:
            return None
        state, newest = await self.read(self._look)
        if not await self.allows(state):
            return self.breaker.allows_again_at()
        now = self.around.clock()
        if self._retry_at is not None and now < self._retry_at:
            return self._retry_at
        try:
            standing = await self.slots.call(
                self.adapter.standing,
                deadline=self.adapter.settings.deadline,
                gives=Revision | None,
            )
        except Failure as failure:
            await self._failed(failure)
            return self._retry_at
        if standing is None or standing < newest:
            self.spawn(self._show(standing))
        elif self.shown != standing:
            self.spawn(self._note(standing, Receipt(handle=str(standing))))
        return None

    def _look(self, connection: Connection) -> tuple[channels.ChannelState, Revision]:
        """Both questions of a turn in one read: a way to a thread and back is most of what it costs."""
        return channels.state(connection, self.name), boards.newest_revision(connection)

    def behind_since(
        self, newest: Revision, shown: Revision | None, now: datetime
    ) -> datetime | None:
        """Since when this board lags behind `newest`, as far as it has been asked; None when it does not."""
        if shown is not None and shown >= newest:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        return self._behind_since

    async def _show(self, standing: Revision | None) -> None:
        now = self.around.clock()
        board = await self.read(
            partial(boards.board, since=standing, at=now, mode=self._mode, kept=self._kept)
        )
        attempt = self.attempt(self._failures + 1, self.later(self.adapter.settings.deadline))
        try:
            receipt: Receipt = await self.slots.call(
                self.adapter.show, board, attempt, deadline=attempt.deadline, gives=Receipt
            )
        except Failure as failure:
            await self._failed(failure)
            return
        self._failures, self._retry_at = 0, None
        self.count(Outcome.ACCEPTED)
        await self._note(board.revision, receipt)

    async def _failed(self, failure: Failure) -> None:
        log.warning(
            "board not shown", channel=self.name, reason=failure.sentence, reply=failure.reply
        )
        self.count(failure.outcome, failure)
        self._failures += 1
        self._retry_at = self.later(pause(self._failures, self.chance(), failure.retry_after))
        await self.write(
            lambda connection: deliveries.note_detail(connection, self.name, failure.sentence)
        )
        if self.parks(failure):
            await self.park(failure.sentence)

    async def _note(self, revision: Revision, receipt: Receipt) -> None:
        """Write down which revision stands here; every update up to it is accepted."""
        now = self.around.clock()

        def work(connection: Any) -> Any:
            nodes.shown(connection, self.around.node, self.name, revision, now)
            return deliveries.accept_boards(
                connection, self.name, revision, now, receipt.detail, receipt.url
            )

        accepted = await self.write(work)
        self.shown = revision
        for _ in accepted:
            self.around.observe("accepted", self.name)
        if accepted:
            self.aside(correcting.measure(self, accepted))
        if accepted and confirming.can_be_seen(self):
            self.aside(confirming.soon(self, accepted, [(receipt, None)]))
