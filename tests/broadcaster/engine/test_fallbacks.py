"""Another channel takes over when one failed, is parked, or has not answered for fifteen seconds; never otherwise."""

from __future__ import annotations

from collections.abc import Callable

from broadcaster.channel import Attempt, Message, Receipt, Uncertain
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.testing.rig import Rig, mastodon, webhook
from broadcaster.testing.servers import MastodonServer, WebhookReceiver, answers, unavailable
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
