"""Real far ends: every kind of channel end to end, and letters by SMPP, HTTP and e-mail against what their far ends can take."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from broadcaster.store import Store
from broadcaster.testing import kannel
from broadcaster.testing.builders import KEY
from broadcaster.testing.kannel import KannelServer
from broadcaster.testing.peers import PEERS
from broadcaster.testing.postfix import PostfixServer
from broadcaster.testing.smsc import Smsc
from broadcaster.testing.storm import Storm
from broadcaster.testing.tls import Authority
from tests.bench import people
from tests.bench.ground import SQLITE, Ground
from tests.bench.group_bulk import Blast, send
from tests.bench.machine import OURS, THEIRS, p50, pinned
from tests.bench.sinks import wrk
from tests.bench.subject import Subject
from tests.bench.table import Row

WINDOW = 10
"""Texts under way at once, and connections to the mail server: of ours and of whatever measures the far end's own limit."""
SLOWEST = "modem"  # a phone takes a second for a text, whoever hands it over
_PUSH = Path(__file__).parents[1] / "peers" / "smpp-push.js"
_PEERS = ("gammu", "kannel", "mosquitto", "postfix", "smpp")


@contextmanager
def _on_their_core() -> Iterator[None]:
    """Whatever is started meanwhile runs on the far end's core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, THEIRS)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run(ground: Ground) -> Iterator[Row]:
    """Nothing where a far end is missing: this measures real ones."""
    missing = [name for name in _PEERS if PEERS[name].missing()]
    if missing:
        ground.say(f"no real far ends, no figures: {', '.join(missing)} are missing (make peers)")
        return
    yield from _end_to_end(ground)
    most = max(200, ground.size.letters // 10)
    for kind, count, measure in (
        ("SMPP", most, _smpp),
        ("HTTP, Kannel", most, _kannel),
        ("e-mail, Postfix", max(100, most // 10), _email),
    ):
        rates, limits = [], []
        for number in range(ground.size.rounds):
            ground.say(f"letters by {kind}: round {number + 1} of {ground.size.rounds}")
            rate, limit = measure(ground, count)
            rates.append(rate)
            limits.append(limit)
        yield Row(
            group="real far ends", what=f"{count:,} letters by {kind}", value=p50(rates), unit="/s",
            of=p50(limits), limit="the far end's own limit", more=True,
        )  # fmt: skip


def _end_to_end(ground: Ground) -> Iterator[Row]:
    count = max(5, ground.size.posts // 3)
    ground.say(f"{count} words on every kind of channel")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Storm(Path(folder), 1) as storm:
        for number in range(count + 1):
            storm.say(f"w{number}", "update" if number else "report")
            storm.out(f"w{number}")
        storm.settled()
        took = [
            {name: _took(row, said.at) for name, row in said.ends.items()}
            for said in list(storm.said.values())[1:]
        ]
    most = p50([max(each.values()) for each in took])
    others = p50([max(ms for name, ms in each.items() if name != SLOWEST) for each in took])
    each_alone = {name: p50([one[name] for one in took]) for name in took[0]}
    yield Row(
        group="real far ends", what="accepted by us to accepted by every channel but a phone p50", value=others, unit="ms",
        note=", ".join(f"{name} {ms:.0f}" for name, ms in sorted(each_alone.items(), key=lambda x: x[1])),
    )  # fmt: skip
    yield Row(
        group="real far ends", what="and by a phone in a drawer p50", value=most, unit="ms",
        note="gammu-smsd looks into its folder once a second",
    )  # fmt: skip


def _took(row: dict[str, Any], said: datetime) -> float:
    return (datetime.fromisoformat(row["accepted_at"]) - said).total_seconds() * 1000


def _letters(
    ground: Ground,
    block: dict[str, Any],
    count: int,
    address: Callable[[int], str] = people.number,
) -> float:
    """Letters a second of one daemon that does nothing else."""

    def place(folder: Path) -> str:
        store = Store(url := ground.empty(SQLITE, folder), KEY)
        people.subscribe(store, count, address=address)
        store.close()
        return url

    blast = Blast(count)
    with Subject({"sms": block}, place=place) as subject:
        send(subject, blast)
    return blast.rate


def _smpp(ground: Ground, count: int) -> tuple[float, float]:
    with _on_their_core():
        centre = Smsc().start()
    try:
        node = shutil.which("node") or "node"
        command = pinned([node, str(_PUSH), str(centre.port), str(count), str(WINDOW)], OURS)
        said = subprocess.run(
            command, cwd=_PUSH.parent, capture_output=True, text=True, check=True, timeout=300
        )
        supplier = {"name": "smsc", "host": "127.0.0.1", "port": centre.port, "sender": "Ekbyn"}
        supplier |= {"system_id": "ekbyn", "password": "hemligt1", "window": WINDOW}
        rate = _letters(ground, {"kind": "smpp", "suppliers": [supplier]}, count)
    finally:
        centre.stop()
    return rate, float(said.stdout)


def _kannel(ground: Ground, count: int) -> tuple[float, float]:
    with _on_their_core():
        gateway = KannelServer().__enter__()
    try:
        who = f"username={kannel.USER}&password={kannel.PASSWORD}"
        url = f"{gateway.url}/cgi-bin/sendsms?{who}&to=%2B46701740605&text=Nr+1.+Str%C3%B6mmen+%C3%A4r+borta.&charset=UTF-8"
        limit = wrk(url, seconds=ground.size.seconds, connections=WINDOW).rate
        supplier: dict[str, Any] = {
            "name": "g1",
            "preset": "kannel",
            "url": gateway.url,
            "sender": "Ekbyn",
        }
        supplier |= {"username": kannel.USER, "password": kannel.PASSWORD, "window": WINDOW}
        rate = _letters(ground, {"kind": "sms_http", "suppliers": [supplier]}, count)
    finally:
        gateway.__exit__()
    return rate, limit


def _email(ground: Ground, count: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        with _on_their_core():
            postfix = PostfixServer(Authority(Path(folder)).certificate()).__enter__()
        try:
            port = postfix.ports["plain"]
            source = str(Path(PEERS["postfix"].path("postfix")).with_name("smtp-source"))
            sizes = ["-m", str(count), "-s", str(WINDOW), "-l", "3000"]
            whom = ["-f", "kris@ekbyn.example", "-t", "elsa@ekbyn.example", f"127.0.0.1:{port}"]
            begun = time.monotonic()
            subprocess.run(pinned([source, "-d", *sizes, *whom], OURS), check=True, timeout=300)
            limit = count / (time.monotonic() - begun)
            supplier = {"host": "127.0.0.1", "port": port, "tls": "none", "connections": WINDOW}
            block = {"kind": "email", "sender": "kris@ekbyn.example", "suppliers": [supplier]}
            rate = _letters(ground, block, count, "elsa{}@ekbyn.example".format)
        finally:
            postfix.__exit__()
    return rate, limit
