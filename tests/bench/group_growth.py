"""How the cost of an accept, a claim, a page and a feed grows with history, open incidents and subscribers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from broadcaster.channel import Attempt
from broadcaster.domain.incident import Mode, Severity
from broadcaster.store import Store, boards, claiming, expanding, letters
from broadcaster.testing.rig import Rig
from tests.bench.ground import SQLITE, Costs, Ground
from tests.bench.machine import p50
from tests.bench.subject import AREAS, LETTERS, sms, webhook
from tests.bench.table import Row

RUNS = 15
FAR = "http://127.0.0.1:9"


class Bench:
    """A rig whose engine does not run: its parts are called one by one and timed."""

    def __init__(
        self, ground: Ground, store: str, place: Callable[[Path], str], folder: str
    ) -> None:
        self.folder = ground.folder / folder
        self.folder.mkdir()
        url = place(self.folder)
        # As a route that everything takes: boards, a post and letters.
        routes = [
            {"severity": "minor", "channels": ["page", "feed", "hook"]},
            {"severity": "severe", "areas": [LETTERS], "channels": ["sms"]},
        ]
        channels: dict[str, Any] = {"page": {"kind": "page"}, "feed": {"kind": "feed"}}
        channels |= {"hook": webhook(f"{FAR}/in"), "sms": sms(f"{FAR}/send")}
        names = {"norra-ekbyn": {"name": "Norra Ekbyn"}} | AREAS
        self.rig = Rig(
            self.folder, channels, routes=routes, areas=names, url="" if store == SQLITE else url
        )
        self._said = 0

    def close(self) -> None:
        """Stop it and close its store."""
        self.rig.stop()

    @property
    def store(self) -> Store:
        return self.rig.store

    def accept(self, area: str = "", severity: Severity = Severity.MINOR) -> float:
        """Milliseconds of one report, from the command to the answer, without HTTP."""
        self._said += 1
        where = area or f"area-{self._said % len(AREAS)}"
        begun = time.perf_counter()
        self.rig.say(f"Nr {self._said}. Strömmen är borta.", area=(where,), severity=severity)
        return (time.perf_counter() - begun) * 1000

    def claim(self, channel: str = "hook") -> float:
        """Milliseconds of claiming one delivery, commit included."""
        now = datetime.now(UTC)
        begun = time.perf_counter()
        found = self.store.write(
            partial(claiming.claim, channel=channel, node="n1", now=now, limit=1)
        )
        if not found.result():
            raise RuntimeError(f"nothing to claim of {channel}")
        return (time.perf_counter() - begun) * 1000

    def show(self, channel: str) -> float:
        """Milliseconds of bringing a board up to the newest revision, files written."""
        adapter = self.rig.adapters[channel]
        now = datetime.now(UTC)
        begun = time.perf_counter()
        since = adapter.standing()
        told = self.store.read(partial(boards.board, since=since, at=now, mode=Mode.DEMO))
        adapter.show(told, Attempt(number=1, at=now, not_after=now + timedelta(1), deadline=600))
        return (time.perf_counter() - begun) * 1000

    def expand(self) -> float:
        """Milliseconds of making the first ten thousand subscribers of a claimed delivery into jobs."""
        now = datetime.now(UTC)
        (claimed,) = self.store.write(
            partial(claiming.claim, channel="sms", node="n1", now=now, limit=1)
        ).result()
        begun = time.perf_counter()
        self.store.write(
            partial(
                expanding.expand, delivery_id=claimed.id, lease_token=claimed.lease_token, now=now
            )
        ).result()
        return (time.perf_counter() - begun) * 1000

    def claim_job(self) -> float:
        """Milliseconds of claiming a job of five hundred letters."""
        now = datetime.now(UTC)
        begun = time.perf_counter()
        job = self.store.write(
            partial(letters.claim_job, channel="sms", node="n1", now=now, supplier="g1")
        ).result()
        if job is None:
            raise RuntimeError("no job")
        return (time.perf_counter() - begun) * 1000


def _history(ground: Ground, store: str, costs: Costs) -> list[float]:
    """Fill `costs` by updates of history; gives the seconds of writing all boards anew, by size."""
    anew = []
    for size in ground.size.history:
        ground.say(f"history of {size}, {store}")
        bench = Bench(ground, store, partial(ground.with_past, store, size), f"h{size}{store}")
        try:
            anew.append(bench.show("page") / 1000 + bench.show("feed") / 1000)
            measured: dict[str, list[float]] = {}
            for _ in range(RUNS):
                measured.setdefault("accept", []).append(bench.accept())
                measured.setdefault("claim", []).append(bench.claim())
                measured.setdefault("page", []).append(bench.show("page"))
                measured.setdefault("feed", []).append(bench.show("feed"))
            _note(costs, size, measured)
        finally:
            bench.close()
    return anew


def _open(ground: Ground, costs: Costs) -> None:
    for size in ground.size.open:
        ground.say(f"{size} open incidents")
        place = partial(ground.with_past, SQLITE, 300, still_open=size)
        bench = Bench(ground, SQLITE, place, f"o{size}")
        try:
            bench.show("page")
            measured: dict[str, list[float]] = {}
            for _ in range(RUNS):
                measured.setdefault("accept", []).append(bench.accept())
                measured.setdefault("page", []).append(bench.show("page"))
            _note(costs, size, measured)
        finally:
            bench.close()


def _subscribers(ground: Ground, store: str, costs: Costs) -> None:
    for size in ground.size.subscribers:
        ground.say(f"{size} subscribers, {store}")
        bench = Bench(ground, store, partial(ground.with_people, store, size), f"s{size}{store}")
        try:
            measured: dict[str, list[float]] = {}
            for _ in range(RUNS):
                accepted = bench.accept(LETTERS, Severity.SEVERE)
                measured.setdefault("accept", []).append(accepted)
            measured["expand, first chunk"] = [bench.expand() for _ in range(5)]
            measured["claim a job"] = [bench.claim_job() for _ in range(5)]
            _note(costs, size, measured)
        finally:
            bench.close()


def _note(costs: Costs, size: int, measured: dict[str, list[float]]) -> None:
    for what, times in measured.items():
        costs.setdefault(what, {})[size] = p50(times)


def run(ground: Ground) -> Iterator[Row]:
    """Each cost at the greatest size against that at the least; the curves are left for the plot."""
    drawn: dict[str, Costs] = {}
    for store in ground.stores:
        costs = drawn.setdefault(f"history, {store}", {})
        anew = _history(ground, store, costs)
        yield from _rows(f"history, {store}", "updates", costs)
        size = ground.size.history[-1]
        yield Row(
            group=f"history, {store}", what=f"all pages and feeds written anew at {size:,} updates",
            value=anew[-1], unit="s", note="once, when another version or configuration starts",
        )  # fmt: skip
        page = costs["page"][size]
        yield Row(
            group=f"history, {store}", what=f"page and feed brought up to date at {size:,} updates",
            value=page + costs["feed"][size], unit="ms", floor=150, target=50,
        )  # fmt: skip
    for store in ground.stores:
        costs = drawn.setdefault(f"subscribers, {store}", {})
        _subscribers(ground, store, costs)
        yield from _rows(f"subscribers, {store}", "subscribers", costs)
    costs = drawn.setdefault("open incidents", {})
    _open(ground, costs)
    yield from _rows("open incidents", "open", costs)
    ground.curves |= drawn


def _rows(group: str, what: str, costs: Costs) -> Iterator[Row]:
    for name, by_size in costs.items():
        least, most = min(by_size), max(by_size)
        yield Row(
            group=group, what=f"{name}: {most:,} {what} against {least:,}", value=by_size[most],
            unit="ms", of=by_size[least], limit=f"ms at {least:,}", floor=2, target=1.25,
        )  # fmt: skip
