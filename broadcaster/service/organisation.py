"""Who we are: what a command line needs to read times and to ask questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broadcaster.service.commands import Operator, Role
from broadcaster.service.desk import Desk, permit
from broadcaster.service.notices import iso

# What touches all that is sent. What is wrong with one channel or incident stands beside it, in `channels` and `status`.
_TOUCHES_ALL = (
    "store",
    "disk",
    "clock",
    "log",
    "public",
    "configuration",
    "reload",
    "broken",
    "failing",
    "fuse",
)


def organisation(
    desk: Desk, operator: Operator, degraded: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The organisation, its areas and channels, the rule for the next word (seconds), and what is wrong as a whole.

    Args:
        degraded: what the daemon says of itself, each with `what`, `where` and `sentence`.
    """
    permit(operator, Role.VIEWER)
    configuration = desk.configuration
    settings = configuration.settings
    rule = settings.follow_up
    return {
        "name": settings.organisation.name,
        "mode": str(settings.mode),
        "languages": list(configuration.languages),
        "timezone": settings.organisation.timezone,
        "areas": [
            {
                "key": key,
                "name": area.name,
                "codes": {
                    register: code
                    for register, code in (("scb", area.scb), ("ssb", area.ssb))
                    if code
                },
            }
            for key, area in settings.areas.items()
        ],
        "channels": [
            {
                "name": name,
                "block": configuration.blocks.get(name, ""),
                "kind": adapter.settings.kind,
                "shape": str(adapter.shape),
                "audience": str(adapter.settings.audience),
            }
            for name, adapter in configuration.adapters.items()
        ],
        "follow_up": {
            "next": rule.next,
            "remind": rule.remind,
            "grace": rule.grace,
            "holding": rule.holding,
        }
        if rule
        else None,
        "degraded": [dict(state) for state in degraded if state["what"] in _TOUCHES_ALL],
        "operator": {
            "name": operator.name,
            "role": str(operator.role),
            "areas": list(operator.areas),
            "expires_at": iso(operator.expires_at),
        },
    }
