import base64
import stat
from pathlib import Path

import pytest

from broadcaster.registry import check_file
from broadcaster.settings.starter import AlreadyThereError, init, write_private


def test_what_init_writes_passes_the_check(tmp_path: Path) -> None:
    path = init(tmp_path / "new", name='Ek"byn: Energi # AB', timezone="Europe/Oslo", country="NO")
    assert [error for error in check_file(path, {}) if not error.warning] == []
    assert 'Ek\\"byn: Energi # AB' in path.read_text(encoding="utf-8")


def test_the_key_is_random_private_and_32_bytes(tmp_path: Path) -> None:
    keys = []
    for name in ("a", "b"):
        init(tmp_path / name)
        key = tmp_path / name / "secrets/store.key"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
        keys.append(base64.b64decode(key.read_text(encoding="ascii")))
    assert [len(key) for key in keys] == [32, 32]
    assert keys[0] != keys[1]


@pytest.mark.parametrize("there", ["broadcaster.yaml", "secrets/store.key"])
def test_nothing_that_stands_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / there).write_text("mine", encoding="utf-8")
    with pytest.raises(AlreadyThereError, match="is there already: nothing was written"):
        init(tmp_path)
    assert (tmp_path / there).read_text(encoding="utf-8") == "mine"
    assert sum(1 for path in tmp_path.rglob("*") if path.is_file()) == 1


def test_a_private_file_never_replaces_or_follows_another(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("there", "link"):
        with pytest.raises(FileExistsError):
            write_private(tmp_path / name, "ours")
    assert there.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "target").exists()


def test_the_first_token_is_made_once_both_files_stand(tmp_path: Path) -> None:
    seen: list[bool] = []

    def first_token(configuration: Path) -> None:
        seen.append(configuration.is_file() and (tmp_path / "secrets/store.key").is_file())

    init(tmp_path, first_token=first_token)
    assert seen == [True]
