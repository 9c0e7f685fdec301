"""What still reaches people if something fails: each channel, what it lives by, and each of that for each area."""

from __future__ import annotations

from typing import Any

from broadcaster.domain.redundancy import independent, losses
from broadcaster.registry import Level, levels
from broadcaster.service.commands import Operator, Refused, Role, Why
from broadcaster.service.desk import Configuration, Desk, permit


def coverage(desk: Desk, operator: Operator, area: str = "") -> dict[str, Any]:
    """The channels of residents with their failure domains, and for each area and severity what each failure leaves.

    Args:
        area: the key or code of one area; "" for all.
    """
    permit(operator, Role.VIEWER)
    configuration = desk.configuration
    settings, wanted = configuration.settings, configuration.settings.redundancy
    keys = (_known(configuration, area),) if area else tuple(settings.areas)
    areas: list[dict[str, Any]] = [
        {
            "area": key,
            "name": settings.areas[key].name,
            "levels": [
                _level(configuration, level) for level in levels(settings, configuration.ways, key)
            ],
        }
        for key in keys
    ]
    return {
        "out": wanted.out,
        "within": wanted.within,
        "minimum": wanted.minimum,
        "channels": [
            {"channel": way.channel, "needs": sorted(way.needs), "either": sorted(way.either)}
            for way in configuration.ways.values()
        ],
        "areas": areas,
        "single_points": sorted(
            {name for one in areas for level in one["levels"] for name in level["single_points"]}
        ),
    }


def _known(configuration: Configuration, area: str) -> str:
    settings = configuration.settings
    key = settings.codes.get(area, area)
    if key not in settings.areas:
        raise Refused(
            'There is no area "{area}". There are {areas}.',
            Why.NOT_FOUND,
            at="area",
            area=area[:80],
            areas=", ".join(settings.areas),
        )
    return key


def _level(configuration: Configuration, level: Level) -> dict[str, Any]:
    ways = [configuration.ways[name] for name in level.channels]
    failing = losses(ways)
    return {
        "severity": str(level.severity),
        "channels": list(level.channels),
        "ways": independent(way.domains for way in ways),
        "single_points": [loss.domain for loss in failing if not loss.left],
        "failures": [
            {
                "domain": loss.domain,
                "stops": list(loss.stops),
                "left": list(loss.left),
                "ways_left": loss.ways,
            }
            for loss in failing
        ],
    }
