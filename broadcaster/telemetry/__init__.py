"""What the daemon says about itself: structured logs with secrets taken out first, and metrics for Prometheus."""

from __future__ import annotations

from broadcaster.telemetry.logs import (
    STARS,
    Outlet,
    Redaction,
    Repeats,
    begin_logging,
    end_logging,
    log_fails,
    tell_what_is_over,
)
from broadcaster.telemetry.metrics import Metrics

__all__ = [
    "STARS",
    "Metrics",
    "Outlet",
    "Redaction",
    "Repeats",
    "begin_logging",
    "end_logging",
    "log_fails",
    "tell_what_is_over",
]
