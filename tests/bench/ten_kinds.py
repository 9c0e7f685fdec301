"""The same ten targets of five kinds by Apprise and by us: Mastodon, ntfy, a webhook, a broker and a mail server."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from broadcaster.store import Store
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.mosquitto import PASSWORD, USER, MosquittoServer
from broadcaster.testing.peers import PEERS
from broadcaster.testing.postfix import PostfixServer
from broadcaster.testing.servers import MastodonServer, NtfyServer
from broadcaster.testing.tls import Authority
from tests.bench.ground import Ground
from tests.bench.machine import OURS, p50, p99, pinned, until
from tests.bench.sinks import Sink
from tests.bench.subject import LETTERS, Subject, webhook
from tests.bench.table import Row

EACH = 2  # of a kind
OUT = {"accepted", "confirmed"}
READER = "elsa@ekbyn.example"


class Targets:
    """Two far ends of each of five kinds: `channels` for us, `urls` for Apprise."""

    def __init__(self, inside: ExitStack, folder: Path) -> None:
        postfix = inside.enter_context(PostfixServer(Authority(folder).certificate()))
        broker = inside.enter_context(MosquittoServer())
        sink = inside.enter_context(Sink())
        self.channels: dict[str, dict[str, Any]] = {}
        self.urls: list[str] = []
        port = postfix.ports["plain"]
        for number in range(EACH):
            social = inside.enter_context(MastodonServer())
            push = inside.enter_context(NtfyServer())
            self._add(
                f"social{number}",
                {"kind": "mastodon", "url": social.url, "token": "token"},
                f"mastodon://token@127.0.0.1:{social.port}",
            )
            self._add(
                f"push{number}",
                {"kind": "ntfy", "url": push.url, "token": "tk_token", "prefix": "ekbyn"},
                f"ntfy://tk_token@127.0.0.1:{push.port}/ekbyn?auth=token",
            )
            self._add(
                f"hook{number}",
                webhook(f"{sink.url}/in{number}"),
                f"json://{sink.url.removeprefix('http://')}/in{number}",
            )
            self._add(
                f"signs{number}",
                {"kind": "mqtt", "url": broker.url, "prefix": f"ekbyn/n{number}"}
                | {"username": USER, "password": PASSWORD},
                f"mqtt://{USER}:{PASSWORD}@127.0.0.1:{broker.port}/ekbyn/n{number}/{LETTERS}?qos=1",
            )
            supplier = {"host": "127.0.0.1", "port": port, "tls": "none"}
            self._add(
                f"mail{number}",
                {"kind": "email", "sender": "kris@ekbyn.example", "suppliers": [supplier]},
                f"mailto://127.0.0.1:{port}?from=kris@ekbyn.example&to={READER}&mode=insecure",
            )

    def _add(self, name: str, block: dict[str, Any], url: str) -> None:
        self.channels[name] = block
        self.urls.append(url)


def run(ground: Ground, python: Path) -> Iterator[Row]:
    """From the command until each of the ten has answered. Ours is durable before, and says what became of each."""
    missing = [name for name in ("mosquitto", "postfix") if PEERS[name].missing()]
    if missing:
        ground.say(f"no ten kinds: {', '.join(missing)} are missing (make peers)")
        return
    rounds = ground.size.posts
    with tempfile.TemporaryDirectory() as folder, ExitStack() as inside:
        targets = Targets(inside, Path(folder))
        ground.say(f"Apprise: {rounds} times ten targets of five kinds")
        theirs = _apprise(python, targets, rounds)
        ground.say(f"ours: {rounds} reports to the same")
        ours = _ours(targets, rounds)
    group = "ten targets of five kinds"
    for who, values in (
        ("Apprise, notify() returns", theirs),
        ("ours, request to the tenth", ours),
    ):
        yield Row(
            group=group, what=who, value=p50(values), unit="ms", note=f"p99 {p99(values):.1f} ms"
        )
    yield Row(
        group=group, what="ours against Apprise", value=p50(ours), unit="ms", of=p50(theirs),
        limit="Apprise", note="without its own pauses between calls, which are up to 5.5 s",
    )  # fmt: skip


def _apprise(python: Path, targets: Targets, rounds: int) -> list[float]:
    script = str(Path(__file__).with_name("apprise_urls.py"))
    said = subprocess.run(
        pinned([str(python), script, str(rounds)], OURS),
        input="\n".join(targets.urls),
        check=True,
        capture_output=True,
        text=True,
    )
    return [float(line) for line in said.stdout.split()]


def _ours(targets: Targets, rounds: int) -> list[float]:
    def place(folder: Path) -> str:
        store = Store(url := f"sqlite:///{folder}/broadcaster.db", KEY)
        for number in range(EACH):
            subscribe(store, f"mail{number}", [READER], [LETTERS])
        store.close()
        return url

    took = []
    with Subject(targets.channels, place=place) as subject:
        client = subject.client()

        def rows(incident: str) -> list[dict[str, Any]]:
            return list(client.ask("GET", f"/incidents/{incident}/deliveries")[1]["items"])

        for number in range(rounds + 1):
            said = client.report(LETTERS)
            until(
                lambda name=said.incident: all(row["state"] in OUT for row in rows(name)),  # type: ignore[misc] # bound now
                "ten targets",
                60,
                every=0.05,
            )
            last = max(datetime.fromisoformat(row["accepted_at"]) for row in rows(said.incident))
            first = datetime.fromisoformat(
                client.ask("GET", f"/incidents/{said.incident}")[1]["accepted_at"]
            )
            if number:
                took.append(said.took + (last - first).total_seconds() * 1000)
            time.sleep(0.05)
    return took
