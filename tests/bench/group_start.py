"""What a person waits for: `--help`, and a daemon that starts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.bench.ground import Ground
from tests.bench.machine import p50, python_ms
from tests.bench.subject import Subject, sms
from tests.bench.table import Row

_CLI = "from broadcaster.cli import main; main()"


def run(ground: Ground) -> Iterator[Row]:
    """Interpreter starts in turn, so that other load falls on both alike."""
    ground.say("command line")
    rounds = 5 if ground.size.rounds == 1 else 20
    pairs = [
        (python_ms(1, "-c", "pass"), python_ms(1, "-c", _CLI, "--help")) for _ in range(rounds)
    ]
    bare, told = p50([pair[0] for pair in pairs]), p50([pair[1] for pair in pairs])
    yield Row(
        group="command line", what="--help", value=told, unit="ms", floor=150,
        note="floor: quiet machine",
    )  # fmt: skip
    yield Row(
        group="command line", what="--help against bare Python", value=told, unit="ms", of=bare,
        limit="python -c pass", target=4.5,
    )  # fmt: skip
    for store in ground.stores:
        ground.say(f"start-up, {store}")
        times = []
        for count in (0, ground.size.many):
            place = partial(ground.with_people, store, count)
            subject = Subject({"sms": sms("http://127.0.0.1:9/send")}, place=place)
            try:
                times.append(p50([_start(subject) for _ in range(3)]))
            finally:
                subject.stop()
                subject.remove()
                ground.drop(subject.url)
        yield Row(
            group=f"start-up, {store}", what=f"ready with {ground.size.many:,} subscribers",
            value=times[1], unit="s", floor=5, target=2,
        )  # fmt: skip
        yield Row(
            group=f"start-up, {store}", what="against none", value=times[1], unit="s", of=times[0],
            limit="with none", target=1.15,
        )  # fmt: skip


def _start(subject: Subject) -> float:
    took = subject.start()
    subject.stop()
    return took
