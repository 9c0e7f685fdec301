"""A running engine for tests: the real store, service and adapters, stand-in far ends, and a clock that can be moved.

The engine runs on a loop in a thread of its own, as in the daemon; the test speaks to it from outside and waits for
commits, never for time to pass.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, delete

from broadcaster.daemon import starting
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind, Severity
from broadcaster.engine.engine import Engine
from broadcaster.engine.lane import Lane, Surroundings
from broadcaster.registry import Adapter
from broadcaster.service import follow_up, readiness, status, texting
from broadcaster.service.commands import Command, Operator, Refused, Role
from broadcaster.service.desk import Configuration, Desk
from broadcaster.service.readiness import Seen
from broadcaster.service.saying import say
from broadcaster.store import Rank, Store, channels, dues, tables as t
from broadcaster.store.dues import Due
from broadcaster.store.writer import Work
from broadcaster.testing.blank import blank
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.servers import WEBHOOK_SECRET, FarEnd

T = TypeVar("T")
OPERATOR = Operator(name="Eva", role=Role.ADMIN)
ORGANISATION: Mapping[str, Any] = {
    "name": "Ekbyns Energi",
    "country": "SE",
    "languages": ["sv", "en"],
    "timezone": "Europe/Stockholm",
}
UNHEARD: dict[str, Any] = {
    "kind": "webhook",
    "url": "http://127.0.0.1:1/",
    "secret": WEBHOOK_SECRET,
}
"""The block of a channel to where nobody listens, for what is looked at in the store alone."""
PATIENCE = 45.0  # for a slow machine; what has a time of its own is measured by that


class MovingClock:
    """The wall clock plus what the test lets pass."""

    def __init__(self) -> None:
        self.shift = timedelta()
        self.jumping = threading.RLock()

    def __call__(self) -> datetime:
        with self.jumping:
            return datetime.now(UTC) + self.shift


class WatchedStore(Store):
    """A store that tells who waits of every write that ended."""

    def __init__(self, url: str, key: bytes) -> None:
        self.changed = threading.Condition()
        super().__init__(url, key)

    def write(self, work: Work[T], rank: Rank = Rank.OUTCOME) -> Future[T]:
        future = super().write(work, rank)
        future.add_done_callback(lambda _: self.notify())
        return future

    def notify(self) -> None:
        """Let everyone who waits look again."""
        with self.changed:
            self.changed.notify_all()


def configuration(
    folder: Path,
    channels: Mapping[str, Mapping[str, Any]],
    *,
    url: str = "",
    **further: Any,
) -> dict[str, Any]:
    """A configuration document with these channels, all of them on one route from severity minor on."""
    public = [name for name, block in channels.items() if block.get("audience") != "staff"]
    standby = {other for block in channels.values() for other in block.get("fallback", ())}
    document: dict[str, Any] = {
        "mode": "demo",
        "organisation": dict(ORGANISATION),
        "public": {
            "url": "http://127.0.0.1:9",
            "directory": str(folder / "public"),
            "listen": "none",
        },
        "api": {"listen": "127.0.0.1:9"},
        "store": {
            "url": url or f"sqlite:///{folder}/broadcaster.db",
            "key": base64.b64encode(KEY).decode(),
        },
        "areas": {
            "norra-ekbyn": {"name": "Norra Ekbyn"},
            "sodra-ekbyn": {"name": "Södra Ekbyn"},
        },
        "channels": dict(channels),
        "routes": [
            {"severity": "minor", "channels": [name for name in public if name not in standby]}
        ],
        "follow_up": {"next": "45m", "remind": "10m", "grace": "5m", "holding": True},
        "most_per_hour": 0,  # tests say in a minute what people say in a year
    }
    return document | further


class Rig:
    """One engine over one configuration: ``with Rig(tmp_path, {"hook": {...}}) as rig: rig.say("…")``.

    Args:
        channels: the channels' blocks by name.
        swap: adapters to take the place of configured ones, made from them.
        url: the store's URL; without it SQLite in ``folder``.
        further: other keys of the configuration.
    """

    def __init__(
        self,
        folder: Path,
        channels: Mapping[str, Mapping[str, Any]],
        *,
        swap: Mapping[str, Callable[[Adapter], Adapter]] | None = None,
        url: str = "",
        node: str = "n1",
        **further: Any,
    ) -> None:
        if not url:
            blank(folder / "broadcaster.db")
        self.path = folder / "broadcaster.yaml"
        document = configuration(folder, channels, url=url, **further)
        self.path.write_text(json.dumps(document), "utf-8")
        self.loaded, built = starting.configure(self.path)
        swapped = {name: make(built.adapters[name]) for name, make in (swap or {}).items()}
        self.adapters: dict[str, Any] = {**built.adapters, **swapped}
        self.clock = MovingClock()
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.may_stumble = False
        """Whether the test means an error of our own to happen; else `stop` raises when one did."""
        settings = self.loaded.settings
        self.store = WatchedStore(settings.store.url.get_secret_value(), KEY)
        self.desk = Desk(
            store=self.store,
            clock=self.clock,
            configuration=Configuration(settings, self.adapters, built.digest, built.broken),
        )
        around = Surroundings(
            self.store,
            self.clock,
            node,
            self._observe,
            most_per_hour=lambda: self.desk.configuration.settings.most_per_hour,
            following=self.desk,
        )
        self.seen = Seen()
        acts = {**follow_up.acts(self.desk), dues.DAILY: self._send_note}
        self.engine = Engine(around, settings.mode, 1, acts, None, texting.hearing(self.desk))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rig", daemon=True)
        self._running = self._closed = False

    # -- life -------------------------------------------------------------------------------
    def start(self) -> Self:
        """Start the engine."""
        self._thread.start()
        self._running = True
        configured = self.desk.configuration
        self.call(self.engine.start(configured.adapters, configured.digest))
        return self

    def stop(self) -> None:
        """Stop the engine in order and close the store; a second call does nothing.

        Raises AssertionError when the engine met an error of our own: it is logged, and nobody would see it.
        """
        if self._closed:
            return
        self._closed = True
        if self._running:
            self._running = False
            self.call(self.engine.stop())
            self.call(self._cancel_rest())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)
        if not self._loop.is_running():
            self._loop.close()
        self.store.close()
        stumbled = [channel for event, channel, _ in self.events if event == "stumbled"]
        assert self.may_stumble or not stumbled, f"see the log: these stumbled: {stumbled}"

    @staticmethod
    async def _cancel_rest() -> None:
        """As `asyncio.run` does at the daemon's end."""
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the engine's loop and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def lane(self, name: str) -> Lane:
        """The lane of a channel."""
        return self.engine.lanes[name]

    def _send_note(self, due: Due) -> str:
        return readiness.send_note(self.desk, due, self.seen)

    def _observe(self, event: str, channel: str, **facts: Any) -> None:
        self.events.append((event, channel, facts))

    # -- what a test does -------------------------------------------------------------------
    def say(
        self,
        text: str = "",
        kind: Kind = Kind.REPORT,
        incident: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Say something as an operator does; returns the answer. A report is about Norra Ekbyn and severe."""
        if kind is Kind.REPORT:
            fields = {"area": ("norra-ekbyn",), "severity": Severity.SEVERE} | fields
        elif incident is None:
            incident = "A1"
        texts = {"": text} if text else {}
        return say(
            self.desk, OPERATOR, Command(kind=kind, incident=incident, texts=texts, **fields)
        )

    def subscribe(self, channel: str, addresses: list[str], area: str = "norra-ekbyn") -> list[int]:
        """Make subscribers; returns their ids."""
        return subscribe(self.store, channel, addresses, [area])

    def pass_by(self, **spans: float) -> None:
        """Let time pass, and let the engine look. Nothing may be in flight whose lease would run out."""
        self.clock.shift += timedelta(**spans)
        self.wake()

    def clock_only(self, **spans: float) -> None:
        """Let time pass without a look of the engine."""
        self.clock.shift += timedelta(**spans)

    def until_noon(self) -> None:
        """Let time pass until ten past twelve where it is local: what is said next has one date, and one minute for fifty seconds."""
        local = self.clock().astimezone(self.desk.configuration.zone)
        noon = local.replace(hour=12, minute=10, second=5, microsecond=0)
        self.clock_only(seconds=(noon - local).total_seconds() % timedelta(days=1).total_seconds())

    def jump(self, **spans: float) -> None:
        """Set the wall clock while no time passes; the engine is told of it before anybody reads the new time."""
        by = timedelta(**spans)
        # As the daemon's clock does it: nobody reads the old time once what waits follows the new one.
        with self.clock.jumping:
            self.engine.clock_jumped(self.clock(), by)
            self.clock.shift += by

    def wake(self) -> None:
        """Let every lane and the claimer of due rows look now."""
        self._loop.call_soon_threadsafe(self.engine.wake)

    def sweep(self) -> None:
        """What the engine does every other second, now."""
        self.call(self.engine._sweep())  # noqa: SLF001 - a test need not wait two seconds for it
        self.wake()

    def note_out(self) -> None:
        """Write down which updates are out, as the engine does each second."""
        self.call(self.engine.note_out())

    def resume(self, channel: str) -> None:
        """Arm a parked channel again, as `channels resume` does."""
        now = self.clock()
        self.store.write(lambda c: channels.resume(c, channel, now, "Eva")).result()

    def pause(self, channel: str) -> None:
        """Let nothing of a channel be claimed, as `channels pause` does."""
        now = self.clock()
        self.store.write(lambda c: channels.pause(c, channel, now, "Eva")).result()

    def erase(self, subscriber_id: int) -> None:
        """Take a subscriber away."""

        def work(connection: Connection) -> None:
            mine = t.subscription.c.subscriber_id == subscriber_id
            connection.execute(delete(t.subscription).where(mine))
            connection.execute(delete(t.subscriber).where(t.subscriber.c.id == subscriber_id))

        self.store.write(work).result()

    # -- what a test sees -------------------------------------------------------------------
    def deliveries(self, incident: str = "A1") -> list[dict[str, Any]]:
        """Every delivery of an incident, oldest first; none while there is no such incident."""
        try:
            found = status.all_deliveries(self.desk, OPERATOR, incident, "en")
        except Refused:
            return []
        items: list[dict[str, Any]] = found["items"]
        return items

    def delivery(self, channel: str, number: int = 1, incident: str = "A1") -> dict[str, Any]:
        """The newest delivery of an update by a channel; ``{}`` when there is none."""
        mine = [
            row
            for row in self.deliveries(incident)
            if (row["channel"], row["update"]) == (channel, number)
        ]
        return mine[-1] if mine else {}

    def state(self, channel: str, number: int = 1, incident: str = "A1") -> str:
        """The state of that delivery, "" when there is none."""
        return str(self.delivery(channel, number, incident).get("state", ""))

    def reached(self, *states: State, channel: str, number: int = 1, incident: str = "A1") -> None:
        """Wait until a delivery is in one of these states."""
        self.until(
            lambda: self.state(channel, number, incident) in states,
            lambda: f"{channel} {incident}-{number} is {self.delivery(channel, number, incident)}",
        )

    def accepted(self, channel: str, number: int = 1, incident: str = "A1") -> None:
        """Wait until a delivery is accepted, or seen from outside."""
        self.reached(
            State.ACCEPTED, State.CONFIRMED, channel=channel, number=number, incident=incident
        )

    def until(
        self,
        met: Callable[[], object],
        or_say: Callable[[], str] = lambda: "not met",
        seconds: float = PATIENCE,
    ) -> None:
        """Wait until ``met()``; looked at again after every write. Raises TimeoutError."""
        with self.store.changed:
            if self.store.changed.wait_for(met, seconds):
                return
        raise TimeoutError(or_say())

    def is_parked(self, channel: str) -> bool:
        """Whether the far side refused the channel as a whole."""
        known = self.store.read(lambda c: channels.state(c, channel))
        return known.parked_at is not None


def webhook(far: FarEnd, **more: Any) -> dict[str, Any]:
    """The block of a webhook channel to a stand-in."""
    return {"kind": "webhook", "url": far.url + "/in", "secret": WEBHOOK_SECRET} | more


def mastodon(far: FarEnd, **more: Any) -> dict[str, Any]:
    """The block of a Mastodon channel to a stand-in."""
    return {"kind": "mastodon", "url": far.url, "token": "token"} | more


def x(far: FarEnd, **more: Any) -> dict[str, Any]:
    """The block of an X channel to a stand-in."""
    keys = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
    return {"kind": "x", "url": far.url, **dict.fromkeys(keys, "secret")} | more


def sms(*gateways: FarEnd, **more: Any) -> dict[str, Any]:
    """The block of an SMS channel whose suppliers are stand-ins that speak Kannel's dialect, first the preferred."""
    suppliers = [
        {
            "name": f"g{number}",
            "preset": "kannel",
            "url": f"{gateway.url}/cgi-bin/sendsms",
            "username": "u",
            "password": "p",
            "sender": "Ekbyn",
        }
        for number, gateway in enumerate(gateways, start=1)
    ]
    return {"kind": "sms_http", "suppliers": suppliers} | more


def numbers(count: int, start: int = 0) -> list[str]:
    """So many Swedish mobile numbers in E.164, all different."""
    return [f"+4670{1740600 + start + number:07d}" for number in range(count)]
