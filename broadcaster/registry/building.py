"""From the blocks under `channels` to adapters, one instance a channel."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any

from pydantic import ValidationError

from broadcaster.channel import BoardAdapter, ChannelContext, ChannelSettings, Mode, Organisation
from broadcaster.credentials import held_secrets, resolve_all
from broadcaster.domain.board import BoardArea
from broadcaster.domain.outline import Ring, rings
from broadcaster.locale import languages, primary_of, residents
from broadcaster.ownprocess import (
    Broke,
    Lives,
    Opening,
    Unusable,
    Wrong,
    apart,
    lives_apart,
    memory_of,
    plain,
)
from broadcaster.registry.boundaries import outline_of_code
from broadcaster.registry.exposure import exposed
from broadcaster.registry.hosts import forbidden_hosts
from broadcaster.registry.kinds import (
    Adapter,
    AdapterClass,
    KindUnavailableError,
    adapter_class,
    entries,
)
from broadcaster.registry.looking import breaks
from broadcaster.registry.places import table_of
from broadcaster.registry.references import references
from broadcaster.registry.residents import for_residents
from broadcaster.settings.errors import ConfigError, ConfigErrors
from broadcaster.settings.loading import Loaded
from broadcaster.settings.model import AreaSettings, Settings
from broadcaster.settings.sentences import describe, did_you_mean, mask
from broadcaster.settings.source import Place, Source

_LONGEST_OUTLINE = 1_000_000  # bytes: some thirty thousand corners


def build(loaded: Loaded) -> dict[str, Adapter]:
    """Every configured channel by name, ready to be used; nothing is called yet.

    Raises:
        ConfigErrors: with everything that is wrong in any block, and every adapter that breaks.
    """
    built = assemble(loaded)
    if built.errors or built.broken:
        raise ConfigErrors([*built.errors, *built.broken.values()])
    return built.adapters


def build_sound(loaded: Loaded) -> tuple[dict[str, Adapter], dict[str, str]]:
    """The channels whose adapters can be used, and of each other one the sentence that says why it cannot.

    One bad package must not keep the others from speaking; what is written wrongly is for its writer to mend.

    Raises:
        ConfigErrors: with everything that is wrong in any block; or no adapter can be used at all.
    """
    built = assemble(loaded)
    if built.errors or not built.adapters:
        raise ConfigErrors([*built.errors, *built.broken.values()])
    return built.adapters, {name: wrong.sentence for name, wrong in built.broken.items()}


def assemble(loaded: Loaded) -> Blocks:
    """The channels that can be built, and what is wrong with the others or among them."""
    source, settings = loaded.source, loaded.settings
    blocks = Blocks()
    blocks.errors += [*unspoken(source, settings), *references(source)]
    if unspoken(source, settings):
        return blocks
    _read_blocks(source, loaded.environ, blocks)
    for name, (adapter, held) in blocks.here.items():
        _make(source, name, adapter, held, context(name, settings), blocks)
    for name, resolved in blocks.apart.items():
        _make_apart(source, name, resolved, context(name, settings), blocks)
    written = {name: held for name, (_, held) in blocks.here.items()}
    blocks.errors += exposed(source, settings, written, blocks.literal)
    order = [name for name in source.document["channels"] if name in blocks.adapters]
    blocks.adapters = {name: blocks.adapters[name] for name in order}
    blocks.errors += forbidden_hosts(source, settings, blocks.adapters)
    blocks.errors += _boards_as_fallback(source, blocks.adapters)
    blocks.errors += _nothing_to_copy(source, blocks.adapters)
    blocks.errors += for_residents(source, settings, blocks.adapters)
    return blocks


@dataclass(slots=True)
class Blocks:
    """What became of the blocks under `channels`.

    `here` are those right for an adapter in this process, `apart` those of adapters that have one of their own, their
    references resolved; `literal` the places of secrets that stand in the latter. `broken` are the channels whose
    adapters cannot be used, through no fault of what is written.
    """

    here: dict[str, tuple[AdapterClass, ChannelSettings]] = field(default_factory=dict)
    apart: dict[str, dict[str, Any]] = field(default_factory=dict)
    adapters: dict[str, Adapter] = field(default_factory=dict)
    literal: set[Place] = field(default_factory=set)
    errors: list[ConfigError] = field(default_factory=list)
    broken: dict[str, ConfigError] = field(default_factory=dict)


def _make(
    source: Source,
    name: str,
    adapter: AdapterClass,
    held: ChannelSettings,
    surroundings: ChannelContext,
    blocks: Blocks,
) -> None:
    place = ("channels", name)
    try:
        blocks.adapters[name] = adapter(held, surroundings)
    except ValueError as error:
        blocks.errors.append(source.error(place, mask(str(error), held_secrets(held))))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - not even a plugin that exits takes the others with it
        blocks.broken[name] = source.error(place, breaks(held.kind, type(error).__name__))


def _make_apart(
    source: Source,
    name: str,
    resolved: dict[str, Any],
    surroundings: ChannelContext,
    blocks: Blocks,
) -> None:
    place = ("channels", name)
    opening = Opening(
        kind=resolved["kind"],
        written=source.document["channels"][name],
        resolved=resolved,
        base=str(source.directory),
        context=plain(surroundings),
    )
    lives = Lives(opening, memory_of(resolved))
    try:
        found = lives.look()
    except Unusable as error:
        blocks.broken[name] = source.error((*place, "kind"), str(error))
        return
    except Broke as error:
        blocks.broken[name] = source.error((*place, "kind"), breaks(resolved["kind"], str(error)))
        return
    if isinstance(found, Wrong):
        blocks.errors += [source.error((*place, *at), sentence) for at, sentence in found.found]
        return
    blocks.literal |= {(*place, *at) for at in found.literal}
    blocks.adapters[name] = apart(found, opening, lives)


def _boards_as_fallback(source: Source, adapters: Mapping[str, Adapter]) -> Iterator[ConfigError]:
    for name, adapter in adapters.items():
        for n, other in enumerate(adapter.settings.fallback):
            if isinstance(adapters.get(other), BoardAdapter):
                remedy = f'"{other}" shows everything anyway: name a channel that sends or posts'
                yield source.error(("channels", name, "fallback", n), remedy)


def _nothing_to_copy(source: Source, adapters: Mapping[str, Adapter]) -> Iterator[ConfigError]:
    """What `boards` names must write files of its own: no post, no letter, no copy."""
    written = source.document["channels"]
    for name in adapters:
        named = written[name].get("boards")
        for n, other in enumerate(named if isinstance(named, list) else ()):
            if (
                isinstance(other, str)
                and other in adapters
                and (not isinstance(adapters[other], BoardAdapter) or "boards" in written[other])
            ):
                remedy = f'"{other}" publishes no files of its own: name a board, such as page'
                yield source.error(("channels", name, "boards", n), remedy)


def unspoken(source: Source, settings: Settings) -> list[ConfigError]:
    """The languages nobody has translated our sentences into."""
    known = {spoken.lower() for spoken in languages()}
    return [
        source.error(
            ("organisation", "languages", n),
            f'"{tag}" has no catalogue of phrases: write one of {", ".join(languages())}',
        )
        for n, tag in enumerate(settings.organisation.languages)
        if primary_of(tag) not in known
    ]


def block_errors(source: Source, environ: Mapping[str, str]) -> list[ConfigError]:
    """What is wrong in the blocks, whatever else is wrong with the file; those of own processes are not asked."""
    blocks = Blocks()
    _read_blocks(source, environ, blocks)
    return [*blocks.errors, *blocks.broken.values()]


def _read_blocks(source: Source, environ: Mapping[str, str], blocks: Blocks) -> None:
    known = entries()  # once for all: it looks through everything that is installed
    written = source.document.get("channels")
    for name, block in (written if isinstance(written, dict) else {}).items():
        if not isinstance(block, dict):
            continue  # the settings' own check says so
        entry, wrong = _entry(source, name, block, known)
        blocks.errors += wrong
        if entry is None:
            continue
        lax = source.document.get("mode") == Mode.DEMO
        resolved, failures = resolve_all(block, source.directory, environ, lax=lax)
        wrong = [source.error(("channels", name, *at), sentence) for at, sentence in failures]
        blocks.errors += wrong
        if not lives_apart(resolved):
            _read_here(source, name, entry, resolved, wrong, blocks)
        elif not wrong:
            blocks.apart[name] = resolved


def _entry(
    source: Source, name: str, block: Mapping[str, Any], known: Mapping[str, EntryPoint]
) -> tuple[EntryPoint | None, list[ConfigError]]:
    """The kind a block names; nothing of it is imported."""
    place = ("channels", name, "kind")
    kind = block.get("kind")
    if kind is None:
        return None, [source.error(place, f"is missing: {did_you_mean('', known)}")]
    if not isinstance(kind, str):
        return None, [source.error(place, "must be text: write it in quotes")]
    if kind not in known:
        return None, [
            source.error(place, f'there is no kind "{kind}": {did_you_mean(kind, known)}')
        ]
    return known[kind], []


def _read_here(
    source: Source,
    name: str,
    entry: EntryPoint,
    resolved: dict[str, Any],
    wrong: list[ConfigError],
    blocks: Blocks,
) -> None:
    place = ("channels", name)
    try:
        adapter = adapter_class(entry)
    except KindUnavailableError as error:
        blocks.broken[name] = source.error((*place, "kind"), str(error))
        return
    try:
        settings = adapter.Settings.model_validate(
            resolved, context={"base": source.directory, "written": True}
        )
    except ValidationError as error:
        unresolved = {each.path for each in wrong}
        found = describe(error, adapter.Settings, source, place, resolved)
        blocks.errors += [each for each in found if each.path not in unresolved]
        return
    except Exception as error:  # noqa: BLE001 - a plugin's own check that breaks takes no other channel with it
        at = _breaking(adapter, resolved, source)
        sentence = breaks(entry.name, type(error).__name__)
        blocks.broken[name] = source.error((*place, *at), sentence)
        return
    if not wrong:
        blocks.here[name] = (adapter, settings)


def _breaking(adapter: AdapterClass, resolved: Mapping[str, Any], source: Source) -> Place:
    """The key whose check breaks: without it none does. () where that is not one key alone."""
    for key in resolved:
        others = {name: value for name, value in resolved.items() if name != key}
        try:
            adapter.Settings.model_validate(
                others, context={"base": source.directory, "written": True}
            )
        except ValidationError:
            return (key,)  # that it is missing, at most
        except Exception:  # noqa: BLE001, S112 - it breaks still: it was another key
            continue
        return (key,)
    return ()


def context(name: str, settings: Settings) -> ChannelContext:
    """What the adapter of channel `name` is built with."""
    organisation = settings.organisation
    inbound = f"{settings.inbound.url}/in/{name}" if settings.inbound else ""
    first = organisation.languages[0]
    said = {language: residents(language, first) for language in organisation.languages}
    return ChannelContext(
        name=name,
        organisation=Organisation(**organisation.model_dump()),
        mode=settings.mode,
        public_url=settings.public.url,
        public_directory=str(settings.public.directory),
        inbound_url=inbound,
        follow_url=settings.follow_url,
        areas=tuple(board_area(key, settings) for key in settings.areas),
        places=table_of(settings).places,  # what is wrong with it, `config check` says
        answers=settings.public.answered,
        phrases={language: dict(found.phrases) for language, found in said.items()},
        foreign={
            language: dict(found.foreign) for language, found in said.items() if found.foreign
        },
        allowed_hosts=None if settings.mode is Mode.LIVE else settings.allowed_hosts,
    )


def board_area(key: str, settings: Settings) -> BoardArea:
    """An area as boards show it."""
    area = settings.areas[key]
    codes = {"scb": area.scb, "ssb": area.ssb}
    known = {register: code for register, code in codes.items() if code}
    try:
        outline = outline_of(area)
    except ValueError:
        outline = ()  # `config check` says why; the words go out without a map
    if area.polygon is None and area.scb and _is_all_of_it(area, settings):
        outline = outline_of_code(area.scb)
    return BoardArea(key, area.name, known, outline, area.names)


def _is_all_of_it(area: AreaSettings, settings: Settings) -> bool:
    """Whether no other area names its code: of two that do, each is only a part."""
    return [other.scb for other in settings.areas.values()].count(area.scb) == 1


def outline_of(area: AreaSettings) -> tuple[Ring, ...]:
    """Read where an area is; () when nothing is configured.

    Raises:
        ValueError: the file cannot be read, or is not what it should be; the message says why.
    """
    if area.polygon is None:
        return ()
    try:
        with area.polygon.open("rb") as stream:
            raw = stream.read(_LONGEST_OUTLINE + 1)
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    if len(raw) > _LONGEST_OUTLINE:
        raise ValueError("is larger than 1 MB: simplify the outline")
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not GeoJSON") from error
    return rings(content)


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
