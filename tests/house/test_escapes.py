"""An escape from a checker names what it escapes and why."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

# After the codes stands a reason of at least two words: "- why so" or "# why so".
REASON = r"(?!\w)\s*[-–—:#(]*\s*\w[^#]*\s\w+"
GIVEN = {
    "noqa": re.compile(r"noqa: ?[A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)*" + REASON),
    "type: ignore": re.compile(r"type: ?ignore\[[a-z-]+(, ?[a-z-]+)*\]" + REASON),
    "pragma: no cover": re.compile(r"pragma: no cover" + REASON),
    "nosec": re.compile(r"\b\B"),  # another tool's word: never
}


def bare_escapes(source: str) -> list[str]:
    """The comments of a module that silence a checker without saying why."""
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    return [
        comment
        for comment in comments
        for word, given in GIVEN.items()
        if re.search(rf"#\s*{word}", comment) and not given.search(comment)
    ]


@pytest.mark.parametrize(
    "comment",
    [
        "noqa",
        "noqa: S101",
        "type: ignore",
        "type: ignore[misc]",
        "noqa: S101 why",
        "nosec B101 x y",
    ],
)
def test_an_escape_without_a_reason_is_seen(comment: str) -> None:
    assert bare_escapes(f"x = 1  # {comment}\n")


@pytest.mark.parametrize(
    "comment",
    [
        "noqa: S311 - jitter needs no secrecy",
        "noqa: S311, S101 (jitter needs no secrecy)",
        "type: ignore[attr-defined]  # tweepy sets it at run time",
    ],
)
def test_an_escape_with_a_reason_passes(comment: str) -> None:
    assert bare_escapes(f"x = 1  # {comment}\n") == []


def test_every_escape_carries_its_reason(root: Path, files: list[Path]) -> None:
    bare = {
        f"{path}: {comment}"
        for path in files
        if path.suffix == ".py"
        for comment in bare_escapes((root / path).read_text())
    }
    assert bare == set()


def test_every_ignore_in_the_configuration_carries_its_reason(root: Path) -> None:
    lines = (root / "pyproject.toml").read_text().splitlines()
    start = lines.index("[tool.ruff.lint]")
    end = lines.index("[tool.mypy]")
    in_ignores = lines[lines.index("ignore = [", start) : end]
    bare = [line for line in in_ignores if re.search(r'"[A-Z]+\d+"', line) and "#" not in line]
    assert bare == []
