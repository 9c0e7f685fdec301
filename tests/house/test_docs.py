"""The documents say what is there: keys, metrics, states, commands, links. Undocumented means failing."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from broadcaster import __version__
from broadcaster.cli import build
from broadcaster.domain.delivery import State
from broadcaster.registry.kinds import kinds
from broadcaster.telemetry import Metrics
from broadcaster.testing.configuration_page import page

WORDS = """
incident update area audience kind adapter channel supplier message letter delivery step attempt receipt confirmed
accepted ETR promise follow-up subscriber address operator approver mode probe lane fallback state outcome board post
report correction retraction holding restored public staff live drill demo minor moderate severe extreme role viewer author
admin token store revision epoch node
"""
"""What design.md §3 names, and what the commands and the configuration add."""


@pytest.fixture(scope="session")
def documents(root: Path, files: list[Path]) -> dict[Path, str]:
    """Every Markdown file, by its path."""
    return {
        path: (root / path).read_text("utf-8")
        for path in files
        if path.suffix == ".md" and path.parts[0] != ".ci"
    }


def blocks(text: str, *languages: str) -> Iterator[str]:
    for language, body in re.findall(r"^ *```(\w+)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
        if language in languages:
            yield body


# ------------------------------------------------------------------------------------------------------------ links
def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_inside_the_documents_leads_somewhere(
    root: Path, documents: dict[Path, str]
) -> None:
    broken = []
    for path, text in documents.items():
        prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
        for link in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", prose):
            name, _, anchor = link.partition("#")
            target = (root / path.parent / name).resolve() if name else root / path
            if not target.exists():
                broken.append(f"{path}: {link}")
            elif anchor and anchor not in anchors(target.read_text("utf-8")):
                broken.append(f"{path}: {link} has no such heading")
    assert broken == []


def test_every_document_is_reached_from_the_readme(root: Path, documents: dict[Path, str]) -> None:
    reached, waiting = set[Path](), [Path("README.md")]
    while waiting:
        path = waiting.pop()
        if path in reached or path not in documents:
            continue
        reached.add(path)
        links = re.findall(r"\]\((?!https?:)([^)#\s]+)", documents[path])
        waiting += [(root / path.parent / link).resolve().relative_to(root) for link in links]
    docs = {path for path in documents if path.parts[0] == "docs" or len(path.parts) == 1}
    assert sorted(docs - reached) == []


PARTS = (
    "## Set it up",
    "## What it costs, what it can hold",
    '## What "accepted"( and "confirmed" prove| proves)',
    "## When it fails",
)


def test_the_page_of_every_kind_says_what_the_quick_start_says_it_does(
    root: Path, documents: dict[Path, str]
) -> None:
    """How to get an account, what it costs, what "accepted" proves there, and a table of what to do when it fails."""
    assert 'what it costs, what "accepted" proves there' in documents[Path("docs/quickstart.md")]
    for kind in kinds():
        text = documents[Path(f"docs/channels/{kind}.md")]
        at = [re.search(f"^{part}$", text, re.MULTILINE) for part in PARTS]
        assert all(at), (
            f"{kind}: lacks {[part for part, found in zip(PARTS, at, strict=True) if not found]}"
        )
        assert [found.start() for found in at if found] == sorted(
            found.start() for found in at if found
        ), f"{kind}: in this order"
        failing = text[at[-1].end() :] if at[-1] else ""
        assert "|---|" in failing.partition("\n## ")[0], f"{kind}: a table of failures"


# --------------------------------------------------------------------------------------------------------- commands
def told_commands(text: str) -> Iterator[str]:
    """What begins with `broadcaster` or ends in it, in blocks of shell and in code within a line."""
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    for line in [*lines, *re.findall(r"`([^`]+)`", prose)]:
        for part in re.split(r"&&|\|\|", line):
            found = re.match(
                r"\s*(?:sudo (?:-u \w+ )?)?(?:\S*/)?broadcaster (?=[a-z])(.*)", part.split("  #")[0]
            )
            if found:
                yield found[1]


@pytest.fixture(scope="session")
def tree() -> Any:
    """The command line; its classes are typer's own, so it is told apart by what it has."""
    return build()


