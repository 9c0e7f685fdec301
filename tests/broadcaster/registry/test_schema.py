import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from broadcaster.registry import json_schema, kinds
from broadcaster.settings.source import read

CONFIG = Path(__file__).parents[3] / "config"
EXAMPLES = sorted(CONFIG.glob("*.yaml"))


@pytest.fixture(scope="module")
def committed() -> Any:
    return json.loads((CONFIG / "schema.json").read_text(encoding="utf-8"))


def built_in() -> dict[str, Any]:
    return {name: kind for name, kind in kinds().items() if kind.__module__.startswith("channels.")}


def test_the_committed_schema_is_current(committed: Any) -> None:
    assert json_schema(built_in()) == committed, (
        "type: broadcaster config schema > config/schema.json"
    )


def test_the_schema_is_a_valid_one(committed: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(committed)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_names_the_schema_and_is_valid_by_it(example: Path, committed: Any) -> None:
    first = example.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=schema.json"
    source = read(example)
    assert source.errors == []
    jsonschema.Draft202012Validator(committed).validate(source.document)


def test_every_key_says_what_it_means(committed: Any) -> None:
    def says(value: dict[str, Any]) -> bool:
        named = committed["$defs"].get(value.get("$ref", "").rsplit("/", 1)[-1], {})
        return bool(value.get("description") or named.get("description") or "const" in value)

    silent = [
        f"{name}.{key}"
        for name, part in {"": committed, **committed["$defs"]}.items()
        for key, value in part.get("properties", {}).items()
        if not says(value)
    ]
    assert silent == []


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "test"},
        {"areas": {"Norra Ekbyn": {"name": "Norra Ekbyn"}}},
        {"colour": "red"},
        {"channels": {"page": {"kind": "paeg"}}},
        {"follow_up": {"next": 45}},
    ],
)
def test_an_editor_complains_about_what_the_daemon_refuses(
    committed: Any, change: dict[str, Any]
) -> None:
    document = read(CONFIG / "minimal.yaml").document | change
    assert not jsonschema.Draft202012Validator(committed).is_valid(document)


def test_a_reference_may_stand_where_a_text_has_a_pattern(committed: Any) -> None:
    document = read(CONFIG / "minimal.yaml").document
    document["public"]["url"] = "${PUBLIC_URL}"
    jsonschema.Draft202012Validator(committed).validate(document)
    document["public"]["url"] = "drift.example"
    assert not jsonschema.Draft202012Validator(committed).is_valid(document)


def test_kinds_are_told_apart_and_defaults_are_written_as_people_write_them() -> None:
    schema = json_schema(
        {name: kind for name, kind in kinds().items() if name.startswith("sample_")}
    )
    wire = schema["$defs"]["channel.sample_wire"]["properties"]
    assert wire["kind"]["const"] == "sample_wire"
    assert wire["pause"]["default"] == "5s"
    assert wire["token"]["writeOnly"] is True
    assert "pause" not in schema["$defs"]["channel.sample_phone"]["properties"]
