"""The JSON Schema of broadcaster.yaml, with every installed kind of channel: editors complete and complain by it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from broadcaster.registry.kinds import AdapterClass
from broadcaster.settings.model import Settings
from broadcaster.settings.sentences import span


def json_schema(kinds: Mapping[str, AdapterClass]) -> dict[str, Any]:
    """Draft 2020-12; a channel's block is one of the kinds, told apart by `kind`."""
    models: list[type[BaseModel]] = [Settings, *(adapter.Settings for adapter in kinds.values())]
    unique = list(dict.fromkeys(models))
    names, whole = models_json_schema([(model, "validation") for model in unique])
    definitions = whole["$defs"]
    references: dict[type[BaseModel], str] = {
        model: names[model, "validation"]["$ref"].rsplit("/", 1)[-1] for model in unique
    }
    root = definitions.pop(references[Settings])
    for kind, adapter in kinds.items():
        definitions[f"channel.{kind}"] = _of_kind(kind, definitions[references[adapter.Settings]])
    for name in {references[adapter.Settings] for adapter in kinds.values()}:
        definitions.pop(name)
    blocks = {
        "oneOf": [{"$ref": f"#/$defs/channel.{kind}"} for kind in kinds],
        "discriminator": {
            "propertyName": "kind",
            "mapping": {kind: f"#/$defs/channel.{kind}" for kind in kinds},
        },
    }
    channels = root["properties"]["channels"]
    channels["patternProperties"] = dict.fromkeys(channels["patternProperties"], blocks)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root,
        "title": "broadcaster.yaml",
        "$defs": dict(sorted(definitions.items())),
    }
    _for_people(schema)
    return schema


def _of_kind(kind: str, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The block of one kind: several may share a class of settings."""
    block = copy.deepcopy(dict(shared))
    words = {
        key: value for key, value in block["properties"]["kind"].items() if key == "description"
    }
    block["properties"]["kind"] = {"const": kind, **words}
    block["required"] = sorted({"kind", *block.get("required", ())})
    if "url" in block["required"]:
        block["required"].remove("url")
        block["oneOf"] = [{"required": ["url"]}, {"required": ["urls"]}]
    else:
        del block["properties"]["urls"]
    return block


def _for_people(schema: Any) -> None:
    """Adapt what pydantic says to what a person writes.

    Defaults of durations read "30s" instead of 30.0, a reference may stand for any text, and a bad name is refused.
    """
    if isinstance(schema, list):
        for part in schema:
            _for_people(part)
    if not isinstance(schema, dict):
        return
    if schema.get("format") == "span" and isinstance(schema.get("default"), int | float):
        schema["default"] = span(schema["default"])
    if isinstance(schema.get("pattern"), str):
        schema["pattern"] += r"|\$\{|^file:"
    if "patternProperties" in schema:
        schema["additionalProperties"] = False
    for part in schema.values():
        _for_people(part)
