"""The answer to an accepted command, made of what was written: it is not read back while others wait to write."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from broadcaster.domain.delivery import Shape, State
from broadcaster.domain.standing import estimate_of
from broadcaster.registry import Adapter
from broadcaster.service.notices import iso
from broadcaster.service.status import COUNTS, medium
from broadcaster.store.intents import Acceptance, Accepted, NewDelivery


def answer(
    acceptance: Acceptance,
    accepted: Accepted,
    now: datetime,
    stopped: Mapping[str, Any],
    configured: Mapping[str, Adapter],
) -> dict[str, Any]:
    """The update and its deliveries as they stand once it is written at `now`, as `status` would read them.

    Args:
        stopped: by channel how it is stopped, as JSON.
    """
    said, planned = acceptance.update, acceptance.update.planned
    return {
        "mode": str(said.mode),
        "incident": said.incident,
        "update": accepted.number,
        "kind": str(said.kind),
        "audience": str(said.audience),
        "corrects": said.corrects,
        "revision": accepted.revision,
        "accepted_at": _iso(said.accepted_at),
        "released_at": None if acceptance.hold else _iso(now),
        "held": acceptance.hold,
        "release_at": _iso(acceptance.release_at),
        "headline": said.headline,
        "areas": list(said.areas),
        "ended": list(said.ended),
        "promise": _iso(said.promise),
        "etr": _iso(estimate_of(said)),
        "planned": {"start": _iso(planned.start), "end": _iso(planned.end)} if planned else None,
        "deliveries": [
            _delivery(key, new, acceptance, now)
            | {"medium": medium(configured.get(new.channel)), "stop": stopped.get(new.channel)}
            for key, new in zip(accepted.delivery_ids, acceptance.deliveries, strict=True)
        ],
    }


def _delivery(key: int, new: NewDelivery, acceptance: Acceptance, now: datetime) -> dict[str, Any]:
    """A delivery that has not begun; see `status.delivery_answer`."""
    said = acceptance.update
    return {
        "id": key,
        "update": said.number,
        "channel": new.channel,
        "shape": str(new.shape),
        "state": str(State.WAITING),
        "attempts": 0,
        "detail": "",
        "behind": "",
        "given_up": False,
        "url": "",
        "due_at": _iso(said.accepted_at if acceptance.hold else now),
        "not_after": _iso(said.not_after),
        "started_at": None,
        "accepted_at": None,
        "ended_at": None,
        "time_to_correct": None,
        "wrong_for": None,
        "counts": dict.fromkeys(COUNTS, 0) if new.shape is Shape.LETTER else None,
    }


def _iso(when: datetime | None) -> str | None:
    """As the store gives it back, which keeps UTC."""
    return iso(when.astimezone(UTC)) if when else None
