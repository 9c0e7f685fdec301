"""The daemon that is measured: `serve` on a core of its own, its configuration, and a client that costs little."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from broadcaster.store import Store
from broadcaster.testing.builders import KEY
from broadcaster.testing.daemons import token
from broadcaster.testing.ports import free_ports
from broadcaster.testing.rig import configuration
from broadcaster.testing.servers import WEBHOOK_SECRET
from tests.bench.machine import OURS, cpu_seconds, family, peak_mib, pinned, pss_mib, until

AREAS = {f"area-{number}": {"name": f"Område {number}"} for number in range(40)}
LETTERS = "norra-ekbyn"
"""The area whose subscribers get letters."""


def webhook(url: str) -> dict[str, Any]:
    """A post channel to a far end."""
    return {"kind": "webhook", "url": url, "secret": WEBHOOK_SECRET}


def sms(url: str, window: int = 64) -> dict[str, Any]:
    """A letter channel to a gateway that takes JSON."""
    body = {"to": "{to}", "text": "{text}", "ref": "{key}"}
    supplier = {"name": "g1", "preset": "generic", "url": url, "json": body, "window": window}
    return {"kind": "sms_http", "suppliers": [supplier]}


@dataclass(frozen=True, slots=True)
class Said:
    """One report: the key by which a far end knows it, the incident, and the monotonic seconds before and after."""

    key: str
    incident: str
    begun: float
    ended: float

    @property
    def took(self) -> float:
        """Milliseconds until it was answered."""
        return (self.ended - self.begun) * 1000


class Client:
    """Speaks HTTP over one connection that is kept. One thread at a time."""

    _numbers = itertools.count(1)

    def __init__(self, port: int, secret: str) -> None:
        self._port, self._secret = port, secret
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Any = None, *, api: bool = True) -> tuple[int, Any]:
        """One request; gives the status and the JSON that came. Raises OSError."""
        headers = {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"}
        written = json.dumps(body).encode() if body is not None else None
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
            self._connection.request(method, f"/api/v1{path}" if api else path, written, headers)
            answer = self._connection.getresponse()
            raw = answer.read()
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise ConnectionError(str(error)) from error
        return answer.status, json.loads(raw) if raw[:1] in {b"{", b"["} else raw

    def close(self) -> None:
        """End the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def report(self, area: str = "", severity: str = "minor") -> Said:
        """Report something new about one of forty areas, or about `area`."""
        number = next(self._numbers)
        body: dict[str, Any] = {"text": f"Nr {number}. Strömmen är borta.", "severity": severity}
        body["area"] = [area or f"area-{number % len(AREAS)}"]
        begun = time.monotonic()
        status, answer = self.ask("POST", "/incidents", body)
        ended = time.monotonic()
        if status != 201:
            raise RuntimeError(f"{status} {answer}")
        return Said(str(number), answer["incident"], begun, ended)

    def letters(self, incident: str) -> dict[str, Any]:
        """The counts of the incident's letters."""
        _, answer = self.ask("GET", f"/incidents/{incident}/deliveries")
        return dict(next(row["counts"] for row in answer["items"] if row["channel"] == "sms"))


class Subject:
    """One daemon, pinned to our core while it runs, stopped and started again as often as wanted.

    Args:
        channels: their blocks by name. Posts and boards carry every report, `sms`, of whatever kind, only what is
            about norra-ekbyn.
        place: makes the database in the daemon's folder and gives its URL; without it SQLite, empty.
        public: whether the public server runs, too.
        cores: None lets it run on all.
        further: other keys of the configuration.
    """

    def __init__(
        self,
        channels: Mapping[str, Mapping[str, Any]],
        *,
        place: Callable[[Path], str] | None = None,
        public: bool = False,
        cores: set[int] | None = OURS,
        **further: Any,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bench-"))
        self._cores = cores
        self.url = place(self.folder) if place else f"sqlite:///{self.folder}/broadcaster.db"
        api, page = free_ports(2)
        self.port, self.page = api, f"http://127.0.0.1:{page}"
        posts = [name for name in channels if name != "sms"]
        routes: list[dict[str, Any]] = []
        if posts:
            routes.append({"severity": "minor", "channels": posts})
        if "sms" in channels:
            routes.append({"severity": "severe", "areas": [LETTERS], "channels": ["sms"]})
        document = configuration(self.folder, channels, url=self.url, routes=routes) | further
        document["areas"] = document["areas"] | AREAS
        document["api"] = {"listen": f"127.0.0.1:{api}"}
        listen = f"127.0.0.1:{page}" if public else "none"
        document["public"] = document["public"] | {"url": self.page, "listen": listen}
        document["log"] = {"level": "warning"}
        self.config, self.commits = self.folder / "broadcaster.yaml", self.folder / "commits"
        self.public = self.folder / "public"
        self.config.write_text(json.dumps(document), "utf-8")
        (self.folder / "var").mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self._token = ""

    # ------------------------------------------------------------------------------------------------------- its life
    def store(self) -> Store:
        """The store, while the daemon does not run; close it."""
        return Store(self.url, KEY)

    def start(self, seconds: float = 600.0) -> float:
        """Start it; gives the seconds from the beginning until it was ready."""
        if not self._token:
            store = self.store()
            self._token = token(store)
            store.close()
        command = [sys.executable, "-m", "tests.bench.serving", str(self.config), str(self.commits)]
        begun = time.monotonic()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                pinned(command, self._cores) if self._cores else command, stdout=log, stderr=log
            )
        until(self._ready, "the daemon", seconds, every=0.01)
        return time.monotonic() - begun

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError((self.folder / "log").read_text()[-3000:])
        try:
            return self.client().ask("GET", "/readyz", api=False)[0] == 200
        except OSError:
            return False

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.remove()

    def remove(self) -> None:
        """Delete its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---------------------------------------------------------------------------------------------------- what it uses
    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def cpu(self) -> float:
        """Seconds of CPU used until now, by the public server, too."""
        return cpu_seconds(self.pid)

    def public_pid(self) -> int:
        """The public server's process."""
        return family(self.pid)[1]

    @property
    def peak(self) -> float:
        """The most MiB that were ever resident."""
        return peak_mib(self.pid)

    @property
    def pss(self) -> float:
        """MiB of daemon and public server together."""
        return pss_mib(self.pid)

    # ------------------------------------------------------------------------------------------------- who speaks to it
    def client(self) -> Client:
        """Another client, with a connection of its own."""
        return Client(self.port, self._token)

    def commit_of(self, said: Iterable[Said]) -> dict[str, float]:
        """Monotonic seconds of the commit of each report, by its key: the last before it was answered."""
        commits = [float(line) for line in self.commits.read_text().split()]
        return {each.key: commits[bisect_right(commits, each.ended) - 1] for each in said}
