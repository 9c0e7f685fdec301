"""Crashes on purpose: a process that runs store, service and engine, and dies where or when it is told to.

One parent process imports everything once and forks a child for each life, so that a life costs milliseconds. The
child is also the client: it says what it is ordered to and writes each answer down after it came, in a file that
survives it. Nothing in the product knows of this: crash points are functions wrapped from outside. ::

    with Lives(folder, configuration) as lives:
        lives.live(orders, seconds=0.3)  # killed after 0.3 s
        lives.live(
            orders, point="post made, nothing written", count=4
        )  # dies when the fourth post has been made
        final = lives.live(orders, seconds=60.0, to_the_end=True)
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from broadcaster.daemon import starting
from broadcaster.domain.delivery import FINAL, State
from broadcaster.domain.incident import Kind, Severity
from broadcaster.engine.engine import Engine
from broadcaster.engine.lane import Lane, Surroundings
from broadcaster.service import follow_up, status
from broadcaster.service.commands import Command, Operator, Refused, Role
from broadcaster.service.desk import Desk
from broadcaster.service.once_only import say_once
from broadcaster.store import StoreError
from broadcaster.store.intents import Once
from broadcaster.testing.crashpoints import install
from broadcaster.testing.history import Told

CLIENT = Operator(name="client", role=Role.ADMIN, token_id=1)


# ------------------------------------------------------------------------------------------------- what is said
@dataclass(frozen=True, slots=True)
class Order:
    """One thing the client shall say. ``about`` is the label of the incident's report, ``corrects`` that of the wrong one.

    The label stands in the text, so that far ends show what arrived.
    """

    label: str
    kind: str
    severity: str
    about: str = ""
    corrects: str = ""


def note(order: Order, answer: Mapping[str, Any]) -> Told:
    """What the client was told just now, of an answer as the API gives it."""
    lives = [row["not_after"] for row in answer["deliveries"] if row["not_after"]]
    return Told(
        label=order.label,
        incident=answer["incident"],
        number=answer["update"],
        kind=order.kind,
        severity=order.severity,
        corrects=order.corrects,
        at=time.time(),
        not_after=max((datetime.fromisoformat(at).timestamp() for at in lives), default=0.0),
    )


def read_told(path: Path) -> list[Told]:
    """What the client was told, oldest first; a line torn by a kill is left out."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text("utf-8").rpartition("\n")
    return [Told(**json.loads(line)) for line in whole.splitlines()]


class Client:
    """Says what it is ordered to, once each over all lives, and writes down what it was answered."""

    def __init__(self, desk: Desk, told: Path) -> None:
        self._desk, self._path = desk, told
        self._known = {told.label: told for told in read_told(told)}

    def say(self, order: Order) -> None:
        """Say one thing, under its idempotency key, unless it was answered in an earlier life."""
        if order.label in self._known or (order.about and order.about not in self._known):
            return
        answer = say_once(self._desk, CLIENT, self._command(order))
        told = note(order, answer)
        self._known[order.label] = told
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(told)) + "\n")

    def _command(self, order: Order) -> Command:
        kind = Kind(order.kind)
        wrong = self._known[order.corrects].number if order.corrects else None
        return Command(
            kind=kind,
            incident=self._known[order.about].incident if order.about else None,
            number=wrong,
            texts={"": f"Läge {order.label}."},
            area=() if order.about else ("norra-ekbyn",),
            severity=None if order.corrects else Severity(order.severity),
            once=Once(
                token_id=CLIENT.token_id,
                method="POST",
                path="/orders",
                key=order.label,
                body_digest=order.label,
            ),
        )


# ---------------------------------------------------------------------------------------------------- one life
@dataclass(frozen=True, slots=True)
class Life:
    """What a child is to do: see `Lives.live`."""

    config: str
    told: str
    final: str
    orders: tuple[Order, ...]
    seconds: float
    point: str
    count: int
    to_the_end: bool

    @classmethod
    def parse(cls, line: str) -> Life:
        row = json.loads(line)
        return cls(**row | {"orders": tuple(Order(**order) for order in row["orders"])})


