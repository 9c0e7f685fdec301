"""The engine: one lane per channel, the clock hand, and the housekeeping between them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from broadcaster.domain.board import BoardIncident
from broadcaster.domain.delivery import Shape
from broadcaster.domain.incident import Mode
from broadcaster.domain.kept import Kept
from broadcaster.engine import collecting, confirming, fallback, inbox, probing
from broadcaster.engine.boards import BoardLane
from broadcaster.engine.due import Act, DueClaimer
from broadcaster.engine.gathering import Gathering
from broadcaster.engine.lane import Lane, Surroundings
from broadcaster.engine.letters import LetterLane
from broadcaster.engine.posts import PostLane
from broadcaster.engine.ticking import Ticker
from broadcaster.store import (
    Rank,
    StoreError,
    asking,
    audit,
    boards,
    channels,
    deliveries,
    dues,
    finishing,
    inbox as inbox_store,
    jumps,
    nodes,
    once,
    personal,
    quorums,
    spending,
)

log = structlog.get_logger()
DRAIN_SECONDS = 8.0
AFTER_A_JUMP = (1.0, 5.0, 30.0)  # seconds in which what was begun before it has come to the store
PROBE_AGAIN_SECONDS = 30.0
"""So late, at most, a store that takes writes again knows what a channel can take."""
PROBE_LOOK_SECONDS = 15.0
LEAVE_SECONDS = 3600.0  # each running call has a deadline of its own, all of them shorter


def _followed(moved: Future[int]) -> None:
    if moved.exception() is not None:
        log.error("leases and pauses could not follow the clock", reason=str(moved.exception()))


class Engine:
    """Runs until `stop`. All of its methods are called on the loop's thread.

    Args:
        around: store, clock, node name and observer.
        mode: the mode of the configuration, for the boards.
        epoch: the store's epoch, for the keys of letters.
        acts: what to do when a due row comes up; see `DueClaimer`.
        audit_head: the side file the head of the audit chain is exported to, or None.
        hear: what to do with what people write back, see `inbox.Hear`.
    """

    def __init__(
        self,
        around: Surroundings,
        mode: Mode,
        epoch: int,
        acts: Mapping[str, Act],
        audit_head: Path | None = None,
        hear: inbox.Hear | None = None,
    ) -> None:
        self.around, self._hear = around, hear
        self._mode, self._epoch, self._audit_head = mode, epoch, audit_head
        # Every board shows the same incidents: what one has read of the store, the next need not.
        self._shown: Kept[BoardIncident] = Kept(boards.ROOM)
        self._gathering = Gathering(around.store)
        # Never changed in place: the watch and the writer look through it from threads of their own.
        self.lanes: Mapping[str, Lane] = {}
        self._leaving: dict[Lane, asyncio.Task[None]] = {}
        self._stopped = False
        self._looked_at: quorums.Standing | None = None  # the last of the updates looked at
        self._ticker = Ticker()
        self._due = DueClaimer(around, self._ticker, acts)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self, adapters: Mapping[str, Any], config_digest: str) -> timedelta | None:
        """Take back what this node was doing when it last stopped, then open every lane.

        Returns how far the clock was set back meanwhile (negative, at the least), None when it was not.
        """
        self._loop = asyncio.get_running_loop()
        now = self.around.clock()

        def work(connection: Any) -> timedelta | None:
            set_back = jumps.while_away(connection, self.around.node, now)
            if set_back is not None:
                jumps.follow(connection, now - set_back, set_back)
            nodes.register(connection, self.around.node, config_digest, now)
            deliveries.take_back_own(connection, self.around.node, now)
            if self.around.store.is_sqlite:  # nobody else can be at it
                dues.take_back(connection)
                personal.take_back(connection)
            return set_back

        set_back = await asyncio.wrap_future(self.around.store.write(work))
        self.lanes = {name: self._open(name, adapter) for name, adapter in adapters.items()}
        self.around.store.on_wake(self._wake_from_any_thread)
        self._ticker.start()
        self._due.look()
        self._ticker.every("tend", 1.0, self._tend)
        self._ticker.every("understand", 1.0, self._understand)
        self._ticker.every("note what is out", 1.0, self.note_out)
        self._ticker.every("sweep", 2.0, self._sweep)
        self._ticker.every("forget", 3600.0, self._forget)
        self._ticker.every("probe", PROBE_LOOK_SECONDS, self.probe_due)
        self._ticker.every("probe again", PROBE_AGAIN_SECONDS, self.probe_again)
        self._ticker.every("look from outside", confirming.EVERY, self.look_again)
        self._ticker.after("first probe", 0, self.probe)
        return set_back

    def _open(self, name: str, adapter: Any) -> Lane:
        shape = adapter.shape
        lane: Lane
        if shape is Shape.BOARD:
            lane = BoardLane(name, adapter, self.around, self._mode, self._shown)
        elif shape is Shape.POST:
            lane = PostLane(name, adapter, self.around, self._gathering)
        else:
            lane = LetterLane(name, adapter, self.around, self._epoch)
        lane.start()
        lane.aside(collecting.collect(lane))
        return lane

    def _wake_from_any_thread(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.wake)

    def wake(self) -> None:
        """Something was released, retracted, resumed or scheduled."""
        for lane in self.lanes.values():
            lane.wake()
        if not self._stopped:
            self._due.look()

    def clock_jumped(self, before: datetime, by: timedelta) -> None:
        """The wall clock went from `before` to `before + by` at once: leases and pauses follow. From any thread.

        It stands before every write that is made by the new time: ranks are taken first, and in the order they came.
        """
        moved = self.around.store.write(partial(jumps.follow, before=before, by=by), Rank.RETRACT)
        moved.add_done_callback(_followed)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._shift, by)

    def _shift(self, by: timedelta) -> None:
        for lane in (*self.lanes.values(), *self._leaving):
            lane.shift(by)
        self._ticker.follow_clock()
        for seconds in AFTER_A_JUMP:
            asyncio.get_running_loop().call_later(seconds, self._catch_up)
        self._due.look()

    def _catch_up(self) -> None:
        """A word that was being written while the clock jumped was given a time by the old one."""
        if not self._stopped:
            now = self.around.clock()
            self.around.store.write(partial(jumps.untried_is_due, now=now)).add_done_callback(
                _followed
            )

    async def swap(
        self,
        adapters: Mapping[str, Any],
        gone: frozenset[str],
        changed: frozenset[str],
        config_digest: str,
    ) -> None:
        """After a reload: new lanes take over, and those that are gone or changed end when their running calls have."""
        now, node = self.around.clock(), self.around.node
        await self._write(lambda connection: nodes.register(connection, node, config_digest, now))
        if self._stopped:
            return
        kept = {name: lane for name, lane in self.lanes.items() if name not in gone | changed}
        new = {name: self._open(name, adapters[name]) for name in adapters if name not in kept}
        old = [lane for name, lane in self.lanes.items() if name not in kept]
        self.lanes = kept | new
        for lane in old:
            self._leaving[lane] = asyncio.create_task(self._leave(lane))
        for lane in new.values():
            # Its far side may be another one: what it can take must be known before the next text is written for it.
            lane.aside(probing.probe(lane))

    async def _leave(self, lane: Lane) -> None:
        """Let everything that runs come to its end; nobody waits for it."""
        try:
            await lane.stop(LEAVE_SECONDS)
        finally:
            del self._leaving[lane]

    async def stop(self) -> None:
        """Claim nothing more, give running calls a few seconds, then let go."""
        self._stopped = True
        self._ticker.stop()
        leaving = list(self._leaving.values())
        lanes = (*self.lanes.values(), *self._leaving)
        await asyncio.gather(*(lane.stop(DRAIN_SECONDS) for lane in lanes))
        await asyncio.gather(*leaving)

    # --------------------------------------------------------------------------------------------------- housekeeping
    async def _write(self, work: Any) -> Any:
        try:
            return await asyncio.wrap_future(self.around.store.write(work))
        except StoreError as error:
            log.error("housekeeping cannot reach the store", reason=str(error))
            self.around.observe("store", "", reason=str(error))
            return None

    async def _tend(self) -> None:
        """Every second: seal the audit trail, say that this node lives."""
        now = self.around.clock()

        def work(connection: Any) -> Any:
            nodes.beat(connection, self.around.node, now)
            return audit.head(connection) if audit.seal(connection) else None

        head = await self._write(work)
        if head is not None and self._audit_head is not None:
            await self._export(self._audit_head, head)

    async def note_out(self) -> None:
        """Every second: write down which updates are out. It waits for nothing that it would hold up."""
        now, after = self.around.clock(), self._looked_at
        try:
            found = await asyncio.to_thread(
                self.around.store.read, partial(quorums.look, now=now, after=after)
            )
        except StoreError as error:
            log.error("what is out cannot be looked at", reason=str(error))
            return
        # From the beginning again when all were seen: of thousands that never come out, each has its turn.
        self._looked_at = found[-1] if len(found) == quorums.MOST else None
        if any(one.reached.at is not None for one in found):
            for one in await self._write(partial(quorums.note, found=found)) or ():
                log.info(
                    "out",
                    incident=one.incident_id,
                    update=one.number,
                    channels=len(one.reached.channels),
                    ways=one.reached.ways,
                    seconds=(one.reached.at - one.released_at).total_seconds(),
                )

    async def _understand(self) -> None:
        """Every second, beside the rest: it calls adapters."""
        try:
            # A flood is drained as fast as it can be read: who texts STOP behind it waits for no clock.
            ear = inbox.Ear(self._hear) if self._hear else None
            while await inbox.turn(self.around, self.lanes, ear) >= inbox.BATCH:
                if self._stopped:
                    break
        except StoreError as error:
            log.error("inbound reports wait", reason=str(error))

    @staticmethod
    async def _export(path: Path, head: audit.Head) -> None:
        try:
            await asyncio.to_thread(audit.export_head, path, head)
        except OSError as error:
            log.error("the head of the audit chain cannot be written", reason=str(error))

    async def _sweep(self) -> None:
        """Every other second: end what has expired, free what a dead node held, start fallbacks.

        Each in a write of its own: in one they would lock in an order that is not that of `store.rowlocks`.
        """
        now = self.around.clock()
        await self._write(lambda connection: deliveries.expire(connection, now))
        freed = await self._write(partial(self._take_back, now))
        # A channel that is gone has no lane that would end its letters when they are through or past their time.
        for channel in (await self._write(channels.queued) or {}).keys() - self.lanes.keys():
            await self._write(partial(finishing.finish, channel=channel, now=now))
        swept = await self._write(
            lambda connection: fallback.take_over(connection, self.lanes, now)
        )
        for source, target in swept or ():
            log.warning("fallback started", channel=source, instead=target)
            self.around.observe("fallback", source, to=target)
        if freed:
            self.wake()

    def _take_back(self, now: datetime, connection: Any) -> int:
        """Not by a time that has gone back since it was read: leases have followed the clock, and seem to have run out."""
        if self.around.clock() < now:
            return 0
        return deliveries.take_back_orphans(connection, now)

    async def _forget(self) -> None:
        now = self.around.clock()

        def work(connection: Any) -> None:
            once.forget_old(connection, now)
            inbox_store.forget_old(connection, now)
            spending.forget_old(connection, now)
            asking.forget_old(connection, now)

        await self._write(work)
        while await self._write(partial(personal.forget_old, now=now)):
            pass  # some at a time: a hundred thousand summaries end within minutes

    async def probe(self) -> None:
        """Ask every channel that can be asked whether it would work now."""
        await asyncio.gather(*(probing.probe(lane) for lane in self.lanes.values()))

    async def look_again(self) -> None:
        """Look from outside for what was accepted and is not seen yet; see that boards are still what they should be."""
        await asyncio.gather(*(confirming.again(lane) for lane in self.lanes.values()))

    async def probe_due(self) -> None:
        """Ask those channels whose time has come."""
        now = self.around.clock()
        due = [lane for lane in self.lanes.values() if probing.is_due(lane, now)]
        await asyncio.gather(*(probing.probe(lane) for lane in due))

    async def probe_again(self) -> None:
        """Ask those again of which the store did not take what they said."""
        unkept = [lane for lane in self.lanes.values() if lane.probing.unkept]
        await asyncio.gather(*(probing.probe(lane) for lane in unkept))
