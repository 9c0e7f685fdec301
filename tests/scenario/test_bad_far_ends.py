"""Every kind of channel against every way in which a network goes bad: the right outcome, in time, and nothing twice.

What servers do wrong (status codes, bodies, `Retry-After`) is in the contract suites of posts and letters, and TLS and
names are with the two HTTP clients. Here the far end is in good order and the network in front of it is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import (
    Attempt,
    Failure,
    Letter,
    LetterAdapter,
    Outcome,
    PostAdapter,
    Receipt,
    Scope,
)
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind, Severity
from broadcaster.testing.faultproxy import (
    ANSWER,
    CLOSE,
    END_OF_HEAD,
    REQUEST,
    SILENCE,
    FaultProxy,
    Trouble,
    deaf,
    dripping,
    not_accepting,
    slow,
    strike,
)
from broadcaster.testing.history import Arrived, Problem, Rule, Told, arrivals, judge
from broadcaster.testing.notices import attempt, context, message
from broadcaster.testing.rig import Rig, mastodon, numbers, sms, webhook, x
from broadcaster.testing.servers import (
    WEBHOOK_SECRET,
    BlueskyServer,
    FarEnd,
    MastodonServer,
    MatrixServer,
    NtfyServer,
    SmsGateway,
    WebhookReceiver,
    XServer,
    too_many,
)
from broadcaster.testing.servers.chats import Chats
from channels.apprise import AppriseAdapter
from channels.bluesky import BlueskyAdapter
from channels.mastodon import MastodonAdapter
from channels.matrix import MatrixAdapter
from channels.ntfy import NtfyAdapter
from channels.sms_http import SmsHttpAdapter
from channels.webhook import WebhookAdapter
from channels.x import XAdapter

pytestmark = [pytest.mark.scenario, pytest.mark.slow]
DEADLINE = 1.5
SLACK = 8.0  # for a loaded machine; what drips or is silent in here lasts far longer than both

ACCEPTED, TRANSIENT, UNCERTAIN = Outcome.ACCEPTED, Outcome.TRANSIENT, Outcome.UNCERTAIN
# A reset that meets a request between its head and its body finds it not yet whole: that is certain then.
BROKEN = frozenset({TRANSIENT, UNCERTAIN})


@dataclass(frozen=True, slots=True)
class Case:
    """A bad network, the outcomes it may have, and whether the message arrives behind it."""

    name: str
    trouble: Trouble
    outcomes: frozenset[Outcome]
    arrives: bool


def case(name: str, trouble: Trouble, *outcomes: Outcome, arrives: bool) -> Case:
    return Case(name, trouble, frozenset(outcomes), arrives)


CASES = (
    case("slow", slow(0.05, 0.05), ACCEPTED, arrives=True),
    case("no connection", not_accepting(), TRANSIENT, arrives=False),
    case("reset at once", strike(REQUEST, 0), *BROKEN, arrives=False),
    case("reset in the head", strike(REQUEST, 20), *BROKEN, arrives=False),
    case("closed in the head", strike(REQUEST, 20, CLOSE), *BROKEN, arrives=False),
    case("gone in the head", strike(REQUEST, 20, SILENCE), UNCERTAIN, arrives=False),
    case("takes and says nothing", deaf(), UNCERTAIN, arrives=False),
    case("request drips", dripping(REQUEST, 1, 0.2), UNCERTAIN, arrives=False),
    case("reset behind the request", strike(ANSWER, 0), UNCERTAIN, arrives=True),
    case("closed behind the request", strike(ANSWER, 0, CLOSE), UNCERTAIN, arrives=True),
    case("gone behind the request", strike(ANSWER, 0, SILENCE), UNCERTAIN, arrives=True),
    case("reset in the answer's head", strike(ANSWER, 9), UNCERTAIN, arrives=True),
    case("closed in the answer's head", strike(ANSWER, 9, CLOSE), UNCERTAIN, arrives=True),
    case("closed behind the head", strike(ANSWER, END_OF_HEAD, CLOSE), UNCERTAIN, arrives=True),
    case("gone behind the head", strike(ANSWER, END_OF_HEAD, SILENCE), UNCERTAIN, arrives=True),
    case("answer drips", dripping(ANSWER, 1, 0.2), UNCERTAIN, arrives=True),
)


# ------------------------------------------------------------------------------------------------------ the kinds
Make = Callable[[str], PostAdapter | LetterAdapter]
SUPPLIERS: dict[str, dict[str, Any]] = {
    "kannel": {"username": "u", "password": "p", "sender": "Ekbyn"},
    "46elks": {"username": "u", "password": "p", "sender": "Ekbyn"},
    "twilio": {"account": "AC1", "token": "p", "sender": "Ekbyn"},
    "gatewayapi": {"token": "p", "sender": "Ekbyn"},
    "generic": {"json": {"to": "{to}", "text": "{text}"}, "id": "$.id"},
}


def a_webhook(url: str) -> PostAdapter:
    block = {"kind": "webhook", "url": f"{url}/in", "secret": WEBHOOK_SECRET}
    return WebhookAdapter(WebhookAdapter.Settings.model_validate(block), context())


def a_mastodon(url: str) -> PostAdapter:
    block = {"kind": "mastodon", "url": url, "token": "token"}
    return MastodonAdapter(MastodonAdapter.Settings.model_validate(block), context())


def an_x(url: str) -> PostAdapter:
    keys = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
    block = {"kind": "x", "url": url, **dict.fromkeys(keys, "secret")}
    return XAdapter(XAdapter.Settings.model_validate(block), context())


def a_ntfy(url: str) -> PostAdapter:
    block = {"kind": "ntfy", "url": url, "prefix": "ekbyn", "token": "tk_token"}
    return NtfyAdapter(NtfyAdapter.Settings.model_validate(block), context())


def a_matrix(url: str) -> PostAdapter:
    block = {"kind": "matrix", "url": url, "room": "!room:matrix.example", "token": "token"}
    return MatrixAdapter(MatrixAdapter.Settings.model_validate(block), context())


def an_apprise(url: str) -> PostAdapter:
    block = {"kind": "apprise", "url": f"{url.replace('http', 'json', 1)}/json"}
    return AppriseAdapter(AppriseAdapter.Settings.model_validate(block), context())


def a_bluesky(url: str) -> PostAdapter:
    """It has its session by now: what befalls the request for one is a case of its own."""
    block = {"kind": "bluesky", "url": url, "account": "ekbyn.test", "password": "app-pass-word"}
    return BlueskyAdapter(BlueskyAdapter.Settings.model_validate(block), context())


def an_sms(preset: str) -> Make:
    def make(url: str) -> LetterAdapter:
        url = f"{url}/send" if preset == "generic" else url
        block = {
            "kind": "sms_http",
            "suppliers": [{"preset": preset, "url": url, **SUPPLIERS[preset]}],
        }
        return SmsHttpAdapter(SmsHttpAdapter.Settings.model_validate(block), context())

    return make


KINDS: dict[str, tuple[Callable[[], FarEnd], str, Make]] = {
    "webhook": (WebhookReceiver, "webhook", a_webhook),
    "mastodon": (MastodonServer, "status", a_mastodon),
    "x": (XServer, "tweet", an_x),
    "ntfy": (NtfyServer, "message", a_ntfy),
    "matrix": (MatrixServer, "message", a_matrix),
    "apprise": (Chats, "json", an_apprise),
    "bluesky": (partial(BlueskyServer, password="app-pass-word"), "post", a_bluesky),
} | {
    preset: (lambda preset=preset: SmsGateway(preset=preset), "sms", an_sms(preset))  # type: ignore[misc]  # bound now
    for preset in SUPPLIERS
}


def once(adapter: PostAdapter | LetterAdapter) -> Receipt | Failure:
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
    found = outcome.receipt or outcome.failure
    assert found is not None
    return found


def wrong_with(kind: str, tried: Case) -> list[str]:
    """Everything one case shows that ought not to be, as sentences."""
    far_end, effect, make = KINDS[kind]
    with far_end() as far, FaultProxy(far.port) as proxy:
        adapter = make(proxy.url)
        if isinstance(adapter, BlueskyAdapter):
            adapter.probe(attempt())  # it logs in, which is no part of the post
            adapter.close()  # what follows takes a connection of its own
        proxy.trouble = tried.trouble
        begun = time.monotonic()
        found = once(adapter)
        took = time.monotonic() - begun
        adapter.close()
        if tried.arrives:
            far.wait_for(lambda far: far.texts(effect) != [])
        effects = len(far.texts(effect))
    outcome = ACCEPTED if isinstance(found, Receipt) else found.outcome
    scope = Scope.MESSAGE if isinstance(found, Receipt) else found.scope
    wrong = []
    if outcome not in tried.outcomes:
        wrong.append(f"{outcome} instead of {sorted(tried.outcomes)}: {found!r}")
    if effects != tried.arrives:
        wrong.append(f"{effects} effects")
    # Of letters it takes ten in a row to say so: one says only that it was not sent.
    unreachable = tried.name == "no connection" and isinstance(adapter, PostAdapter)
    if scope is not (Scope.CHANNEL if unreachable else Scope.MESSAGE):
        wrong.append(f"it is said to be about the {scope}")
    if took > DEADLINE + SLACK:
        wrong.append(f"took {took:.1f} s")
    return [f"{kind}, {tried.name}: {what}" for what in wrong]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_the_network_does_the_outcome_is_true(kind: str) -> None:
    with ThreadPoolExecutor(len(CASES)) as pool:
        found = list(pool.map(lambda tried: wrong_with(kind, tried), CASES))
    assert [sentence for sentences in found for sentence in sentences] == []


# ------------------------------------------------------------------------------------- all of them at once, in one engine
SICK = {
    "unreachable": not_accepting(),
    "deaf": deaf(),
    "torn": strike(REQUEST, 20),
    "unanswered": strike(ANSWER, 0),
    "gone": strike(ANSWER, END_OF_HEAD, SILENCE),
    "dripping": dripping(ANSWER, 1, 0.2),
}
READER = numbers(1)[0]
WAITS = (
    10.0  # ADR 0009: so long a later word waits for what became of an earlier post, then it goes
)
TRIED = ("attempt", "letters")  # what the engine tells its metrics when a try has ended


@dataclass(frozen=True, slots=True)
class Place:
    """A channel, its far end and the network in front of it."""

    kind: str
    far: FarEnd
    proxy: FaultProxy

    def block(self) -> dict[str, Any]:
        """Its block of the configuration."""
        more = {"deadline": "1.5s"}
        if self.kind == "sms":
            block = sms(self.far, **more)
            block["suppliers"][0]["url"] = f"{self.proxy.url}/cgi-bin/sendsms"
            return block
        make = {"webhook": webhook, "status": mastodon, "tweet": x}[self.kind]
        path = "/in" if self.kind == "webhook" else ""
        return make(self.far, **more) | {"url": self.proxy.url + path}


@contextmanager
def places() -> Iterator[dict[str, Place]]:
    """Each kind of channel in good order and behind every bad network, by name."""
    ends: dict[str, Callable[[], FarEnd]] = {
        "webhook": WebhookReceiver,
        "status": MastodonServer,
        "tweet": XServer,
        "sms": partial(SmsGateway, preset="kannel"),
    }
    with ExitStack() as stack:
        found = {}
        for kind, end in ends.items():
            for name, trouble in ({"well": None} | SICK).items():
                far = stack.enter_context(end())
                proxy = stack.enter_context(FaultProxy(far.port, trouble))
                found[f"{kind}-{name}"] = Place(kind, far, proxy)
        yield found


def waited_long_enough(problem: Problem, came: list[Arrived], told: list[Told]) -> bool:
    """Whether a post comes late because a machine was too slow to look for it as long as the next word waited."""
    first = min((one.at for one in came if one.label == told[1].label), default=0.0)
    return problem.rule is Rule.OUT_OF_ORDER and first - told[1].at >= WAITS


def test_no_sick_far_end_delays_another_and_none_gets_anything_twice(tmp_path: Path) -> None:
    told: list[Told] = []

    def say(kind: Kind, severity: Severity) -> None:
        label = f"i1u{len(told) + 1}"
        rig.say(f"Koka vattnet, {label}.", kind, severity=severity)
        told.append(Told(label, "A1", len(told) + 1, kind, severity, "", time.time()))

    with places() as all_places:
        rig = Rig(tmp_path, {name: place.block() for name, place in all_places.items()})
        sick = [name for name in all_places if not name.endswith("-well")]
        with rig:
            for name, place in all_places.items():
                if place.kind == "sms":
                    rig.subscribe(name, [READER])
            # An update that is milder does not make the first needless: both have to arrive.
            for number, severity in enumerate((Severity.SEVERE, Severity.MODERATE), start=1):
                say(Kind.REPORT if number == 1 else Kind.UPDATE, severity)
                for name in all_places.keys() - sick:
                    rig.accepted(name, number)
            assert [name for name in sick if rig.state(name) == State.ACCEPTED] == []
            rig.until(lambda: set(sick) <= {name for what, name, _ in rig.events if what in TRIED})
            for place in all_places.values():
                place.proxy.trouble = None
            rig.wake()
            for name, place in all_places.items():
                unsure = (State.UNCERTAIN,) if place.kind == "sms" else ()
                for number in (1, 2):
                    rig.reached(
                        State.ACCEPTED, State.CONFIRMED, *unsure, channel=name, number=number
                    )
            doubt = {
                (name, f"i1u{number}"): rig.delivery(name, number)["counts"]["uncertain"]
                for name, place in all_places.items()
                if place.kind == "sms"
                for number in (1, 2)
            }
        problems = []
        for name, place in all_places.items():
            came = arrivals(list(place.far.effects), place.kind, name)
            found = judge(
                told,
                came,
                readers=[READER if place.kind == "sms" else ""],
                flagged={word.label: doubt.get((name, word.label), 0) for word in told},
            )
            is_looked_for = name in sick and place.kind in ("status", "tweet")
            problems += [
                f"{name}: {each}"
                for each in found
                if not (is_looked_for and waited_long_enough(each, came, told))
            ]
    assert problems == []


# ------------------------------------------------------------------------------------------- what a gateway wishes for
def _in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


WISHES: dict[str, tuple[Callable[[], str | int], float | None]] = {
    "seconds": (lambda: 7, 7.0),
    "now": (lambda: 0, None),
    "negative": (lambda: -5, None),
    "thirty years": (lambda: 10**9, 3600.0),
    "garbage": (lambda: "soon", None),
    "a date": (lambda: _in_seconds(120), 120.0),
    "a past date": (lambda: _in_seconds(-3600), None),
    "a date in thirty years": (lambda: _in_seconds(10**9), 3600.0),
}


@pytest.mark.parametrize("preset", SUPPLIERS)
def test_a_gateways_wish_to_wait_is_obeyed_within_reason(preset: str) -> None:
    _, _, make = KINDS[preset]
    found = {}
    with SmsGateway(preset=preset) as far:
        adapter = make(far.url)
        assert isinstance(adapter, LetterAdapter)
        for name, (wish, _) in WISHES.items():
            far.next(too_many(wish()))
            found[name] = once(adapter)
        adapter.close()
    asked = {name: getattr(failure, "retry_after", 0.0) for name, failure in found.items()}
    assert asked == {
        name: wanted and pytest.approx(wanted, abs=5) for name, (_, wanted) in WISHES.items()
    }
    assert {getattr(failure, "outcome", None) for failure in found.values()} == {TRANSIENT}
    assert far.effects == []
