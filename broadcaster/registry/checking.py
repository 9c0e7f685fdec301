"""`config check`: everything that can be known about a configuration without starting it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from broadcaster.channel import Audience, CanCollect, CanReceive
from broadcaster.locale import residents
from broadcaster.registry.building import assemble, block_errors, build_sound, outline_of
from broadcaster.registry.kinds import Adapter
from broadcaster.registry.places import table_of
from broadcaster.registry.redundancy import thin
from broadcaster.registry.references import references
from broadcaster.settings.errors import ConfigError, ConfigErrors
from broadcaster.settings.expansion import expand
from broadcaster.settings.loading import Loaded, load, loaded_from, validate
from broadcaster.settings.source import Source, read


def check_file(path: Path, environ: Mapping[str, str]) -> list[ConfigError]:
    """All errors and warnings of a configuration, in its own order, whatever else is wrong with it."""
    source = expand(read(path))
    settings, errors = validate(source, environ)
    if settings is not None and not errors:
        return check(loaded_from(source, settings, environ))
    return sorted({*errors, *block_errors(source, environ), *references(source)})


def usable(
    path: Path, environ: Mapping[str, str]
) -> tuple[Loaded, dict[str, Adapter], dict[str, str]]:
    """A configuration, its channels that can be used, and of each other one the sentence that says why it cannot.

    Folders that cannot be written are no reason to refuse: what can go out still goes.

    Raises:
        ConfigErrors: something is written wrongly; it holds all that `check_file` finds but the doubts.
    """
    try:
        loaded = load(path, environ)
        adapters, broken = build_sound(loaded)
        _refuse_clashes(loaded)
    except ConfigErrors as error:
        found = [wrong for wrong in check_file(path, environ) if not wrong.warning]
        raise ConfigErrors([*error.errors, *found]) from None
    return loaded, adapters, broken


def _refuse_clashes(loaded: Loaded) -> None:
    if clashes := list(_listeners(loaded)):
        raise ConfigErrors(clashes)


def check(loaded: Loaded) -> list[ConfigError]:
    """What is wrong (`warning` false: it cannot be started) or doubtful about a configuration that was loaded."""
    built = assemble(loaded)
    adapters, errors = built.adapters, [*built.errors, *built.broken.values()]
    places = [*_places(loaded), *_listeners(loaded)]
    if errors:  # what one error causes is no doubt of its own
        return sorted({*errors, *places})
    doubts = [*_exposure(loaded), *_unrouted(loaded.source, adapters), *_silent(loaded, adapters)]
    doubts += _half_spoken(loaded)
    return sorted({*places, *doubts, *_thin(loaded, adapters)})


def _places(loaded: Loaded) -> Iterator[ConfigError]:
    settings, source = loaded.settings, loaded.source
    written = {
        ("public", "directory"): settings.public.directory,
        ("erasures",): settings.erasures.parent,
        ("audit_head",): settings.audit_head.parent,
    }
    database = settings.store.url.get_secret_value()
    if database.startswith("sqlite:///"):
        written["store", "url"] = Path(database.removeprefix("sqlite:///")).parent
    for place, directory in written.items():
        if not _writable(directory):
            yield source.error(
                place, f"the directory {directory} cannot be written: give it to the daemon's user"
            )
    for key, area in settings.areas.items():
        if area.polygon and not area.polygon.is_file():
            remedy = f"there is no file {area.polygon}: put it there or take the line out"
            yield source.error(("areas", key, "polygon"), remedy)
            continue
        try:
            outline_of(area)
        except ValueError as error:
            yield source.error(("areas", key, "polygon"), str(error))
    if settings.places and not settings.places.is_file():
        remedy = f"there is no file {settings.places}: put it there or take the line out"
        yield source.error(("places",), remedy)
    elif settings.places:
        for line, sentence in table_of(settings).wrong:
            yield ConfigError(settings.places, line, "places", sentence)


def _writable(directory: Path) -> bool:
    """Whether it can be written, or made."""
    nearest = next(part for part in (directory, *directory.parents) if part.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def _listeners(loaded: Loaded) -> Iterator[ConfigError]:
    settings = loaded.settings
    listeners = {
        "api": settings.api.listen,
        "public": settings.public.listen,
        "inbound": settings.inbound.listen if settings.inbound else None,
    }
    taken: dict[str, str] = {}
    for section, listen in listeners.items():
        if listen is None or listen.port == 0:
            continue
        other = taken.setdefault(str(listen), section)
        if other != section:
            remedy = f"{listen} is taken by {other}.listen: choose another port"
            yield loaded.source.error((section, "listen"), remedy)


def _exposure(loaded: Loaded) -> Iterator[ConfigError]:
    """What residents or the whole world would reach by mistake."""
    settings, source = loaded.settings, loaded.source
    host = settings.api.listen.host
    if not settings.api.listen.is_loopback and not _is_private(host):
        remedy = f"the operators' interface would stand open on {host}: listen on 127.0.0.1 or a private address"
        yield source.error(("api", "listen"), remedy, warning=True)
    if settings.mode == "live" and not settings.public.url.startswith("https://"):
        remedy = "residents should read an address that begins with https://"
        yield source.error(("public", "url"), remedy, warning=True)


def _is_private(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_private and not address.is_unspecified


def _unrouted(source: Source, adapters: Mapping[str, Adapter]) -> Iterator[ConfigError]:
    routes = source.document["routes"]
    used = {name for route in routes for name in route["channels"]}
    used |= {name for adapter in adapters.values() for name in adapter.settings.fallback}
    for name, adapter in adapters.items():
        public = adapter.settings.audience is Audience.PUBLIC and adapter.settings.is_way
        if public and name not in used:
            remedy = "no route and no fallback names this channel: it carries nothing"
            yield source.error(("channels", name), remedy, warning=True)


def _thin(loaded: Loaded, adapters: Mapping[str, Adapter]) -> Iterator[ConfigError]:
    for one in thin(loaded.settings, adapters):
        yield loaded.source.error(("routes",), one.sentence, warning=True)


def _half_spoken(loaded: Loaded) -> Iterator[ConfigError]:
    """The languages that are not whole: what they lack is lent from the first, or English."""
    tags = loaded.settings.organisation.languages
    for n, tag in enumerate(tags):
        said = residents(tag, tags[0])
        if said.foreign:
            lent = ", ".join(sorted(set(said.foreign.values())))
            remedy = (
                f'{len(said.foreign)} of {len(said.phrases)} sentences for residents are not there in "{tag}": '
                f"they read them in {lent}"
            )
            yield loaded.source.error(("organisation", "languages", n), remedy, warning=True)


def _silent(loaded: Loaded, adapters: Mapping[str, Adapter]) -> Iterator[ConfigError]:
    """Who would not be told: staff of a promise that runs out, we of what a gateway reports."""
    settings, source = loaded.settings, loaded.source
    staff = any(adapter.settings.audience is Audience.STAFF for adapter in adapters.values())
    if settings.follow_up and not staff:
        remedy = "no channel has audience: staff, so nobody is reminded of a promise: add one"
        yield source.error(("follow_up",), remedy, warning=True)
    for name, adapter in adapters.items():
        by_listener = isinstance(adapter, CanReceive) and not isinstance(adapter, CanCollect)
        if by_listener and settings.inbound is None:
            remedy = (
                "nothing can come back that says what arrived: add inbound, with listen and url"
            )
            yield source.error(("channels", name), remedy, warning=True)
