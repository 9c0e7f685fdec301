"""Crashes on purpose: a process that runs store, service and engine, and dies where or when it is told to.

One parent process imports everything once and forks a child for each life, so that a life costs milliseconds. The
child is also the client: it says what it is ordered to and writes each answer down after it came, in a file that
survives it; it hands in delivery reports as the inbound listener does. Nothing in the product knows of this: crash
points are functions wrapped from outside. `broadcaster.testing.lives` is what a test speaks to.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

from sqlalchemy import Connection, select as sql_select

from broadcaster.channel import Attempt, BoardAdapter, InboundRequest, PostAdapter
from broadcaster.daemon import starting
from broadcaster.domain.delivery import FINAL, State
from broadcaster.domain.incident import Kind, Severity
from broadcaster.engine import blast
from broadcaster.engine.engine import Engine
from broadcaster.engine.lane import Lane, Surroundings
from broadcaster.service import follow_up, status
from broadcaster.service.commands import Command, Operator, Refused, Role
from broadcaster.service.desk import Configuration, Desk
from broadcaster.service.once_only import say_once
from broadcaster.settings import Loaded
from broadcaster.store import StoreError, deliveries, dues, expanding, inbox, tables as t
from broadcaster.store.intents import Once
from broadcaster.testing import boards, sabotage
from broadcaster.testing.crashpoints import install, replace
from broadcaster.testing.history import Told
from broadcaster.testing.notices import notice

CLIENT = Operator(name="client", role=Role.ADMIN, token_id=1)
AHEAD = 8
"""How far a watermark goes in these lives: small, so that a handful of letters has many of them."""
JOB = 10
"""How many people a job of letters is about: a word to a few dozen has several, one behind the other."""
FLUSH = 2
"""How many outcomes of letters are written down together."""
WINDOW = 4
"""How many letters a gateway is given at once."""
IN_FLIGHT = AHEAD + WINDOW + 2 * FLUSH
"""What a crash may leave in doubt: to the watermark, without an answer, and in a flush that runs or gathers."""
OVER = FINAL | {State.UNCERTAIN}
"""The states in which a delivery has no work left."""
PACE = 0.2
"""Seconds between two rounds of housekeeping, for the lives are short."""

PATIENCE = 4.0
"""Seconds that a client waits for a wrong word to go out before it puts it right."""


# ------------------------------------------------------------------------------------------------- what is said
@dataclass(frozen=True, slots=True)
class Order:
    """One thing the client shall say. ``about`` is the label of the incident's report, ``corrects`` that of the wrong one.

    The label stands in the text, so that far ends show what arrived. ``next_in`` promises the next word in so many
    seconds, ``at_in`` schedules this one. ``once_out`` waits until what it corrects has gone out everywhere, or a while.
    """

    label: str
    kind: str
    severity: str
    about: str = ""
    corrects: str = ""
    next_in: float = 0.0
    at_in: float = 0.0
    once_out: bool = False


def note(order: Order, answer: Mapping[str, Any], *, was_out: bool = False) -> Told:
    """What the client was told just now, of an answer as the API gives it; `was_out` as in `Told`."""
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
        was_out=was_out,
    )


def lines_of(path: Path) -> list[str]:
    """The whole lines of a file; one torn by a kill is left out."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text("utf-8").rpartition("\n")
    return whole.splitlines()


def read_told(path: Path) -> list[Told]:
    """What the client was told, oldest first."""
    return [Told(**json.loads(line)) for line in lines_of(path)]


