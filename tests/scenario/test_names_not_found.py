"""The names of far ends are not found, found late or found wrong: true outcomes in time, and no other channel waits."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from signal import SIGHUP, SIGTERM
from typing import Any

import pytest

from broadcaster.channel import Attempt, Failure, Letter, Outcome, PostAdapter, Receipt, Scope
from broadcaster.testing.crashing import Order
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.notices import message
from broadcaster.testing.resolving import (
    FAILS,
    NO_SUCH_NAME,
    SILENCE,
    NameServer,
    Saying,
    addresses,
)
from broadcaster.testing.rig import Rig, mastodon, sms, webhook, x
from broadcaster.testing.scenes import Scene
from broadcaster.testing.servers import (
    BlueskyServer,
    FarEnd,
    MastodonServer,
    MatrixServer,
    NtfyServer,
    SmsGateway,
    WebhookReceiver,
    XServer,
)
from broadcaster.testing.servers.chats import Chats

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.real("mount namespace")]
DEADLINE = 2.0
SLACK = 6.0  # for a loaded machine; the system's resolver alone takes ten seconds over a name server that is silent
HERE, NOBODY = "127.0.0.1", "127.0.0.9"
# Of both the system gives DEAD first. It is none that connections come from: their ports could not be bound there.
RIGHT, DEAD = "127.0.0.3", "127.0.0.2"


@dataclass(frozen=True, slots=True)
class Case:
    """What is said of a name, and what comes of a call to it: with `then`, of another after that was said."""

    name: str
    says: Saying
    outcome: Outcome = Outcome.TRANSIENT
    then: Saying | None = None


CASES = (
    Case("no such name", NO_SUCH_NAME, then=addresses(RIGHT)),
    Case("fails", FAILS, then=addresses(RIGHT)),
    Case("silent", SILENCE),
    Case("no address", addresses()),
    Case("late", addresses(RIGHT, late=0.3), Outcome.ACCEPTED),
    Case("wrong, then right", addresses(NOBODY), then=addresses(RIGHT)),
    Case("the first of many is dead", addresses(DEAD, RIGHT), Outcome.ACCEPTED),
    Case("all are dead", addresses(DEAD)),
)


def ntfy(far: FarEnd) -> dict[str, Any]:
    return {"kind": "ntfy", "url": far.url, "prefix": "ekbyn", "token": "tk_token"}


def matrix(far: FarEnd) -> dict[str, Any]:
    return {"kind": "matrix", "url": far.url, "room": "!room:matrix.example", "token": "token"}


def bluesky(far: FarEnd) -> dict[str, Any]:
    return {"kind": "bluesky", "url": far.url, "account": "ekbyn.test", "password": "app-pass-word"}


def apprise(far: FarEnd) -> dict[str, Any]:
    return {"kind": "apprise", "url": f"{far.url.replace('http', 'json', 1)}/json"}


KINDS: dict[str, tuple[Callable[..., FarEnd], Callable[..., dict[str, Any]], str]] = {
    "webhook": (WebhookReceiver, webhook, "webhook"),
    "mastodon": (MastodonServer, mastodon, "status"),
    "x": (XServer, x, "tweet"),
    "sms": (partial(SmsGateway, preset="kannel"), sms, "sms"),
    "ntfy": (NtfyServer, ntfy, "message"),
    "matrix": (MatrixServer, matrix, "message"),
    "bluesky": (partial(BlueskyServer, password="app-pass-word"), bluesky, "post"),
    "apprise": (Chats, apprise, "json"),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """A channel of one kind, its far end, and the case that befalls the name of that."""

    kind: str
    case: Case
    far: FarEnd

    @property
    def channel(self) -> str:
        """The name of the channel."""
        return re.sub("[^a-z]+", "-", f"{self.kind} {self.case.name}")

    @property
    def host(self) -> str:
        """The name of the far end."""
        return f"{self.channel}.test"

    def block(self) -> dict[str, Any]:
        """The block of the channel."""
        _, block, _ = KINDS[self.kind]
        return called(block(self.far), self.host, RIGHT)

    def wrong(self, adapter: Any, names: NameServer) -> list[str]:
        """Everything it shows that ought not to be, as sentences."""
        with nobody_answers(self.far.port):
            wrong = list(untrue(adapter, self.case.outcome))
            arrived = len(self.far.texts(KINDS[self.kind][2]))
            if arrived != (self.case.outcome is Outcome.ACCEPTED):
                wrong.append(f"{arrived} arrived")
            if self.case.then is not None:
                names.says[self.host] = self.case.then
                wrong += untrue(adapter, Outcome.ACCEPTED)
        return [f"{self.channel}: {what}" for what in wrong]


def called(block: dict[str, Any], host: str, before: str) -> dict[str, Any]:
    """The block of a channel with its far end called by another name than before."""
    found: dict[str, Any] = json.loads(json.dumps(block).replace(f"//{before}:", f"//{host}:"))
    return found


@contextmanager
def nobody_answers(port: int) -> Iterator[None]:
    """At DEAD the queue of connections is full: nothing is refused, nothing comes up."""
    with socket.socket() as full, ExitStack() as held:
        full.bind((DEAD, port))
        full.listen(0)
        for _ in range(4):
            knock = held.enter_context(socket.socket())
            knock.setblocking(False)
            knock.connect_ex((DEAD, port))
        yield


def once(adapter: Any) -> Receipt | Failure:
    """What one try comes to."""
    now = datetime.now(UTC)
    attempt = Attempt(number=1, at=now, not_after=now + timedelta(hours=1), deadline=DEADLINE)
    try:
        if isinstance(adapter, PostAdapter):
            return adapter.post(message(), attempt)
        letter = Letter(key="1.1.0", address="+46701740605", body="Koka vattnet.", language="sv")
        [(_, outcome)] = list(adapter.send(iter([letter]), attempt))
    except Failure as failure:
        return failure
    found: Receipt | Failure = outcome.receipt or outcome.failure
    return found


def untrue(adapter: Any, expected: Outcome) -> Iterator[str]:
    """What one try shows that ought not to be."""
    begun = time.monotonic()
    found = once(adapter)
    took = time.monotonic() - begun
    outcome = Outcome.ACCEPTED if isinstance(found, Receipt) else found.outcome
    if outcome is not expected:
        yield f"{outcome} instead of {expected}: {found!r}"
    # Of letters it takes ten in a row to say that it is the channel.
    scope = Scope.CHANNEL if isinstance(adapter, PostAdapter) else Scope.MESSAGE
    if isinstance(found, Failure) and found.scope is not scope:
        yield f"it is said to be about the {found.scope}"
    if took > DEADLINE + SLACK:
        yield f"took {took:.1f} s"


def test_whatever_is_said_of_its_name_the_outcome_is_true_and_in_time(tmp_path: Path) -> None:
    with ExitStack() as stack:
        trials = [
            Trial(kind, case, stack.enter_context(make(host=RIGHT)))
            for kind, (make, _, _) in KINDS.items()
            for case in CASES
        ]
        names = stack.enter_context(NameServer())
        names.says |= {trial.host: trial.case.says for trial in trials}
        blocks = {trial.channel: trial.block() for trial in trials}
        rig = Rig(tmp_path, blocks, allowed_hosts=[trial.host for trial in trials])
        stack.callback(rig.stop)
        with ThreadPoolExecutor(len(trials), initializer=names.stand_before) as pool:
            tried = [
                pool.submit(trial.wrong, rig.adapters[trial.channel], names) for trial in trials
            ]
    assert [sentence for each in tried for sentence in each.result()] == []


def came(label: str, far: FarEnd) -> bool:
    return any(label in effect.text for effect in list(far.effects))


def test_while_no_name_is_found_the_rest_speaks_and_a_reload_and_a_stop_wait_for_none(
    tmp_path: Path,
) -> None:
    """Mastodon and the gateway are called by names; the webhook is not, nor is what staff reads."""
    hosts = ["social.test", "gateway.test", "other.test"]
    with ExitStack() as stack:
        names = stack.enter_context(NameServer())
        names.says |= {hosts[0]: SILENCE, hosts[1]: SILENCE, hosts[2]: addresses(HERE)}
        scene = stack.enter_context(
            Scene(
                tmp_path,
                tmp_path,
                module="broadcaster.testing.resolving",
                environment=names.environment,
                allowed_hosts=hosts,
            )
        )
        document = json.loads(scene.config.read_text("utf-8"))
        channels = document["channels"]
        for name, host in (("social", hosts[0]), ("sms", hosts[1])):
            channels[name] = called(channels[name], host, HERE) | {"deadline": "2s"}
        scene.config.write_text(json.dumps(document), "utf-8")
        daemon = scene.begin()
        scene.client.say(Order("i1u1", "report", "severe"))
        scene.hook.wait_for(partial(came, "i1u1"))
        wait_until(lambda: all(names.asked[host] for host in hosts[:2]), scene.tail)
        # Somebody tries another gateway, while the first is still being looked for.
        channels["sms"] = called(channels["sms"], hosts[2], hosts[1])
        scene.config.write_text(json.dumps(document), "utf-8")
        daemon.signal(SIGHUP)
        scene.phones.wait_for(partial(came, "i1u1"))
        scene.client.say(Order("i2u1", "report", "severe"))
        for far in (scene.hook, scene.phones):
            far.wait_for(partial(came, "i2u1"))
        assert scene.social.texts("status") == []
        stopped, took = daemon.end(SIGTERM)
        names.says |= dict.fromkeys(hosts, addresses(HERE))
        code = scene.end(scene.begin())
    print(f"stopped in {took:.1f} s")
    assert (stopped, code) == (0, 0)
    assert scene.judge() == []
