"""What every group of measurements stands on: sizes, the databases, the limits of this run, and words of progress."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psycopg
from rich.console import Console

from broadcaster.store import Store
from broadcaster.testing.builders import KEY
from broadcaster.testing.peers import PEERS, PostgresServer
from tests.bench import past, people
from tests.bench.machine import p50, p99

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
Costs = dict[str, dict[int, float]]
"""Quantity → size → milliseconds, the least of fifteen: the rest is other load."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. `full` is what docs/performance.md holds, `small` shows that the bench runs."""

    posts: int
    rounds: int
    letters: int
    many: int
    history: tuple[int, ...]
    subscribers: tuple[int, ...]
    open: tuple[int, ...]
    kills: int
    seconds: float
    idle: int
    slow: int


FULL = Size(
    posts=60,
    rounds=3,
    letters=100_000,
    many=1_000_000,
    history=(300, 2_100, 15_000, 99_900),
    subscribers=(1_000, 10_000, 100_000, 1_000_000),
    open=(10, 100, 500),
    kills=3,
    seconds=3,
    idle=10_000,
    slow=300,
)
SMALL = Size(
    posts=10,
    rounds=1,
    letters=2_000,
    many=4_000,
    history=(300, 600),
    subscribers=(2_500, 5_000),
    open=(3, 6),
    kills=1,
    seconds=1,
    idle=100,
    slow=10,
)


class Ground:
    """One run of the bench. Enter it; what it makes is gone afterwards."""

    def __init__(self, size: Size, *, postgresql: bool = True) -> None:
        self.size = size
        self.folder = Path(tempfile.mkdtemp(prefix="bench-ground-"))
        self._console = Console(stderr=True)
        self._begun = time.monotonic()
        self._postgres: PostgresServer | None = None
        self.curves: dict[str, Costs] = {}
        self._wanted = postgresql and not PEERS["postgresql"].missing()
        self.stores = (SQLITE, POSTGRESQL) if self._wanted else (SQLITE,)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._postgres is not None:
            self._postgres.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def say(self, what: str) -> None:
        """A line of progress, with the minutes since the beginning."""
        minutes, seconds = divmod(int(time.monotonic() - self._begun), 60)
        self._console.print(f"{minutes:3}:{seconds:02}  {what}", highlight=False, markup=False)

    @property
    def postgres(self) -> PostgresServer:
        """A PostgreSQL of our own, durable as in production."""
        if self._postgres is None:
            self._postgres = PostgresServer()
            self._postgres.start()
        return self._postgres

    # ---------------------------------------------------------------------------------------------------- databases
    def empty(self, store: str, folder: Path) -> str:
        """The URL of a database nothing was ever written to."""
        if store == SQLITE:
            return f"sqlite:///{folder}/broadcaster.db"
        return self.postgres.database()

    def with_people(self, store: str, count: int, folder: Path) -> str:
        """The URL of a database of its own with so many subscribers."""
        return self._made(
            store, f"people{count}", folder, lambda made: people.subscribe(made, count)
        )

    def with_past(self, store: str, updates: int, folder: Path, still_open: int = 0) -> str:
        """The URL of a database of its own with so many updates of history."""
        name = f"past{updates}open{still_open}"
        return self._made(
            store, name, folder, lambda made: past.tell(made, updates, still_open=still_open)
        )

    def _made(self, kind: str, name: str, folder: Path, fill: Callable[[Store], None]) -> str:
        def make(url: str) -> None:
            self.say(f"filling a {kind} database: {name}")
            store = Store(url, KEY)
            fill(store)
            store.close()

        if kind == POSTGRESQL:
            return self.postgres.database(self.postgres.template(name, make))
        template = self.folder / f"{name}.db"
        if not template.exists():
            make(f"sqlite:///{template}")
        shutil.copyfile(template, folder / "broadcaster.db")
        (folder / "broadcaster.db").chmod(0o600)
        return f"sqlite:///{folder}/broadcaster.db"

    def drop(self, url: str) -> None:
        """Make room: a database of this run that is not needed any more. SQLite's goes with its folder."""
        if not url.startswith("sqlite"):
            self.postgres.drop(url)

    def bytes_of(self, url: str) -> int:
        """How much disk a database takes, with its write-ahead log where it is SQLite's."""
        if url.startswith("sqlite:///"):
            path = Path(url.removeprefix("sqlite:///"))
            return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
        with psycopg.connect(_conninfo(url)) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(row[0]) if row else 0

    # ------------------------------------------------------------------------------------------------------- limits
    def fdatasync(self, count: int = 300) -> tuple[float, float]:
        """F: milliseconds of writing 4 KiB and fdatasync, p50 and p99."""
        times, page = [], os.urandom(4096)
        with (self.folder / "fdatasync").open("wb") as file:
            for _ in range(count):
                begun = time.perf_counter()
                file.write(page)
                file.flush()
                os.fdatasync(file.fileno())
                times.append((time.perf_counter() - begun) * 1000)
        return p50(times), p99(times)

    def one_commit(self, store: str, count: int = 200) -> float:
        """C1: milliseconds of committing one row durably with the bare driver, p50."""
        times = []
        statement = "INSERT INTO one_row (words) VALUES ('Strömmen är borta')"
        if store == SQLITE:
            connection = sqlite3.connect(self.folder / "commit.db", isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            run: Callable[[str], object] = connection.execute
            close = connection.close
        else:
            other = psycopg.connect(_conninfo(self.postgres.database()), autocommit=True)
            run, close = other.execute, other.close
        run("CREATE TABLE IF NOT EXISTS one_row (words TEXT)")
        for _ in range(count):
            begun = time.perf_counter()
            run(statement)
            times.append((time.perf_counter() - begun) * 1000)
        close()
        return p50(times)


def _conninfo(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql", 1)
