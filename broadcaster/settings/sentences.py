"""pydantic's findings → our sentences: what is wrong, what to write instead, never a secret's value."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from broadcaster.settings.errors import ConfigError
from broadcaster.settings.schema import allowed_keys, description, is_span, secrets, tags
from broadcaster.settings.source import Place, Source


def describe(
    error: ValidationError,
    model: type[BaseModel],
    source: Source,
    place: Place,
    resolved: Any = None,
) -> list[ConfigError]:
    """Say everything pydantic found in the block at `place` of `source`; see `findings`."""
    found = findings(error, model, _at(source.document, place), resolved)
    return [source.error((*place, *local), sentence) for local, sentence in found]


def findings(
    error: ValidationError, model: type[BaseModel], written: Any, resolved: Any = None
) -> list[tuple[Place, str]]:
    """Say everything pydantic found in a block as `written`: each place within it, with its sentence.

    `resolved` is the block after its references were replaced. What stands in secret places or came by
    a reference is masked.
    """
    schema = model.model_json_schema()
    hidden = {*secrets(schema, written), *secrets(schema, resolved), *_replaced(written, resolved)}
    found: dict[tuple[Place, str], None] = {}
    for finding in error.errors(include_url=False, include_input=False):
        local = _local(finding["loc"], written, str(finding["type"]))
        if finding["type"] == "too_short" and _at(written, local):
            continue  # it is short only of what is reported below it
        found[local, mask(_sentence(finding, schema, written, local), hidden)] = None
    return list(found)


def _replaced(written: Any, resolved: Any) -> Iterator[str]:
    """Every text of `resolved` that is not as it was written."""
    if isinstance(resolved, dict):
        for key, value in resolved.items():
            yield from _replaced(written[key], value)
    elif isinstance(resolved, list):
        for before, after in zip(written, resolved, strict=True):
            yield from _replaced(before, after)
    elif isinstance(resolved, str) and resolved != written:
        yield resolved


def mask(sentence: str, hidden: Iterable[str]) -> str:
    """Replace every secret in a sentence by an ellipsis; what has under four letters is none."""
    for secret in sorted(hidden, key=len, reverse=True):
        if len(secret) >= 4:
            sentence = sentence.replace(secret, "…")
    return sentence


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Ask for the nearest known name, or list them all; "" when there is none."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, 1, cutoff=0.6)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"write one of {', '.join(names)}" if names else ""


def _at(document: Any, place: Place) -> Any:
    for step in place:
        document = document[step]
    return document


def _local(loc: tuple[str | int, ...], written: Any, kind: str) -> Place:
    """Pydantic's location without the steps that stand for no key: union tags and its word for a key, "[key]"."""
    place: list[str | int] = []
    for position, step in enumerate(loc):
        last = position == len(loc) - 1
        if step == "[key]":
            continue
        inside = (isinstance(written, dict) and step in written) or (
            isinstance(written, list) and isinstance(step, int) and step < len(written)
        )
        if inside:
            written = written[step]
            place.append(step)
        elif last and kind == "missing":
            place.append(step)
    return tuple(place)


_TYPES = {
    "missing": "is missing: write it",
    "string_type": "must be text: write it in quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "list_type": "must be a list: write [first, second]",
    "tuple_type": "must be a list: write [first, second]",
    "dict_type": "must be keys with values",
    "mapping_type": "must be keys with values",
    "model_type": "must be keys with values",
    "model_attributes_type": "must be keys with values",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "path_type": "must be a path: write it in quotes",
    "int_parsing_size": "must be a whole number",
    "url_type": "must be text: write it in quotes",
    "url_parsing": "must be an address: begin it with https://",
    "url_scheme": "must be an address: begin it with https://",
    "url_too_long": "is too long for an address",
}
_LIMITS = {
    "greater_than": ("gt", "must be more than {limit}"),
    "greater_than_equal": ("ge", "must be at least {limit}"),
    "less_than": ("lt", "must be less than {limit}"),
    "less_than_equal": ("le", "must be at most {limit}"),
}


def _sentence(
    finding: Mapping[str, Any], schema: Mapping[str, Any], written: Any, local: Place
) -> str:
    kind = str(finding["type"])
    context = finding.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(allowed_keys(schema, written, local[:-1]), str(local[-1]))
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return _untagged(str(context["discriminator"]).strip("'"), schema, written, local)
    if kind in _TYPES:
        return _TYPES[kind]
    if kind in _LIMITS:
        key, words = _LIMITS[kind]
        limit = context[key]
        return words.format(limit=span(limit) if is_span(schema, written, local) else limit)
    about_key = finding["loc"][-1:] == ("[key]",)
    value = str(local[-1]) if about_key else _short_text(written, local)
    if kind == "string_pattern_mismatch":
        shape = _SHAPES.get(str(context["pattern"])) or description(schema, written, local)
        shape = shape or str(context["pattern"])
        return _about(value, f"is not written as it must be here: {shape}")
    return _value_sentence(kind, context, str(finding["msg"]), value)


def _value_sentence(kind: str, context: Mapping[str, Any], message: str, value: str) -> str:
    if kind in {"enum", "literal_error"}:
        known = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        return _about(value, f"is not one of the words known here: write one of {known}")
    if kind == "string_too_long":
        return f"is too long: at most {context['max_length']} characters"
    if kind == "value_error":
        # A validator's own sentence; one that begins with a verb is about the value.
        own = str(context["error"])
        return _about(value, own) if own.startswith("is ") else own
    return _about(value, f"{message[:1].lower()}{message[1:]}")


def _about(value: str, sentence: str) -> str:
    """A sentence with the value that it is about, if that may be repeated."""
    return f'"{value}" {sentence}' if value else sentence


def _untagged(key: str, schema: Mapping[str, Any], written: Any, local: Place) -> str:
    """What to write for the key that tells alternatives apart, such as a supplier's preset."""
    known = tags(schema, written, local)
    value = _at(written, local)
    word = value.get(key) if isinstance(value, dict) else None
    if isinstance(word, str):
        return f'"{word}" is no {key} we know: {did_you_mean(word, known)}'
    return f"{key} is missing: write one of {', '.join(known)}"


def _unknown(known: Iterable[str], key: str) -> str:
    hint = did_you_mean(key, known) or "delete it"
    return f'unknown key "{key}": {hint}'


def _short_text(written: Any, local: Place) -> str:
    """The value as written, when it is short text that may be repeated; "" else."""
    try:
        value = _at(written, local)
    except (KeyError, IndexError, TypeError):
        return ""
    short = isinstance(value, str) and len(value) <= 100 and value.isprintable()
    return value if short else ""


_SHAPES = {
    "^[A-Z]{2}$": "two capital letters, such as SE",
    "^[a-z0-9]+(-[a-z0-9]+)*$": "small letters a-z, digits and single hyphens, such as norra-ekbyn",
    "^[a-z0-9]+([-_][a-z0-9]+)*$": "small letters a-z, digits and single hyphens, such as sms",
    "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?(-[a-z0-9]{5,8})?$": "a language tag, such as sv, en or nb",
}


def span(seconds: float) -> str:
    """Write seconds as a duration is written: 2700 as 45m."""
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
