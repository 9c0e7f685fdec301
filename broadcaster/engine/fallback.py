"""Fallback: when a channel failed, is parked, or its breaker has been open too long, the next one takes over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from broadcaster.channel import medium_of
from broadcaster.domain.delivery import Shape
from broadcaster.engine.lane import Lane
from broadcaster.store import Connection, fallbacks

PATIENCE = timedelta(seconds=15)


def sick(lanes: Mapping[str, Lane], now: datetime) -> dict[str, str]:
    """The channels whose waiting deliveries another channel may take over, each with the reason."""
    reasons: dict[str, str] = {}
    for name, lane in lanes.items():
        opened_at = lane.breaker.opened_at
        if lane.parked:
            reasons[name] = "parked"
        elif opened_at is not None and now - opened_at >= PATIENCE:
            reasons[name] = lane.broken_because or "not answering"
    return reasons


def take_over(
    connection: Connection, lanes: Mapping[str, Lane], now: datetime
) -> list[tuple[str, str]]:
    """Start the fallback of every delivery that needs one. Returns (from, to) for each."""
    reasons = sick(lanes, now)
    shapes: dict[str, Shape] = {name: lane.adapter.shape for name, lane in lanes.items()}
    media = {name: medium_of(lane.adapter) for name, lane in lanes.items()}
    return fallbacks.start(connection, reasons, shapes, media, now)
