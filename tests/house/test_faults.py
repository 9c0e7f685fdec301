"""The page that says which test proves which fault names tests that are there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

PAGE, ACCIDENTS = "docs/proof/faults.md", "docs/proof/accidents.md"
OURS = [
    *(1, 2, 3, 5, 6, 7, 8),
    *range(11, 34),
    *(35, 37, 38, 39, 41, 42, 43, 44),
]


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / PAGE).read_text("utf-8")


@cache
def names_in(file: Path) -> frozenset[str]:
    """The tests of a file, those in classes too."""
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


@pytest.mark.parametrize(("written", "most"), [(PAGE, len(OURS)), (ACCIDENTS, 20)])
def test_every_test_that_is_said_to_prove_a_fault_is_there(
    root: Path, written: str, most: int
) -> None:
    page = (root / written).read_text("utf-8")
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", page)
    assert len(named) > most
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (root / file).is_file() or test not in names_in(root / file)
    ]
    assert missing == []
    assert page.count("::") == len(named), "each is written `file::name`"


def test_every_fault_stands_on_its_page_once(page: str) -> None:
    rows = Counter(int(number) for number in re.findall(r"^\| F(\d\d) \|", page, re.MULTILINE))
    assert rows == dict.fromkeys(OURS, 1)
