"""Walks a JSON Schema beside a document: which keys may stand at a place, and which values there are secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]


def allowed_keys(root: Schema, document: Any, place: tuple[str | int, ...]) -> tuple[str, ...]:
    """The keys that may stand in the mapping at `place`, sorted."""
    found = {key for part in _at(root, document, place) for key in part.get("properties", {})}
    return tuple(sorted(found))


def is_span(root: Schema, document: Any, place: tuple[str | int, ...]) -> bool:
    """Whether the value at `place` is a duration."""
    return any(part.get("format") == "span" for part in _at(root, document, place))


def tags(root: Schema, document: Any, place: tuple[str | int, ...]) -> tuple[str, ...]:
    """The words that tell the alternatives at `place` apart, sorted."""
    mappings = (
        part.get("discriminator", {}).get("mapping", {}) for part in _at(root, document, place)
    )
    return tuple(sorted({word for mapping in mappings for word in mapping}))


def description(root: Schema, document: Any, place: tuple[str | int, ...]) -> str:
    """What the schema says the value at `place` is, or ""."""
    said = (str(part.get("description", "")) for part in _at(root, document, place))
    return next((words for words in said if words), "")


def secrets(root: Schema, document: Any) -> tuple[str, ...]:
    """Every text in `document` that stands where the schema says `writeOnly` (pydantic's `SecretStr`)."""
    return tuple(_secrets(root, root, document))


def _secrets(root: Schema, schema: Schema, document: Any) -> Iterator[str]:
    for part in _open(root, schema, document):
        if part.get("writeOnly") and isinstance(document, str):
            yield document
        for step, child in _children(document):
            for below in _step(part, step):
                yield from _secrets(root, below, child)


def _children(document: Any) -> list[tuple[str | int, Any]]:
    if isinstance(document, dict):
        return list(document.items())
    return list(enumerate(document)) if isinstance(document, list) else []


def _at(root: Schema, document: Any, place: tuple[str | int, ...]) -> list[Schema]:
    here = list(_open(root, root, document))
    for step in place:
        document = _value(document, step)
        below = [child for part in here for child in _step(part, step)]
        here = [part for child in below for part in _open(root, child, document)]
    return here


def _value(document: Any, step: str | int) -> Any:
    if isinstance(document, dict):
        return document.get(step)
    inside = isinstance(document, list) and isinstance(step, int) and step < len(document)
    return document[step] if inside else None


def _step(part: Schema, step: str | int) -> list[Schema]:
    """The schemas one step below `part`."""
    if isinstance(step, int):
        return [part["items"]] if isinstance(part.get("items"), dict) else []
    if step in part.get("properties", {}):
        return [part["properties"][step]]
    extra = [*part.get("patternProperties", {}).values(), part.get("additionalProperties")]
    return [child for child in extra if isinstance(child, dict)]


def _open(root: Schema, schema: Schema, document: Any) -> Iterator[Schema]:
    """Follow references and alternatives; of tagged alternatives only the one the document names, if it names one."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        yield from _open(root, root["$defs"][name], document)
        return
    yield schema
    alternatives = [*schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())]
    tagged = schema.get("discriminator", {})
    if tagged and isinstance(document, dict):
        chosen = tagged.get("mapping", {}).get(document.get(tagged.get("propertyName")))
        alternatives = [{"$ref": chosen}] if chosen else alternatives
    for alternative in alternatives:
        yield from _open(root, alternative, document)
