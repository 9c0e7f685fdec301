"""The wall clock jumps, stands wrong or stood still for months: nothing goes out early, twice, stale or not at all.

A whole daemon under libfaketime, whose monotonic clock goes on as it is.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import Any

import pytest
import requests

from broadcaster.store import Store
from broadcaster.testing.blank import blank
from broadcaster.testing.builders import KEY
from broadcaster.testing.clock import FakedTime
from broadcaster.testing.daemons import Client, Daemon, token, wait_until, whole
from broadcaster.testing.ports import free_port
from broadcaster.testing.rig import configuration, webhook
from broadcaster.testing.servers import WebhookReceiver, hang, unavailable

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.real("faketime"),
]
SOAK = bool(os.environ.get("SOAK"))
ROUNDS = 20 if SOAK else 1
SOON = timedelta(seconds=8)


@dataclass
class Town:
    """One daemon whose clock is moved, what residents and staff get, and an operator's client."""

    folder: Path
    clock: FakedTime
    client: Client
    residents: WebhookReceiver
    staff: WebhookReceiver
    public: str
    daemon: Daemon | None = None

    def begin(self) -> None:
        config, log = self.folder / "broadcaster.yaml", self.folder / "daemon.log"
        self.daemon = whole(config, log, self.clock.environment)
        wait_until(self.client.answers, self.tail)

    def end(self) -> None:
        assert self.daemon is not None
        assert self.daemon.end(SIGTERM)[0] == 0, self.tail()

    def clear(self) -> None:
        """End what runs, also the public server that a killed daemon left behind."""
        if self.daemon is not None and self.daemon.alive:
            self.daemon.end(SIGTERM)
        for pid in left_over(self.folder / "public"):
            os.kill(pid, SIGKILL)

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

    def page(self, path: str = "") -> str:
        """A public file, as residents get it."""
        answer = requests.get(f"{self.public}/{path}", timeout=10)
        return answer.text if answer.ok else ""

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"{self.client.root}/readyz", timeout=10).json()
        return found

    def posts(self) -> int:
        return sum(request.method == "POST" for request in self.residents.requests)

    def tried_since(self, before: int, incident: str) -> bool:
        """On a machine so slow that its time was over first, it was not tried, and that is right too."""
        return self.posts() > before or self.state(incident) == "expired"

    def until_told(self, words: str) -> None:
        """Staff are told so, once."""
        wait_until(lambda: words in str(self.staff.texts("webhook")), self.tail)
        assert sum(words in text for text in self.staff.texts("webhook")) == 1

    def state(self, incident: str, channel: str = "hook") -> str:
        rows = self.client.ask("GET", f"/incidents/{incident}/deliveries").json()["items"]
        return next(str(row["state"]) for row in rows if row["channel"] == channel)

    def until_state(self, state: str, incident: str, channel: str = "hook") -> None:
        wait_until(
            lambda: self.state(incident, channel) == state,
            lambda: f"{incident} is {self.state(incident, channel)}\n{self.tail()}",
        )


