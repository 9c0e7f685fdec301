"""What the daemon knows beside the store of deliveries that are not through: when a channel is tried next, and what it met."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from broadcaster.domain.delivery import Shape, State
from broadcaster.locale.retelling import retell
from broadcaster.service.notices import iso


def tell_tries(
    deliveries: Iterable[dict[str, Any]],
    tries: Mapping[str, datetime],
    failing: Mapping[str, str],
    now: datetime,
    language: str,
) -> None:
    """Write into answers of `status` when what waits is tried next, and why it has not gone where the store does not say.

    Args:
        tries: when channels that rest are tried next (aware): told in `due_at` if that is later.
        failing: what the last call of channels met, of those whose last call failed: told in `detail` of letters.
    """
    for one in deliveries:
        between_tries = one["state"] == State.SENDING and one["shape"] == Shape.LETTER
        if one["stop"] or not (between_tries or one["state"] == State.WAITING):
            continue
        again = tries.get(one["channel"])
        due = datetime.fromisoformat(one["due_at"]) if one["due_at"] else None
        if again is not None and (due or not between_tries):
            due = max(again, due) if due else again
        if between_tries and due is not None and due <= now:
            due = None  # it begins this moment, or other letters of the channel go first
        one["due_at"] = iso(due)
        if one["shape"] == Shape.LETTER and not one["detail"]:
            one["detail"] = retell(language, failing.get(one["channel"], ""))
