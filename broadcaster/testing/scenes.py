"""A whole daemon whose database and page are on a disk that a test may take away, with far ends that keep count.

::

with Disk(tmp_path / "disk") as disk, Scene(tmp_path, disk.folder) as scene:
    daemon = scene.begin()
    scene.client.say(Order("i1u1", "report", "severe"))
    ...
    assert scene.judge() == []
"""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from broadcaster.store import Store
from broadcaster.testing.blank import blank
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.crashing import Order
from broadcaster.testing.daemons import PATIENCE, Client, Daemon, Nursery, token, wait_until
from broadcaster.testing.history import Problem, arrivals, judge
from broadcaster.testing.ports import free_port
from broadcaster.testing.rig import configuration, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import MastodonServer, SmsGateway, WebhookReceiver

OVER = {"accepted", "confirmed", "withdrawn", "superseded", "uncertain", "failed", "expired"}


class Scene:
    """Far ends, a configuration and a daemon; `duty` is a channel that staff reads, `social`, `hook`, `sms` the public.

    Args:
        folder: for the configuration and the log.
        disk: for the database, the page and whatever else the daemon writes.
        url: the store's, where it is not SQLite on that disk.
        readers: how many subscribe to `sms`.
        module: the program that forks the daemons, as `python -m` takes it; `environment` is added to its own.
        more: further keys of the configuration.
    """

    def __init__(
        self,
        folder: Path,
        disk: Path,
        *,
        url: str = "",
        readers: int = 40,
        module: str = "broadcaster.testing.daemons",
        environment: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        self.config, self.log, self.disk = folder / "broadcaster.yaml", folder / "daemon.log", disk
        self.readers = numbers(readers)
        self.asked, self.crashes = list[str](), list[float]()
        self._unanswered = list[Order]()
        self.social, self.hook, self.duty = MastodonServer(), WebhookReceiver(), WebhookReceiver()
        self.phones = SmsGateway(preset="kannel")
        self._nursery = Nursery(self.log, (module,), environment)
        self._more, self._url = more, url or f"sqlite:///{disk}/broadcaster.db"
        self._inside = contextlib.ExitStack()

    def __enter__(self) -> Self:
        for each in (self.social, self.hook, self.duty, self.phones, self._nursery):
            self._inside.enter_context(each)
        document = configuration(self.disk, self._channels(), url=self._url) | {
            "api": {"listen": f"127.0.0.1:{free_port()}"},
            "audit_head": str(self.disk / "audit-head"),
            "erasures": str(self.disk / "erasures"),
            **self._more,
        }
        self.config.write_text(json.dumps(document), "utf-8")
        if self._url.startswith("sqlite"):
            blank(self.disk / "broadcaster.db")
        store = Store(self._url, KEY)
        self.client = Client(document["api"]["listen"], token(store))
        subscribe(store, "sms", self.readers)
        store.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for far in (self.social, self.hook, self.duty, self.phones):
            far.heal()
            far.release()
        self._inside.__exit__(kind, error, trace)

    def _channels(self) -> Mapping[str, Mapping[str, Any]]:
        return {
            "page": {"kind": "page"},
            "social": mastodon(self.social),
            "hook": webhook(self.hook),
            "sms": sms(self.phones),
            "duty": webhook(self.duty, audience="staff"),
        }

    # --------------------------------------------------------------------------------------------------- running
    def begin(self, *, ready: bool = True) -> Daemon:
        """Start a daemon; when it is `ready`, its API answers."""
        daemon = self._nursery.begin(self.config)
        if ready:
            wait_until(self.client.answers, self.tail)
        return daemon

    def tail(self) -> str:
        """The end of the daemons' log, where that is a file."""
        if not self.log.is_file():
            return "there is no log to read"
        return self.log.read_text("utf-8", "replace")[-6000:]

    def degraded(self) -> set[str]:
        """What is degraded now, as whoever watches the machine is told."""
        shown = requests.get(f"{self.client.root}/readyz", timeout=20).json()
        return {row["what"] for row in shown["degraded"]}

    def seen(self, what: str, seconds: float = 60.0) -> float:
        """Wait until something degraded is in health, metric and log; seconds that it took. Raises TimeoutError."""
        began = time.monotonic()
        wait_until(lambda: what in self.degraded(), self.tail, seconds)
        metrics = requests.get(f"{self.client.root}/metrics", timeout=20).text
        assert f'broadcaster_degraded{{what="{what}"' in metrics
        if self.log.is_file():
            logged = [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]
            assert what in [line.get("what") for line in logged if line["event"] == "degraded"]
        return time.monotonic() - began

    def settled(self) -> bool:
        """Whether nothing is left to do."""
        return all(row["state"] in OVER for row in self._deliveries())

    def _deliveries(self) -> list[dict[str, Any]]:
        """Every delivery of what the client was told and the store still knows: a restore may have taken some away."""
        found = []
        for name in dict.fromkeys(told.incident for told in self.client.told):
            answer = self.client.ask("GET", f"/incidents/{name}/deliveries")
            if answer.status_code != 404:
                found += [row | {"incident": name} for row in answer.json()["items"]]
        return found

    def end(self, daemon: Daemon, seconds: float = PATIENCE) -> int:
        """Let everything be carried out, then stop the daemon; its exit code."""
        wait_until(self.settled, self.tail, 120.0)
        self.final = self._deliveries()
        return daemon.end(signal.SIGTERM, seconds)[0]

    @contextlib.contextmanager
    def speaking(self, *speakers: Iterable[Order]) -> Iterator[None]:
        """While entered these are said, each again until it is answered, whatever becomes of the daemon.

        Each speaker says his own, and knows only what he was told himself.
        """
        over = threading.Event()

        def speak(orders: Iterable[Order]) -> None:
            for order in orders:
                self.asked.append(order.label)
                if over.is_set() or not self.client.say(order, over):
                    self._unanswered.append(order)
                    return

        threads = [threading.Thread(target=speak, args=(orders,)) for orders in speakers]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def hear_the_rest(self) -> None:
        """Ask again, under the same keys, for what `speaking` got no answer to: it may have been accepted all the same."""
        while self._unanswered:
            self.client.say(self._unanswered.pop())

    # --------------------------------------------------------------------------------------------------- judging
    def judge(self, in_flight: int = 0) -> list[Problem]:
        """What the history breaks, after `end`; a letter may come twice where it was in flight at a crash.

        Only letters that life depends on are ever repeated; posts never.
        """
        told = self.client.told
        flagged = {
            one.label: row["counts"]["uncertain"]
            for one in told
            for row in self.final
            if (row["incident"], row["update"], row["channel"]) == (one.incident, one.number, "sms")
        }
        posts = arrivals(list(self.social.effects), "status", "social") + arrivals(
            list(self.hook.effects), "webhook", "hook"
        )
        letters = arrivals(list(self.phones.effects), "sms", "sms")
        return judge(told, posts, ordered=self.asked, channels=("social", "hook")) + judge(
            told,
            letters,
            ordered=self.asked,
            readers=self.readers,
            flagged=flagged,
            in_flight=in_flight,
            crashes=self.crashes if in_flight else None,
        )

    def crashed(self) -> None:
        """Note that the daemon is about to be taken away."""
        self.crashes.append(time.time())
