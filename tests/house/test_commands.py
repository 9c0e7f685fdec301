"""The commands people type: as the README names them, and quick to answer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

HEAVY = ["fastapi", "psycopg", "pydantic", "requests", "rich.console", "sqlalchemy"]
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
    assert [name for name in HEAVY if name in json.loads(loaded)] == []
