"""`make demo` touches nothing but its own folder, and nobody's telephone."""

from __future__ import annotations

import csv
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from broadcaster.settings import Listen
from broadcaster.testing.demo import DemoError, prepare


@pytest.fixture
def town(root: Path, tmp_path: Path) -> Path:
    """A copy of the demo's configuration on ports that are free now, with something in its folder."""
    text = (root / "config/demo.yaml").read_text("utf-8")
    for port in ("8070", "8080", "8090"):
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{_free()}")
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "demo.yaml").write_text(text, "utf-8")
    (tmp_path / "var/demo").mkdir(parents=True)
    (tmp_path / "var/demo/kept").touch()
    return tmp_path


def _free() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def test_it_begins_in_an_empty_folder_with_a_token(town: Path) -> None:
    said = prepare(town / "config/demo.yaml", town / "var/demo", Listen("127.0.0.1", _free()))
    assert not (town / "var/demo/kept").exists()
    assert re.search(r"^export BROADCASTER_TOKEN=bc_\S{43}$", said, re.MULTILINE)
    assert (town / "var/demo/operator.env").stat().st_mode & 0o777 == 0o600


def test_a_taken_port_is_named_and_nothing_is_emptied(town: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(DemoError, match=rf"127\.0\.0\.1:{port} is taken"):
            prepare(town / "config/demo.yaml", town / "var/demo", Listen("127.0.0.1", port))
    assert (town / "var/demo/kept").exists()


def test_nothing_but_a_demo_is_emptied(town: Path) -> None:
    file = town / "config/demo.yaml"
    drill = file.read_text("utf-8").replace("mode: demo", "mode: drill")
    file.write_text(re.sub(r"(?<= )key: .*?(?= })", "key: file:store.key", drill), "utf-8")
    (file.parent / "store.key").write_text("A" * 43 + "=")
    (file.parent / "store.key").chmod(0o600)
    with pytest.raises(DemoError, match="is not a demo"):
        prepare(file, town / "var/demo", Listen("127.0.0.1", _free()))
    assert (town / "var/demo/kept").exists()


def test_its_numbers_are_those_reserved_for_fiction(root: Path) -> None:
    rows = list(csv.DictReader((root / "deploy/demo-subscribers.csv").read_text().splitlines()))
    assert len(rows) > 5
    for row in rows:
        number = row["address"].replace("-", "").replace(" ", "")
        assert 701740605 <= int(number) <= 701740699


def test_its_script_is_one_that_every_shell_reads(root: Path) -> None:
    shell = shutil.which("dash") or "sh"
    read = subprocess.run(
        [shell, "-n", str(root / "deploy/demo.sh")], capture_output=True, text=True, check=False
    )
    assert (read.returncode, read.stderr) == (0, "")
