"""The wall clock jumps, stands wrong or stood still for months: nothing goes out early, twice, stale or not at all.

A whole daemon under libfaketime, whose monotonic clock goes on as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytest

from broadcaster.store import Store
from broadcaster.testing.blank import blank
from broadcaster.testing.builders import KEY
from broadcaster.testing.clock import FakedTime
from broadcaster.testing.daemons import Client, Daemon, token, wait_until, whole
from broadcaster.testing.peers import free_port
from broadcaster.testing.rig import configuration, webhook
from broadcaster.testing.servers import WebhookReceiver

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.real("faketime"),
]
SOON = timedelta(seconds=3)


@dataclass
class Town:
    """One daemon whose clock is moved, what residents and staff get, and an operator's client."""

    folder: Path
    clock: FakedTime
    client: Client
    residents: WebhookReceiver
    staff: WebhookReceiver
    daemon: Daemon | None = None

    def begin(self) -> None:
        config, log = self.folder / "broadcaster.yaml", self.folder / "daemon.log"
        self.daemon = whole(config, log, self.clock.environment)
        wait_until(self.client.answers, self.tail)

    def end(self) -> None:
        assert self.daemon is not None
        assert self.daemon.end(SIGTERM)[0] == 0, self.tail()

    def tail(self) -> str:
        return (self.folder / "daemon.log").read_text("utf-8", "replace")[-4000:]

    def say(self, text: str, path: str = "/incidents", **body: Any) -> dict[str, Any]:
        """An order with `area` and `severity` of its own; times may be given as spans from now."""
        times = {
            name: (self.clock() + value).isoformat()
            for name, value in body.items()
            if isinstance(value, timedelta)
        }
        order = {"text": text, "area": ["norra-ekbyn"], "severity": "severe"} | body | times
        answer = self.client.ask("POST", path, json=order)
        assert answer.status_code == 201, answer.text
        said: dict[str, Any] = answer.json()
        return said

    def state(self, incident: str, channel: str = "hook") -> str:
        rows = self.client.ask("GET", f"/incidents/{incident}/deliveries").json()["items"]
        return next(str(row["state"]) for row in rows if row["channel"] == channel)

    def until_state(self, state: str, incident: str, channel: str = "hook") -> None:
        wait_until(
            lambda: self.state(incident, channel) == state,
            lambda: f"{incident} is {self.state(incident, channel)}\n{self.tail()}",
        )


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    blank(tmp_path / "broadcaster.db")
    with WebhookReceiver() as residents, WebhookReceiver() as staff, ExitStack() as stack:
        channels = {
            "hook": webhook(residents),
            "page": {"kind": "page"},
            "duty": webhook(staff, audience="staff"),
        }
        listen = f"127.0.0.1:{free_port()}"
        document = configuration(tmp_path, channels) | {
            "api": {"listen": listen},
            "audit_head": str(tmp_path / "audit-head"),
        }
        page = f"127.0.0.1:{free_port()}"
        document["public"] |= {"url": f"http://{page}", "listen": page}
        (tmp_path / "broadcaster.yaml").write_text(json.dumps(document), "utf-8")
        store = Store(document["store"]["url"], KEY)
        client = Client(listen, token(store))
        store.close()
        made = Town(tmp_path, FakedTime(tmp_path), client, residents, staff)
        residents.clock = staff.clock = made.clock
        stack.callback(lambda: made.daemon and made.daemon.end(SIGTERM))
        yield made


def test_a_clock_set_back_does_not_stop_the_housekeeping(town: Town) -> None:
    town.begin()
    town.client.ask("POST", "/channels/hook/pause")
    town.clock.jump(hours=-1)
    said = town.say("Strömmen är borta.", until=SOON, next=SOON)
    town.until_state("expired", said["incident"])
