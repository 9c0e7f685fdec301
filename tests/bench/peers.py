"""`make bench-peers`: the same work by Celery, Apprise and Alertmanager beside ours, in one run.

    python -m tests.bench.peers VENV [--size small] [--markdown FILE]

VENV holds requirements/bench.txt. Needs redis-server, PostgreSQL and prometheus-alertmanager (Debian's packages).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

from tests.bench import group_accept, group_bulk, table, ten_kinds
from tests.bench.ground import FULL, POSTGRESQL, SMALL, SQLITE, Ground
from tests.bench.machine import cpu_seconds, describe, p50, p99, until
from tests.bench.sinks import BODY, Noting, Running, Sink, posts_a_second
from tests.bench.table import Row

HERE = Path(__file__).parent
TEN = 10


class Redis(Running):
    """A redis with its usual durability: an append-only file, synced each second."""

    def command(self) -> list[str]:
        kept = [
            "--appendonly",
            "yes",
            "--dir",
            str(self.folder),
            "--logfile",
            str(self.folder / "log"),
        ]
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", *kept]


class Alertmanager(Running):
    """One receiver with ten webhooks, nothing grouped and nothing waited for."""

    def __init__(self, far: Noting) -> None:
        super().__init__()
        hooks = [
            {"url": f"{far.url}/m{number}/in", "send_resolved": False} for number in range(TEN)
        ]
        route = {"receiver": "all", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
        config = {"route": route, "receivers": [{"name": "all", "webhook_configs": hooks}]}
        (self.folder / "config.yml").write_text(json.dumps(config))

    def command(self) -> list[str]:
        return [
            "prometheus-alertmanager",
            f"--config.file={self.folder}/config.yml",
            f"--storage.path={self.folder}/kept",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            "--log.level=error",
        ]

    def alert(self, number: int) -> tuple[float, float]:
        """Post one alert; monotonic seconds before and after."""
        said = {
            "labels": {"alertname": f"a{number}"},
            "annotations": {"text": f"Nr {number}. Borta."},
        }
        request = urllib.request.Request(  # noqa: S310 - our own
            f"{self.url}/api/v2/alerts",
            json.dumps([said]).encode(),
            {"Content-Type": "application/json"},
        )
        begun = time.monotonic()
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - as above
        return begun, time.monotonic()


# ------------------------------------------------------------------------------------------- letters beside Celery
def _celery(
    ground: Ground, python: Path, sink: str, count: int
) -> Iterator[tuple[str, float, float]]:
    """Both ways of running its workers: which, letters a second, and µs of the workers' CPU a letter."""
    database = ground.postgres.database().replace("postgresql+psycopg", "postgresql", 1)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE recipient (id BIGINT PRIMARY KEY, address TEXT NOT NULL)")
        connection.execute(
            "CREATE TABLE outcome (recipient BIGINT PRIMARY KEY, status INT NOT NULL)"
        )
        connection.execute(
            "INSERT INTO recipient SELECT n, '+46' || (700000000 + n) FROM generate_series(1, %s) n",
            (count,),
        )
        for how, options in (
            ("2 processes", ("-P", "prefork", "-c", "2")),
            ("16 threads", ("-P", "threads", "-c", "16")),
        ):
            ground.say(f"Celery, {how}: {count} letters")
            connection.execute("TRUNCATE outcome")
            with Redis() as redis:
                yield how, *_one_celery(connection, python, redis, database, sink, count, options)


