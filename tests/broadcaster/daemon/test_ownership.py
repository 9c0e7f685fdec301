"""Root leaves nothing behind that the daemon's user cannot write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from broadcaster.daemon import offline, starting
from broadcaster.daemon.ownership import OthersFiles, refuse_root
from broadcaster.locale.retelling import retell
from broadcaster.settings import Settings, load
from broadcaster.store import StoreError
from broadcaster.testing.commandline import run_command

NOBODY = 65534
ROOT = Path(__file__).parents[3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """What `init` leaves: the store is there."""
    return offline.init(tmp_path / "broadcaster")


def settings_of(config: Path) -> Settings:
    return load(config, {}).settings


def give(config: Path, owner: int) -> None:
    """The folder and all in it to another user, as `sudo -u` would have made it."""
    for path in (config.parent, *config.parent.rglob("*")):
        os.chown(path, owner, -1)


@as_root
def test_root_is_refused_where_the_store_is_another_users(config: Path) -> None:
    give(config, NOBODY)
    before = sorted(config.parent.rglob("*"))
    with pytest.raises(OthersFiles, match="sudo -u nobody broadcaster") as refused:
        refuse_root(settings_of(config))
    with pytest.raises(OthersFiles):
        offline.restore(config, config.parent / "backup")
    assert "tillhör nobody" in retell("sv", str(refused.value))
    assert sorted(config.parent.rglob("*")) == before


@as_root
def test_a_demo_may_be_roots_in_another_users_folder(config: Path) -> None:
    give(config, NOBODY)
    text = config.read_text("utf-8")
    config.write_text(text.replace("mode: live", "mode: demo"), "utf-8")
    assert config.read_text("utf-8") != text
    refuse_root(settings_of(config))


@as_root
def test_root_is_refused_where_the_store_would_be_made_in_another_users_folder(
    config: Path,
) -> None:
    give(config, NOBODY)
    (config.parent / "var").rename(config.parent / "elsewhere")
    with pytest.raises(OthersFiles):
        refuse_root(settings_of(config))


@as_root
def test_what_is_roots_own_root_may_run(config: Path) -> None:
    refuse_root(settings_of(config))
    os.chown(
        config.parent, NOBODY, -1
    )  # a container's folder on a host: its store was root's before
    refuse_root(settings_of(config))


@as_root
def test_the_daemon_and_an_offline_token_are_refused_in_swedish(
    config: Path, tmp_path: Path
) -> None:
    give(config, NOBODY)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    for verb, code in (("serve", 2), ("tokens add Eva --role author --offline", 4)):
        ended = run_command((*verb.split(), "--config", str(config)), environ, tmp_path, "")
        assert (ended.code, "tillhör nobody" in ended.err) == (code, True), ended.err


def test_a_folder_that_cannot_be_made_is_refused_with_what_to_do(config: Path) -> None:
    folder = config.parent / "var"
    folder.rename(config.parent / "elsewhere")
    folder.write_text("a file stands there")
    with pytest.raises(StoreError, match=r"cannot be made or written \(.+\)\. Give it"):
        starting.open_whole_store(settings_of(config))