async def _live(life: Life) -> None:
    loaded, built = starting.configure(Path(life.config))
    store = starting.open_store(loaded.settings)
    desk = Desk(store=store, clock=starting.now, configuration=built)
    around = Surroundings(store, starting.now, "n1", lambda *_, **__: None)
    engine = Engine(around, loaded.settings.mode, 1, follow_up.acts(desk))
    await engine.start(built.adapters, built.digest)
    client = Client(desk, Path(life.told))
    for order in life.orders:
        try:
            await asyncio.to_thread(client.say, order)
        except (Refused, StoreError) as error:
            print(f"{order.label}: {error}", flush=True)  # noqa: T201 - the child's log
        await asyncio.sleep(0.01)
    if not life.to_the_end:
        await asyncio.Event().wait()  # until it is killed
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def look() -> None:
        if _all_final(desk, Path(life.final)):
            loop.call_soon_threadsafe(over.set)

    while not over.is_set():
        await asyncio.to_thread(look)
        await asyncio.wait([asyncio.create_task(over.wait())], timeout=0.1)


def _all_final(desk: Desk, path: Path) -> bool:
    """Whether nothing is left to do; then what the client can see of it is written down."""
    incidents = status.listing(desk, CLIENT, only_open=False, limit=500, cursor="")["items"]
    rows = [
        row | {"incident": found["incident"]}
        for found in incidents
        for row in status.all_deliveries(desk, CLIENT, found["incident"], "en")["items"]
    ]
    over = FINAL | {State.UNCERTAIN}
    if any(row["state"] not in over for row in rows):
        return False
    path.write_text(json.dumps(rows), "utf-8")
    return True


def _child(life: Life) -> None:
    """Run one life in a fresh fork, and never return."""
    code = 1
    try:
        Lane.chance = staticmethod(lambda: 0.05)  # type: ignore[method-assign]  # retries come soon
        if life.point:
            install(life.point, life.count)
        asyncio.run(_live(life))
        code = 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must see a child that failed
        print(f"a life failed: {error!r}", flush=True)  # noqa: T201 - the child's log
    finally:
        os._exit(code)


def _reap(pid: int, seconds: float) -> str:
    """Wait for a child, kill it when its time is up, and say how it ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, how = os.waitpid(pid, os.WNOHANG)
        if done:
            if os.WIFSIGNALED(how):
                return "killed at its point"
            return "ended" if os.WEXITSTATUS(how) == 0 else "failed"
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "killed by the clock"


def main() -> None:
    """Fork a life for each line of JSON on standard input; answer with a line that says how it ended."""
    for line in sys.stdin:
        life = Life.parse(line)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
            _child(life)
        print(_reap(pid, life.seconds), flush=True)  # noqa: T201 - the answer to who started us


class Lives:
    """The lives of one broadcaster over one store, one after another.

    ``log`` is where the children write; ``told`` what the client was answered.
    """

    def __init__(self, folder: Path, document: Mapping[str, Any]) -> None:
        self._config, self._final = folder / "broadcaster.yaml", folder / "final.json"
        self._config.write_text(json.dumps(document), "utf-8")
        self.told_path, self.log = folder / "told.jsonl", folder / "lives.log"
        self.endings: list[str] = []
        self._parent: subprocess.Popen[str]

    def __enter__(self) -> Self:
        with self.log.open("a") as log:
            self._parent = subprocess.Popen(
                [sys.executable, "-m", "broadcaster.testing.crashing"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._parent.communicate(timeout=30)

    @property
    def kills(self) -> int:
        """How many lives were killed so far."""
        return sum(ending.startswith("killed") for ending in self.endings)

    def live(
        self,
        orders: Sequence[Order],
        *,
        seconds: float,
        point: str = "",
        count: int = 1,
        to_the_end: bool = False,
    ) -> str:
        """Live once: say what was not answered yet, and carry it out until killed.

        Args:
            seconds: after which it is killed, wherever it is.
            point: where it dies before that, the ``count``-th time it comes by.
            to_the_end: whether it ends by itself when everything is final.
        """
        life = Life(
            str(self._config),
            str(self.told_path),
            str(self._final),
            tuple(orders),
            seconds,
            point,
            count,
            to_the_end,
        )
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(asdict(life)) + "\n")
        self._parent.stdin.flush()
        self.endings.append(self._parent.stdout.readline().strip())
        return self.endings[-1]

    def told(self) -> list[Told]:
        """What the client was told."""
        return read_told(self.told_path)

    def final(self) -> list[dict[str, Any]]:
        """How every delivery stood when all was over, as the client could see it."""
        rows: list[dict[str, Any]] = json.loads(self._final.read_text("utf-8"))
        return rows


if __name__ == "__main__":
    main()
