"""The daemon without its clock and its loops: service, engine and store, moved by hand until nothing is left to do.

Nothing in here waits for time to pass. The engine's lanes do not run, they are turned one after the other; the clock
stands still between two commands; a crash is a store that takes no more writes from one moment on.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from sqlalchemy import Connection, create_engine, make_url, text

from broadcaster.daemon import starting
from broadcaster.domain.delivery import Shape
from broadcaster.domain.kept import Kept
from broadcaster.engine.boards import BoardLane
from broadcaster.engine.calls import Slots
from broadcaster.engine.due import Act
from broadcaster.engine.engine import Engine
from broadcaster.engine.lane import Lane, Surroundings
from broadcaster.engine.letters import LetterLane
from broadcaster.engine.posts import PostLane
from broadcaster.registry import Adapter
from broadcaster.service import follow_up
from broadcaster.service.commands import Operator, Role
from broadcaster.service.desk import Configuration, Desk
from broadcaster.settings.model import Settings
from broadcaster.store import Rank, Store, StoreError, boards, database, deliveries, dues, nodes
from broadcaster.store.writer import SqliteWriter, Work
from broadcaster.testing.blank import blank
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.clock import Clock
from broadcaster.testing.rig import configuration
from broadcaster.testing.servers import WEBHOOK_SECRET
from broadcaster.testing.stateful_far_ends import (
    Boards,
    EditablePosts,
    FarEnd,
    Letters,
    PlainPosts,
    World,
)

T = TypeVar("T")
EVA = Operator(name="Eva", role=Role.ADMIN)
NODE = "n1"
MOST_TURNS = 300
READERS: Mapping[str, tuple[str, ...]] = {
    "+46701740601": ("norra",),
    "+46701740602": ("norra",),
    "+46701740603": ("sodra",),
    "+46701740604": ("norra", "sodra"),
    "+46701740605": ("vastra",),
}
"""Who subscribed to letters, and to which areas."""

_HOOK = {"kind": "webhook", "url": "http://127.0.0.1:9/", "secret": WEBHOOK_SECRET}
_GATEWAY = {"name": "g", "preset": "kannel", "url": "http://127.0.0.1:9/", "sender": "Ekbyn"}
_ACCOUNT = {"username": "u", "password": "p"}
CHANNELS: Mapping[str, tuple[type[Any], Mapping[str, Any]]] = {
    "board": (Boards, {"kind": "page"}),
    "wall": (PlainPosts, _HOOK),
    "social": (EditablePosts, _HOOK),
    "sms": (Letters, {"kind": "sms_http", "suppliers": [_GATEWAY | _ACCOUNT]}),
    "crew": (PlainPosts, _HOOK | {"audience": "staff"}),
}
"""The channels of the machine: how each behaves, and the block of the configuration it stands for."""


@functools.cache
def configured() -> Configuration:
    """The one configuration of the machine, read once."""
    with tempfile.TemporaryDirectory() as folder:
        document = configuration(
            Path(folder),
            {name: block for name, (_, block) in CHANNELS.items()},
            organisation={
                "name": "Ekbyns Energi",
                "country": "SE",
                "languages": ["sv"],
                "timezone": "Europe/Stockholm",
            },
            areas={
                "norra": {"name": "Norra"},
                "sodra": {"name": "Södra"},
                "vastra": {"name": "Västra"},
            },
        )
        path = Path(folder) / "broadcaster.yaml"
        path.write_text(json.dumps(document), "utf-8")
        return starting.configure(path)[1]


_kept_engine = functools.cache(database._sqlite_engine)  # noqa: SLF001 - it knows of no row, but every statement


class InPlace(SqliteWriter):
    """The writer of SQLite without its thread: each write is carried out by whoever hands it in, one after the other."""

    def __init__(self, engine: Any, on_wake: Callable[[], None], patience: float, _: Any) -> None:
        self._alone = threading.Lock()
        self._at: Connection | None = None
        with patch.object(threading, "Thread"):
            super().__init__(engine, on_wake, patience)

    def write(self, work: Work[T], rank: Rank = Rank.OUTCOME) -> Future[T]:
        """As the writer does, at once."""
        future = super().write(work, rank)
        with self._alone:
            self._at = self._at or self._engine.connect()
            self._turn(self._at, [])
        return future

    def close(self) -> None:
        """Let go of the connection."""
        self._closed = True
        if self._at is not None:
            self._at.close()


class MortalStore(Store):
    """A store whose process can die: at a given write, or now. Then nothing is written and nothing is answered."""

    def __init__(self, url: str, key: bytes) -> None:
        self.dead = False
        self._left: int | None = None
        self._keeps = False
        with patch.multiple(database, SqliteWriter=InPlace, _sqlite_engine=_kept_engine):
            super().__init__(url, key)

    def die_at(self, write: int, *, keeps: bool) -> None:
        """Die at the write of this number from now; `keeps` says that it is made, and only its answer is lost."""
        self._left, self._keeps = write, keeps

    def die(self) -> None:
        """Die now."""
        self.dead = True

    def live_on(self) -> None:
        """Forget what `die_at` said."""
        self._left = None

    @property
    def broken(self) -> StoreError | None:
        """Lanes and blasts ask this before they try again."""
        return StoreError("The process died.") if self.dead else super().broken

    def write(self, work: Work[T], rank: Rank = Rank.OUTCOME) -> Future[T]:
        """As the store does, until death."""
        if not self.dead and self._left is not None:
            self._left -= 1
            if self._left <= 0:
                if self._keeps:
                    super().write(work, rank).exception()
                self.dead = True
        if not self.dead:
            return super().write(work, rank)
        gone: Future[T] = Future()
        gone.set_exception(StoreError("The process died."))
        return gone


class Bench:
    """A daemon moved by hand, over one store and the far ends of `CHANNELS`.

    Args:
        url: of a store with its tables.
        hand: called with the time when the clock moved, for a database with a clock of its own.
    """

    def __init__(self, url: str, hand: Callable[[datetime], None] = lambda _: None) -> None:
        self.url = url
        self.clock = Clock()
        self._hand = hand
        hand(self.clock())
        self.world = World(self.clock, is_dead=lambda: self.store.dead)
        self.far = {name: FarEnd(name, self.world) for name in CHANNELS}
        self.again = False
        """Something was said while the lanes were turned: they are to be turned once more."""
        self._loop = asyncio.new_event_loop()
        self._acted = self._begun = 0
        self._swept_at: datetime | None = None
        self.lives = 0
        self._open()
        for address, areas in READERS.items():
            subscribe(self.store, "sms", [address], areas)

    # ------------------------------------------------------------------------------------------------ life and death
    def _open(self) -> None:
        self.lives += 1
        like = configured()
        self.store = MortalStore(self.url, KEY)
        adapters: dict[str, Adapter] = {
            name: made(like.adapters[name], self.far[name]) for name, (made, _) in CHANNELS.items()
        }
        now_in_force = Configuration(like.settings, adapters, like.digest)
        self.desk = Desk(store=self.store, clock=self.clock, configuration=now_in_force)
        around = Surroundings(self.store, self.clock, NODE, lambda *_, **__: None)
        settings: Settings = like.settings
        self.engine = Engine(around, settings.mode, 1, dict(self._counted_acts()))
        # The engine would start each lane's own loop: here they are turned by hand.
        self.engine.lanes = {
            name: self._lane(name, adapter, around) for name, adapter in adapters.items()
        }
        now = self.clock()
        self.store.write(lambda c: nodes.register(c, NODE, like.digest, now)).result()
        self.store.write(lambda c: deliveries.take_back_own(c, NODE, now)).result()
        if self.store.is_sqlite:
            self.store.write(dues.take_back).result()

    def _lane(self, name: str, adapter: Any, around: Surroundings) -> Lane:
        lane: Lane
        if adapter.shape is Shape.BOARD:
            lane = BoardLane(name, adapter, around, configured().settings.mode, Kept(boards.ROOM))
        elif adapter.shape is Shape.POST:
            lane = PostLane(name, adapter, around)
        else:
            lane = LetterLane(name, adapter, around, 1)
        lane.slots.close()
        lane.slots = Slots(name, 1)  # one call after the other: the same seed tells the same story
        lane.chance = lambda: 0.5  # type: ignore[method-assign] # as above: no jitter
        spawn = lane.spawn

        async def read(work: Work[T]) -> T:
            return self.store.read(work)

        def counted(work: Any) -> None:
            self._begun += 1
            spawn(work)

        lane.read = read  # type: ignore[method-assign] # in a thread of its own it would only cost time
        lane.spawn = counted  # type: ignore[method-assign] # what a turn began may have ended with it
        return lane

    def _counted_acts(self) -> Iterator[tuple[str, Act]]:
        def counted(act: Act) -> Act:
            def acted(due: Any) -> str:
                self._acted += 1
                return act(due)

            return acted

        for what, act in follow_up.acts(self.desk).items():
            yield what, counted(act)

    def reopen(self) -> None:
        """What a restart does: everything in memory is gone, the store is as the last commit left it."""
        self._close_engine()
        self._open()

    def _close_engine(self) -> None:
        for lane in self.engine.lanes.values():
            lane.slots.close()
            lane.looks.close()
        self.store.close()

    def close(self) -> None:
        """Let go of everything."""
        self._close_engine()
        self._loop.close()

    # ----------------------------------------------------------------------------------------------- until it is quiet
    def pass_by(self, seconds: float) -> None:
        """Let time pass; less than nothing is a wall clock that was set back, as the daemon notices it."""
        before, by = self.clock(), timedelta(seconds=seconds)
        self.clock.now += by
        self._hand(self.clock())
        if seconds < 0:
            self.engine.clock_jumped(before, by)
            for lane in self.engine.lanes.values():
                lane.shift(by)

    def settle(self) -> None:
        """Turn everything until nothing is left to do now, or until the process died."""
        self._loop.run_until_complete(self._settle())

    async def _settle(self) -> None:
        try:
            # First what time alone has ended; later, after what was said or was done, the rest.
            done = self._done if await self._sweep_by_time() else -1
            await self._until_still(self._do_what_is_due)
            self.again = True
            while self.again:
                self.again = False
                for lane in self.engine.lanes.values():
                    await self._until_still(functools.partial(self._turn, lane))
            if self._done > done:
                await self._sweep()
        except StoreError:
            if not self.store.dead:
                raise

    @property
    def _done(self) -> int:
        return self._begun + self._acted

    async def _sweep_by_time(self) -> bool:
        if self.clock() == self._swept_at:
            return False
        await self._sweep()
        return True

    async def _sweep(self) -> None:
        await self.engine._sweep()  # noqa: SLF001 - what the engine's own timer would call
        self._swept_at = self.clock()

    async def _until_still(self, moves: Callable[[], Awaitable[bool]]) -> None:
        for _ in range(MOST_TURNS):
            if self.store.dead or not await moves():
                return
        raise AssertionError(f"the engine is not quiet after {MOST_TURNS} turns")

    async def _do_what_is_due(self) -> bool:
        acted = self._acted
        await self.engine._due._claim()  # noqa: SLF001 - what the engine's own timer would call
        return self._acted > acted

    async def _turn(self, lane: Lane) -> bool:
        begun = self._begun
        due = await lane.turn()
        while tasks := {*lane._tasks, *lane._asides}:  # noqa: SLF001 - what its own loop would wait for
            await asyncio.wait(tasks)
        return self._begun > begun or (due is not None and due <= self.clock())


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """One for all benches of a process, so that their stores have one name; in memory, where there is a folder there.

    What dies in here is no machine: it loses nothing that was written, so that waiting for a disk would prove nothing.
    """
    memory = "/dev/shm"  # noqa: S108 - the folder in it has a name of its own
    return tempfile.TemporaryDirectory(
        prefix="stateful", dir=memory if os.access(memory, os.W_OK) else None
    )


@contextmanager
def bench() -> Iterator[Bench]:
    """A bench over a fresh SQLite database; one at a time."""
    path = Path(_folder().name) / "broadcaster.db"
    made = Bench(blank(path))
    try:
        yield made
    finally:
        made.close()
        for each in path.parent.iterdir():
            each.unlink()


_CLOCKWORK = """
CREATE SCHEMA clockwork;
CREATE TABLE clockwork.hand (at timestamptz);
INSERT INTO clockwork.hand VALUES (now());
CREATE FUNCTION clockwork.clock_timestamp() RETURNS timestamptz
    LANGUAGE sql VOLATILE AS 'SELECT at FROM clockwork.hand';
"""


def fill_with_clockwork(url: str) -> None:
    """Fill an empty PostgreSQL database: a schema whose `clock_timestamp` tells what its one row says, and our tables."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(_CLOCKWORK)
    engine.dispose()
    Store(url, KEY).close()


@contextmanager
def postgresql_bench(url: str) -> Iterator[Bench]:
    """A bench over a database that `fill_with_clockwork` filled: its server's clock is moved by hand, too."""
    found_first = "-csearch_path=public,clockwork,pg_catalog"
    ours = make_url(url).update_query_dict({"options": found_first})
    engine = create_engine(url)

    def hand(at: datetime) -> None:
        with engine.begin() as connection:
            connection.execute(text("UPDATE clockwork.hand SET at = :at"), {"at": at})

    made = Bench(ours.render_as_string(hide_password=False), hand)
    try:
        yield made
    finally:
        made.close()
        engine.dispose()
