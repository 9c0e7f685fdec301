"""docs/configuration.md, written from the JSON Schema so that no key is without its words.

`python -m broadcaster.testing.configuration_page` prints it; a test sees that the committed page is this one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from broadcaster.channel import ChannelSettings

Schema = Mapping[str, Any]

BEGINNING = """\
# Configuration

One file, `broadcaster.yaml`. `broadcaster init DIR` writes a commented one; [config/](../config/) has examples for a demo, the
least that works, a grid company, a municipality, a drill and several machines.

```sh
broadcaster config check     # everything that is wrong at once: line, place, and what to write instead
broadcaster config schema    # the JSON Schema: editors complete and complain by it
systemctl reload broadcaster # take changes into use; a bad file leaves the old configuration running
```

How to write it:

* **Paths** are relative to the file.
* **Durations** carry their unit: `12s`, `45m`, `2h`, `1h30m`.
* **Secrets** do not stand in the file. Write `"file:secrets/name"` (a file beside it, `chmod 600`; read again at a reload) or
  `"${NAME}"` (an environment variable; needs a restart).
* **Codes and times stand in quotes.** YAML reads an unquoted `0127` as the number 87, `no` as false and `19:00` as 1140.
  `config check` refuses these and says what to write.
* **An unknown key is an error**, so that a typing mistake never silently does nothing.
* In `drill` and `demo`, nothing is reached but this machine and the hosts under `allowed_hosts`.

`mode`, `store`, `api`, `inbound`, `public`, `node`, `log` and `audit_head` need a restart; the rest is taken into use by a reload.

<!-- Written by: python -m broadcaster.testing.configuration_page > docs/configuration.md -->
"""


def page(schema: Schema) -> str:
    """The page for a schema as `broadcaster.registry.json_schema` makes it."""
    return BEGINNING + "\n" + "\n\n".join(_sections(schema)) + "\n"


def _sections(schema: Schema) -> Iterator[str]:
    yield "## At the top\n\n" + _table(schema, schema)
    for name, part in schema["properties"].items():
        for inner in _blocks(schema, part):
            heading = f"## `{name}`\n\n{_said(part, inner)}\n\n"
            yield heading + _table(schema, inner, deep=True)
    yield _every_channel(schema)
    for kind in _kinds(schema):
        yield _one_kind(schema, kind)


def _blocks(schema: Schema, part: Schema) -> Iterator[Schema]:
    """The blocks of keys that a top-level key holds: itself, the items of its list, or what its names stand for."""
    inner = _followed(schema, part)
    if "properties" in inner:
        yield inner
    elif "items" in inner:
        yield from _blocks(schema, inner["items"])
    for named in inner.get("patternProperties", {}).values():
        if "oneOf" not in named:
            yield from _blocks(schema, named)


def _every_channel(schema: Schema) -> str:
    blocks = [schema["$defs"][f"channel.{kind}"]["properties"] for kind in _kinds(schema)]
    any_kind = {name: part for block in blocks for name, part in block.items()}
    shared = {name: any_kind[name] for name in ChannelSettings.model_fields}
    text = (
        "## `channels`\n\nEach channel has a name of your choice and a `kind`. Every kind has these keys; its own are "
        "below, and its page says how to set it up.\n\n"
    )
    keys = {name: part for name, part in shared.items() if name != "kind"}
    kind = f"| `kind` | {shared['kind']['description']} | must be given |"
    return text + _table(schema, {"properties": keys}).replace(
        "|---|---|---|", f"|---|---|---|\n{kind}"
    )


def _one_kind(schema: Schema, kind: str) -> str:
    block = schema["$defs"][f"channel.{kind}"]
    own = {
        name: part
        for name, part in block["properties"].items()
        if name not in ChannelSettings.model_fields
    }
    heading = (
        f"### `kind: {kind}`\n\nHow to set it up: [docs/channels/{kind}.md](channels/{kind}.md)."
    )
    if not own:
        return heading + " It has no keys of its own."
    parts = [heading, _table(schema, {**block, "properties": own}, deep=True)]
    for name, part in own.items():
        for choice in _choices(schema, part):
            key = _telling(part)
            preset = choice["properties"][key]["const"]
            parts.append(
                f"#### `{name}`: `{key}: {preset}`\n\n" + _table(schema, choice, deep=True)
            )
    return "\n\n".join(parts)


def _choices(schema: Schema, part: Schema) -> list[Schema]:
    return [_followed(schema, one) for one in part.get("items", part).get("oneOf", ())]


def _telling(part: Schema) -> str:
    """The key by which the shapes of a block are told apart."""
    return str(part.get("items", part)["discriminator"]["propertyName"])


def _kinds(schema: Schema) -> list[str]:
    return sorted(
        name.removeprefix("channel.") for name in schema["$defs"] if name.startswith("channel.")
    )


def _table(schema: Schema, block: Schema, *, deep: bool = False) -> str:
    """The keys of a block; `deep`: with the keys of the blocks in it."""
    lines = ["| Key | Means | Default |", "|---|---|---|"]
    for name, part in block["properties"].items():
        default = _default(schema, part, required=name in _required(block))
        lines.append(f"| `{name}` | {_means(schema, part)} | {default} |")
        lines += [
            f"| `{name}{key}` | {words} | {default} |"
            for key, words, default in (_inner(schema, part) if deep else ())
        ]
    return "\n".join(lines)


def _required(block: Schema) -> set[str]:
    """The keys that a block must have, also where another may stand for one: urls for url."""
    either = (key for choice in block.get("oneOf", ()) for key in choice.get("required", ()))
    return {*block.get("required", ()), *either}


def _inner(schema: Schema, part: Schema) -> Iterator[tuple[str, str, str]]:
    """The keys of a block in a block, or of the blocks in a list: key, meaning, default."""
    dot, inner = ("[].", part["items"]) if "items" in part else (".", part)
    block = _followed(schema, inner)
    for key, one in block.get("properties", {}).items():
        default = _default(schema, one, required=key in block.get("required", ()))
        yield f"{dot}{key}", _means(schema, one), default


def _means(schema: Schema, part: Schema) -> str:
    inner = _followed(schema, part)
    words = _said(part, inner).replace("|", "\\|")
    if "const" in part:
        words = f"`{part['const']}`"
    if "enum" in inner:
        choices = ", ".join(f"`{one}`" for one in inner["enum"])
        words = f"{words} One of {choices}." if words else f"One of {choices}."
    return words


def _said(part: Schema, inner: Schema) -> str:
    """The first paragraph of what is said about a key, in one line."""
    words = str(part.get("description") or inner.get("description") or "")
    return " ".join(words.split("\n\n", maxsplit=1)[0].split())


def _default(schema: Schema, part: Schema, *, required: bool) -> str:
    if required:
        return "must be given"
    default = part.get("default")
    if isinstance(default, dict):
        default = ":".join(str(one) for one in default.values())
    if default in (None, "", [], {}):
        return "as below" if "$ref" in part and "properties" in _followed(schema, part) else "none"
    text = default if isinstance(default, str) else json.dumps(default, ensure_ascii=False)
    return f"`{text}`"


def _followed(schema: Schema, part: Schema) -> Schema:
    """What a reference stands for; an optional block is the block."""
    for choice in part.get("anyOf", ()):
        if "$ref" in choice:
            part = choice
    reference = part.get("$ref")
    if reference is None:
        return part
    found: Schema = schema["$defs"][str(reference).rsplit("/", 1)[-1]]
    return found


if __name__ == "__main__":
    sys.stdout.write(page(json.loads(Path("config/schema.json").read_text("utf-8"))))
