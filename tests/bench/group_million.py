"""A million letters end to end on each database: time, memory, disk, and the start after it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.ground import SQLITE, Ground
from tests.bench.group_bulk import Blast, alone
from tests.bench.sinks import Sink, posts_a_second
from tests.bench.table import Row


def run(ground: Ground) -> Iterator[Row]:
    """A hundred thousand first, for its memory."""
    for store in ground.stores:
        with Sink() as sink:
            small = alone(ground, store, ground.size.letters, f"{sink.url}/send")
        yield from _million(ground, store, small)


def _million(ground: Ground, store: str, small: Blast) -> Iterator[Row]:
    size, group = ground.size, f"letters, {store}"
    ground.say(f"{size.many} letters, {store}")
    with Sink() as sink:
        url = f"{sink.url}/send"
        limit = posts_a_second(url, size.seconds)
        blast = alone(ground, store, size.many, url)
        limit = (limit + posts_a_second(url, size.seconds)) / 2
    yield Row(
        group=group, what=f"{size.many:,} letters end to end", value=blast.rate, unit="/s",
        of=limit, limit="W", floor=0.08, target=0.28 if store == SQLITE else 0.25, more=True,
        note=f"{blast.seconds:.1f} s",
    )  # fmt: skip
    yield Row(
        group=group, what=f"peak memory, {size.many:,} letters", value=blast.peak, unit="MiB",
        floor=150, target=90,
    )  # fmt: skip
    yield Row(
        group=group, what="peak memory, a million against a hundred thousand", value=blast.peak,
        unit="MiB", of=small.peak, limit="peak at 100,000", target=1.15,
    )  # fmt: skip
    yield Row(group=group, what="database afterwards", value=blast.size / 2**20, unit="MiB")
    yield Row(
        group=group, what=f"start-up with {size.many:,} subscribers and their letters",
        value=blast.restart, unit="s", floor=5, target=1, note="until /readyz",
    )  # fmt: skip
