"""The operators' API and the inbound listener of one daemon on real sockets, over a real store, without its engine."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from prometheus_client import CollectorRegistry

from broadcaster.api import create_app
from broadcaster.api.serving import Listener
from broadcaster.channel import Probe
from broadcaster.daemon import starting
from broadcaster.domain.role import Role
from broadcaster.httpclient import Certificate
from broadcaster.inbound import create_inbound_app
from broadcaster.service.desk import Desk
from broadcaster.service.readiness import Seen
from broadcaster.store import Rank, tokens
from broadcaster.testing.blank import blank
from broadcaster.testing.clock import Clock

CONFIGURATION = """
mode: demo
organisation:
  {name: Ekbyns Energi, country: SE, languages: [sv, en], timezone: Europe/Stockholm}
public: {url: "http://127.0.0.1:8080", directory: public, listen: none}
inbound: {listen: "127.0.0.1:8090", url: "http://127.0.0.1:8090"}
store: {url: "sqlite:///broadcaster.db", key: "ZGVtbyBvbmx5OiBldmVyeWJvZHkga25vd3MgdGhpcy4="}
erasures: keep/erasures
audit_head: keep/audit-head
areas:
  norra-ekbyn: {name: Norra Ekbyn, scb: "0139"}
  sodra-ekbyn: {name: Södra Ekbyn}
channels:
  page: {kind: page}
  hook: {kind: webhook, url: "http://127.0.0.1:1/hook", secret: whsec_ZGVtbyBvbmx5OiBldmVyeWJvZHkga25vd3MgdGhpcy4=}
  spare: {kind: webhook, url: "http://127.0.0.1:1/spare", secret: whsec_ZGVtbyBvbmx5OiBldmVyeWJvZHkga25vd3MgdGhpcy4=}
  sms:
    kind: sms_http
    suppliers:
      - {preset: kannel, url: "http://127.0.0.1:1/sendsms", username: demo, password: demo-demo, price: 0.50, currency: SEK}
routes:
  - {severity: minor, channels: [page, hook, sms]}
follow_up: {next: 45m, remind: 10m, grace: 5m}
"""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.content)

    @property
    def detail(self) -> str:
        """The sentence of a problem document."""
        return str(self.json["detail"])


class Daemonless:
    """A desk with both of its listeners, running while it is entered; `probes` is what channels answer when asked."""

    def __init__(self, directory: Path, configuration: str = CONFIGURATION) -> None:
        path = directory / "broadcaster.yaml"
        path.write_text(configuration, encoding="utf-8")
        (directory / "keep").mkdir(exist_ok=True)
        loaded, configured = starting.configure(path)
        self.clock = Clock()
        database = directory / "broadcaster.db"
        database.unlink(missing_ok=True)
        blank(database, starting.store_key(loaded.settings))
        self.store = starting.open_store(loaded.settings)
        self.desk = Desk(store=self.store, clock=self.clock, configuration=configured)
        self.probes: dict[str, Probe] = {}
        self.ready = True
        self.degraded: list[dict[str, str]] = []
        self.resting: dict[str, datetime] = {}
        self.failures: dict[str, str] = {}
        self.certificates: dict[str, Certificate] = {}
        self.app = create_app(self.desk, self, CollectorRegistry())
        self.api = Listener(self.app, "127.0.0.1", 0)
        self.inbound = Listener(create_inbound_app(self.desk), "127.0.0.1", 0)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="listeners")

    async def probe(self, channel: str) -> Probe | None:
        """As the daemon's."""
        return self.probes.get(channel)

    def health(self) -> dict[str, Any]:
        """As the daemon's."""
        return {"ready": self.ready, "degraded": self.degraded}

    def tries(self) -> dict[str, datetime]:
        """As the daemon's."""
        return self.resting

    def failing(self) -> dict[str, str]:
        """As the daemon's."""
        return self.failures

    def seen(self) -> Seen:
        """As the daemon's."""
        return Seen(self.degraded, self.certificates)

    def __enter__(self) -> Self:
        self._thread.start()
        for listener in (self.api, self.inbound):
            asyncio.run_coroutine_threadsafe(listener.start(), self._loop).result(10)
        self.admin = self.token()
        return self

    def __exit__(self, *_: object) -> None:
        stopping = [
            asyncio.run_coroutine_threadsafe(listener.stop(), self._loop)
            for listener in (self.api, self.inbound)
        ]
        for stopped in stopping:
            stopped.result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.store.close()

    def token(self, role: Role = Role.ADMIN, areas: tuple[str, ...] = (), name: str = "Eva") -> str:
        """A new token's secret."""
        now = self.clock()
        secret, _ = self.store.write(
            lambda connection: tokens.issue(connection, now, name, role, areas, None, "test"),
            Rank.ACCEPT,
        ).result()
        return secret

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        port: int | None = None,
        **headers: str,
    ) -> Reply:
        """One request to the operators' API; a body that is no bytes is sent as JSON; `if_match` becomes If-Match."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        bearer = self.admin if token is None else token
        if bearer:
            named.setdefault("Authorization", f"Bearer {bearer}")
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if content is not None:
            named.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", port or self.api.port, timeout=30)
        try:
            connection.request(method, path, content, named)
            response = connection.getresponse()
            lower = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, lower, response.read())
        finally:
            connection.close()
