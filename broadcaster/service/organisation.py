"""Who we are: what a command line needs to read times and to ask questions."""

from __future__ import annotations

from typing import Any

from broadcaster.service.commands import Operator, Role
from broadcaster.service.desk import Desk, permit
from broadcaster.service.notices import iso


def organisation(desk: Desk, operator: Operator) -> dict[str, Any]:
    """The organisation, its areas and channels, and the rule for the next word (seconds)."""
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
        "operator": {
            "name": operator.name,
            "role": str(operator.role),
            "areas": list(operator.areas),
            "expires_at": iso(operator.expires_at),
        },
    }