def _one_celery(
    connection: psycopg.Connection,
    python: Path,
    redis: Redis,
    database: str,
    sink: str,
    count: int,
    options: Sequence[str],
) -> tuple[float, float]:
    known = {
        "BENCH_BROKER": f"redis://127.0.0.1:{redis.port}/0",
        "BENCH_DATABASE": database,
        "BENCH_SINK": sink,
        "BENCH_TEXT": BODY,
    }
    environment = os.environ | known
    command = [
        str(python),
        "-m",
        "celery",
        "-A",
        "celery_tasks",
        "worker",
        "--loglevel",
        "ERROR",
        *options,
    ]
    worker = subprocess.Popen(
        command, cwd=HERE, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def written() -> int:
        row = connection.execute("SELECT count(*) FROM outcome").fetchone()
        return int(row[0]) if row else 0

    try:
        warm = [str(python), "celery_tasks.py"]
        subprocess.run(
            [*warm, "1"], cwd=HERE, env=environment, check=True, stdout=subprocess.DEVNULL
        )
        until(lambda: written() == 1, "Celery's first task", 60, every=0.1)
        connection.execute("TRUNCATE outcome")
        before, begun = cpu_seconds(worker.pid), time.monotonic()
        subprocess.run(
            [*warm, str(count)], cwd=HERE, env=environment, check=True, stdout=subprocess.DEVNULL
        )
        until(lambda: written() >= count, "Celery's letters", 600, every=0.1)
        seconds = time.monotonic() - begun
        return count / seconds, (cpu_seconds(worker.pid) - before) / count * 1e6
    finally:
        worker.terminate()
        try:
            worker.wait(20)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def letters(ground: Ground, python: Path) -> Iterator[Row]:
    """Letters with a durable outcome each, to the same sink, on the same PostgreSQL."""
    with Sink() as sink:
        url = f"{sink.url}/send"
        limit = posts_a_second(url, ground.size.seconds)
        theirs = list(_celery(ground, python, url, max(200, ground.size.letters // 50)))
        ground.say(f"ours: {ground.size.letters} letters")
        ours = group_bulk.alone(ground, POSTGRESQL, ground.size.letters, url)
    for who, rate, cpu in (
        *((f"Celery, {how}", rate, cpu) for how, rate, cpu in theirs),
        ("ours, one process", ours.rate, ours.cpu),
    ):
        yield Row(
            group="letters, PostgreSQL", what=who, value=rate, unit="/s", of=limit, limit="W", more=True,
            note=f"{cpu:.0f} µs of CPU a letter",
        )  # fmt: skip
    best = max(rate for _, rate, _ in theirs)
    yield Row(
        group="letters, PostgreSQL", what="ours against Celery's better way", value=ours.rate, unit="/s",
        of=best, limit="Celery", floor=15, target=50, more=True,
    )  # fmt: skip


# --------------------------------------------------------------------------------- ten channels beside the other two
def _apprise(python: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds from the call to the tenth arrival, and of the call."""
    with Noting() as far:
        said = subprocess.run(
            [str(python), str(HERE / "apprise_calls.py"), str(rounds), f"127.0.0.1:{far.port}"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        last = _last(far)
    calls = {
        key: (float(begun), float(ended)) for key, begun, ended in map(str.split, said.splitlines())
    }
    kept = [key for key in calls if key != "0"]
    return (
        [(max(last[key]) - calls[key][0]) * 1000 for key in kept],
        [(calls[key][1] - calls[key][0]) * 1000 for key in kept],
    )


def _alertmanager(rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds from the request to the first and to the tenth arrival."""
    with Noting() as far, Alertmanager(far) as manager:
        until(lambda: _is_ready(manager), "Alertmanager", 20, every=0.1)
        begun: dict[str, float] = {}
        for number in range(rounds + 5):
            begun[str(number)] = manager.alert(number)[0]
            time.sleep(0.05)
        time.sleep(1)
        came = _last(far)
    kept = [str(number) for number in range(5, rounds + 5)]
    return (
        [(min(came[key]) - begun[key]) * 1000 for key in kept],
        [(max(came[key]) - begun[key]) * 1000 for key in kept],
    )


def _is_ready(manager: Alertmanager) -> bool:
    with contextlib.suppress(OSError):
        return bool(manager.ask("/-/ready"))
    return False


def _last(far: Noting) -> dict[str, list[float]]:
    """When each number came to each of the ten."""
    came: dict[str, list[float]] = {}
    for arrived in far.arrivals().values():
        for key, at in arrived:
            came.setdefault(key, []).append(at)
    return came


def ten_channels(ground: Ground, python: Path) -> Iterator[Row]:
    """From the command to ten webhooks. Ours is durable by then, and says what became of each; theirs are not, and do not."""
    rounds = ground.size.posts
    ground.say(f"Apprise: {rounds} times ten targets")
    theirs, call = _apprise(python, rounds)
    ground.say(f"Alertmanager: {rounds} alerts to ten webhooks")
    first, tenth = _alertmanager(rounds)
    ground.say(f"ours: {rounds} reports on ten webhooks")
    times = group_accept.Times()
    group_accept.measure(ground, SQLITE, slow=False, times=times)
    ours = [took + last for took, last in zip(times.accept, times.last, strict=True)]
    group = "ten webhooks"
    for who, values in (
        ("Apprise, notify() to the tenth", theirs),
        ("Apprise, notify() returns", call),
        ("Alertmanager, request to the first", first),
        ("Alertmanager, request to the tenth", tenth),
        ("ours, commit to the first", times.first),
        ("ours, commit to the tenth", times.last),
        ("ours, request to the tenth at most", ours),
    ):
        yield Row(
            group=group, what=who, value=p50(values), unit="ms", note=f"p99 {p99(values):.1f} ms"
        )
    mine = p50(times.last)
    yield Row(
        group=group, what="ours against Apprise", value=mine, unit="ms", of=p50(theirs), limit="Apprise",
        floor=0.5, target=0.2,
    )  # fmt: skip
    yield Row(
        group=group, what="ours against Alertmanager", value=mine, unit="ms", of=p50(tenth),
        limit="Alertmanager", target=3,
    )  # fmt: skip


def main(words: Sequence[str]) -> int:
    """Measure and print; 2 where a peer is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    parser.add_argument("venv", type=Path)
    parser.add_argument("--size", choices=("full", "small"), default="full")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    said = parser.parse_args(words)
    needed = ("wrk", "nginx", "redis-server", "prometheus-alertmanager")
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        print(
            f"bench-peers: not on this machine: {', '.join(missing)}. Debian: apt install wrk nginx redis-server prometheus-alertmanager"
        )
        return 2
    python = said.venv.absolute() / "bin" / "python"
    rows: list[Row] = []
    with Ground(FULL if said.size == "full" else SMALL) as ground:
        for part in (ten_channels, ten_kinds.run, letters):
            for row in part(ground, python):
                rows.append(row)
                ground.say("  " + " | ".join(filter(None, row.cells())))
    if said.markdown:
        said.markdown.parent.mkdir(exist_ok=True)
        said.markdown.write_text(table.markdown(rows), "utf-8")
    table.show(rows, describe())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
