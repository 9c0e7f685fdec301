import json
import sys
from importlib.metadata import PathDistribution, entry_points
from pathlib import Path

import pytest

from broadcaster.registry import ForeignOwnerError, kinds, refuse_foreign_owners
from broadcaster.registry.kinds import GROUP, KindUnavailableError, adapter_class


def test_installed_kinds_are_found_and_unusable_ones_left_out() -> None:
    found = kinds()
    assert found["sample_wire"].__name__ == "Wire"
    assert {"sample_gone", "sample_odd", "sample_typo", "sample_broken"}.isdisjoint(found)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (
            "sample_gone",
            (
                'kind "sample_gone" needs sample_kinds_missing, which is not installed: '
                "type  python -m pip install 'sample-kinds[mqtt]'"
            ),
        ),
        (
            "sample_typo",
            (
                'kind "sample_typo" needs sample_kinds:Wier, which is not installed: '
                "type  python -m pip install --force-reinstall 'sample-kinds'"
            ),
        ),
        (
            "sample_broken",
            (
                'kind "sample_broken": sample_broken:Broken breaks when it is imported '
                "(ZeroDivisionError): ask its author"
            ),
        ),
        ("sample_odd", 'kind "sample_odd": sample_kinds:NotAnAdapter is not a channel adapter'),
    ],
)
def test_a_kind_that_cannot_be_used_names_the_command_to_type(kind: str, sentence: str) -> None:
    (entry,) = entry_points(group=GROUP, name=kind)
    with pytest.raises(KindUnavailableError) as caught:
        adapter_class(entry)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (
            {"url": "file:///srv/our%20broadcaster", "dir_info": {"editable": True}},
            f"make -C '/srv/our broadcaster' setup EXTRAS=\"gone\" VENV={sys.prefix}",
        ),
        ({"url": "file:///srv/a.whl"}, "python -m pip install 'crisis-broadcaster[gone]'"),
        (None, "python -m pip install 'crisis-broadcaster[gone]'"),
    ],
)
def test_an_extra_of_ours_comes_from_the_locks_where_there_are_any(
    origin: dict[str, object] | None, command: str, tmp_path: Path
) -> None:
    folder = tmp_path / "crisis_broadcaster-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: crisis-broadcaster\nVersion: 1\n"
    )
    (folder / "entry_points.txt").write_text(f"[{GROUP}]\ngone = no_such_module:Gone [gone]\n")
    if origin:
        (folder / "direct_url.json").write_text(json.dumps(origin))
    (entry,) = PathDistribution(folder).entry_points
    with pytest.raises(KindUnavailableError) as caught:
        adapter_class(entry)
    assert str(caught.value).endswith(
        f"needs no_such_module, which is not installed: type  {command}"
    )


@pytest.mark.parametrize("name", ["channels", "broadcaster"])
def test_a_second_owner_of_our_import_names_is_refused(name: str) -> None:
    with pytest.raises(
        ForeignOwnerError, match=rf'the package other has installed its own "{name}"'
    ):
        refuse_foreign_owners(lambda: {name: ["crisis-broadcaster", "other"]})


@pytest.mark.parametrize(
    ("file", "written"),
    [
        ("RECORD", "channels/__init__.py,sha256=x,1\n"),
        ("RECORD", "other/a.py,,\nchannels.py,,\n"),
        ("top_level.txt", "other\nchannels\n"),
    ],
)
def test_who_has_installed_over_our_names_is_found(
    file: str, written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "other-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (folder / file).write_text(written)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ForeignOwnerError, match=r'other has installed its own "channels"'):
        refuse_foreign_owners()


def test_this_environment_has_no_second_owner() -> None:
    refuse_foreign_owners()
    refuse_foreign_owners(lambda: {"channels": ["crisis-broadcaster"], "other": ["other"]})
