"""Ten channels of ten kinds and their far ends, which can be taken away and given back, and what each of them received.

::

    with Storm(folder) as storm:
        storm.say("w1", "report")
        storm.away("mastodon", "email")
        ...
        print(storm.table())
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from broadcaster.store import Store
from broadcaster.testing.blank import blank
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.daemons import Client, Nursery, token, wait_until
from broadcaster.testing.ports import free_ports
from broadcaster.testing.rig import configuration
from broadcaster.testing.storm_far_ends import BOARDS, FarEnds

LATE = timedelta(seconds=10)
"""Whatever takes longer than this from us to the far side came late."""
_WORD = re.compile(r"Läge (w[0-9]+)\.")
_OVER = {"accepted", "confirmed", "withdrawn", "superseded", "uncertain", "failed", "expired"}
_NEVER = {"failed", "expired", "uncertain"}


@dataclass(slots=True)
class Said:
    """One word: when it was accepted by us, its number, and what followed from it on each channel."""

    label: str
    number: int
    at: datetime
    away: frozenset[str]
    ends: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a channel, and to how many words each thing happened; of letters, how many letters."""

    channel: str
    peer: str
    words: int
    accepted: int
    confirmed: int
    replaced: int
    taken_back: int
    late: int
    late_while_well: int
    twice: int
    lost: int


