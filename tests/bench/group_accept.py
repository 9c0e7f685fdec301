"""Accept over HTTP, from the commit to the first attempts, and what one channel that takes two seconds adds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial

from tests.bench.ground import SQLITE, Ground
from tests.bench.machine import p50, p99, until
from tests.bench.sinks import Noting
from tests.bench.subject import Subject, webhook
from tests.bench.table import Row

CHANNELS = 10
WARM = 5
PAUSE = 0.15  # what came of the one before is written down by then: operators are no machine guns


class Times:
    """Milliseconds of each report: until it was answered; from its commit to the first and to the last first attempt."""

    def __init__(self) -> None:
        self.accept: list[float] = []
        self.first: list[float] = []
        self.last: list[float] = []
        self.nine: list[float] = []
        """To the last of the nine channels that are never slow."""

    def add(self, keys: Mapping[str, float], arrived: Mapping[str, dict[str, float]]) -> None:
        """Take the commits by key, and when each key came to each path."""
        for key, committed in keys.items():
            came = {path: (at - committed) * 1000 for path, at in arrived[key].items()}
            self.first.append(max(0.0, min(came.values())))
            self.last.append(max(came.values()))
            self.nine.append(max(at for path, at in came.items() if "/c0/" not in path))


def measure(ground: Ground, store: str, *, slow: bool, times: Times) -> None:
    """One daemon with ten webhooks, the first of which answers after two seconds when it is `slow`."""
    with Noting() as far:
        paths = [f"/c0{'/delay2000' if slow else ''}/in"]
        paths += [f"/c{number}/in" for number in range(1, CHANNELS)]
        channels = {f"c{number}": webhook(far.url + path) for number, path in enumerate(paths)}
        with Subject(channels, place=partial(ground.empty, store)) as subject:
            client, said = subject.client(), []
            arrived: dict[str, dict[str, float]] = {}
            # The slow channel has a backlog: only what it has begun can be waited for.
            expected = CHANNELS - 1 if slow else CHANNELS

            def look(key: str) -> bool:
                for path, came in far.arrivals().items():
                    for name, at in came:
                        arrived.setdefault(name, {}).setdefault(path, at)
                return len(arrived.get(key, {})) >= expected

            for _ in range(WARM + ground.size.posts):
                said.append(client.report())
                until(partial(look, said[-1].key), "a report's posts", 60, every=0.005)
                time.sleep(PAUSE)
            counted = said[WARM:]
            times.accept += [each.took for each in counted]
            times.add(subject.commit_of(counted), arrived)


def run(ground: Ground) -> Iterator[Row]:
    """Both stores; quick and slow runs in turn, so that other load falls on both alike."""
    for store in ground.stores:
        quick, slow = Times(), Times()
        added = []
        f50, f99 = ground.fdatasync()
        commit = ground.one_commit(store)
        for number in range(ground.size.rounds):
            ground.say(f"accept, {store}: round {number + 1} of {ground.size.rounds}")
            before = len(quick.nine), len(slow.nine)
            measure(ground, store, slow=False, times=quick)
            measure(ground, store, slow=True, times=slow)
            added.append(p50(slow.nine[before[1] :]) - p50(quick.nine[before[0] :]))
        yield from _rows(f"accept, {store}", store == SQLITE, quick, added, commit, (f50, f99))


def _rows(
    group: str,
    sqlite: bool,
    times: Times,
    added: list[float],
    commit: float,
    sync: tuple[float, float],
) -> Iterator[Row]:
    said = f"{len(times.accept)} reports over HTTP, ten webhooks; fdatasync p50 {sync[0]:.2f} ms"
    marks = (4, 2) if sqlite else (5, 3)
    yield Row(
        group=group, what="accept p50", value=p50(times.accept), unit="ms", of=commit, limit="C1",
        floor=marks[0], target=marks[1], note=said,
    )  # fmt: skip
    yield Row(
        group=group, what="accept p99", value=p99(times.accept), unit="ms", of=sync[1],
        limit="fdatasync p99", floor=20, target=5,
    )  # fmt: skip
    for what, values, marks50, marks99 in (
        ("commit to first attempt", times.first, (20, 5), (100, 20)),
        ("commit to all ten channels", times.last, (50, 8), (200, 25)),
    ):
        yield Row(
            group=group, what=f"{what} p50", value=p50(values), unit="ms",
            floor=marks50[0], target=marks50[1],
        )  # fmt: skip
        yield Row(
            group=group, what=f"{what} p99", value=p99(values), unit="ms",
            floor=marks99[0], target=marks99[1],
        )  # fmt: skip
    yield Row(
        group=group, what="added to the other nine by a channel that takes 2 s", value=p50(added),
        unit="ms", floor=5, target=0.5, note="difference of the medians of paired runs",
    )  # fmt: skip
