"""By how many independent ways each update goes, as far as a configuration tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from broadcaster.channel import Audience, Mode
from broadcaster.domain.delivery import Shape
from broadcaster.domain.incident import Severity
from broadcaster.domain.plan import Route, routed
from broadcaster.domain.redundancy import Way, independent, way
from broadcaster.registry.kinds import Adapter
from broadcaster.settings.model import Settings


def ways(settings: Settings, adapters: Mapping[str, Adapter]) -> dict[str, Way]:
    """The channels that residents read, each with the failure domains it declares and those its configuration tells.

    A board that calls nobody writes into the public directory: it lives by the host of `public.url`.
    """
    return {
        name: _way(name, adapter, settings)
        for name, adapter in adapters.items()
        if adapter.settings.audience is Audience.PUBLIC and adapter.settings.is_way
    }


def _way(name: str, adapter: Any, settings: Settings) -> Way:
    try:
        hosts = tuple(adapter.hosts())
        suppliers = len(adapter.suppliers()) if adapter.shape is Shape.LETTER else 1
    except Exception:  # noqa: BLE001 - a plugin that breaks here may still send, and must not hold up a word
        hosts, suppliers = (), 1
    if adapter.shape is Shape.BOARD and not hosts:
        hosts = (urlsplit(settings.public.url).hostname or "",)
    return way(name, adapter.settings.depends_on, hosts, suppliers)


@dataclass(frozen=True, slots=True)
class Level:
    """What goes out about one area from this severity on, until the next level: the channels that residents read."""

    severity: Severity
    channels: tuple[str, ...]


def levels(settings: Settings, known: Mapping[str, Way], area: str) -> list[Level]:
    """The levels of one area, the mildest first; those that no channel carries are left out."""
    routes = [
        Route(route.severity, route.channels, frozenset(route.areas) or None)
        for route in settings.routes
    ]
    found: list[Level] = []
    for severity in Severity:
        channels = tuple(name for name in routed(routes, severity, [area]) if name in known)
        if channels and (not found or found[-1].channels != channels):
            found.append(Level(severity, channels))
    return found


@dataclass(frozen=True, slots=True)
class Thin:
    """Updates of a severity about some areas (none: every area) that go by fewer independent ways than wanted."""

    severity: Severity
    areas: tuple[str, ...]
    channels: tuple[str, ...]
    ways: int
    minimum: int

    @property
    def sentence(self) -> str:
        """What is wrong and what to do, in English."""
        severity, areas, count, minimum = (
            self.severity,
            ", ".join(self.areas),
            self.ways,
            self.minimum,
        )
        channels = ", ".join(self.channels)
        if not self.areas:
            return f"{severity} updates go by {count} of the {minimum} independent ways wanted ({channels}): add a channel that shares nothing with these (broadcaster coverage shows what they share)"
        return f"{severity} updates about {areas} go by {count} of the {minimum} independent ways wanted ({channels}): add a channel that shares nothing with these (broadcaster coverage shows what they share)"


def thin(settings: Settings, adapters: Mapping[str, Adapter]) -> list[Thin]:
    """Each severity and area with fewer independent ways than `redundancy.minimum`, the mildest severity first.

    In mode live only: a drill or demo calls stand-ins, which tell nothing of the real ones.
    """
    minimum = settings.redundancy.minimum
    if settings.mode is not Mode.LIVE or minimum <= 1:
        return []
    known = ways(settings, adapters)
    areas: dict[tuple[Severity, tuple[str, ...], int], list[str]] = {}
    for area in settings.areas:
        for level, count in _counted(settings, known, area):
            if count < minimum:
                areas.setdefault((level.severity, level.channels, count), []).append(area)
    order = list(Severity)
    return [
        Thin(
            severity,
            () if len(concerned) == len(settings.areas) else tuple(concerned),
            channels,
            count,
            minimum,
        )
        for (severity, channels, count), concerned in sorted(
            areas.items(), key=lambda item: order.index(item[0][0])
        )
    ]


def _counted(
    settings: Settings, known: Mapping[str, Way], area: str
) -> Iterator[tuple[Level, int]]:
    for level in levels(settings, known, area):
        yield level, independent(known[name].domains for name in level.channels)
