import os
import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from broadcaster.bundle import Bundle, File, UnsafePath
from broadcaster.bundle.paths import check_path, overdue_path, staged_name

HOSTILE = [
    "",
    "/",
    "/etc/passwd",
    "..",
    "../x",
    "a/../../x",
    "a//b",
    "a/./b",
    "a/",
    ".hidden",
    "a/.manifest/page.json",
    ".manifest/page.json",
    "a\0b",
    "a\\b",
    "a\nb",
    "index.html\n",
    "a b",
    "a%2e",
    "a:b",
    "Index.html",
    "incidents/A7/index.html",
    "å.html",
    "a\u030a.html",
    "ｉndex.html",
    "ı.html",
    "\ud800.html",
    "con",
    "con.html",
    "a/nul.txt",
    "lpt1",
    "ends.",
    "ends ",
    "index.html.gz",
    "index.html.br",
    "index.overdue.html",
    "x.overdue",
    "-rf",
    "a" * 151,
    "/".join(["aaaa"] * 101),
]

_tokens = [
    *"abcz019._-/",
    *"./ACON\\\0\n%: ~å\u030aıｉ\ud800",
    "..",
    "/../",
    ".gz",
    "nul",
    "index.html",
]
paths = st.lists(st.sampled_from(_tokens), max_size=12).map("".join)


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_path_is_refused_before_anything_is_written(path: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafePath):
        Bundle(tmp_path / "public", "page").publish("1.1", [File(path, b"x", "text/html")])
    assert not (tmp_path / "public").exists()


@pytest.mark.parametrize("owner", ["", "..", ".x", "a/b", "Page", "a\0", "å"])
def test_an_owner_that_is_no_plain_name_is_refused(owner: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafePath):
        Bundle(tmp_path, owner)


@pytest.mark.parametrize(
    "path",
    ["index.html", "incidents/a7/index.html", "en/areas/norra-ekbyn/feed.atom", "0127.json", "a_b"],
)
def test_ordinary_paths_are_taken(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(paths)
@example("a/index.html")
def test_whatever_is_taken_stays_under_the_root_and_has_no_twin(path: str) -> None:
    try:
        check_path(path)
    except UnsafePath:
        return
    for name in (path, overdue_path(path), staged_name(overdue_path(path)) + ".gz"):
        full = os.path.normpath(f"/srv/{name}")
        assert full == f"/srv/{name}"  # nothing to resolve, so nothing to escape by
        assert max(len(part.encode()) for part in name.split("/")) <= 255
    assert path == path.lower() == unicodedata.normalize("NFKC", path)
    assert not any(part.startswith(".") for part in path.split("/"))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=paths)
def test_publishing_any_path_touches_nothing_beside_the_root(path: str, tmp_path: Path) -> None:
    guard = tmp_path / "guard"
    guard.write_bytes(b"untouched")
    with suppress(UnsafePath):
        Bundle(tmp_path / "public", "page").publish(
            "1.1", [File(path, b"x", "text/html")], whole=True
        )
    assert {entry.name for entry in tmp_path.iterdir()} <= {"guard", "public"}
    assert guard.read_bytes() == b"untouched"
