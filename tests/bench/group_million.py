"""A million letters end to end on each database, with a report a second beside them: time, memory, disk, and the start after it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.ground import SQLITE, Ground
from tests.bench.group_bulk import Blast, beside
from tests.bench.machine import p50, p99
from tests.bench.sinks import Sink, posts_a_second
from tests.bench.table import Row

_PAUSE = 1.0  # seconds between two reports


def run(ground: Ground) -> Iterator[Row]:
    """A hundred thousand first, for its memory."""
    for store in ground.stores:
        small = beside(ground, store, ground.size.letters, _PAUSE)
        yield from _million(ground, store, small)


def _million(ground: Ground, store: str, small: Blast) -> Iterator[Row]:
    size, group = ground.size, f"letters, {store}"
    ground.say(f"{size.many} letters, {store}")
    with Sink() as sink:
        limit = posts_a_second(f"{sink.url}/send", size.seconds)
        blast = beside(ground, store, size.many, _PAUSE)
        limit = (limit + posts_a_second(f"{sink.url}/send", size.seconds)) / 2
    yield Row(
        group=group, what=f"{size.many:,} letters end to end", value=blast.rate, unit="/s",
        of=limit, limit="W", floor=0.08, target=0.28 if store == SQLITE else 0.25, more=True,
        note=f"{blast.seconds:.1f} s, a report a second on ten webhooks beside them",
    )  # fmt: skip
    yield Row(
        group=group, what=f"peak memory, {size.many:,} letters", value=blast.peak, unit="MiB",
        floor=150, target=90,
    )  # fmt: skip
    yield Row(
        group=group, what="peak memory, a million against a hundred thousand", value=blast.peak,
        unit="MiB", of=small.peak, limit="peak at 100,000", target=1.15,
    )  # fmt: skip
    for which, times in (("commit to first attempt", blast.firsts), ("accept", blast.accepts)):
        yield Row(
            group=group, what=f"{which} beside {size.many:,} letters, p50", value=p50(times), unit="ms",
        )  # fmt: skip
        posts = which != "accept"
        yield Row(
            group=group, what=f"{which} beside {size.many:,} letters, p99", value=p99(times), unit="ms",
            floor=250 if posts else 500, target=50 if posts else None,
        )  # fmt: skip
    yield Row(group=group, what="database afterwards", value=blast.size / 2**20, unit="MiB")
    yield Row(
        group=group, what=f"start-up with {size.many:,} subscribers and their letters",
        value=blast.restart, unit="s", floor=5, target=1, note="until /readyz",
    )  # fmt: skip