class Client:
    """Says what it is ordered to, once each over all lives, and writes down what it was answered.

    ``stirred`` is set whenever something came of a delivery.
    """

    def __init__(self, desk: Desk, told: Path, handed: Path, stirred: Event) -> None:
        self._desk, self._path, self._handed_path = desk, told, handed
        self._stirred = stirred
        self._known = {told.label: told for told in read_told(told)}
        self._handed = set(lines_of(handed))

    def say(self, order: Order) -> None:
        """Say one thing, under its idempotency key, unless it was answered in an earlier life."""
        if order.label in self._known or (order.about and order.about not in self._known):
            return
        was_out = order.once_out and self._await_out(self._known[order.corrects])
        answer = say_once(self._desk, CLIENT, self._command(order))
        told = note(order, answer, was_out=was_out)
        self._known[order.label] = told
        _append(self._path, json.dumps(asdict(told)))

    def _await_out(self, wrong: Told) -> bool:
        """Whether the client saw every delivery of a word accepted; it waits until nothing of it is on its way."""
        until = time.monotonic() + PATIENCE
        while True:
            self._stirred.clear()
            rows = status.all_deliveries(self._desk, CLIENT, wrong.incident, "en")["items"]
            states = {row["state"] for row in rows if row["update"] == wrong.number}
            if not states & {State.WAITING, State.SENDING}:
                return states <= {State.ACCEPTED, State.CONFIRMED}
            if not self._stirred.wait(until - time.monotonic()):
                return False

    def hand_in(self, query: str) -> None:
        """Store a delivery report as the inbound listener does, unless it was answered for in an earlier life."""
        if query in self._handed:
            return
        now = starting.now()
        came = InboundRequest(
            method="GET", path="/in/sms", query=query, headers={}, body=b"", received_at=now
        )
        adapter: Any = self._desk.configuration.adapters["sms"]
        adapter.verify(came)
        self._desk.store.write(lambda connection: inbox.keep(connection, "sms", came)).result()
        self._handed.add(query)
        _append(self._handed_path, query)

    def _command(self, order: Order) -> Command:
        wrong = self._known[order.corrects].number if order.corrects else None
        now = starting.now()
        return Command(
            kind=Kind(order.kind),
            incident=self._known[order.about].incident if order.about else None,
            number=wrong,
            texts={"": f"Läge {order.label}."},
            area=() if order.about else ("norra-ekbyn",),
            severity=None if order.corrects else Severity(order.severity),
            next=now + timedelta(seconds=order.next_in) if order.next_in else None,
            at=now + timedelta(seconds=order.at_in) if order.at_in else None,
            once=Once(
                token_id=CLIENT.token_id,
                method="POST",
                path="/orders",
                key=order.label,
                body_digest=order.label,
            ),
        )


def _append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


# ---------------------------------------------------------------------------------------------------- one life
@dataclass(frozen=True, slots=True)
class Life:
    """What a child is to do: see `broadcaster.testing.lives.Lives.live`."""

    config: str
    told: str
    handed: str
    final: str
    orders: tuple[Order, ...]
    receipts: tuple[str, ...]
    seconds: float
    point: str
    count: int
    to_the_end: bool
    sabotage: str

    @classmethod
    def parse(cls, line: str) -> Life:
        """The life that one line of JSON asks for."""
        row = json.loads(line)
        orders = tuple(Order(**order) for order in row["orders"])
        return cls(**row | {"orders": orders, "receipts": tuple(row["receipts"])})


async def _live(life: Life, loaded: Loaded, built: Configuration) -> None:
    store = starting.open_store(loaded.settings)
    desk = Desk(store=store, clock=starting.now, configuration=built)
    stirred = Event()
    around = Surroundings(store, starting.now, "n1", lambda *_, **__: stirred.set())
    head = loaded.settings.audit_head
    engine = Engine(around, loaded.settings.mode, 1, follow_up.acts(desk), head)
    await engine.start(built.adapters, built.digest)
    client = Client(desk, Path(life.told), Path(life.handed), stirred)
    handing = asyncio.create_task(asyncio.to_thread(_hand_in, client, life.receipts))
    for order in life.orders:
        try:
            await asyncio.to_thread(client.say, order)
        except (Refused, StoreError) as error:
            print(f"{order.label}: {error}", flush=True)  # noqa: T201 - the child's log
    await handing
    if not life.to_the_end:
        await asyncio.Event().wait()  # until it is killed
    while not await asyncio.to_thread(_all_final, desk, Path(life.final)):  # noqa: ASYNC110 - it can only be looked at
        await asyncio.sleep(0.1)


def _hand_in(client: Client, receipts: tuple[str, ...]) -> None:
    for query in receipts:
        client.hand_in(query)


def _all_final(desk: Desk, path: Path) -> bool:
    """Whether nothing is left to do; then what the client can see of it is written down."""
    if desk.read(lambda connection: _has_work(connection, desk)):
        return False  # said without asking for every delivery of every incident, which takes long
    incidents, cursor = [], ""
    while True:
        page = status.listing(desk, CLIENT, only_open=False, limit=100, cursor=cursor)
        incidents += page["items"]
        cursor = page["next"]
        if not cursor:
            break
    rows = [
        row | {"incident": found["incident"]}
        for found in incidents
        for row in status.all_deliveries(desk, CLIENT, found["incident"], "en")["items"]
    ]
    if any(row["state"] not in OVER for row in rows):
        return False
    path.write_text(json.dumps(rows), "utf-8")
    return True


