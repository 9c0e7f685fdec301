"""What a configuration lets residents subscribe to: letters that are not for staff, by a listener they can reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from broadcaster.channel import Audience, LetterAdapter
from broadcaster.registry.kinds import Adapter
from broadcaster.settings.errors import ConfigError
from broadcaster.settings.model import Settings
from broadcaster.settings.source import Source


def for_residents(
    source: Source, settings: Settings, adapters: Mapping[str, Adapter]
) -> Iterator[ConfigError]:
    """Channels under `residents` that nobody can subscribe to, and forms that nobody could reach."""
    if settings.residents is None:
        return
    if settings.inbound is None:
        remedy = "residents have no address to subscribe at: add inbound, with listen and url"
        yield source.error(("residents",), remedy)
    for n, name in enumerate(settings.residents.channels):
        adapter = adapters.get(name)
        if adapter is None:
            continue  # told already: there is none, or it cannot be used
        if not isinstance(adapter, LetterAdapter):
            remedy = f'"{name}" has no subscribers: name a channel that sends letters'
            yield source.error(("residents", "channels", n), remedy)
        elif adapter.settings.audience is Audience.STAFF:
            remedy = f'"{name}" is for staff: name a channel for the public'
            yield source.error(("residents", "channels", n), remedy)