def wrong_in(command: str, tree: Any) -> str:
    """What is wrong with a command as it is told: an unknown verb or option; "" when nothing is."""
    words = shlex.split(command.replace("…", ""))
    at = tree
    while hasattr(at, "commands") and words:
        word = words.pop(0)
        if word not in at.commands:
            return f"no command {word!r}"
        at = at.commands[word]
    known = {option for parameter in at.params for option in parameter.opts} | {"--help"}
    for word in words:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in known and not option.startswith("--text-"):
            return f"no option {option}"
    return ""


def test_the_check_of_commands_sees_a_wrong_one(tree: Any) -> None:
    assert wrong_in("channels renew sms", tree) == "no command 'renew'"
    assert wrong_in('report --zone norra "x"', tree) == "no option --zone"
    assert wrong_in('report --area norra --text-en "x" "y"', tree) == ""
    assert list(told_commands("a `sudo -u x broadcaster init D` and `broadcaster`")) == ["init D"]


def test_every_command_the_documents_tell_exists(documents: dict[Path, str], tree: Any) -> None:
    told = [(path, command) for path, text in documents.items() for command in told_commands(text)]
    assert len(told) > 60
    wrong = [f"{path}: {command}: {wrong_in(command, tree)}" for path, command in told]
    assert [one for one in wrong if not one.endswith(": ")] == []


def test_every_command_the_units_start_exists(root: Path, tree: Any) -> None:
    units = sorted((root / "deploy").glob("*.service"))
    calls = [
        call
        for unit in units
        for call in re.findall(r"bin/broadcaster ([^'\n]+)", unit.read_text())
        if not call.startswith("is ")
    ]
    assert len(calls) == len(units)
    assert [wrong_in(call, tree) for call in calls] == [""] * len(calls)


def test_every_make_target_the_documents_tell_exists(
    root: Path, documents: dict[Path, str]
) -> None:
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE))
    told = {
        target
        for text in documents.values()
        for shown in [*blocks(text, "sh"), *re.findall(r"`([^`\n]+)`", text)]
        for target in re.findall(r"(?:^|\s)make (?:-C \S+ )?(?:\w+=\S+ )*([a-z]+)\b", shown)
    }
    assert told
    assert told - targets == set()


def test_every_command_is_told(documents: dict[Path, str], tree: Any) -> None:
    page = documents[Path("docs/commands.md")]
    missing = []
    for name, command in tree.commands.items():
        parts = list(command.commands) if hasattr(command, "commands") else [""]
        missing += [
            f"{name} {part}".strip()
            for part in parts
            if not re.search(rf"\b{name}\b[^\n]*\b{part}" if part else rf"\b{name}\b", page)
        ]
    assert missing == []


