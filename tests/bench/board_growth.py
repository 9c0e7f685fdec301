"""What a board costs that is given only what changed, as the history before it grows: `python tests/bench/board_growth.py`.

With a URL of an empty database as argument it measures there, else on SQLite. Every incident has a report, a changed
estimate and a restoration. Half of them concern one busy area, the rest one of thirty others; one of those had its last
word at the very beginning. Prints the least cost of `board(since=previous)` against that with the shortest history.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text

from broadcaster.domain.incident import Kind, Mode, Revision
from broadcaster.store import Store, boards
from broadcaster.store.accepting import accept, incident_name, next_incident_id
from broadcaster.testing.builders import KEY, an_acceptance, an_update
from broadcaster.testing.clock import NOON

SIZES = (100, 1_000, 10_000)
RUNS = 15
BATCH = 100


def area_of(number: int) -> str:
    if number <= 60:
        return "quiet"
    return "busy" if number % 2 else f"area-{random.Random(number).randrange(30)}"


def incident(connection: Connection, *, area: str | None = None, over: bool = True) -> int:
    """Report one, change its estimate, restore it. Returns its id."""
    number = next_incident_id(connection)
    where = (area or area_of(number),)
    now = NOON + timedelta(minutes=10 * number)
    words: list[dict[str, Any]] = [{"areas": where}, {"areas": where, "etr": now + timedelta(1)}]
    if over:
        words.append({"kind": Kind.RESTORED, "areas": (), "ended": where})
    for count, said in enumerate(words, 1):
        update = an_update(incident_name(number, False), count, now=now, **said)
        accept(connection, an_acceptance(update, incident_id=number if count > 1 else None), now)
    return number


def fill(store: Store, upto: int) -> None:
    def work(connection: Connection) -> int:
        return max(incident(connection) for _ in range(BATCH))

    while store.write(work).result() < upto:
        pass


def cost(store: Store, area: str) -> float:
    """Milliseconds of one board after one more incident in `area`, the best of many: the rest is other load."""
    times = []
    for _ in range(RUNS):
        since: Revision = store.read(boards.newest_revision)
        store.write(lambda connection: incident(connection, area=area)).result()
        begun = time.perf_counter()
        store.read(lambda connection: boards.board(connection, since, NOON, Mode.LIVE))  # noqa: B023 - called before the next turn
        times.append(1_000 * (time.perf_counter() - begun))
    return min(times)


def main(arguments: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(arguments[0] if arguments else f"sqlite:///{folder}/board.db", KEY)
        first: dict[str, float] = {}
        print(f"{'incidents':>10} {'one more in':>12} {'ms':>8} {'ratio':>7}")
        for size in SIZES:
            fill(store, size)
            if not store.is_sqlite:
                store.write(lambda connection: connection.execute(text("ANALYZE"))).result()
            for area in ("busy", "area-7", "quiet"):
                ms = cost(store, area)
                ratio = ms / first.setdefault(area, ms)
                print(f"{size:>10} {area:>12} {ms:>8.1f} {ratio:>7.2f}", flush=True)
        store.close()


if __name__ == "__main__":
    main(sys.argv[1:])
