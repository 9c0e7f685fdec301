"""kill -9 in the middle of a mass sending: how soon it goes on, and how many texts go out twice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from tests.bench.ground import SQLITE, Ground
from tests.bench.machine import p50, until
from tests.bench.sinks import Noting
from tests.bench.subject import LETTERS, Subject, sms
from tests.bench.table import Row

WINDOW = 64


@dataclass(frozen=True, slots=True)
class Kill:
    """Seconds from the restart's beginning and from its readiness to the next letter; texts sent twice and left out."""

    start: float
    ready: float
    twice: int
    lost: int
    rate: float


def kill(ground: Ground, store: str, count: int) -> Kill:
    """One life-safety report (where in doubt, letters go again), killed when a third has gone."""
    with Noting() as far:
        place = partial(ground.with_people, store, count)
        subject = Subject({"sms": sms(f"{far.url}/send", WINDOW)}, place=place)
        with subject:
            begun = time.monotonic()
            name = subject.client().report(LETTERS, "extreme").incident
            until(lambda: far.count() > count // 3, "a third", 120, every=0.01)
            rate = far.count() / (time.monotonic() - begun)
            subject.kill()
            came = _keys(far)
            again = time.monotonic()
            ready = again + subject.start()
            client = subject.client()

            def through() -> bool:
                counts = client.letters(name)
                return bool(counts["accepted"] >= count)

            until(through, "the rest", 300, every=0.05)
            after = _keys(far)
            first = min(at for _, at in after)
            subject.stop()
            ground.drop(subject.url)
    times = Counter(key for key, _ in came + after)
    twice = sum(number - 1 for number in times.values())
    return Kill(first - again, first - ready, twice, count - len(times), rate)


def _keys(far: Noting) -> list[tuple[str, float]]:
    return [each for came in far.arrivals().values() for each in came]


def run(ground: Ground) -> Iterator[Row]:
    """Some kills on each store; the middle of the times, the most of the duplicates."""
    for store in ground.stores:
        kills = []
        for number in range(ground.size.kills):
            ground.say(f"kill -9, {store}: {number + 1} of {ground.size.kills}")
            kills.append(kill(ground, store, ground.size.letters // 2))
        group = f"kill -9, {store}"
        lease = 0.0 if store == SQLITE else 15.0
        yield Row(
            group=group, what="ready to the next letter, after a restart", unit="s",
            value=p50([each.ready for each in kills]), floor=lease + 2, target=1.0,
            note="PostgreSQL: the lease of a node that may live on is waited for" if lease else "",
        )  # fmt: skip
        yield Row(
            group=group, what="restart begun to the next letter", unit="s",
            value=p50([each.start for each in kills]), floor=lease + 5, note="I10",
        )  # fmt: skip
        worst = max(kills, key=lambda each: each.twice)
        bound = worst.rate * 0.25 + WINDOW
        yield Row(
            group=group, what="letters sent twice, at most (life-safety)", value=worst.twice,
            unit="", floor=500, target=bound, note=f"of {ground.size.letters // 2:,}; rate x 250 ms + window = {bound:.0f}",
        )  # fmt: skip
        lost = max(each.lost for each in kills)
        yield Row(group=group, what="letters lost", value=lost, unit="", floor=0, target=0)
