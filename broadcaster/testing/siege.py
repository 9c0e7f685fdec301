"""Traffic over a `Site`: operators who go on speaking, letters and posts that go out, while machines are hurt. Then judged.

::

    with Siege(site, folder) as siege:
        siege.under_way()
        siege.strike(lambda: siege.nodes["n1"].kill())
        siege.end()
        assert siege.judge() == []
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from broadcaster.domain.delivery import FINAL, State
from broadcaster.domain.incident import Revision
from broadcaster.engine.blast import AHEAD
from broadcaster.store import Store
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.cluster import Node, Operators, Site
from broadcaster.testing.crashing import Order
from broadcaster.testing.daemons import token, wait_until
from broadcaster.testing.history import Arrived, Told, arrivals, judge
from broadcaster.testing.rig import configuration, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import MastodonServer, SmsGateway, WebhookReceiver, late

READERS = 600
WINDOW = 8
EVERY = 0.3  # seconds between two things that are said
OVER = FINAL | {State.UNCERTAIN}


class Siege:
    """A database of its own, a daemon on each machine of the site, far ends, and operators who speak until `end`."""

    def __init__(self, site: Site, folder: Path, url: str = "") -> None:
        self.site, self._folder = site, folder
        self.database = site.db.fresh()
        self._url = (url or site.url("{}")).format(self.database)
        self._over = threading.Event()
        self._trouble: list[BaseException] = []
        self._talking: list[threading.Thread] = []

    def __enter__(self) -> Self:
        store = Store(self.site.db.local_url(self.database), KEY)
        secret = token(store)
        subscribe(store, "sms", numbers(READERS))
        store.close()
        self.clients = [
            Operators(self.site.net, self._order(first), secret) for first in self.site.nodes
        ]
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._far_ends())
            self.nodes: dict[str, Node] = stack.enter_context(
                self.site.running(self._folder, self._document())
            )
            stack.callback(self._silence)
            for number, client in enumerate(self.clients):
                talk = threading.Thread(target=self._talk, args=(client, number), name="operators")
                self._talking.append(talk)
                talk.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def _far_ends(self) -> Iterator[None]:
        address = self.site.net.address["far"]
        self.social = MastodonServer(host=address)
        self.hook = WebhookReceiver(host=address)
        # One for each machine: what comes to it was sent by that machine.
        self.gateways = {
            name: SmsGateway(preset="kannel", host=address, port=port)
            for name, port in self.site.gateways.items()
        }
        with contextlib.ExitStack() as stack:
            for far in (self.social, self.hook, *self.gateways.values()):
                with self.site.net.inside("far"):
                    stack.enter_context(far)
            for gateway in self.gateways.values():
                gateway.always(late(0.02))
            yield

    def _document(self) -> dict[str, Any]:
        channels = {
            "social": mastodon(self.social),
            "hook": webhook(self.hook),
            "sms": sms(next(iter(self.gateways.values()))),
            "page": {"kind": "page"},
            "feed": {"kind": "feed"},
        }
        mine = f"http://{self.site.net.address['far']}:${{GATEWAY}}/cgi-bin/sendsms"
        channels["sms"]["suppliers"][0] |= {"window": WINDOW, "url": mine}
        routes = [
            {"severity": "minor", "channels": ["social", "hook", "page", "feed"]},
            {"severity": "severe", "channels": ["sms"]},
        ]
        allowed = [self.site.net.address["far"]]
        return configuration(
            self._folder, channels, url=self._url, routes=routes, allowed_hosts=allowed
        )

    # ------------------------------------------------------------------------------------------------ what is said
    def _order(self, first: str) -> list[str]:
        """The machines in the order in which an operator goes to them."""
        return [first, *(name for name in self.site.nodes if name != first)]

    def _talk(self, client: Operators, number: int) -> None:
        try:
            for order in _orders(number, len(self.clients)):
                if self._over.wait(EVERY * len(self.clients)):
                    return
                began = time.monotonic()
                if not client.say(order, self._over):
                    return
                client.slowest = max(client.slowest, time.monotonic() - began)
        except BaseException as error:  # noqa: BLE001 - it is told to whoever ends the siege
            self._trouble.append(error)

    def _silence(self) -> None:
        self._over.set()
        for talk in self._talking:
            talk.join()

    @property
    def client(self) -> Operators:
        """The operator whose first machine nothing is done to."""
        return self.clients[-1]

    @property
    def told(self) -> list[Told]:
        """What all of them were told, oldest first."""
        return sorted((one for each in self.clients for one in each.told), key=lambda one: one.at)

    def deliveries(self) -> list[dict[str, Any]]:
        """Every delivery of what was said, as the client sees it."""
        names = dict.fromkeys(told.incident for told in self.told)
        return [row | {"incident": name} for name in names for row in self.client.of(name)]

    def under_way(self) -> None:
        """Wait until posts and letters are going out."""
        wait_until(lambda: len(self.letters()) >= READERS // 4, self._state)
        self.social.wait_for(lambda far: len(far.texts("status")) >= 2)

    def strike(self, how: Callable[[], object], at: str = "") -> None:
        """Do it while letters are under way; at a machine, while it sends some."""
        gateway = self.gateways[at or self.site.nodes[0]]
        before = len(gateway.effects)
        gateway.wait_for(lambda far: len(far.effects) >= before + WINDOW)
        how()

    def next_post(self) -> float:
        """Wait until another post has come; how many seconds that took."""
        began, before = time.monotonic(), len(self.social.effects)
        self.social.wait_for(lambda far: len(far.effects) > before)
        return time.monotonic() - began

    def end(self, seconds: float = 90.0) -> float:
        """Say no more, and wait until everything is through and every machine shows the newest; how long that took."""
        self._silence()
        if self._trouble:
            raise self._trouble[0]
        began = time.monotonic()
        wait_until(self._settled, self._state, seconds)
        newest = self._newest()
        wait_until(lambda: self._shown(newest), lambda: f"{newest}: {self._state()}", seconds)
        return time.monotonic() - began

    def _newest(self) -> Revision:
        """One more word; the revision that it is."""
        said = {"text": "Läge i0u1.", "area": ["sodra-ekbyn"], "severity": "minor"}
        found: list[str] = []

        def ask() -> bool:
            with contextlib.suppress(OSError):
                answer = self.client.ask(
                    "POST", "/incidents", json=said, headers={"Idempotency-Key": "newest"}
                )
                if answer.status_code == 201:
                    found.append(answer.json()["revision"])
            return bool(found)

        wait_until(ask, self._state)
        return Revision.parse(found[0])

    def _settled(self) -> bool:
        time.sleep(0.3)  # each look asks for every incident
        with contextlib.suppress(OSError, AssertionError):
            rows = self.deliveries()
            return all(row["state"] in OVER for row in rows)
        return False

    def _shown(self, newest: Revision) -> bool:
        shown = [node.shows() for node in self.nodes.values() if not node.ended]
        return all(at is not None and at >= newest for at in shown)

    def _state(self) -> str:
        shown = {name: str(node.shows()) for name, node in self.nodes.items()}
        open_rows: list[Any] = []
        with contextlib.suppress(OSError, AssertionError):
            open_rows = [row for row in self.deliveries() if row["state"] not in OVER]
        tails = "\n".join(node.tail() for node in self.nodes.values())
        return f"open {open_rows}, shown {shown}\n{tails}\n{self.site.db.log()}"

    # ---------------------------------------------------------------------------------------------------- judged
    def posts(self) -> list[Arrived]:
        """What came to Mastodon and to the webhook."""
        return [
            *arrivals(list(self.social.effects), "status", "social"),
            *arrivals(list(self.hook.effects), "webhook", "hook"),
        ]

    def letters(self) -> list[Arrived]:
        """What came to the phones."""
        return [one for name in self.gateways for one in self._sent_by(name)]

    def _sent_by(self, machine: str) -> list[Arrived]:
        return arrivals(list(self.gateways[machine].effects), "sms", "sms")

    def stale(self, machine: str, since: float) -> int:
        """How many letters a machine sent after `since`, in epoch seconds, that another had sent or sends too."""
        others = {
            (one.label, one.to)
            for name in self.gateways
            if name != machine
            for one in self._sent_by(name)
        }
        mine = (one for one in self._sent_by(machine) if one.at > since)
        return sum((one.label, one.to) in others for one in mine)

    def judge(self, strikes: int = 1) -> list[str]:
        """What is wrong: nothing lost, in order; posts never twice, letters at most what was in flight when struck.

        One job is sent at a time by each machine, and no more of it than stands below its watermark.
        """
        told = self.told
        carried = {label: by for each in self.clients for label, by in each.carried.items()}
        by_letter = [one for one in told if "sms" in carried[one.label]]
        labels = {(one.incident, one.number): one.label for one in told}
        flagged = {
            labels[row["incident"], row["update"]]: row["counts"]["uncertain"]
            for row in self.deliveries()
            if row["channel"] == "sms"
        }
        ordered = [f"i{number}u{each}" for number in range(2 * len(told) + 9) for each in (1, 2)]
        problems = judge(told, self.posts(), ordered=ordered, channels=("social", "hook"))
        problems += judge(
            by_letter,
            self.letters(),
            readers=numbers(READERS),
            flagged=flagged,
            in_flight=AHEAD * strikes,
            ordered=ordered,
        )
        return [str(problem) for problem in problems]

    def in_doubt(self) -> int:
        """How many letters the client was told to be uncertain about."""
        counts = (row["counts"] for row in self.deliveries() if row["channel"] == "sms")
        return sum(count["uncertain"] for count in counts)

    def twice(self) -> int:
        """How many letters came once too often."""
        came = [(one.label, one.to) for one in self.letters()]
        return len(came) - len(set(came))

    def slowest(self) -> float:
        """Seconds from an answer to the arrival of its post, at worst."""
        first: dict[str, float] = {}
        for one in self.posts():
            first.setdefault(one.label, one.at)
        return max(first[one.label] - one.at for one in self.told)


def _orders(start: int, step: int) -> Iterator[Order]:
    """Incidents of two words, the second milder, so that none supersedes another; every fifth goes to phones too."""
    for number in itertools.count(1 + start, step):
        severity = {1: "extreme", 6: "severe"}.get(number % 10, "moderate")
        first = f"i{number}u1"
        yield Order(first, "report", severity)
        yield Order(f"i{number}u2", "update", "minor", first)
