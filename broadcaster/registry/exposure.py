"""Secrets that stand in a configuration which everybody on the machine can read."""

from __future__ import annotations

from collections.abc import Mapping, Set as AbstractSet

from broadcaster.channel import ChannelSettings, Mode
from broadcaster.credentials import literal_secrets, open_to_everyone
from broadcaster.settings.errors import ConfigError
from broadcaster.settings.model import Settings
from broadcaster.settings.source import Place, Source


def exposed(
    source: Source,
    settings: Settings,
    channels: Mapping[str, ChannelSettings],
    further: AbstractSet[Place] = frozenset(),
) -> list[ConfigError]:
    """An error for each secret that is written out in a file open to everyone; in mode live only.

    `further` are the places of such secrets in blocks that were read in processes of their own.
    """
    if settings.mode is not Mode.LIVE or not open_to_everyone(source.path):
        return []
    places = further | set(literal_secrets(settings, source.document))
    for name, block in channels.items():
        written = source.document["channels"][name]
        places |= set(literal_secrets(block, written, ("channels", name)))
    sentence = (
        f"a secret stands here, and everyone on this machine can read {source.path}: type  chmod o= {source.path}  "
        "or write file: and the path of a file that holds it"
    )
    return [source.error(place, sentence) for place in places]
