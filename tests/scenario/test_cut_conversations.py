"""Channels that speak no HTTP, over networks that break off in the middle of a sentence: never untrue, always in time.

A conversation is cut at many of its bytes, each way, by a reset, an orderly end and silence. Judged by what the far end has:
what is called accepted is there once, what is to be sent again is not there; and in doubt is only what had begun to leave.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from broadcaster.channel import (
    Failure,
    Letter,
    LetterAdapter,
    Mode,
    Outcome,
    PostAdapter,
    Receipt,
)
from broadcaster.domain.board import BoardArea
from broadcaster.testing.contract_letters import an_attempt, run
from broadcaster.testing.faultproxy import (
    ANSWER,
    CLOSE,
    REQUEST,
    RESET,
    SILENCE,
    FaultProxy,
    Trouble,
    deaf,
    dripping,
    not_accepting,
    slow,
    strike,
)
from broadcaster.testing.mosquitto import PASSWORD, USER, MosquittoServer, Subscriber
from broadcaster.testing.notices import attempt, context, message
from broadcaster.testing.servers import SmtpServer
from broadcaster.testing.smsc import Smsc
from channels.email import EmailAdapter
from channels.mqtt import MqttAdapter
from channels.smpp import SmppAdapter

pytestmark = [pytest.mark.scenario, pytest.mark.slow]
DEADLINE = 1.5
SLACK = 8.0  # for a loaded machine; what drips or is silent in here lasts far longer than both
ENDS = (RESET, CLOSE, SILENCE)
AT_ONCE = 12

Adapter = PostAdapter | LetterAdapter


@dataclass(frozen=True, slots=True)
class Case:
    """A bad network, and what a try may come to: `certain`, nothing has begun to leave, so no doubt is allowed."""

    trouble: Trouble | None
    certain: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """What one kind of channel says and hears on the way to one message.

    `before`: bytes after which the far end has nothing of the message yet; `after`: bytes of it, or behind it.
    """

    before_asked: tuple[int | bytes, ...]
    before_answered: tuple[int | bytes, ...]
    after_asked: tuple[int | bytes, ...]
    after_answered: tuple[int | bytes, ...]

    def cases(self) -> Iterator[Case]:
        """Every trouble to try."""
        yield Case(None, certain=False)
        yield Case(slow(0.01, 0.01), certain=False)
        for trouble in (
            not_accepting(),
            deaf(),
            dripping(REQUEST, 1, 0.3),
            dripping(ANSWER, 1, 0.9),
        ):
            yield Case(trouble, certain=True)
        for side, places, certain in (
            (REQUEST, self.before_asked, True),
            (ANSWER, self.before_answered, True),
            (REQUEST, self.after_asked, False),
            (ANSWER, self.after_answered, False),
        ):
            yield from (Case(strike(side, at, by), certain) for at in places for by in ENDS)


@dataclass(frozen=True, slots=True)
class Far:
    """A far end at `port`. `make(port)` gives an adapter; `said(n)` is what the n-th try sends; `came` counts what arrived."""

    port: int
    make: Callable[[int], Adapter]
    came: Callable[[], Counter[str]]


def number(case: int) -> str:
    return f"+4670174{case:04d}"


@contextmanager
def mail() -> Iterator[Far]:
    def make(port: int) -> EmailAdapter:
        block = {
            "kind": "email",
            "sender": "kris@ekbyn.example",
            "secret": "ett-hemligt-losenord-17",
            "bounces": "studs+{key}@ekbyn.example",
            "suppliers": [{"host": "127.0.0.1", "port": port, "tls": "none"}],
        }
        return EmailAdapter(EmailAdapter.Settings.model_validate(block), context(Mode.LIVE))

    with SmtpServer() as far:
        yield Far(
            far.port, make, lambda: Counter(effect.to.split("@")[0] for effect in far.effects)
        )


@contextmanager
def phones() -> Iterator[Far]:
    def make(port: int) -> SmppAdapter:
        supplier = {
            "name": "s1",
            "host": "127.0.0.1",
            "port": port,
            "system_id": "ekbyn",
            "password": "hemligt1",
            "sender": "Ekbyn",
        }
        settings = SmppAdapter.Settings.model_validate({"kind": "smpp", "suppliers": [supplier]})
        return SmppAdapter(settings, context(Mode.LIVE))

    with Smsc() as far:
        yield Far(
            far.port, make, lambda: Counter(f"+{taken.to.lstrip('+')}" for taken in far.taken)
        )


@contextmanager
def signs() -> Iterator[Far]:
    def make(port: int) -> MqttAdapter:
        block = {
            "kind": "mqtt",
            "url": f"mqtt://127.0.0.1:{port}",
            "prefix": "ekbyn",
            "username": USER,
            "password": PASSWORD,
        }
        settings = MqttAdapter.Settings.model_validate(block)
        areas = (BoardArea("norra-ekbyn", "Norra Ekbyn"),)
        return MqttAdapter(settings, replace(context(), areas=areas))

    with MosquittoServer() as far, Subscriber(far, "ekbyn/#") as sign:
        yield Far(
            far.port,
            make,
            lambda: Counter(json.loads(each.payload)["text"] for each in sign.told()),
        )


CONVERSATIONS: dict[str, Conversation] = {
    "email": Conversation(
        (0, b"EHLO ", b"MAIL FROM:", b"RCPT TO:", b"DATA"),
        (0, b"220", b"250", b"354"),
        (b"Message-ID", b"Koka", b"\r\n.\r\n"),
        (b"354 ", b"354 End data\r\n", b"queued"),
    ),
    "smpp": Conversation(
        (0, 9, 16, b"hemligt1"),
        (0, 4, 15),
        (b"+46", b"4670174", b"Koka"),
        (36, 40, 46, 52, 60),
    ),
    "mqtt": Conversation(
        (0, 5, 12, b"MQTT"),
        (0, 1, 2),
        (b"norra-ekbyn", b"Koka"),
        (12, 20, 24, 28, 32),
    ),
}
FARS: dict[str, Any] = {"email": mail, "smpp": phones, "mqtt": signs}


def once(adapter: Adapter, case: int) -> Receipt | Failure:
    """What one try comes to; each try is told from the others by whom, or as what, it is sent."""
    if isinstance(adapter, PostAdapter):
        said = message(
            subject="ekbyn/norra-ekbyn",
            payload=json.dumps({"state": "tried", "text": f"{number(case)} Koka"}),
            body="",
            key=f"m{case}",
        )
        try:
            return adapter.post(said, attempt(deadline=DEADLINE))
        except Failure as failure:
            return failure
    address = number(case) if isinstance(adapter, SmppAdapter) else f"{number(case)}@ekbyn.example"
    letter = Letter(key=f"1.1.{case}", address=address, body="Koka", subject="Koka", language="sv")
    ran = run(adapter, [letter], an_attempt(deadline=DEADLINE))
    if not ran.outcomes:
        assert ran.ended is not None
        return ran.ended
    [(_, outcome)] = ran.outcomes
    found = outcome.receipt or outcome.failure
    assert found is not None
    return found


@pytest.mark.parametrize(
    "kind",
    [
        "email",
        pytest.param("smpp", marks=pytest.mark.real("smpp")),
        pytest.param("mqtt", marks=pytest.mark.real("mosquitto")),
    ],
)
def test_wherever_a_conversation_breaks_off_the_outcome_is_true_and_in_time(kind: str) -> None:
    cases = list(enumerate(CONVERSATIONS[kind].cases()))

    def tried(numbered: tuple[int, Case]) -> tuple[Receipt | Failure, float]:
        place, case = numbered
        with FaultProxy(far.port, case.trouble) as proxy:
            adapter = far.make(proxy.port)
            begun = time.monotonic()
            found = once(adapter, place)
            took = time.monotonic() - begun
            adapter.close()
        return found, took

    with FARS[kind]() as far:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(tried, cases))
        came = {label.split()[0]: count for label, count in far.came().items()}
    wrong, outcomes = [], Counter[Outcome]()
    for (place, case), (what, took) in zip(cases, found, strict=True):
        outcome = Outcome.ACCEPTED if isinstance(what, Receipt) else what.outcome
        outcomes[outcome] += 1
        effects = came.get(number(place), 0)
        true = {
            Outcome.ACCEPTED: effects == 1,
            Outcome.TRANSIENT: effects == 0,
            Outcome.UNCERTAIN: effects <= 1 and not case.certain,
        }
        if not true.get(outcome, False):
            wrong.append(f"{case}: {effects} arrived, {what!r}")
        if took > DEADLINE + SLACK:
            wrong.append(f"{case}: took {took:.1f} s")
    assert wrong == []
    assert {Outcome.ACCEPTED, Outcome.TRANSIENT, Outcome.UNCERTAIN} <= outcomes.keys(), outcomes
