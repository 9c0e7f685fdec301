"""The units of systemd do what a night of trouble asks of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadcaster.daemon.running import EXIT_CONFIGURATION

SERVING = ("broadcaster.service", "broadcaster-public.service")


def settings(unit: Path) -> dict[str, dict[str, str]]:
    """What a unit sets, by section; the last of what is set twice."""
    found: dict[str, dict[str, str]] = {}
    for line in unit.read_text("utf-8").splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section[key] = value
    return found


@pytest.mark.parametrize("name", SERVING)
def test_a_unit_that_serves_is_started_again_for_ever(root: Path, name: str) -> None:
    unit = settings(root / "deploy" / name)
    assert unit["Service"]["Restart"] == "always"
    assert 1 <= int(unit["Service"]["RestartSec"]) <= 5
    # In [Service] systemd passes it over with a warning, and five ends in ten seconds are the last.
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert not {key for key in unit["Service"] if key.startswith("StartLimit")}


def test_only_what_a_restart_cannot_mend_is_not_started_again(root: Path) -> None:
    daemon, public = (settings(root / "deploy" / name)["Service"] for name in SERVING)
    assert daemon["RestartPreventExitStatus"] == str(EXIT_CONFIGURATION)
    assert "RestartPreventExitStatus" not in public
