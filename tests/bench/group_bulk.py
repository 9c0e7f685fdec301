"""A hundred thousand letters with durable outcomes, by one node and two, and what goes out beside them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.bench.ground import POSTGRESQL, SQLITE, Ground
from tests.bench.machine import p50, p99, until
from tests.bench.sinks import Noting, Sink, posts_a_second
from tests.bench.subject import LETTERS, Said, Subject, sms, webhook
from tests.bench.table import Row

PATIENCE = 600.0
_LOOK = 0.2  # each look costs the daemon some milliseconds


@dataclass
class Blast:
    """What one mass sending came to: seconds, CPU of the daemon in µs a letter, MiB at most, bytes of the database."""

    count: int
    seconds: float = 0.0
    cpu: float = 0.0
    peak: float = 0.0
    size: int = 0
    restart: float = 0.0
    """Seconds until a daemon was ready again on what it left."""
    accepts: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    """Milliseconds of the reports said beside it: until answered, and from commit to first attempt."""

    @property
    def rate(self) -> float:
        """Letters a second, from the command to the last outcome."""
        return self.count / self.seconds


def send(subject: Subject, blast: Blast) -> None:
    """Report to everyone and wait until every outcome is written."""
    client, before = subject.client(), subject.cpu
    begun = time.monotonic()
    name = client.report(LETTERS, "severe").incident

    def through() -> bool:
        counts = client.letters(name)
        ended = sum(counts[each] for each in ("accepted", "failed", "uncertain", "skipped"))
        return bool(ended >= blast.count)

    until(through, f"{blast.count} letters", PATIENCE, every=_LOOK)
    blast.seconds = time.monotonic() - begun
    blast.cpu = (subject.cpu - before) / blast.count * 1e6
    counts = client.letters(name)
    if (counts["accepted"], counts["total"]) != (blast.count, blast.count):
        raise RuntimeError(f"{counts} of {blast.count} letters")


def alone(ground: Ground, store: str, count: int, gateway: str, window: int = 64) -> Blast:
    """One daemon that does nothing else, on a database of its own; then it is started again."""
    blast = Blast(count)
    place = partial(ground.with_people, store, count)
    with Subject({"sms": sms(gateway, window)}, place=place) as subject:
        send(subject, blast)
        _leave(ground, subject, blast)
    return blast


def _leave(ground: Ground, subject: Subject, blast: Blast) -> None:
    blast.peak, blast.size = subject.peak, ground.bytes_of(subject.url)
    subject.stop()
    blast.restart = subject.start()
    subject.stop()
    ground.drop(subject.url)


def beside(ground: Ground, store: str, count: int, pause: float = 0.1) -> Blast:
    """Reports on ten webhooks, `pause` seconds between them, while a mass sending runs; its gateway is another far end."""
    blast = Blast(count)
    with Sink() as gateway, Noting() as far:
        channels = {f"c{number}": webhook(f"{far.url}/c{number}/in") for number in range(10)}
        channels["sms"] = sms(f"{gateway.url}/send")
        place = partial(ground.with_people, store, count)
        with Subject(channels, place=place) as subject:
            client, said = subject.client(), []
            client.report()
            sending = threading.Thread(target=send, args=(subject, blast), name="sending")
            sending.start()
            time.sleep(0.2)
            while sending.is_alive():
                said.append(client.report())
                sending.join(pause)
            blast.accepts = [each.took for each in said]
            blast.firsts = _firsts(subject, far, said)
            _leave(ground, subject, blast)
    return blast


def _firsts(subject: Subject, far: Noting, said: list[Said]) -> list[float]:
    arrived: dict[str, float] = {}

    def all_came() -> bool:
        for came in far.arrivals().values():
            for key, at in came:
                arrived[key] = min(at, arrived.get(key, at))
        return all(each.key in arrived for each in said)

    until(all_came, "the posts", 60, every=0.1)
    commits = subject.commit_of(said)
    return [max(0.0, arrived[key] - at) * 1000 for key, at in commits.items()]


def _the(url: str, _: Path) -> str:
    return url


def two_nodes(ground: Ground, count: int, gateway: str) -> tuple[float, float]:
    """Letters a second of one node and of two on PostgreSQL, neither bound to a core."""
    rates = []
    for nodes in (1, 2):
        blast = Blast(count)
        url = ground.with_people(POSTGRESQL, count, ground.folder)
        made = [
            Subject({"sms": sms(gateway)}, place=partial(_the, url), cores=None, node=f"n{n}")
            for n in range(nodes)
        ]
        try:
            for subject in made:
                subject.start()
            send(made[0], blast)
        finally:
            for subject in made:
                subject.stop()
                subject.remove()
        ground.drop(url)
        rates.append(blast.rate)
    return rates[0], rates[1]


def run(ground: Ground) -> Iterator[Row]:
    """Everything about letters, each against what wrk posts to the same sink in the same minutes."""
    for store in ground.stores:
        yield from _hundred_thousand(ground, store)
    yield from _slow_gateway(ground)
    if POSTGRESQL in ground.stores:
        yield from _nodes(ground)
    for store in ground.stores:
        yield from _beside(ground, store)


def _hundred_thousand(ground: Ground, store: str) -> Iterator[Row]:
    size, ratios, blasts, limits = ground.size, [], [], []
    with Sink() as sink:
        url = f"{sink.url}/send"
        for number in range(size.rounds):
            ground.say(f"{size.letters} letters, {store}: round {number + 1} of {size.rounds}")
            before = posts_a_second(url, size.seconds)
            blast = alone(ground, store, size.letters, url)
            limits.append((before + posts_a_second(url, size.seconds)) / 2)
            blasts.append(blast)
            ratios.append(blast.rate / limits[-1])
    middle = sorted(blasts, key=lambda each: each.rate)[len(blasts) // 2]
    group = f"letters, {store}"
    cpu, peak = p50([each.cpu for each in blasts]), max(each.peak for each in blasts)
    yield Row(
        group=group, what=f"{size.letters:,} letters with durable outcomes", value=middle.rate,
        unit="/s", of=p50(limits), limit="W", floor=0.08, more=True,
        target=0.28 if store == SQLITE else 0.25, note=f"{middle.seconds:.1f} s, one process",
    )  # fmt: skip
    yield Row(group=group, what="CPU of the daemon a letter", value=cpu, unit="µs", target=45)
    yield Row(group=group, what="peak memory", value=peak, unit="MiB", floor=150, target=90)


def _slow_gateway(ground: Ground) -> Iterator[Row]:
    count = max(500, ground.size.letters // 5)
    ground.say(f"{count} letters, gateway answers after 50 ms")
    with Noting() as far:
        url = f"{far.url}/delay50/send"
        limit = posts_a_second(url, ground.size.seconds, connections=256)
        blast = alone(ground, SQLITE, count, url, window=256)
    yield Row(
        group=f"letters, {SQLITE}", what="gateway that answers after 50 ms, 256 open",
        value=blast.rate, unit="/s", of=limit, limit="W (256 open)", floor=0.5, target=0.85,
        more=True,
    )  # fmt: skip


def _nodes(ground: Ground) -> Iterator[Row]:
    with Sink() as sink:
        pairs = []
        for number in range(ground.size.rounds):
            ground.say(
                f"one node and two on PostgreSQL: round {number + 1} of {ground.size.rounds}"
            )
            pairs.append(two_nodes(ground, ground.size.letters, f"{sink.url}/send"))
    yield Row(
        group=f"letters, {POSTGRESQL}", what="two nodes against one", value=p50([b for _, b in pairs]),
        unit="/s", of=p50([a for a, _ in pairs]), limit="one node", floor=1.1, target=1.4, more=True,
        note="sink and database on the same cores",
    )  # fmt: skip


def _beside(ground: Ground, store: str) -> Iterator[Row]:
    ground.say(f"reports beside {ground.size.letters} letters, {store}")
    blast = beside(ground, store, ground.size.letters)
    group = f"beside letters, {store}"
    note = f"{len(blast.firsts)} reports on ten webhooks meanwhile"
    yield Row(
        group=group,
        what="commit to first attempt p50",
        value=p50(blast.firsts),
        unit="ms",
        note=note,
    )
    yield Row(
        group=group, what="commit to first attempt p99", value=p99(blast.firsts), unit="ms",
        floor=250, target=50,
    )  # fmt: skip
    yield Row(group=group, what="accept p50", value=p50(blast.accepts), unit="ms")
    yield Row(group=group, what="accept p99", value=p99(blast.accepts), unit="ms")
