"""A kind of channel that is not ours: packaged, installed and used as its author would."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SAMPLE = Path(__file__).parent / "paperboard"
CONFIGURATION = """
mode: live
organisation: {{name: Ekbyns Energi, country: SE, languages: [sv], timezone: Europe/Stockholm}}
public: {{url: "https://drift.ekbyn.example", listen: none}}
api: {{listen: "127.0.0.1:{port}"}}
store: {{url: "sqlite:///broadcaster.db", key: "file:secrets/store.key"}}
areas: {{norra-ekbyn: {{name: Norra Ekbyn}}}}
channels:
  library: {{kind: paperboard, url: "{url}", token: paper-token-0007{more}}}
routes: [{{severity: minor, channels: [library]}}]
follow_up: {{next: 45m}}
"""


@dataclass(frozen=True)
class Installed:
    """An environment in which the sample is installed, and how its commands are called."""

    sample: Path
    environ: dict[str, str]

    def run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=cwd or self.sample,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    def broadcaster(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        call = "from broadcaster.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", call, *arguments],
            cwd=cwd,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The sample, copied out of this tree and installed by pip with nothing else at hand."""
    base = tmp_path_factory.mktemp("third-party")
    sample = base / "paperboard"
    shutil.copytree(SAMPLE, sample)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(base / "site")]
    made = subprocess.run(
        [*pip, *offline, str(sample)], cwd=base, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    (sample / "paperboard.py").unlink()  # what is tried from here on is what was installed
    home = {"XDG_STATE_HOME": str(base / "state"), "XDG_CONFIG_HOME": str(base / "state")}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BROADCASTER_", "PYTEST_"))}
    return Installed(sample, {**kept, **home, "PYTHONPATH": str(base / "site")})


@pytest.fixture
def service(installed: Installed) -> Iterator[Any]:
    """The stand-in of the printing service, from the sample's own tests."""
    sys.path.insert(0, installed.environ["PYTHONPATH"])
    try:
        with _tests_of(installed.sample).PrintingService() as far:
            yield far
    finally:
        sys.path.remove(installed.environ["PYTHONPATH"])


def _tests_of(sample: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("its_tests", sample / "tests/test_paperboard.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _town(folder: Path, installed: Installed, url: str, more: str = "") -> Path:
    """A town whose only channel is the sample's."""
    made = installed.broadcaster("init", str(folder), cwd=folder.parent)
    assert made.returncode == 0, made.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = folder / "broadcaster.yaml"
    # The token of `init` is in the store of `init`.
    (folder / "var/broadcaster.db").rename(folder / "broadcaster.db")
    file.write_text(CONFIGURATION.format(port=port, url=url, more=more))
    return folder


@contextmanager
def _serving(folder: Path, installed: Installed) -> Iterator[None]:
    call = "from broadcaster.cli import main; main()"
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", call, "serve"],
            cwd=folder,
            env=installed.environ,
            stdout=log,
            stderr=log,
        ) as daemon,
    ):
        try:
            until = time.monotonic() + 30
            while installed.broadcaster("status", cwd=folder).returncode:
                assert daemon.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until, (folder / "log").read_text()
            yield
        finally:
            daemon.terminate()


@pytest.mark.slow
def test_it_keeps_every_promise_of_the_contract_suite(installed: Installed) -> None:
    tried = installed.run("pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert tried.returncode == 0, tried.stdout
    assert " passed" in tried.stdout
    assert "failed" not in tried.stdout


def test_its_keys_are_checked_as_ours_are(installed: Installed, tmp_path: Path) -> None:
    good = _town(tmp_path / "good", installed, "https://print.ekbyn.example", ", copies: 3")
    assert installed.broadcaster("config", "check", cwd=good).returncode == 0
    bad = _town(tmp_path / "bad", installed, "https://print.ekbyn.example", ", copy: 3")
    checked = installed.broadcaster("config", "check", cwd=bad)
    assert checked.returncode == 2
    assert "channels.library" in checked.stdout
    assert 'menade du "copies"?' in checked.stdout


def test_editors_know_its_keys(installed: Installed, tmp_path: Path) -> None:
    schema = json.loads(installed.broadcaster("config", "schema", cwd=tmp_path).stdout)
    assert "copies" in schema["$defs"]["channel.paperboard"]["properties"]


def test_without_the_package_the_kind_is_unknown_with_a_remedy(
    installed: Installed, tmp_path: Path
) -> None:
    town = _town(tmp_path / "town", installed, "https://print.ekbyn.example")
    bare = {name: value for name, value in installed.environ.items() if name != "PYTHONPATH"}
    checked = Installed(installed.sample, bare).broadcaster("config", "check", cwd=town)
    assert checked.returncode == 2
    assert '"paperboard"' in checked.stdout
    assert "webhook" in checked.stdout


def test_what_an_operator_says_is_printed(
    installed: Installed, service: Any, tmp_path: Path
) -> None:
    town = _town(tmp_path / "town", installed, service.url)
    with _serving(town, installed):
        words = ("report", "--area", "norra-ekbyn", "--yes", "--wait", "30", "Montör är på väg.")
        said = installed.broadcaster(*words, cwd=town)
    assert said.returncode == 0, said.stdout + said.stderr
    (sheet,) = service.texts("sheet")
    assert "Strömavbrott" in sheet
    assert "Montör är på väg." in sheet
    assert "https://drift.ekbyn.example/incidents/a1/" in sheet
