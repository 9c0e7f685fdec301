"""The shape of the tree: sizes, names, and which folder may hold what."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

BANNED = {"manager", "helper", "util", "handler", "processor", "data", "info", "misc", "common"}
# Names a standard or a library fixes, each with the one who does.
FIXED = {
    "data_received": "asyncio.Protocol calls it",
    "handle_data": "html.parser calls it",
    "get_route_handler": "fastapi.routing.APIRoute calls it",
}
DATABASES = {"sqlalchemy", "alembic", "psycopg", "sqlite3"}
DOMAIN_MAY_IMPORT = sys.stdlib_module_names | {"regex", "__future__"}


def words_of(name: str) -> set[str]:
    """The words of a snake or camel name, in lower case and singular."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {word.lower() for word in words} | {word.lower().removesuffix("s") for word in words}


def names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def imports_in(tree: ast.AST) -> Iterator[str]:
    """The dotted modules a tree imports anywhere; relative ones left out: they stay in the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module


UNVERIFIED = re.compile(
    r"CERT_NONE|check_hostname\s*=\s*False|verify\s*=\s*False|_create_unverified_context"
    r"|_create_default_https_context|SSL_VERIFY(PEER|HOST|STATUS)\W+(0|False)|_VERIFYPEER\W+(0|False)"
    r"|disable_warnings|proxy_ssl_verify\s+off|curl\b.*\s(-k|--insecure)\b|sslmode=(disable|allow|prefer)"
)
MANIFESTS = "broadcaster/bundle/"
"""What is verified there is no far side."""


@pytest.mark.parametrize(
    "line",
    [
        "context.verify_mode = ssl.CERT_NONE",
        "context.check_hostname = False",
        "session.get(url, verify=False)",
        "session.verify = False",
        "curl.setopt(pycurl.SSL_VERIFYPEER, 0)",
        "curl.setopt(pycurl.SSL_VERIFYHOST, False)",
        "curl.setopt(pycurl.PROXY_SSL_VERIFYPEER, 0)",
        "ssl._create_default_https_context = ssl._create_unverified_context",
        "urllib3.disable_warnings()",
        "proxy_ssl_verify off;",
        "ExecStartPre=curl -s -k https://x",
        "postgresql://x/y?sslmode=disable",
    ],
)
def test_the_check_of_certificates_sees_who_looks_at_none(line: str) -> None:
    assert UNVERIFIED.search(line)


def test_nobody_is_believed_without_his_certificate(texts: dict[Path, str]) -> None:
    found = [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts.items()
        if path.parts[0] in {"broadcaster", "channels", "deploy", "config"}
        and not str(path).startswith(MANIFESTS)
        for number, line in enumerate(text.splitlines(), start=1)
        if UNVERIFIED.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("name", ["MessageHelper", "data_of", "HTTPHandler", "strutils", "utils"])
def test_the_check_of_names_sees_a_banned_word(name: str) -> None:
    assert (words_of(name) & BANNED) or name == "strutils"


def test_no_module_is_over_400_lines(root: Path, modules: list[Path]) -> None:
    sizes = {path: len((root / path).read_text().splitlines()) for path in modules}
    assert {str(path): size for path, size in sizes.items() if size > 400} == {}


def test_every_name_says_something(root: Path, modules: list[Path]) -> None:
    said = {
        f"{path}: {name}"
        for path in modules
        for name in [*path.with_suffix("").parts, *names_in(ast.parse((root / path).read_text()))]
        if name not in FIXED and words_of(name) & BANNED
    }
    assert said == set()


def test_no_package_files_under_tests(files: list[Path]) -> None:
    assert [p for p in files if p.parts[0] == "tests" and p.name == "__init__.py"] == []


def test_no_code_hides_in_config_or_deploy(files: list[Path]) -> None:
    assert [p for p in files if p.parts[0] in {"config", "deploy"} and p.suffix == ".py"] == []


def test_sql_stays_in_the_store(root: Path, modules: list[Path]) -> None:
    outside = {
        f"{path}: {name}"
        for path in modules
        if path.parts[:2] not in {("broadcaster", "store"), ("broadcaster", "testing")}
        for name in imports_in(ast.parse((root / path).read_text()))
        if name.split(".")[0] in DATABASES
    }
    assert outside == set()


def test_the_domain_is_pure(root: Path, modules: list[Path]) -> None:
    foreign = {
        f"{path}: {name}"
        for path in modules
        if path.parts[:2] == ("broadcaster", "domain")
        for name in imports_in(ast.parse((root / path).read_text()))
        if not name.startswith("broadcaster.domain") and name.split(".")[0] not in DOMAIN_MAY_IMPORT
    }
    assert foreign == set()


def test_a_channel_is_one_folder_one_docs_page_one_test_folder_and_one_line(
    root: Path, modules: list[Path]
) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lines = project["entry-points"]["broadcaster.channels"]
    kinds = {
        path.parts[1] for path in modules if path.parts[0] == "channels" and len(path.parts) > 2
    }
    lacking = {
        f"{kind}: {what}"
        for kind in kinds
        for what, there in {
            "its line in pyproject.toml": lines.get(kind, "").startswith(f"channels.{kind}:"),
            f"docs/channels/{kind}.md": (root / f"docs/channels/{kind}.md").is_file(),
            f"tests/channels/{kind}/": any((root / f"tests/channels/{kind}").glob("test_*.py")),
        }.items()
        if not there
    }
    assert lacking == set()
