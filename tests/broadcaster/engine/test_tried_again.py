"""A channel that rests between two tries says when the next one is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from broadcaster.channel import Transient
from broadcaster.domain.incident import Kind
from broadcaster.engine.failing import why_it_fails
from broadcaster.service.holding_up import tell_tries
from broadcaster.testing.rig import Rig, numbers, sms, webhook
from broadcaster.testing.servers import SmsGateway, WebhookReceiver, unavailable

MakeRig = Callable[..., Rig]
WISHED = 240.0


def test_a_board_that_could_not_be_shown_says_when_it_is_tried_next(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine: Rig = rig({"page": {"kind": "page"}})
    lane = engine.lane("page")

    def refuse(*_: Any) -> Any:
        raise Transient("The disk is full.", retry_after=WISHED)

    with monkeypatch.context() as broken:
        broken.setattr(lane.adapter, "show", refuse)
        engine.say("Strömmen är borta.")
        engine.until(lambda: lane.tries_again_at is not None)
    again = lane.tries_again_at
    assert again is not None
    assert again - engine.clock() > timedelta(seconds=WISHED / 2)
    engine.pass_by(seconds=WISHED + 1)
    engine.accepted("page")
    engine.until(lambda: lane.tries_again_at is None)


def test_a_post_channel_whose_far_side_is_down_says_when_it_is_tried_next(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        far.always(unavailable(), method="POST")
        engine: Rig = rig({"hook": webhook(far)})
        far.clock = engine.clock
        lane = engine.lane("hook")
        engine.say("Strömmen är borta.")
        engine.until(lambda: lane.tries_again_at is not None)
        assert lane.breaker.opened_at is not None


def shown(engine: Rig, channel: str, number: int = 1) -> dict[str, Any]:
    """A delivery as `status` shows it."""
    found, lanes = engine.delivery(channel, number), engine.engine.lanes.items()
    tries = {name: lane.tries_again_at for name, lane in lanes}
    tell_tries(
        [found],
        {name: at for name, at in tries.items() if at},
        {name: why_it_fails(lane) for name, lane in lanes},
        engine.clock(),
        "sv",
    )
    return found


def between_tries(engine: Rig) -> bool:
    """Whether its letters are shown to be tried again, and why they are not out."""
    found = shown(engine, "sms")
    return bool(found["state"] == "sending" and found["due_at"] and found["detail"])


def test_letters_that_no_gateway_takes_say_when_they_are_tried_next_and_why(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        far.always(unavailable())
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(2))
        engine.say("Strömmen är borta.")
        engine.until(lambda: between_tries(engine))
        engine.say("Ännu borta.", Kind.UPDATE)
        later = shown(engine, "sms", 2)
        assert (later["behind"], later["state"]) == ("A1-1", "waiting")
        engine.until(lambda: bool(shown(engine, "sms", 2)["detail"]))  # what the lane knows
        far.heal()
        engine.accepted("sms", 2)
        for number in (1, 2):
            found = shown(engine, "sms", number)
            assert (found["behind"], found["due_at"]) == ("", None)


def test_letters_to_a_gateway_that_cannot_be_reached_say_so(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(2))
    engine.say("Strömmen är borta.")
    engine.until(lambda: between_tries(engine))
    assert "cannot be reached" in shown(engine, "sms")["detail"]
    engine.until(lambda: "cannot be reached" in why_it_fails(engine.lane("sms")))
