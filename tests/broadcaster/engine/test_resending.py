"""Sending once more, and taking away what turned up late."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.service import resending
from broadcaster.service.commands import Refused
from broadcaster.testing.rig import OPERATOR, Rig, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import (
    MastodonServer,
    SmsGateway,
    WebhookReceiver,
    answers,
    performed_not_answered,
    unavailable,
)

MakeRig = Callable[..., Rig]


def test_letters_that_all_failed_are_sent_when_they_are_resent(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        far.always(answers(400, "no"), path="sendsms")
        engine = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(3))
        engine.say("Koka vattnet.")
        engine.reached(State.FAILED, channel="sms")
        far.heal()
        resending.resend(engine.desk, OPERATOR, engine.delivery("sms")["id"])
        engine.accepted("sms")
        assert len(far.effects) == 3
        assert engine.delivery("sms")["counts"]["failed"] == 0


def test_what_is_out_of_date_is_not_resent(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        far.next(answers(400, "no"), method="POST")
        engine = rig({"hook": webhook(far)})
        engine.say("Strömmen åter 15.")
        engine.reached(State.FAILED, channel="hook")
        engine.say("Strömmen åter 18.", Kind.UPDATE)
        engine.accepted("hook", 2)
        with pytest.raises(Refused, match="out of date"):
            resending.resend(engine.desk, OPERATOR, engine.delivery("hook", 1)["id"])


def test_a_retracted_post_that_is_found_later_is_taken_away(rig: MakeRig) -> None:
    with MastodonServer() as far:
        far.next(performed_not_answered(), method="POST", path="statuses")
        far.always(unavailable(), method="GET", path="statuses")
        engine = rig({"social": mastodon(far, deadline="2s")})
        engine.say("Koka vattnet.")
        engine.reached(State.UNCERTAIN, channel="social")
        engine.say(kind=Kind.RETRACTION)
        engine.accepted("social", 2)
        far.heal()
        engine.pass_by(minutes=2)
        engine.reached(State.WITHDRAWN, channel="social")
        wrong = far.effects[0]
        assert [effect.kind for effect in far.effects].count("delete") == 1
        assert "Koka" in wrong.text
