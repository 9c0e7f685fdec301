"""One incident with all that a person who looks at it needs: what to do in his language, and which channels are stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broadcaster.locale import number, phrases, translate
from broadcaster.locale.retelling import retell
from broadcaster.service import status
from broadcaster.service.commands import Operator
from broadcaster.service.desk import Desk
from broadcaster.service.finding import load_named
from broadcaster.service.stops import WAITS
from broadcaster.store import Connection, channels, reviving

PAUSED = "{channel} is paused. Go on: broadcaster channels resume {channel}"
GONE = (
    "{channel} is not in the configuration any more, and what waits there does not go out. Let another take it: "
    "broadcaster channels reroute {channel} --to NAME, or give it up: broadcaster channels drop {channel}"
)
BY_HAND = (
    "{incident} no longer opens or closes by itself, because a backup was restored. Plan it anew: broadcaster update "
    '{incident} "…" --planned START/END. When it is over: broadcaster restored {incident}'
)


def incident(desk: Desk, operator: Operator, name: str, language: str) -> dict[str, Any]:
    """One incident as JSON, its advice said in `language`."""
    answer = status.show(desk, operator, name, language)
    words = phrases(language)
    concerned = dict.fromkeys(delivery["channel"] for delivery in answer["deliveries"])
    gone = concerned.keys() - desk.configuration.adapters.keys()
    states = desk.read(channels.states)
    queued = desk.read(channels.queued)
    waiting = {one["channel"]: None for one in answer["deliveries"] if one["state"] in WAITS}
    answer["advice"] = [
        translate(words, advice["sentence"], **_retold(advice["values"], language))
        for advice in answer["advice"]
        if advice["values"]["channel"] not in gone
    ]
    answer["advice"] += [
        translate(words, GONE if name in gone else PAUSED, channel=name)
        for name in waiting
        if name in gone or (name in states and states[name].paused_at is not None)
    ]
    if answer["planned"] and not answer["closed_at"] and _is_left_to_operators(desk, name):
        answer["advice"].append(translate(words, BY_HAND, incident=answer["incident"]))
    answer["channels"] = [
        {
            "channel": channel,
            "gone": channel in gone,
            "parked_because": retell(language, state.parked_because) if state.parked_at else "",
            "paused": state.paused_at is not None,
            "queued": queued.get(channel, 0),
        }
        for channel in concerned
        for state in [states.get(channel, channels.ChannelState(channel=channel))]
    ]
    return answer


def _is_left_to_operators(desk: Desk, name: str) -> bool:
    def look(connection: Connection) -> bool:
        return reviving.left_to_operators(connection, load_named(connection, name).id)

    return bool(desk.read(look))


def _retold(values: Mapping[str, Any], language: str) -> dict[str, Any]:
    """What a far side was said to have done, and how many letters it concerns, in the language of the advice."""
    because = values.get("because")
    counts = {name: number(language, one) for name, one in values.items() if isinstance(one, int)}
    return dict(values) | counts | ({"because": retell(language, because)} if because else {})
