"""Setting up says what is missing, and overwrites nobody's package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest


@pytest.fixture
def tree(root: Path, tmp_path: Path) -> Path:
    """A copy of what deploy/setup.sh reads, with an environment that was made and is empty."""
    for name in ("deploy", "requirements"):
        shutil.copytree(root / name, tmp_path / name)
    shutil.copy(root / "pyproject.toml", tmp_path)
    return tmp_path


def setup(tree: Path, *extras: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "deploy/setup.sh", "run", *extras],
        cwd=tree,
        env={**os.environ, "VENV": ".venv", "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def fake_python(folder: Path, script: str) -> str:
    program = folder / "python-of-a-test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def test_a_missing_python_is_named_with_its_remedy(tree: Path) -> None:
    answer = setup(tree, PYTHON="python-that-is-not-here")
    assert answer.returncode == 2
    assert "apt install python3 python3-venv" in answer.stderr


def test_an_old_python_is_refused(tree: Path) -> None:
    old = fake_python(tree, 'case "$2" in *version_info\\[*) echo 3.10 ;; *) exit 1 ;; esac')
    answer = setup(tree, PYTHON=old)
    assert answer.returncode == 2
    assert "Python 3.10; 3.11 or newer is needed" in answer.stderr


def test_a_missing_venv_module_names_debians_package(tree: Path) -> None:
    script = f'case "$2" in *ensurepip*) exit 1 ;; *) exec "{sys.executable}" "$@" ;; esac'
    answer = setup(tree, PYTHON=fake_python(tree, script))
    assert answer.returncode == 2
    assert "apt install python3-venv" in answer.stderr


def test_an_extra_that_is_none_is_refused_with_those_that_are(tree: Path, root: Path) -> None:
    answer = setup(tree, "e-mail")
    assert answer.returncode == 2
    extras = sorted(path.stem for path in (root / "requirements/extras").glob("*.txt"))
    assert f"there is no extra 'e-mail'; there are: {' '.join(extras)}" in answer.stderr


@pytest.mark.parametrize("name", ["broadcaster", "channels"])
def test_setup_refuses_an_environment_where_another_package_owns_our_name(
    tree: Path, name: str
) -> None:
    # symlinks and no pip: the refusal comes before anything is installed
    venv.create(tree / ".venv", symlinks=True, with_pip=False)
    (tree / ".venv/bin/pip").touch(mode=0o755)
    (packages,) = (tree / ".venv/lib").glob("python*/site-packages")
    other = packages / "somebody_elses-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody-elses\nVersion: 1.0\n")
    (other / "RECORD").write_text(f"{name}/__init__.py,,\n")
    (packages / name).mkdir()
    (
        packages / name / "__init__.py"
    ).touch()  # from Python 3.12 on a file that is not there counts for nothing
    answer = setup(tree)
    assert answer.returncode == 2
    assert "somebody-elses" in answer.stderr
    assert f"'{name}'" in answer.stderr
