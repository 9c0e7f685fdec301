"""Whether a room can be spoken in, judged by its state (Matrix client-server API, "Room events"). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broadcaster.httpclient import printable

_CREATORS_ABOVE_ALL = 12  # from this room version on creators have more power than any number
_USUAL_POWER_TO_RING = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A room's state as far as it is ours to know; contents are {} where the room has none.

    `creation` is the whole event where the server gives that, else its content alone.
    """

    me: str
    joined: bool
    creation: Mapping[str, Any]
    levels: Mapping[str, Any]
    encryption: Mapping[str, Any]
    tombstone: Mapping[str, Any]


def hindrance(room: Room, name: str) -> str:
    """What keeps us from speaking in the room that the operator calls `name`, as a sentence; "" when nothing does."""
    if not room.joined:
        return f"{room.me} has not joined {name}: invite it, and join once with its account."
    if room.tombstone:
        successor = printable(str(room.tombstone.get("replacement_room") or "?"), 255)
        return f"{name} was replaced by {successor}: join that with the account, and write it in the configuration."
    if room.encryption:
        return f"{name} is encrypted, and that cannot be undone: make a room without encryption for what everybody may read."
    power, needed = _power(room), _needed(room.levels)
    if power is not None and power < needed:
        return f"{room.me} has power {power} in {name} and speaking takes {needed}: raise it in the room's settings."
    return ""


def may_ring(room: Room) -> bool:
    """Whether mentioning the whole room rings: a server sends such a message too, and the apps keep silent."""
    power = _power(room)
    notifications = room.levels.get("notifications")
    named = notifications.get("room") if isinstance(notifications, dict) else None
    return power is None or power >= _number(named, _USUAL_POWER_TO_RING)


def _power(room: Room) -> int | None:
    """Our power; None where it is above all numbers, or cannot be told."""
    content = room.creation.get("content")
    content = content if isinstance(content, dict) else room.creation
    version = str(content.get("room_version", "1"))
    if not version.isdigit():
        return None
    if int(version) >= _CREATORS_ABOVE_ALL:
        creator, others = room.creation.get("sender"), content.get("additional_creators")
        if creator in (None, room.me) or (isinstance(others, list) and room.me in others):
            return None
    users = room.levels.get("users")
    mine = users.get(room.me) if isinstance(users, dict) else None
    return _number(mine, _number(room.levels.get("users_default"), 0))


def _needed(levels: Mapping[str, Any]) -> int:
    events = levels.get("events")
    named = events.get("m.room.message") if isinstance(events, dict) else None
    return _number(named, _number(levels.get("events_default"), 0))


def _number(said: Any, usual: int) -> int:
    """A power level; old rooms hold some as text."""
    try:
        return usual if said is None or isinstance(said, bool) else int(said)
    except (TypeError, ValueError):
        return usual
