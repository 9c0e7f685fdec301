"""A channel that rests between two tries says when the next one is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from broadcaster.channel import Transient
from broadcaster.testing.rig import Rig, webhook
from broadcaster.testing.servers import WebhookReceiver, unavailable

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