def _has_work(connection: Connection, desk: Desk) -> bool:
    """Whether something came in, goes out, or will be due within a few seconds."""
    going_out = sql_select(t.delivery.c.id).where(t.delivery.c.state.not_in(OVER)).limit(1)
    return (
        bool(inbox.waiting(connection, desk.clock()))
        or connection.scalar(going_out) is not None
        or _is_due(connection, desk.configuration)
    )


def _is_due(connection: Connection, built: Configuration) -> bool:
    """A post in doubt that is still to be looked for is due, too."""
    soon = datetime.now(UTC) + timedelta(seconds=30)
    posts = [name for name, one in built.adapters.items() if isinstance(one, PostAdapter)]
    times = [deliveries.next_due_at(connection, channel) for channel in posts]
    return any(at is not None and at < soon for at in (dues.next_due_at(connection), *times))


@cache
def _configured(config: str) -> tuple[Loaded, Configuration]:
    """Read and built once for all lives; each channel has told one power cut, which is what takes time in a first life."""
    document = json.loads(Path(config).read_text("utf-8"))
    attempt = Attempt(number=1, at=boards.NOW, not_after=boards.NOW, deadline=9.0)
    with tempfile.TemporaryDirectory() as folder:
        document["public"]["directory"] = f"{folder}/public"
        aside = Path(folder, "broadcaster.yaml")
        aside.write_text(json.dumps(document), "utf-8")
        for adapter in starting.configure(aside)[1].adapters.values():
            if isinstance(adapter, BoardAdapter):
                adapter.show(boards.board(boards.power_cut()), attempt)
            else:
                adapter.render(notice(), {})
    return starting.configure(Path(config))


def _hurry() -> None:
    """Housekeeping, retries and watermarks come soon."""

    def hurried(every: Any) -> Any:
        def soon(ticker: Any, name: str, seconds: float, work: Any) -> None:
            every(ticker, name, PACE if seconds < 5 else seconds, work)

        return soon

    replace("engine.ticking", "Ticker.every", hurried)
    vars(blast).update(AHEAD=AHEAD, FLUSH_ROWS=FLUSH)
    vars(expanding)["CHUNK"] = JOB
    Lane.chance = staticmethod(lambda: 0.05)  # type: ignore[method-assign]  # retries come soon


def _child(life: Life, loaded: Loaded, built: Configuration) -> None:
    """Run one life in a fresh fork, and never return."""
    code = 1
    try:
        if life.sabotage:
            sabotage.install(life.sabotage)
        if life.point:
            install(life.point, life.count)
        asyncio.run(_live(life, loaded, built))
        code = 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must see a child that failed
        print(f"a life failed: {error!r}", flush=True)  # noqa: T201 - the child's log
    finally:
        os._exit(code)


def _reap(pid: int, seconds: float) -> str:
    """Wait for a child, kill it when its time is up, and say how it ended."""
    watched = os.pidfd_open(pid)
    ended, _, _ = select.select([watched], [], [], seconds)
    os.close(watched)
    if not ended:
        os.kill(pid, signal.SIGKILL)
    _, how = os.waitpid(pid, 0)
    if not ended:
        return "killed by the clock"
    if os.WIFSIGNALED(how):
        return "killed at its point"
    return "ended" if os.WEXITSTATUS(how) == 0 else "failed"


def main() -> None:
    """Fork a life for each line of JSON on standard input; answer with a line that says when and how it ended."""
    _hurry()
    for line in sys.stdin:
        life = Life.parse(line)
        known = _configured(life.config)
        # What a child collects it writes to, and so it would copy every page of what it inherited.
        gc.freeze()
        sys.stdout.flush()
        began = time.time()
        pid = os.fork()
        if pid == 0:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
            _child(life, *known)
        how = _reap(pid, life.seconds)
        said = {"began": began, "ended": time.time(), "how": how}
        print(json.dumps(said), flush=True)  # noqa: T201 - the answer to who started us


if __name__ == "__main__":
    main()
