"""One block for several channels: each address under `urls` becomes a channel of its own (docs/adr/0019).

Done on what is written, before any kind is known or imported: nothing behind this can tell such a channel from one that
has a block to itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from broadcaster.settings.source import Place, Source


def expand(source: Source) -> Source:
    """The same configuration with a channel for each address; where routes and fallbacks name the block, they name them all.

    `urls` that is not names with addresses is left as it is: the settings of the channel say what is wrong with it. Errors
    go on naming what is written.
    """
    channels = source.document.get("channels")
    if not isinstance(channels, dict):
        return source
    groups = _groups(channels)
    if not groups:
        return source
    expanded = replace(
        source, document=dict(source.document), errors=list(source.errors), origins={}, blocks={}
    )
    expanded.document["channels"] = dict(_channels(expanded, channels, groups))
    routes = source.document.get("routes")
    if isinstance(routes, list):
        expanded.document["routes"] = [
            _named(expanded, route, "channels", groups, ("routes", n), ("routes", n))
            for n, route in enumerate(routes)
        ]
    return expanded


def _groups(channels: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The name of each block that stands for several channels → their names."""
    return {
        name: tuple(f"{name}-{key}" for key in block["urls"])
        for name, block in channels.items()
        if isinstance(block, dict)
        and "url" not in block
        and isinstance(block.get("urls"), dict)
        and block["urls"]
    }


def _channels(
    source: Source, written: Mapping[str, Any], groups: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, Any]]:
    taken = set(written) - set(groups)
    for name, block in written.items():
        origin: Place = ("channels", name)
        if name not in groups:
            yield name, _named(source, block, "fallback", groups, origin, origin)
            continue
        for key, url in block["urls"].items():
            channel, address = f"{name}-{key}", (*origin, "urls", key)
            if channel in taken:
                source.errors.append(
                    source.error(address, f'there is a channel "{channel}" already: rename one')
                )
                continue
            taken.add(channel)
            here: Place = ("channels", channel)
            one = _named(source, block, "fallback", groups, here, origin)
            yield channel, {word: one[word] for word in one if word != "urls"} | {"url": url}
            # What is said of the channel as a whole, or of its address, is about this address.
            source.origins[here] = source.origins[*here, "url"] = address
            source.blocks[channel] = name


def _named(
    source: Source,
    part: Any,
    key: str,
    groups: Mapping[str, tuple[str, ...]],
    here: Place,
    origin: Place,
) -> Any:
    """`part` with all channels of a block where its list under `key` names the block; each once."""
    names = part.get(key) if isinstance(part, dict) else None
    if not isinstance(names, list):
        return part
    all_of_them: list[Any] = []
    for n, name in enumerate(names):
        for one in groups.get(name, (name,)) if isinstance(name, str) else (name,):
            if one in all_of_them and one != name:
                continue
            source.origins[*here, key, len(all_of_them)] = (*origin, key, n)
            all_of_them.append(one)
    return part | {key: all_of_them}
