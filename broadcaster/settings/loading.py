"""From a file to settings: everything that is wrong is found at once and raised as one `ConfigErrors`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from broadcaster.credentials import is_reference, resolve_all
from broadcaster.settings.errors import ConfigError, ConfigErrors
from broadcaster.settings.expansion import expand
from broadcaster.settings.model import Settings
from broadcaster.settings.sentences import describe
from broadcaster.settings.source import Source, read


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used.

    `digest` is the same on every node that runs the same configuration: it covers what is written,
    except `node`, and no resolved secret.
    """

    settings: Settings
    path: Path
    digest: str
    source: Source = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)

    @property
    def directory(self) -> Path:
        """What relative paths of the configuration are relative to."""
        return self.source.directory


def load(path: Path, environ: Mapping[str, str]) -> Loaded:
    """Read, resolve and check everything but the blocks of the channels, which `registry.build` checks.

    Raises:
        ConfigErrors: with everything that is wrong.
    """
    source = expand(read(path))
    settings, errors = validate(source, environ)
    if settings is None or errors:
        raise ConfigErrors(errors)
    return loaded_from(source, settings, environ)


def loaded_from(source: Source, settings: Settings, environ: Mapping[str, str]) -> Loaded:
    """Settings that were found right, with what they were read from."""
    return Loaded(settings, source.path, _digest(source.document), source, environ)


def validate(
    source: Source, environ: Mapping[str, str]
) -> tuple[Settings | None, list[ConfigError]]:
    """The settings, or None, and everything that is wrong with what was read."""
    errors = list(source.errors)
    if not source.document:
        return None, errors
    lax = source.document.get("mode") == "demo"
    outside = {key: value for key, value in source.document.items() if key != "channels"}
    resolved, failures = resolve_all(outside, source.directory, environ, lax=lax)
    errors += [source.error(place, sentence) for place, sentence in failures]
    errors += _literal_key(source, lax=lax)
    document = resolved | {
        key: source.document[key] for key in ("channels",) if key in source.document
    }
    try:
        settings = Settings.model_validate(
            document, context={"base": source.directory, "written": True}
        )
    except ValidationError as error:
        mended = {source.error(place, "").path for place, _ in failures} | {
            wrong.path for wrong in errors
        }
        found = describe(error, Settings, source, (), document)
        return None, errors + [wrong for wrong in found if wrong.path not in mended]
    return settings, errors


def _literal_key(source: Source, *, lax: bool) -> list[ConfigError]:
    store = source.document.get("store")
    key = store.get("key") if isinstance(store, dict) else None
    if lax or not isinstance(key, str) or is_reference(key):
        return []
    remedy = "the key must not stand in the configuration: write file:secrets/store.key"
    return [source.error(("store", "key"), remedy)]


def _digest(document: dict[str, Any]) -> str:
    shared = {key: value for key, value in document.items() if key != "node"}
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()
