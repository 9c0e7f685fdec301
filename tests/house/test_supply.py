"""What is installed is what is locked, and nothing in the tree names a machine or a registry."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = ["build", "run", "test", "check"]
EXTRAS = sorted(
    f"extras/{path.stem}"
    for path in (Path(__file__).parents[2] / "requirements/extras").glob("*.txt")
)
PEERS = [
    "../tests/peers/synapse/requirements",
    "../tests/peers/websub/requirements",
    "../tests/peers/websub/source",
]
# In pieces, so that this file does not name them itself.
REGISTRIES = [f"p{'ypi'}.org", f"files.p{'ythonhosted'}.org", f"registry.n{'pmjs'}.org"]
HOMES = "|".join(["home", "ro" + "ot", "Users", "wo" + "rk"])
MACHINE_PATH = re.compile(rf"(?<![\w.\-}}])/(?:{HOMES})/\w")


def entries(lock: str) -> dict[str, str]:
    """A lock's requirements by canonical name, each with its hash lines."""
    blocks = re.findall(r"^([a-z0-9][^\n]*(?:\n    [^\n]*)*)", lock, re.MULTILINE)
    return {canonicalize_name(re.split(r"[=\[; ]", block)[0]): block for block in blocks}


@pytest.mark.parametrize("name", [*LOCKS, *EXTRAS, *PEERS])
def test_every_locked_package_has_hashes_and_one_version(root: Path, name: str) -> None:
    found = entries((root / f"requirements/{name}.txt").read_text())
    assert found
    assert [package for package, block in found.items() if "--hash=sha256:" not in block] == []
    assert [package for package, block in found.items() if "==" not in block] == []


@pytest.mark.parametrize("name", [*LOCKS, *EXTRAS, *PEERS])
def test_a_lock_names_no_index_and_no_machine(root: Path, name: str) -> None:
    lock = (root / f"requirements/{name}.txt").read_text()
    assert re.findall(r"://|--(?:extra-)?index-url|--find-links|--trusted-host", lock) == []


def test_every_dependency_is_in_its_lock(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())
    stated = {"run": project["project"]["dependencies"], **project["dependency-groups"]}
    locked: set[str] = set()
    for name in LOCKS:  # each lock holds what those before it do not
        locked |= set(entries((root / f"requirements/{name}.txt").read_text()))
        needed = {canonicalize_name(Requirement(line).name) for line in stated[name]}
        assert needed - locked == set(), f"{name}: make lock"


def test_every_extra_has_its_lock_and_every_lock_its_extra(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert {f"extras/{name}" for name in extras} == {*EXTRAS}
    for name, stated in extras.items():
        locked = set(entries((root / f"requirements/extras/{name}.txt").read_text()))
        needed = {canonicalize_name(Requirement(line).name) for line in stated}
        assert needed <= locked, f"{name}: make lock"


def test_an_extra_has_the_name_of_a_kind(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    kinds = project["entry-points"]["broadcaster.channels"]
    assert set(project["optional-dependencies"]) <= set(kinds)


@pytest.mark.parametrize("folder", ["tests/peers", "tests/peers/bluesky"])
def test_the_npm_lock_has_integrity_and_no_addresses(root: Path, folder: str) -> None:
    lock = json.loads((root / folder / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert [name for name, entry in packages.items() if "integrity" not in entry] == []
    assert [name for name, entry in packages.items() if "resolved" in entry] == []


def test_no_file_names_a_package_registry(texts: dict[Path, str]) -> None:
    named = {str(path) for path, text in texts.items() for host in REGISTRIES if host in text}
    assert named == set()


def test_no_file_names_a_path_of_somebodys_machine(texts: dict[Path, str]) -> None:
    named = {
        f"{path}: {line.strip()[:80]}"
        for path, text in texts.items()
        for line in text.splitlines()
        if MACHINE_PATH.search(line)
    }
    assert named == set()


def test_the_wheel_holds_every_template_and_catalogue(
    root: Path, files: list[Path], tmp_path: Path
) -> None:
    from hatchling.builders.wheel import WheelBuilder

    (built,) = WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"])
    inside = set(zipfile.ZipFile(built).namelist())
    ours = {path.as_posix() for path in files if path.parts[0] in {"broadcaster", "channels"}}
    assert ours - inside == set()
    assert "tests/conftest.py" not in inside
