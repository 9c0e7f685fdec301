"""How ready everything is, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broadcaster.cli.saying import Voice


def ready_line(voice: Voice, found: Mapping[str, Any] | None) -> str:
    """The score, and how many independent ways to residents are ready; "" where the daemon does not say."""
    _ = voice.say
    if not found:
        return ""
    return _(
        "Readiness {score} %, {ways} of {of} independent ways ready.",
        score=found["score"],
        ways=found["ways"],
        of=found["of"],
    )
