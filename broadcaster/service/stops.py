"""Which channels let nothing go out now, why, and what somebody types: told wherever what waits on them is shown."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from broadcaster.domain.delivery import State
from broadcaster.locale.retelling import retell
from broadcaster.store.channels import ChannelState

WAITS = frozenset({State.WAITING, State.SENDING})
"""The states in which something of a delivery waits for its channel: of letters a part may have gone."""


@dataclass(frozen=True, slots=True)
class Stop:
    """`state` is "parked" (the far side refused it as a whole, `because`), "paused" or "gone"; `remedy` is a command."""

    state: str
    because: str
    remedy: str


def stop_of(channel: str, state: ChannelState | None, *, configured: bool) -> Stop | None:
    """How a channel is stopped, or None; its `because` is English."""
    go_on = f"broadcaster channels resume {channel}"
    if not configured:
        return Stop("gone", "", f"broadcaster channels reroute {channel} --to NAME")
    if state is None or state.open:
        return None
    if state.parked_at is not None:
        return Stop("parked", state.parked_because, go_on)
    return Stop("paused", "", go_on)


def stops_of(
    channels: Iterable[str], states: Mapping[str, ChannelState], configured: Container[str]
) -> dict[str, Stop]:
    """Those of some channels that are stopped."""
    found = {
        name: stop_of(name, states.get(name), configured=name in configured) for name in channels
    }
    return {name: stop for name, stop in found.items() if stop is not None}


def stop_answer(stop: Stop | None, language: str) -> dict[str, Any] | None:
    """As JSON, its `because` in `language`."""
    if stop is None:
        return None
    return {
        "state": stop.state,
        "because": retell(language, stop.because) if stop.because else "",
        "remedy": stop.remedy,
    }
