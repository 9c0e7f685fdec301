"""A store that is gone, as when its disk is not mounted, is never taken for a first start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broadcaster.daemon import offline, starting
from broadcaster.domain.incident import Mode
from broadcaster.domain.role import Role
from broadcaster.settings import Settings, load
from broadcaster.store import StoreError, tokens
from broadcaster.testing.daemons import whole
from broadcaster.testing.ports import free_port
from broadcaster.testing.rig import configuration


def written(folder: Path, mode: Mode = Mode.LIVE) -> Path:
    """A configuration whose store and public files are in `var`, which is there and empty."""
    document = configuration(folder, {"page": {"kind": "page"}}) | {
        "mode": mode,
        "store": {"url": "sqlite:///var/broadcaster.db", "key": "file:store.key"},
        "api": {"listen": f"127.0.0.1:{free_port()}"},
        "public": {"url": "http://127.0.0.1", "directory": "var/public", "listen": "none"},
    }
    key = folder / "store.key"
    key.write_text(configuration(folder, {})["store"]["key"])
    key.chmod(0o600)
    (folder / "var").mkdir()
    path = folder / "broadcaster.yaml"
    path.write_text(json.dumps(document))
    return path


def settings_of(config: Path) -> Settings:
    return load(config, {}).settings


def test_a_daemon_whose_disk_is_not_mounted_makes_nothing_and_starts_once_it_is(
    tmp_path: Path,
) -> None:
    config, log = written(tmp_path), tmp_path / "log"
    secret = offline.add_token(config, "Eva", Role.ADMIN)["secret"]
    disk = (tmp_path / "var").rename(tmp_path / "disk")
    beneath = tmp_path / "var"
    beneath.mkdir()
    assert whole(config, log).wait(60) == 1
    said = log.read_text()
    for part in ("Det finns inget lager", "monterad", "backup restore", "tokens add NAMN"):
        assert part in said
    assert list(beneath.iterdir()) == []

    beneath.rmdir()
    disk.rename(beneath)
    store = starting.open_whole_store(settings_of(config))
    assert store.read(lambda connection: tokens.find(connection, secret, starting.now())).good
    store.close()


def test_a_file_with_nothing_in_it_is_no_store(tmp_path: Path) -> None:
    config = written(tmp_path)
    empty = tmp_path / "var/broadcaster.db"
    empty.touch()
    with pytest.raises(StoreError, match="There is no store at"):
        starting.open_whole_store(settings_of(config))
    assert empty.stat().st_size == 0


def test_a_demo_begins_with_nothing(tmp_path: Path) -> None:
    starting.open_whole_store(settings_of(written(tmp_path, Mode.DEMO))).close()
