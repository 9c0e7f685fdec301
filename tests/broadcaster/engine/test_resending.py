"""Sending once more, and taking away what turned up late."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import Connection, update as sql_update

from broadcaster.channel import Attempt, Message, Receipt, Transient
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.service import channel_acts, resending
from broadcaster.service.commands import Refused
from broadcaster.store import claiming, tables as t
from broadcaster.testing.rig import OPERATOR, Rig, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import (
    MastodonServer,
    SmsGateway,
    WebhookReceiver,
    answers,
    hang,
    performed_not_answered,
    unavailable,
)
from channels.mastodon import MastodonAdapter

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


def test_what_was_in_doubt_when_its_channel_was_emptied_is_not_resent_and_that_is_said(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        far.always(hang(), path="sendsms")
        engine = rig({"sms": sms(far, deadline="2s")})
        engine.subscribe("sms", numbers(1))
        engine.say("Koka vattnet.")
        far.wait_for(lambda far: any("Koka" in str(asked) for asked in far.requests))
        channel_acts.drop(engine.desk, OPERATOR, "sms")
        engine.reached(State.UNCERTAIN, channel="sms")
        with pytest.raises(Refused, match="sms was stopped while it carried A1-1"):
            resending.resend(engine.desk, OPERATOR, engine.delivery("sms")["id"])


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


def test_a_far_side_that_never_tells_what_it_has_holds_up_a_later_word_for_seconds_only(
    rig: MakeRig,
) -> None:
    class Mute(MastodonAdapter):
        def find(self, message: Message, attempt: Attempt) -> Receipt | None:
            looks.append(message.number)
            raise Transient("Ask again.", retry_after=0.0)

    looks: list[int] = []
    with MastodonServer() as far:
        far.next(performed_not_answered(), method="POST", path="statuses")
        mute = {"social": lambda built: Mute(built.settings, built.context)}
        engine = rig({"social": mastodon(far, deadline="2s")}, swap=mute)
        engine.say("Strömmen är borta.")
        engine.reached(State.UNCERTAIN, channel="social")
        engine.say("Strömmen är borta även i Södra Ekbyn.", Kind.UPDATE)
        engine.until(lambda: engine.lane("social").breaker.opened_at is not None)
        engine.pass_by(seconds=claiming.DOUBT.total_seconds())
        engine.accepted("social", 2)
        engine.say("Bara i Norra Ekbyn.", Kind.CORRECTION)
        engine.accepted("social", 3)
        assert engine.state("social", 1) == State.UNCERTAIN


def test_a_post_in_doubt_on_a_channel_that_can_no_longer_look_is_settled_without(
    rig: MakeRig,
) -> None:
    with WebhookReceiver() as far:
        engine = rig({"hook": webhook(far)})
        engine.pause("hook")
        engine.say("Strömmen är borta.")
        in_doubt = [
            sql_update(t.delivery).values(state=State.UNCERTAIN),
            sql_update(t.step).values(outcome="uncertain"),
        ]
        for change in in_doubt:  # as another kind of channel of this name has left it
            engine.store.write(partial(Connection.execute, statement=change)).result()
        engine.resume("hook")
        engine.accepted("hook")
