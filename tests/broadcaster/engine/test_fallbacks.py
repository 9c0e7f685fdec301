"""Another channel takes over when one failed, is parked, or has not answered for fifteen seconds; never otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from broadcaster.channel import (
    Attempt,
    Letter,
    LetterOutcome,
    Message,
    Permanent,
    Receipt,
    Scope,
    Uncertain,
)
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Audience, Kind
from broadcaster.testing.rig import Rig, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import (
    MastodonServer,
    SmsGateway,
    WebhookReceiver,
    answers,
    unavailable,
)
from channels.modem import ModemAdapter
from channels.sms_http import SmsHttpAdapter
from channels.webhook import WebhookAdapter

MakeRig = Callable[..., Rig]


def with_fallback(
    rig: MakeRig, first: WebhookReceiver, second: MastodonServer, **rest: object
) -> Rig:
    return rig({"hook": webhook(first, fallback=["social"]), "social": mastodon(second)}, **rest)


def test_the_fallback_takes_over_what_failed(rig: MakeRig) -> None:
    with WebhookReceiver() as first, MastodonServer() as second:
        first.always(answers(410), method="POST")
        engine = with_fallback(rig, first, second)
        engine.say("Strömmen är borta.")
        engine.reached(State.FAILED, channel="hook")
        assert engine.state("social") == ""
        engine.sweep()
        engine.accepted("social")
        engine.sweep()
        assert len(second.texts("status")) == 1


def test_the_fallback_takes_over_what_waits_on_a_parked_channel(rig: MakeRig) -> None:
    with WebhookReceiver() as first, MastodonServer() as second:
        first.always(answers(401), method="POST")
        engine = with_fallback(rig, first, second)
        engine.say("Strömmen är borta.")
        engine.until(lambda: engine.is_parked("hook") and engine.state("hook") == State.WAITING)
        engine.sweep()
        engine.accepted("social")
        assert engine.state("hook") == State.WITHDRAWN
        first.heal()
        engine.resume("hook")
        engine.say("Söder.", area=("sodra-ekbyn",))
        engine.accepted("hook", incident="A2")
        assert len(first.texts("webhook")) == 1  # nobody gets a text from both


def test_the_fallback_waits_until_a_breaker_was_open_for_fifteen_seconds(rig: MakeRig) -> None:
    with WebhookReceiver() as first, MastodonServer() as second:
        first.always(unavailable(), method="POST")
        engine = with_fallback(rig, first, second)
        engine.say("Strömmen är borta.")
        engine.until(
            lambda: engine.lane("hook").breaker.opened_at and engine.state("hook") == State.WAITING
        )
        engine.sweep()
        assert engine.state("social") == ""
        engine.clock_only(seconds=16)
        engine.sweep()
        engine.accepted("social")
        assert engine.state("hook") == State.WITHDRAWN


def a_post_and_letters(
    rig: MakeRig, first: WebhookReceiver, phones: SmsGateway, **rest: Any
) -> Rig:
    """A post that fails for good, behind which two telephones of Norra Ekbyn and one of Södra Ekbyn stand."""
    first.always(answers(410), method="POST")
    channels = {"hook": webhook(first, fallback=["sms"], **rest), "sms": sms(phones, **rest)}
    engine = rig({"page": {"kind": "page"}} | channels)
    engine.subscribe("sms", numbers(2))
    engine.subscribe("sms", numbers(1, start=9), area="sodra-ekbyn")
    return engine


def test_letters_that_stand_in_for_a_post_reach_whom_it_is_about(rig: MakeRig) -> None:
    with WebhookReceiver() as first, SmsGateway(preset="kannel") as phones:
        engine = a_post_and_letters(rig, first, phones)
        engine.say("Strömmen är borta.")
        engine.reached(State.FAILED, channel="hook")
        engine.sweep()
        engine.accepted("sms")
        assert sorted(each.to for each in phones.effects) == numbers(2)


def test_a_gateway_behind_a_gateway_behind_a_post_writes_to_the_numbers_of_the_first(
    rig: MakeRig,
) -> None:
    with (
        WebhookReceiver() as first,
        SmsGateway(preset="kannel") as second,
        SmsGateway(preset="kannel") as third,
    ):
        first.always(answers(410), method="POST")
        second.always(answers(401))
        engine = rig(
            {
                "hook": webhook(first, fallback=["sms", "sms2"]),
                "sms": sms(second),
                "sms2": sms(third),
            }
        )
        engine.subscribe("sms", numbers(2))
        engine.say("Strömmen är borta.")
        engine.reached(State.FAILED, channel="hook")
        engine.sweep()
        engine.until(lambda: engine.is_parked("sms"))
        engine.sweep()
        engine.until(lambda: engine.state("sms2"))
        engine.pass_by(seconds=20)
        engine.accepted("sms2")
        assert sorted(effect.to for effect in third.effects) == sorted(numbers(2))


def test_letters_that_stand_in_for_a_post_to_staff_reach_the_staff_it_is_about(
    rig: MakeRig,
) -> None:
    with WebhookReceiver() as first, SmsGateway(preset="kannel") as phones:
        engine = a_post_and_letters(rig, first, phones, audience="staff")
        engine.say("Jour till norr.", audience=Audience.STAFF, only=("hook",))
        engine.reached(State.FAILED, channel="hook")
        engine.sweep()
        engine.accepted("sms")
        assert sorted(each.to for each in phones.effects) == numbers(2)


class Unsure(WebhookAdapter):
    """Never knows."""

    repeatable = False

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        raise Uncertain("Who knows?")


def test_no_fallback_takes_over_what_may_have_gone(rig: MakeRig) -> None:
    with WebhookReceiver() as first, MastodonServer() as second:
        swap = {"hook": lambda built: Unsure(built.settings, built.context)}
        engine = with_fallback(rig, first, second, swap=swap)
        engine.say("Strömmen är borta.")
        engine.reached(State.UNCERTAIN, channel="hook")
        engine.pass_by(seconds=60)
        engine.sweep()
        assert engine.state("social") == ""


def test_what_is_retracted_has_no_fallback(rig: MakeRig) -> None:
    with WebhookReceiver() as first, MastodonServer() as second:
        first.always(answers(401), method="POST")
        engine = with_fallback(rig, first, second)
        engine.say("Strömmen är borta.")
        engine.until(lambda: engine.is_parked("hook") and engine.state("hook") == State.WAITING)
        engine.say(kind=Kind.RETRACTION)
        engine.sweep()
        assert engine.state("hook", 1) == State.WITHDRAWN
        assert engine.state("social", 1) == ""


class RefusesOne(SmsHttpAdapter):
    """Takes every number but the first."""

    def send(
        self, letters: Iterable[Letter], attempt: Attempt
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        for letter in letters:
            refused = Permanent("Not this number.", scope=Scope.ADDRESS)
            first = letter.address == numbers(1)[0]
            taken = LetterOutcome(receipt=Receipt())
            yield letter, LetterOutcome(failure=refused) if first else taken


class InTheDrawer(ModemAdapter):
    """Takes every number, and remembers it."""

    wrote_to: tuple[str, ...] = ()

    def send(
        self, letters: Iterable[Letter], attempt: Attempt
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        for letter in letters:
            self.wrote_to += (letter.address,)
            yield letter, LetterOutcome(receipt=Receipt())


def test_a_phone_in_a_drawer_writes_to_the_numbers_that_a_gateway_did_not_take_and_to_no_other(
    rig: MakeRig, tmp_path: Path
) -> None:
    folders = {name: str(tmp_path / name) for name in ("outbox", "sent", "error")}
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig(
            {
                "sms": sms(far, fallback=["drawer"]),
                "drawer": {"kind": "modem", "suppliers": [{"name": "phone", **folders}]},
            },
            swap={
                "sms": lambda built: RefusesOne(built.settings, built.context),
                "drawer": lambda built: InTheDrawer(built.settings, built.context),
            },
            allowed_hosts=["phone"],
        )
        engine.subscribe("sms", numbers(3))
        engine.subscribe("drawer", numbers(2, start=50))
        engine.say("Strömmen är borta.")
        engine.accepted("sms")
        engine.sweep()
        engine.accepted("drawer")
        assert list(engine.adapters["drawer"].wrote_to) == numbers(1)
