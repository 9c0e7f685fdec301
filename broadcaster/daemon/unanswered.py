"""The degraded state `personal`: who asked for something by letter has had no answer for minutes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from broadcaster.daemon.telling import Degraded

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