# ---------------------------------------------------------------------------------------------------- configuration
def keys_of(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", ())
        for part in schema.values():
            yield from keys_of(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from keys_of(part)


def test_the_page_of_the_configuration_is_written_from_the_schema(root: Path) -> None:
    schema = json.loads((root / "config/schema.json").read_text("utf-8"))
    assert (root / "docs/configuration.md").read_text("utf-8") == page(schema), (
        "run: python -m broadcaster.testing.configuration_page > docs/configuration.md"
    )


def test_every_key_of_the_configuration_is_on_its_page(root: Path) -> None:
    schema = json.loads((root / "config/schema.json").read_text("utf-8"))
    text = (root / "docs/configuration.md").read_text("utf-8")
    assert [key for key in keys_of(schema) if not re.search(rf"`([\w\[\]]+\.)?{key}`", text)] == []


def test_every_channel_in_the_documents_uses_keys_that_exist(documents: dict[Path, str]) -> None:
    classes, wrong = kinds(), []
    for path, text in documents.items():
        for block in blocks(text, "yaml"):
            for name, channel in (yaml.safe_load(block).get("channels") or {}).items():
                if channel["kind"] not in classes:
                    assert path.parts[:2] == ("tests", "samples"), f"{path}: {channel['kind']}"
                    continue
                known = classes[channel["kind"]].Settings.model_fields
                wrong += [f"{path}: {name}.{key}" for key in channel if key not in known]
    assert wrong == []


def test_every_kind_has_its_page_and_is_listed(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    listed = (root / "docs/README.md").read_text("utf-8")
    for kind in project["entry-points"]["broadcaster.channels"]:
        assert (root / f"docs/channels/{kind}.md").is_file()
        assert f"(channels/{kind}.md)" in listed


# --------------------------------------------------------------------------------------------------------- operating
def test_every_metric_is_in_the_runbook(root: Path) -> None:
    text = (root / "docs/operating.md").read_text("utf-8")
    for family in Metrics().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}{{" in text or f"`{name}`" in text, name


def test_every_metric_of_the_runbook_exists(root: Path) -> None:
    text = (root / "docs/operating.md").read_text("utf-8")
    there = {family.name for family in Metrics().registry.collect()}
    told = set(re.findall(r"`(broadcaster_\w+)", text))
    assert {name.removesuffix("_total") for name in told} == there


def test_every_degraded_state_is_in_the_runbook(root: Path) -> None:
    states = {
        str(node.args[0].value)
        for path in (root / "broadcaster/daemon").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "Degraded"
        and isinstance(node.args[0], ast.Constant)
    }
    assert len(states) >= 8
    text = (root / "docs/operating.md").read_text("utf-8")
    assert {state for state in states if f"\n| `{state}` |" not in text} == set()


def test_every_event_of_the_runbook_is_logged(root: Path) -> None:
    text = (root / "docs/operating.md").read_text("utf-8")
    table = text[text.index("| `event` |") :].split("\n\n")[0]
    told = [event for row in table.splitlines()[2:] for event in re.findall(r"`([^`]+)`", row)]
    code = "".join(path.read_text("utf-8") for path in (root / "broadcaster").rglob("*.py"))
    assert told
    assert [event for event in told if f'"{event}"' not in code] == []


def test_every_sentence_of_the_store_is_in_the_runbook(root: Path) -> None:
    text = (root / "docs/operating.md").read_text("utf-8")
    said = (root / "broadcaster/store/errors.py").read_text("utf-8")
    sentences = re.findall(r'Store\w+\(\s*"([^".]+\.)', said)
    assert len(sentences) >= 6
    assert [one for one in sentences if one not in text and "PostgreSQL" not in one] == []


# ------------------------------------------------------------------------------------------------------ words and more
def test_the_glossary_holds_every_word(root: Path) -> None:
    text = (root / "docs/glossary.md").read_text("utf-8").lower()
    words = {*WORDS.split(), *(str(state) for state in State)}
    emphasised = set(re.findall(r"\*+([\w\- ]+)\*+", text))
    assert {word for word in words if word.lower() not in emphasised} == set()


def test_the_changelog_has_this_version(root: Path) -> None:
    assert f"## {__version__}" in (root / "CHANGELOG.md").read_text("utf-8")


def test_every_dependency_has_its_reason(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())
    stated = [*project["project"]["dependencies"]]
    for group in (project["project"]["optional-dependencies"], project["dependency-groups"]):
        stated += [one for listed in group.values() for one in listed]
    names = {re.split(r"[^\w-]", one)[0] for one in stated}
    text = (root / "docs/adr/0004-dependencies.md").read_text("utf-8")
    tables = text.split("## Refused")[0]
    reasoned = {
        name
        for row in re.findall(r"^\| (`.*?) \| ", tables, re.MULTILINE)
        for name in re.findall(r"`([\w-]+)`", row)
    }
    assert reasoned == names


def test_every_decision_is_listed(root: Path) -> None:
    listed = set(re.findall(r"\]\((\d{4}[^)]+)\)", (root / "docs/adr/README.md").read_text()))
    assert listed == {path.name for path in (root / "docs/adr").glob("0*.md")}


def test_code_in_the_guide_is_python(root: Path) -> None:
    shown = list(blocks((root / "docs/writing-a-channel.md").read_text("utf-8"), "python"))
    assert len(shown) >= 3
    for block in shown:
        ast.parse(block)


def test_what_the_guide_shows_is_what_the_sample_does(root: Path) -> None:
    sample = "".join(
        (root / "tests/samples/paperboard" / name).read_text("utf-8")
        for name in ("paperboard.py", "pyproject.toml")
    )
    guide = (root / "docs/writing-a-channel.md").read_text("utf-8")
    settings = next(blocks(guide, "python"))
    package = next(blocks(guide, "toml"))
    for line in [*settings.splitlines(), *package.splitlines()]:
        assert line in sample