def left_over(directory: Path) -> list[int]:
    """Public servers of this directory that still run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if str(directory) in (folder / "cmdline").read_bytes().decode(errors="replace"):
                found.append(int(folder.name))
    return found


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    blank(tmp_path / "broadcaster.db")
    with WebhookReceiver() as residents, WebhookReceiver() as staff, ExitStack() as stack:
        channels = {
            "hook": webhook(residents),
            "page": {"kind": "page"},
            "feed": {"kind": "feed"},
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
        made = Town(tmp_path, FakedTime(tmp_path), client, residents, staff, f"http://{page}")
        residents.clock = staff.clock = made.clock
        stack.callback(made.clear)
        yield made


def test_a_clock_set_back_does_not_stop_the_housekeeping(town: Town) -> None:
    town.begin()
    town.client.ask("POST", "/channels/hook/pause")
    town.clock.jump(hours=-1)
    said = town.say("Strömmen är borta.", until=SOON, next=SOON)
    town.until_state("expired", said["incident"])
    wait_until(lambda: "clock" in {row["what"] for row in town.health()["degraded"]}, town.tail)
    town.until_told("klocka ställdes tillbaka 1h 0m")


@pytest.mark.parametrize("hours", [-24, -1, 1] if SOAK else [-1], ids=str)
def test_what_waits_for_another_try_gets_it_whatever_the_clock_does(town: Town, hours: int) -> None:
    """The first word is under way when the clock jumps, the second waits for its turn."""
    town.begin()
    town.residents.next(hang(), method="POST")
    first = town.say("Strömmen är borta.", until=timedelta(hours=10))
    town.residents.wait_for(lambda far: town.posts() == 1)
    waiting = town.say(
        "Läge 2.",
        f"/incidents/{first['incident']}/updates",
        kind="update",
        until=timedelta(hours=10),
    )
    town.clock.jump(hours=hours)
    town.residents.release()
    wait_until(lambda: len(town.residents.texts("webhook")) >= 1, town.tail)
    other = town.say("Vattnet är borta.", until=timedelta(hours=10))
    town.until_state("accepted", other["incident"])
    wait_until(lambda: "Läge 2." in str(town.residents.texts("webhook")), town.tail)
    assert waiting["update"] == 2
    texts = town.residents.texts("webhook")
    assert len(texts) == len(set(texts))


def test_a_daemon_off_for_nine_months_sends_nothing_stale_and_its_page_says_what_is_old(
    town: Town,
) -> None:
    town.begin()
    town.client.ask("POST", "/channels/hook/pause")
    stale = [town.say(f"Läge {number}.")["incident"] for number in range(4)]
    later = town.say("Vattnet stängs.", at=timedelta(minutes=30), next=timedelta(hours=1))
    wait_until(lambda: "Läge 3." in town.page(), town.tail)
    town.end()
    town.clock.jump(days=270)
    town.begin()
    town.client.ask("POST", "/channels/hook/resume")
    for incident in stale:
        town.until_state("expired", incident)
    town.until_state("withdrawn", later["incident"])
    assert town.posts() == 0
    assert "Beskedet vi lovade har inte kommit" in town.page()
    assert "Vattnet stängs" not in town.page()
    town.until_told(f"{later['incident']}-1 SKICKADES INTE")
    town.until_told(f"{stale[0]}: beskedet")
    audit = town.client.ask("GET", "/audit").json()["items"]
    assert "promise broken" in {row["act"] for row in audit}


def test_the_page_stands_for_a_day_without_daemon_and_database_and_says_that_it_is_overdue(
    town: Town,
) -> None:
    town.begin()
    town.say("Strömmen är borta.")
    wait_until(lambda: "Strömmen är borta." in town.page(), town.tail)
    assert "har inte kommit" not in town.page()
    assert town.daemon is not None
    town.daemon.end(SIGKILL)
    for path in town.folder.glob("broadcaster.db*"):
        path.unlink()
    town.clock.jump(hours=24)
    wait_until(lambda: "Beskedet vi lovade har inte kommit" in town.page(), town.tail)
    for feed in ("feed.rss", "feed.atom", "feed.json"):
        assert "Strömmen är borta." in town.page(feed)


def test_a_process_that_stood_still_past_the_end_of_a_word_never_sends_it(town: Town) -> None:
    """Stopped in the midst of trying again and again: what its far end would take afterwards is too late."""
    town.begin()
    for number in range(ROUNDS):
        town.residents.always(unavailable(), method="POST")
        before = town.posts()
        words = [town.say(f"Läge i{number}u{which}.", until=SOON) for which in range(2)]
        wait_until(partial(town.tried_since, before, words[0]["incident"]), town.tail)
        assert town.daemon is not None
        town.daemon.signal(SIGSTOP)
        time.sleep(SOON.total_seconds() + 0.5)  # only time itself can pass by a process
        town.residents.heal()
        town.daemon.signal(SIGCONT)
        for word in words:
            town.until_state("expired", word["incident"])
    assert town.residents.texts("webhook") == []
