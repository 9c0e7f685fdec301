"""One incident with all that a person who looks at it needs: what to do in his language, and which channels are stopped."""

from __future__ import annotations

from typing import Any

from broadcaster.locale import phrases, translate
from broadcaster.service import status
from broadcaster.service.commands import Operator
from broadcaster.service.desk import Desk
from broadcaster.store import channels


def incident(desk: Desk, operator: Operator, name: str, language: str) -> dict[str, Any]:
    """One incident as JSON, its advice said in `language`."""
    answer = status.show(desk, operator, name)
    words = phrases(language)
    concerned = dict.fromkeys(delivery["channel"] for delivery in answer["deliveries"])
    states = desk.read(channels.states)
    queued = desk.read(channels.queued)
    answer["advice"] = [
        translate(words, advice["sentence"], **advice["values"]) for advice in answer["advice"]
    ]
    answer["channels"] = [
        {
            "channel": channel,
            "parked_because": state.parked_because if state.parked_at else "",
            "paused": state.paused_at is not None,
            "queued": queued.get(channel, 0),
        }
        for channel in concerned
        for state in [states.get(channel, channels.ChannelState(channel=channel))]
    ]
    return answer
