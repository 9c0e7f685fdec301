"""One incident with all that a person who looks at it needs: what to do in his language, and which channels are stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broadcaster.domain.delivery import State
from broadcaster.locale import phrases, translate
from broadcaster.locale.retelling import retell
from broadcaster.service import status
from broadcaster.service.commands import Operator
from broadcaster.service.desk import Desk
from broadcaster.store import channels

PAUSED = "{channel} is paused. Go on: broadcaster channels resume {channel}"


def incident(desk: Desk, operator: Operator, name: str, language: str) -> dict[str, Any]:
    """One incident as JSON, its advice said in `language`."""
    answer = status.show(desk, operator, name, language)
    words = phrases(language)
    concerned = dict.fromkeys(delivery["channel"] for delivery in answer["deliveries"])
    states = desk.read(channels.states)
    queued = desk.read(channels.queued)
    answer["advice"] = [
        translate(words, advice["sentence"], **_retold(advice["values"], language))
        for advice in answer["advice"]
    ]
    waiting = [one["channel"] for one in answer["deliveries"] if one["state"] == State.WAITING]
    answer["advice"] += [
        translate(words, PAUSED, channel=name)
        for name in dict.fromkeys(waiting)
        if name in states and states[name].paused_at is not None
    ]
    answer["channels"] = [
        {
            "channel": channel,
            "parked_because": retell(language, state.parked_because) if state.parked_at else "",
            "paused": state.paused_at is not None,
            "queued": queued.get(channel, 0),
        }
        for channel in concerned
        for state in [states.get(channel, channels.ChannelState(channel=channel))]
    ]
    return answer


def _retold(values: Mapping[str, Any], language: str) -> dict[str, Any]:
    """What a far side was said to have done, in the language of the advice."""
    because = values.get("because")
    return dict(values) | ({"because": retell(language, because)} if because else {})
