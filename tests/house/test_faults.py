"""The pages that say which test proves which fault, security check or accident name tests that are there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

FAULTS, CHECKS = "docs/proof/faults.md", "docs/proof/checks.md"
OURS = [
    *(1, 2, 3, 5, 6, 7, 8),
    *range(11, 34),
    *(35, 37, 38, 39, 41, 42, 43, 44),
]
ACCIDENTS = "docs/proof/accidents.md"
OF = {
    FAULTS: ("F", OURS),
    CHECKS: ("T", [*range(15, 18), *range(25, 30)]),
    ACCIDENTS: ("R", [5, 10, 12, 14, 15, 16, 27, 28]),
}


@pytest.fixture(params=OF)
def named(request: pytest.FixtureRequest) -> str:
    """A page by its path."""
    return str(request.param)


@pytest.fixture
def page(root: Path, named: str) -> str:
    return (root / named).read_text("utf-8")


@cache
def names_in(file: Path) -> frozenset[str]:
    """The tests of a file, those in classes too."""
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


def test_every_test_that_is_said_to_prove_a_fault_is_there(
    root: Path, page: str, named: str
) -> None:
    cited = re.findall(r"`([\w/]+\.py)::(\w+)`", page)
    assert len(cited) > len(OF[named][1])
    missing = [
        f"{file}::{test}"
        for file, test in cited
        if not (root / file).is_file() or test not in names_in(root / file)
    ]
    assert missing == []
    assert page.count("::") == len(cited), "each is written `file::name`"


def test_every_fault_stands_on_its_page_once(page: str, named: str) -> None:
    letter, ours = OF[named]
    found = re.findall(rf"^\| {letter}(\d\d) \|", page, re.MULTILINE)
    assert Counter(map(int, found)) == dict.fromkeys(ours, 1)
