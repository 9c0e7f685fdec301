"""The degraded states about residents who asked for something: `personal`, and `signups` where a fuse keeps them out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from broadcaster.daemon.telling import Degraded
from broadcaster.service import fuses

LATE = timedelta(minutes=2)  # a word such as STOP is answered within one
WAITS = (
    "{channel}: people who asked for something (to subscribe, to leave) have had no answer, one of them for {minutes} minutes. "
    "How the channel is: broadcaster channels list"
)


def find(seen: Mapping[str, Any], now: datetime) -> Iterator[Degraded]:
    """One for each channel in which answers wait; `seen["personal"]` is since when, by channel."""
    for name, since in seen["personal"].items():
        if now - since >= LATE:
            values = {"channel": name, "minutes": int((now - since).total_seconds() // 60)}
            yield Degraded("personal", name, WAITS, values, since=since)


def blown(
    clock_of: Callable[[datetime], str], seen: Mapping[str, Any], _now: datetime
) -> Iterator[Degraded]:
    """One for each fuse that has blown; `seen["signups"]` is until when, by fuse."""
    for fuse, until in seen["signups"]:
        yield Degraded("signups", fuse, fuses.BLOWN[fuse], {"time": clock_of(until)})
