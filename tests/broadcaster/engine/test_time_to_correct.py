"""How long a wrong text stood, and how long its correction took, is known for each channel that had it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from broadcaster.domain.incident import Kind
from broadcaster.service import status
from broadcaster.testing.rig import OPERATOR, Rig, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import MastodonServer, SmsGateway, WebhookReceiver, answers

MakeRig = Callable[..., Rig]


def corrected(engine: Rig, number: int) -> Any:
    updates = status.show(engine.desk, OPERATOR, "A1", "en")["updates"]
    return updates[number - 1]["corrected"]


@pytest.mark.parametrize("kind", [Kind.CORRECTION, Kind.RETRACTION])
def test_each_channel_that_had_the_wrong_text_says_how_long_it_took(
    rig: MakeRig, kind: Kind
) -> None:
    with MastodonServer() as social, SmsGateway(preset="kannel") as phones:
        engine = rig({"social": mastodon(social), "sms": sms(phones), "page": {"kind": "page"}})
        engine.subscribe("sms", numbers(2))
        engine.say("Strömmen är borta i hela kommunen.")
        for channel in ("social", "sms", "page"):
            engine.accepted(channel)
            assert engine.delivery(channel)["time_to_correct"] is None
        assert corrected(engine, 1) is None
        engine.clock_only(minutes=5)
        engine.say("Bara i Norra Ekbyn.", kind)
        for channel in ("social", "sms", "page"):
            engine.accepted(channel, 2)
            row = engine.delivery(channel, 2)
            assert 0 <= row["time_to_correct"] < 60
            assert 300 <= row["wrong_for"] < 360
        found = corrected(engine, 2)
        assert (found["channels"], found["corrected"], found["lacking"]) == (3, 3, [])
        slowest = engine.delivery(found["slowest"], 2)
        assert found["seconds"] == slowest["time_to_correct"]
        for channel in ("social", "sms", "page"):
            engine.until(partial(measured, engine, channel))


def measured(engine: Rig, channel: str) -> list[float]:
    return [
        facts["seconds"]
        for event, name, facts in engine.events
        if (event, name) == ("corrected", channel)
    ]


def test_where_it_is_still_wrong_is_named(rig: MakeRig) -> None:
    with WebhookReceiver() as well, WebhookReceiver() as sick:
        engine = rig({"hook": webhook(well), "sick": webhook(sick)})
        engine.say("Strömmen är borta.")
        engine.accepted("hook")
        engine.accepted("sick")
        sick.always(answers(503), method="POST")
        engine.say("Strömmen är inte borta.", Kind.CORRECTION)
        engine.accepted("hook", 2)
        found = corrected(engine, 2)
        assert (found["channels"], found["corrected"]) == (2, 1)
        assert (found["slowest"], found["lacking"]) == ("hook", ["sick"])
        assert engine.delivery("sick", 2)["time_to_correct"] is None


def test_a_channel_that_never_had_the_wrong_text_has_nothing_to_correct(rig: MakeRig) -> None:
    with WebhookReceiver() as well, WebhookReceiver() as sick:
        engine = rig({"hook": webhook(well), "sick": webhook(sick)})
        sick.always(answers(503), method="POST")
        engine.say("Strömmen är borta.")
        engine.accepted("hook")
        engine.say("Strömmen är inte borta.", Kind.CORRECTION)
        engine.accepted("hook", 2)
        found = corrected(engine, 2)
        assert (found["channels"], found["corrected"], found["lacking"]) == (1, 1, [])


def test_a_retraction_of_everything_counts_from_the_first_wrong_text(rig: MakeRig) -> None:
    with MastodonServer() as social:
        engine = rig({"social": mastodon(social)})
        engine.say("Strömmen är borta.")
        engine.accepted("social")
        engine.clock_only(minutes=5)
        engine.say("Fortfarande borta.", Kind.UPDATE)
        engine.accepted("social", 2)
        engine.clock_only(minutes=5)
        engine.say("Det var en övning.", Kind.RETRACTION, whole=True)
        engine.accepted("social", 3)
        assert 600 <= engine.delivery("social", 3)["wrong_for"] < 660
