"""How the cost of an accept, a claim, a page and a feed grows with history, open incidents and subscribers."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from broadcaster.channel import Attempt
from broadcaster.daemon import starting
from broadcaster.domain.board import BoardIncident
from broadcaster.domain.incident import Kind, Mode, Severity
from broadcaster.domain.kept import Kept
from broadcaster.service.commands import Command
from broadcaster.service.desk import Desk
from broadcaster.service.saying import say
from broadcaster.store import Store, boards, claiming, expanding, letters
from broadcaster.testing.builders import KEY
from broadcaster.testing.rig import OPERATOR
from tests.bench import group_read
from tests.bench.ground import SQLITE, Costs, Ground
from tests.bench.subject import AREAS, LETTERS, Subject, sms, webhook
from tests.bench.table import Row

RUNS = 15
BOARDS = ("page", "feed")
FAR = "http://127.0.0.1:9"


class Bench:
    """A daemon's parts on its configuration and database, without an engine: called one by one and timed."""

    def __init__(self, subject: Subject) -> None:
        _, self._configured = starting.configure(subject.config)
        self.store = Store(subject.url, KEY)
        self._kept: Kept[BoardIncident] = Kept(boards.ROOM)
        self._desk = Desk(store=self.store, clock=starting.now, configuration=self._configured)
        self._said = itertools.count(1)

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def accept(self, area: str = "", severity: Severity = Severity.MINOR) -> float:
        """Milliseconds of one report, from the command to the answer, without HTTP."""
        number = next(self._said)
        command = Command(
            kind=Kind.REPORT,
            texts={"": f"Word {number}. Strömmen är borta."},
            area=(area or f"area-{number % len(AREAS)}",),
            severity=severity,
        )
        begun = time.perf_counter()
        say(self._desk, OPERATOR, command)
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
        adapter: Any = self._configured.adapters[channel]
        now = datetime.now(UTC)
        begun = time.perf_counter()
        since = adapter.standing()
        told = self.store.read(
            partial(boards.board, since=since, at=now, mode=Mode.DEMO, kept=self._kept)
        )
        adapter.show(told, Attempt(number=1, at=now, not_after=now + timedelta(1), deadline=600))
        return (time.perf_counter() - begun) * 1000

    def expand(self) -> float:
        """Milliseconds of making the first five hundred subscribers of a claimed delivery into a job."""
        now = datetime.now(UTC)
        (claimed,) = self.store.write(
            partial(claiming.claim, channel="sms", node="n1", now=now, limit=1)
        ).result()
        begun = time.perf_counter()
        self.store.write(
            partial(
                expanding.expand,
                delivery_id=claimed.id,
                lease_token=claimed.lease_token,
                now=now,
                chunks=1,
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


def _channels(*, boards_too: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"page": {"kind": "page"}, "feed": {"kind": "feed"}}
    rest = {"hook": webhook(f"{FAR}/in"), "sms": sms(f"{FAR}/send")}
    return (shown if boards_too else {}) | rest


@contextlib.contextmanager
def _bench(
    place: Callable[[Path], str], *, boards_too: bool = True
) -> Iterator[tuple[Subject, Bench]]:
    subject = Subject(_channels(boards_too=boards_too), place=place, public=True)
    bench = Bench(subject)
    try:
        yield subject, bench
    finally:
        bench.close()
        subject.stop()
        subject.remove()


def _history(ground: Ground, store: str, costs: Costs) -> Iterator[Row]:
    """Accept and claim on both databases; the boards, whose files are the same, on SQLite."""
    boards_too, group = store == SQLITE, f"history, {store}"
    for size in ground.size.history:
        ground.say(f"history of {size}, {store}")
        with _bench(partial(ground.with_past, store, size), boards_too=boards_too) as (
            subject,
            bench,
        ):
            anew = sum(bench.show(name) for name in BOARDS) / 1000 if boards_too else 0.0
            measured: dict[str, list[float]] = {}
            for _ in range(RUNS):
                measured.setdefault("accept", []).append(bench.accept())
                measured.setdefault("claim", []).append(bench.claim())
                for name in BOARDS if boards_too else ():
                    measured.setdefault(name, []).append(bench.show(name))
            _note(costs, size, measured)
            if boards_too:
                both = sum(min(measured[name]) for name in BOARDS)
                yield Row(
                    group=group, what=f"page and feed brought up to date at {size:,} updates",
                    value=both, unit="ms", floor=150, target=50,
                )  # fmt: skip
                yield Row(
                    group=group, what=f"all pages and feeds written anew at {size:,} updates",
                    value=anew, unit="s", note="once, when another version or configuration starts",
                )  # fmt: skip
            if boards_too and size == ground.size.history[-1]:
                bench.close()
                yield from _whole(ground, subject, size)
        ground.drop(subject.url)


def _whole(ground: Ground, subject: Subject, size: int) -> Iterator[Row]:
    """The daemon itself on that history: its start, and from the command to what a resident is given."""
    took, group = subject.start(), f"history, {SQLITE}"
    yield Row(
        group=group, what=f"start-up with {size:,} updates", value=took, unit="s", floor=5, target=2
    )
    page = group_read.settled(subject)
    yield Row(
        group=group, what="its page is served after", value=page, unit="s",
        note="every file's SHA-256 is looked at first",
    )  # fmt: skip
    yield from group_read.visible(ground, subject, size)
    yield Row(group=group, what="memory of daemon and public server", value=subject.pss, unit="MiB")


def _open(ground: Ground, costs: Costs) -> None:
    for size in ground.size.open:
        ground.say(f"{size} open incidents")
        place = partial(ground.with_past, SQLITE, 300, still_open=size)
        with _bench(place) as (_, bench):
            bench.show("page")
            measured: dict[str, list[float]] = {}
            for _ in range(RUNS):
                measured.setdefault("accept", []).append(bench.accept())
                measured.setdefault("page", []).append(bench.show("page"))
            _note(costs, size, measured)


def _subscribers(ground: Ground, store: str, costs: Costs) -> None:
    for size in ground.size.subscribers:
        ground.say(f"{size} subscribers, {store}")
        place = partial(ground.with_people, store, size)
        with _bench(place, boards_too=False) as (subject, bench):
            measured: dict[str, list[float]] = {}
            for _ in range(RUNS):
                accepted = bench.accept(LETTERS, Severity.SEVERE)
                measured.setdefault("accept", []).append(accepted)
            measured["expand five hundred"] = [bench.expand() for _ in range(5)]
            measured["claim a job"] = [bench.claim_job() for _ in range(5)]
            _note(costs, size, measured)
        ground.drop(subject.url)


def _note(costs: Costs, size: int, measured: dict[str, list[float]]) -> None:
    for what, times in measured.items():
        costs.setdefault(what, {})[size] = min(times)


def run(ground: Ground) -> Iterator[Row]:
    """Each cost at the greatest size against that at the least; the curves are left for the plot."""
    for store in ground.stores:
        costs = ground.curves.setdefault(f"subscribers, {store}", {})
        _subscribers(ground, store, costs)
        yield from _rows(f"subscribers, {store}", "subscribers", costs)
    costs = ground.curves.setdefault("open incidents", {})
    _open(ground, costs)
    yield from _rows("open incidents", "open", costs)
    for store in reversed(ground.stores):  # the longest last
        costs = ground.curves.setdefault(f"history, {store}", {})
        yield from _history(ground, store, costs)
        yield from _rows(f"history, {store}", "updates", costs)


def _rows(group: str, what: str, costs: Costs) -> Iterator[Row]:
    for name, by_size in costs.items():
        least, most = min(by_size), max(by_size)
        yield Row(
            group=group, what=f"{name}: {most:,} {what} against {least:,}", value=by_size[most],
            unit="ms", of=by_size[least], limit=f"ms at {least:,}", floor=2, target=1.25,
        )  # fmt: skip
