"""From the blocks under `channels` to adapters, one instance a channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from broadcaster.channel import BoardAdapter, ChannelContext, ChannelSettings, Mode, Organisation
from broadcaster.credentials import resolve_all
from broadcaster.domain.board import BoardArea
from broadcaster.locale import languages, phrases
from broadcaster.registry.exposure import exposed
from broadcaster.registry.hosts import forbidden_hosts
from broadcaster.registry.kinds import (
    Adapter,
    AdapterClass,
    KindUnavailableError,
    adapter_class,
    entries,
)
from broadcaster.registry.references import references
from broadcaster.settings.errors import ConfigError, ConfigErrors
from broadcaster.settings.loading import Loaded
from broadcaster.settings.model import Settings
from broadcaster.settings.sentences import describe, did_you_mean, mask
from broadcaster.settings.source import Source


def build(loaded: Loaded) -> dict[str, Adapter]:
    """Every configured channel by name, ready to be used; nothing is called yet.

    Raises:
        ConfigErrors: with everything that is wrong in any block.
    """
    adapters, errors = assemble(loaded)
    if errors:
        raise ConfigErrors(errors)
    return adapters


def assemble(loaded: Loaded) -> tuple[dict[str, Adapter], list[ConfigError]]:
    """The channels that can be built, and what is wrong with the others or among them."""
    source, settings = loaded.source, loaded.settings
    errors = [*unspoken(source, settings), *references(source)]
    if unspoken(source, settings):
        return {}, errors
    blocks, wrong = channel_settings(source, loaded.environ)
    errors += wrong
    errors += exposed(source, settings, {name: block for name, (_, block) in blocks.items()})
    adapters: dict[str, Adapter] = {}
    for name, (adapter, block) in blocks.items():
        try:
            adapters[name] = adapter(block, context(name, settings))
        except ValueError as error:
            errors.append(source.error(("channels", name), mask(str(error), held_secrets(block))))
    errors += forbidden_hosts(source, settings, adapters)
    errors += _boards_as_fallback(source, adapters)
    return adapters, errors


def held_secrets(value: Any) -> Iterator[str]:
    """Every secret value a channel's settings hold."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        yield from held_secrets(dict(value))
    elif isinstance(value, Mapping):
        yield from held_secrets(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from held_secrets(part)


def _boards_as_fallback(source: Source, adapters: Mapping[str, Adapter]) -> Iterator[ConfigError]:
    for name, adapter in adapters.items():
        for n, other in enumerate(adapter.settings.fallback):
            if isinstance(adapters.get(other), BoardAdapter):
                remedy = f'"{other}" shows everything anyway: name a channel that sends or posts'
                yield source.error(("channels", name, "fallback", n), remedy)


def unspoken(source: Source, settings: Settings) -> list[ConfigError]:
    """The languages nobody has translated our sentences into."""
    known = {spoken.lower() for spoken in languages()}
    return [
        source.error(
            ("organisation", "languages", n),
            f'"{tag}" has no catalogue of phrases: write one of {", ".join(languages())}',
        )
        for n, tag in enumerate(settings.organisation.languages)
        if tag.partition("-")[0].lower() not in known
    ]


def channel_settings(
    source: Source, environ: Mapping[str, str]
) -> tuple[dict[str, tuple[AdapterClass, ChannelSettings]], list[ConfigError]]:
    """Each block that is right, as its adapter's settings, and what is wrong with the others."""
    found: dict[str, tuple[AdapterClass, ChannelSettings]] = {}
    errors: list[ConfigError] = []
    blocks = source.document.get("channels")
    for name, block in (blocks if isinstance(blocks, dict) else {}).items():
        if not isinstance(block, dict):
            continue  # the settings' own check says so
        adapter, wrong = _class(source, name, block)
        errors += wrong
        if adapter is None:
            continue
        settings, wrong = _block(source, name, block, adapter, environ)
        errors += wrong
        if settings is not None and not wrong:
            found[name] = (adapter, settings)
    return found, errors


def _class(
    source: Source, name: str, block: Mapping[str, Any]
) -> tuple[AdapterClass | None, list[ConfigError]]:
    place = ("channels", name, "kind")
    known = entries()
    kind = block.get("kind")
    if kind is None:
        return None, [source.error(place, f"is missing: {did_you_mean('', known)}")]
    if not isinstance(kind, str):
        return None, [source.error(place, "must be text: write it in quotes")]
    if kind not in known:
        return None, [
            source.error(place, f'there is no kind "{kind}": {did_you_mean(kind, known)}')
        ]
    try:
        return adapter_class(known[kind]), []
    except KindUnavailableError as error:
        return None, [source.error(place, str(error))]


def _block(
    source: Source,
    name: str,
    block: dict[str, Any],
    adapter: AdapterClass,
    environ: Mapping[str, str],
) -> tuple[ChannelSettings | None, list[ConfigError]]:
    place = ("channels", name)
    lax = source.document.get("mode") == Mode.DEMO
    resolved, failures = resolve_all(block, source.directory, environ, lax=lax)
    errors = [source.error((*place, *at), sentence) for at, sentence in failures]
    try:
        context = {"base": source.directory, "written": True}
        return adapter.Settings.model_validate(resolved, context=context), errors
    except ValidationError as error:
        unresolved = {wrong.path for wrong in errors}
        found = describe(error, adapter.Settings, source, place, resolved)
        return None, errors + [wrong for wrong in found if wrong.path not in unresolved]


def context(name: str, settings: Settings) -> ChannelContext:
    """What the adapter of channel `name` is built with."""
    organisation = settings.organisation
    inbound = f"{settings.inbound.url}/in/{name}" if settings.inbound else ""
    return ChannelContext(
        name=name,
        organisation=Organisation(**organisation.model_dump()),
        mode=settings.mode,
        public_url=settings.public.url,
        public_directory=str(settings.public.directory),
        inbound_url=inbound,
        areas=tuple(board_area(key, settings) for key in settings.areas),
        phrases={language: dict(phrases(language)) for language in organisation.languages},
        allowed_hosts=None if settings.mode is Mode.LIVE else settings.allowed_hosts,
    )


def board_area(key: str, settings: Settings) -> BoardArea:
    """An area as boards show it."""
    area = settings.areas[key]
    codes = {"scb": area.scb, "ssb": area.ssb}
    return BoardArea(key, area.name, {register: code for register, code in codes.items() if code})


def changed_channels(
    old: Mapping[str, Adapter], new: Mapping[str, Adapter]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The names added, removed and changed: other settings (a new secret in a file counts), class or surroundings."""
    added = tuple(sorted(new.keys() - old.keys()))
    removed = tuple(sorted(old.keys() - new.keys()))
    changed = tuple(
        sorted(name for name in new.keys() & old.keys() if _differs(old[name], new[name]))
    )
    return added, removed, changed


def _differs(old: Adapter, new: Adapter) -> bool:
    return type(old) is not type(new) or old.settings != new.settings or old.context != new.context