class Storm:
    """A daemon with ten channels or more, its far ends, and an operator. `folder` is for all that they write."""

    def __init__(self, folder: Path, readers: int = 6) -> None:
        self._folder, self._readers = folder, readers
        self._inside = contextlib.ExitStack()
        self._away: set[str] = set()
        self.said: dict[str, Said] = {}
        self._incident = ""

    # ------------------------------------------------------------------------------------------------------ far ends
    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opening:
            self._inside = opening
            self.far = FarEnds(self._folder, self._readers, opening)
            self._start()
            self._inside = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._inside.__exit__(kind, error, trace)

    # ---------------------------------------------------------------------------------------------------- the daemon
    def _start(self) -> None:
        api, public, inbound = free_ports(3)
        self._public = f"http://127.0.0.1:{public}"
        document = configuration(self._folder, self.far.blocks) | {
            "api": {"listen": f"127.0.0.1:{api}"},
            "public": {
                "url": self._public,
                "directory": str(self._folder / "public"),
                "listen": f"127.0.0.1:{public}",
            },
            "inbound": {
                "listen": f"127.0.0.1:{inbound}",
                "url": f"http://127.0.0.1:{inbound}",
            },
            "allowed_hosts": [
                "drawer"
            ],  # a demo calls nothing else than this machine and what is named
            "audit_head": str(self._folder / "audit-head"),
            "erasures": str(self._folder / "erasures"),
        }
        document["organisation"] = document["organisation"] | {"languages": ["sv"]}
        self.config = self._folder / "broadcaster.yaml"
        self.config.write_text(json.dumps(document), "utf-8")
        blank(self._folder / "broadcaster.db")
        store = Store(document["store"]["url"], KEY)
        self.client = Client(document["api"]["listen"], token(store))
        for channel, addresses in self.far.addresses.items():
            subscribe(store, channel, addresses)
        store.close()
        self.log = self._folder / "daemon.log"
        nursery = self._inside.enter_context(Nursery(self.log))
        daemon = nursery.begin(self.config)
        self._inside.callback(daemon.end, signal.SIGTERM)
        wait_until(self.client.answers, self.tail)
        wait_until(self._serves, self.tail)

    def _serves(self) -> bool:
        try:
            return requests.get(self._public, timeout=5).ok
        except requests.ConnectionError:
            return False

    def tail(self) -> str:
        """The end of the daemon's log."""
        return self.log.read_text("utf-8", "replace")[-6000:]

    # ------------------------------------------------------------------------------------------------- what happens
    def away(self, *channels: str) -> None:
        """Take the far ends of these channels away; of a channel with two suppliers, the first supplier."""
        for channel in channels:
            self.far.sides[channel].away()
            self._away.add(channel)

    def back(self, *channels: str) -> None:
        """Give them back."""
        for channel in channels:
            self.far.sides[channel].back()
            self._away.discard(channel)

    def say(self, label: str, kind: str, *, about: str = "") -> Said:
        """Say a word of the one incident; `about` is the label of what it puts right."""
        body: dict[str, Any] = {"text": f"Läge {label}.", "severity": "severe"}
        path = "/incidents"
        if self._incident:
            path = f"/incidents/{self._incident}/updates"
            body |= {"kind": kind}
        else:
            body |= {"area": ["norra-ekbyn"]}
        if about:
            body = {"text": body["text"], "kind": kind, "corrects": self.said[about].number}
        answer = self.client.ask("POST", path, json=body)
        assert answer.status_code == 201, answer.text
        row = answer.json()
        self._incident = row["incident"]
        said = Said(
            label,
            row["update"],
            datetime.fromisoformat(row["accepted_at"]),
            frozenset(self._away),
        )
        self.said[label] = said
        return said

    def noticed(self, *channels: str, seconds: float = 60.0) -> float:
        """Wait until health says of each of these channels that it does not answer; seconds that it took."""

        def met() -> bool:
            shown = requests.get(f"{self.client.root}/readyz", timeout=20).json()["degraded"]
            return {row["where"] for row in shown if row["what"] == "resting"} >= {*channels}

        began = time.monotonic()
        wait_until(met, self.tail, seconds)
        return time.monotonic() - began

    def rows(self, label: str) -> dict[str, dict[str, Any]]:
        """What the daemon says of a word now, by channel."""
        answer = self.client.ask("GET", f"/incidents/{self._incident}/deliveries").json()
        number = self.said[label].number
        return {row["channel"]: row for row in answer["items"] if row["update"] == number}

    def out(self, label: str, *, without: Sequence[str] = (), seconds: float = 60.0) -> float:
        """Wait until a word is out by every channel but these; how many seconds ago it was said."""
        left: set[str] = set()

        def met() -> bool:
            nonlocal left
            found = self.rows(label)
            left = {
                name
                for name, row in found.items()
                if name not in without and row["state"] not in ("accepted", "confirmed")
            }
            return bool(found) and not left

        wait_until(met, lambda: f"{label} is not out by {sorted(left)}: {self.tail()}", seconds)
        last = max(self._accepted(row) for row in self.rows(label).values() if row["accepted_at"])
        return (last - self.said[label].at).total_seconds()

    def settled(self, seconds: float = 120.0) -> None:
        """Wait until nothing is left to do, and keep what came of each word."""

        def met() -> bool:
            for label, said in self.said.items():
                said.ends = self.rows(label)
            rows = [row for said in self.said.values() for row in said.ends.values()]
            return all(row["state"] in _OVER for row in rows)

        wait_until(met, self.tail, seconds)

    @staticmethod
    def _accepted(row: dict[str, Any]) -> datetime:
        return datetime.fromisoformat(row["accepted_at"])

    def shown(self, channel: str) -> str:
        """What a board shows to whoever asks for it now; of CAP, with the documents that its index names."""
        path = BOARDS[channel].format(incident=self._incident.lower())
        root = self.far.copy if channel == "copy" else self._public
        page = requests.get(root + path, timeout=10)
        text = page.content.decode()
        if channel == "cap":
            for url in sorted(set(re.findall(r'href="([^"]+\.xml)"', text))):
                text += requests.get(url, timeout=10).content.decode()
        return text

    # ---------------------------------------------------------------------------------------------------- the table
    def arrived(self, channel: str) -> Counter[tuple[str, str]]:
        """How often each reader of a channel received each word, as its far end counts."""
        return Counter(
            (word, reader)
            for reader, text in self.far.sides[channel].received()
            for word in dict.fromkeys(_WORD.findall(text))
        )

    def row(self, channel: str) -> Row:
        """What became of all words on one channel."""
        rows = {
            label: said.ends[channel] for label, said in self.said.items() if channel in said.ends
        }
        came = self.arrived(channel)
        out = {
            label: row for label, row in rows.items() if row["state"] in ("accepted", "confirmed")
        }
        late = {
            label for label, row in out.items() if self._accepted(row) - self.said[label].at > LATE
        }
        return Row(
            channel,
            self.far.sides[channel].peer,
            len(rows),
            sum(self._count(row, "accepted") for row in rows.values()),
            sum(self._count(row, "confirmed") for row in rows.values()),
            sum(row["state"] == "superseded" for row in rows.values()),
            sum(row["state"] == "withdrawn" for row in rows.values()),
            len(late),
            sum(channel not in self.said[label].away for label in late),
            sum(times - 1 for times in came.values()),
            sum(self._lost(channel, label, came) for label in out)
            + sum(row["state"] in _NEVER for row in rows.values()),
        )

    @staticmethod
    def _count(row: dict[str, Any], which: str) -> int:
        if row["counts"]:
            return int(row["counts"][which])
        return int(row["state"] == "confirmed" or (which == "accepted" and row["state"] == which))

    def _lost(self, channel: str, label: str, came: Counter[tuple[str, str]]) -> int:
        """How many readers never received what is said to be accepted; of a board `shown` has told already."""
        if channel in BOARDS:
            return 0
        readers = self.far.addresses.get(channel, [""])
        return sum(not _has(came, label, reader) for reader in readers)

    def result(self) -> list[Row]:
        """What became of all words, channel by channel."""
        return [self.row(channel) for channel in self.far.sides]

    def table(self) -> str:
        """All of it as a table in Markdown."""
        head = "| channel | far end | words | accepted | confirmed | replaced by a newer | taken back | late | twice | lost |"
        lines = [head, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
        lines += [
            f"| {row.channel} | {row.peer} | {row.words} | {row.accepted} | {row.confirmed} | {row.replaced} "
            f"| {row.taken_back} | {row.late} | {row.twice} | {row.lost} |"
            for row in self.result()
        ]
        return "\n".join(lines)


def _has(came: Counter[tuple[str, str]], label: str, reader: str) -> bool:
    """Some far ends write a number without its plus, or an address with its name."""
    return any(
        word == label and (not reader or reader.lstrip("+") in other) for word, other in came
    )
