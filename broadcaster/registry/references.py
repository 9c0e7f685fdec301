"""What a configuration says about its own names: routes, fallbacks and `boards` must name channels and areas there are.

Works on what is written, so these errors are told together with every other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from broadcaster.settings.errors import ConfigError
from broadcaster.settings.sentences import did_you_mean
from broadcaster.settings.source import Place, Source

NAMING = ("fallback", "boards")
"""The keys of a channel's block that name other channels, whatever its kind."""
_NO_CHANNEL = 'there is no channel "{name}": {hint}'
_NO_AREA = 'there is no area "{name}": {hint}'


def references(source: Source) -> list[ConfigError]:
    """Every name in routes, fallbacks, `boards`, `residents` and `readiness.ends` that leads nowhere; fallbacks to oneself or in a circle."""
    document = source.document
    channels, areas = _mapping(document.get("channels")), _mapping(document.get("areas"))
    errors: list[ConfigError] = []
    for n, route in enumerate(_list(document.get("routes"))):
        named = _mapping(route)
        errors += _unknown(source, ("routes", n, "channels"), named.get("channels"), channels)
        place = ("routes", n, "areas")
        errors += _unknown(source, place, named.get("areas"), areas, _NO_AREA)
    for name, block in channels.items():
        for key in NAMING:
            names = _mapping(block).get(key)
            errors += _unknown(source, ("channels", name, key), names, channels)
    subscribed = _mapping(document.get("residents")).get("channels")
    errors += _unknown(source, ("residents", "channels"), subscribed, channels)
    known = {*channels, *source.blocks.values()}
    for name in _mapping(_mapping(document.get("readiness")).get("ends")):
        if name not in known:
            hint = did_you_mean(str(name), known) or "configure one first"
            errors.append(
                source.error(("readiness", "ends", name), _NO_CHANNEL.format(name=name, hint=hint))
            )
    errors += _circles(source, channels)
    return errors


def _unknown(
    source: Source, place: Place, names: Any, known: Mapping[str, Any], missing: str = _NO_CHANNEL
) -> Iterator[ConfigError]:
    for n, name in enumerate(_list(names)):
        if isinstance(name, str) and name not in known:
            hint = did_you_mean(name, known) or "configure one first"
            yield source.error((*place, n), missing.format(name=name, hint=hint))


def _circles(source: Source, channels: Mapping[str, Any]) -> Iterator[ConfigError]:
    """A channel that is reached again by following fallbacks from it."""
    after = {
        name: [to for to in _list(_mapping(block).get("fallback")) if isinstance(to, str)]
        for name, block in channels.items()
    }
    for name in channels:
        way = _way_back(name, after)
        if way:
            remedy = f"leads back to itself ({' → '.join(way)}): take one of them out"
            yield source.error(("channels", name, "fallback"), remedy)


def _way_back(start: str, after: Mapping[str, list[str]]) -> list[str]:
    """The shortest circle through `start`, or []."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop(0)
        for name in after.get(way[-1], []):
            if name == start:
                return [*way, start]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
