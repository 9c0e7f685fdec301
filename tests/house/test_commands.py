"""The commands people type: as the README names them, quick to answer, and explained in every language we speak."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer import TyperException

from broadcaster.cli import build, usage, verbs
from broadcaster.cli.usage import UsageVoice, texts
from broadcaster.cli.verbs import VERBS
from broadcaster.locale import catalogue, operators_languages

HEAVY = ["fastapi", "psycopg", "pydantic", "requests", "rich.console", "sqlalchemy"]
TRANSLATED = [language for language in operators_languages() if language != "en"]
# Where typer makes the sentences of its usage errors; those about values are provoked below.
MAKING = ("core.py", "_click/core.py", "_click/exceptions.py", "_click/parser.py")
RAISED = {"fail", "UsageError", "BadParameter", "MissingParameter", "NoSuchOption"}
RAISED |= {"BadOptionUsage", "BadArgumentUsage", "FileError"}
BLANK = re.compile(r"\{[^{}]*\}")
# Every such sentence as people read it; or nothing, where no command of ours can bring it about.
HEARD = {
    "Missing command.": "Missing command.",
    "No such command {}.": "No such command 'reprot'.",
    "{}. Did you mean {}?": "No such command 'reprot'. Did you mean 'report'?",
    "Got unexpected extra argument(s) ({})": "Got unexpected extra argument(s) (a b)",
    "Invalid value for {}: {}": "Invalid value for '--wait': (what is provoked below)",
    "Missing {}{}.": "Missing argument 'ID'.|Missing option '--channel'.",
    "No such option: {}": "No such option: --are",
    "(Possible options: {})": "No such option: --are (Possible options: --area, --lang)",
    "Option {} requires {}": "Option '--area' requires an argument.",
    "an argument.": "Option '--area' requires an argument.",
    "Option {} does not take a value.": "Option '--yes' does not take a value.",
    "Invalid value: {}": "",  # ours always belong to an option or argument
    "Missing {}{}. {}": "",  # the rest lists choices: no option of ours is one
    "Argument {} takes {} values.": "",  # ours take one
    "{} arguments.": "",  # as above
    "Could not open file {}: {}": "",  # typer opens no file for us
    "unknown error": "",  # as above
    "Try '{} {}' for help.": "",  # `usage.tell` says it
    "DeprecationWarning: The command {} is deprecated.{}": "",  # none is
}
WRONG = ("x", "1.5", "", "1 2", "nan", "-1", "-0.1", "1000000", "9" * 5_000)
CONTRACT = {"setup", "demo", "test", "check", "peers", "bench", "soak"}
ASK_HELP = """
import json, sys
sys.argv = ["broadcaster", "--help"]
from broadcaster.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted(sys.modules)))
"""


def make_targets(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])make ([a-z]+)", text))


def test_make_has_every_target_of_the_contract(root: Path) -> None:
    makefile = (root / "Makefile").read_text()
    assert set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE)) >= CONTRACT


def test_ci_runs_exactly_what_the_readme_names(root: Path) -> None:
    commands = [
        line.strip()
        for line in (root / ".ci/run").read_text().splitlines()
        if line.strip().startswith("make ")
    ]
    assert commands == ["make check", "make test", "make demo ONESHOT=1"]
    readme = (root / "README.md").read_text()
    assert [command for command in commands if command not in readme] == []


def test_help_starts_lean(root: Path) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", ASK_HELP], cwd=root, capture_output=True, text=True, check=False
    )
    assert asked.returncode == 0, asked.stderr
    *shown, loaded = asked.stdout.splitlines()
    assert "Usage" in "\n".join(shown)
    files = {f"broadcaster.cli.{file}" for file, _ in VERBS.values()}
    assert [name for name in (*HEAVY, *sorted(files)) if name in json.loads(loaded)] == []


def test_help_lists_what_the_files_of_commands_hold(root: Path) -> None:
    held = {
        name: (path.stem, " ".join(command.help.partition("\n\n")[0].split()))
        for path in (root / "broadcaster/cli").glob("*.py")
        if "def add_to(" in path.read_text(encoding="utf-8")
        for name, command in verbs.commands_of(path.stem).items()
    }
    assert dict(VERBS) == held


# ------------------------------------------------------------------------------------------- help and usage errors
def commands(command: Any = None, path: str = "broadcaster") -> Iterator[tuple[str, Any]]:
    """Every command and group with how it is typed."""
    command = command or build()
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{path} {name}")


def named(node: ast.expr) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def strings(node: ast.AST) -> Iterator[str]:
    """The strings in an expression, with {} for what is filled in."""
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
        yield "".join(map(str, parts)).strip()
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield BLANK.sub("{}", node.value).strip()
    else:
        for below in ast.iter_child_nodes(node):
            yield from strings(below)


def sentences_of_typer() -> Iterator[str]:
    """What usage errors are made of: handed to an exception, put together before that, or when it is shown."""
    for name in MAKING:
        tree = ast.parse((Path(typer.__file__).parent / name).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=called) if named(called) in RAISED:
                    for part in (*node.args, *node.keywords):
                        yield from strings(part)
                case ast.Assign(targets=[into]) if named(into) in {
                    "message",
                    "msg",
                    "hint",
                    "suggest",
                }:
                    yield from strings(node.value)
                case ast.FunctionDef(name="format_message"):
                    for part in ast.walk(node):
                        yield from strings(part) if isinstance(part, ast.Return) else ()


def provoked() -> set[str]:
    """What is said of wrong values, of every option that takes one; nothing is run."""
    said = set()
    for path, command in commands():
        needed = [
            f"{param.opts[0]}=x" if param.param_type_name == "option" else "x"
            for param in command.params
            if param.required
        ]
        for param in command.params:
            for value in WRONG if param.param_type_name == "option" and param.metavar else ():
                try:
                    command.make_context(path, [*needed, f"{param.opts[0]}={value}"])
                except TyperException as error:
                    said.add(error.format_message())
    return said


@pytest.mark.parametrize("language", TRANSLATED)
def test_whatever_help_says_is_translated(language: str) -> None:
    known = catalogue(language, "help")
    missing = {
        f"{path}: {text}" for path, one in commands() for text in texts(one) if text not in known
    }
    assert sorted(missing) == []


def test_whatever_takes_a_value_says_what_of() -> None:
    bare = [
        f"{path} {param.name}"
        for path, command in commands()
        for param in command.params
        if not (param.help and (param.metavar or getattr(param, "is_flag", False)))
    ]
    assert bare == []


def test_every_usage_error_typer_can_make_is_one_we_know() -> None:
    made = {
        sentence for sentence in sentences_of_typer() if re.search("[a-z]", BLANK.sub("", sentence))
    }
    assert made == set(HEARD)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_usage_error_is_retold(language: str) -> None:
    voice = UsageVoice(language)
    heard = {sentence for one in HEARD.values() if one for sentence in one.split("|")}
    assert [sentence for sentence in heard if voice.retell(sentence) == sentence] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_is_wrong_with_a_value_is_retold_to_its_end(language: str) -> None:
    voice = UsageVoice(language)
    reasons = {sentence.partition(": ")[2] for sentence in provoked()}
    assert len(reasons) >= 5
    assert [reason for reason in reasons if voice.retell(reason) == reason] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_quick_reading_of_the_help_catalogue_is_babels(language: str) -> None:
    assert dict(UsageVoice(language).phrases) == dict(catalogue(language, "help"))


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_help_is_kept_that_nobody_says_any_more(language: str) -> None:
    tree = ast.parse(Path(usage.__file__).read_text(encoding="utf-8"))
    said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    said |= {text for _, command in commands() for text in texts(command)}
    heard = {sentence for one in HEARD.values() for sentence in one.split("|")} | {
        part for sentence in provoked() for part in (sentence, sentence.partition(": ")[2])
    }

    def is_heard(template: str) -> bool:
        pattern = ".+".join(map(re.escape, BLANK.split(template)))
        return any(re.fullmatch(pattern, sentence) for sentence in heard)

    kept = set(catalogue(language, "help")) - said - {"Show this message and exit."}
    assert [sentence for sentence in kept if not is_heard(sentence)] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_help_is_in_one_language_and_80_columns_wide(
    language: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {"HOME": tmp_path, "LC_ALL": language, "COLUMNS": 80}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(tmp_path)
    known = catalogue(language, "help")
    english = [text for text in known if " " in text and known[text] != text and "{" not in text]
    for path, command in commands():
        shown = command.get_help(command.make_context(path, [], resilient_parsing=True))
        flat = " ".join(shown.split())
        assert [text for text in (*english, "Usage:", "Options:") if text in flat] == [], path
        assert [line for line in shown.splitlines() if len(line) > 80] == []
        cut = re.compile(r"\.\.\.|…$", re.MULTILINE)
        assert not cut.search(shown.partition("\n")[2]), path
