import os
import random
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

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

CASES = 100_000
_ORDINARY = ["index.html", "incidents/a7/index.html", "areas/norra-ekbyn/feed.atom", "en/0127.json"]
_TOKENS = [
    *"abcz019._-/",
    *"./ACON\\\0\n%: ~åı\u030aｉ\ud800",
    *(
        "..",
        "/../",
        "//",
        ".gz",
        ".br",
        ".overdue",
        ".new",
        "nul",
        "com1",
        "index.html",
        ".manifest",
    ),
]


def fuzzed(count: int, seed: int = 1) -> Iterator[str]:
    """Names from pieces, ordinary names with something put in or left out, and any letters: the same on every run."""
    choose = random.Random(seed)
    for _ in range(count):
        kind = choose.random()
        if kind < 0.4:
            yield "".join(choose.choices(_TOKENS, k=choose.randrange(12)))
        elif kind < 0.8:
            path = choose.choice(_ORDINARY)
            for _ in range(choose.randint(1, 3)):
                at = choose.randrange(len(path) + 1)
                path = path[:at] + choose.choice(_TOKENS) + path[at + choose.randrange(2) :]
            yield path
        elif kind < 0.9:
            yield "".join(
                map(chr, choose.choices(range(sys.maxunicode + 1), k=choose.randrange(8)))
            )
        else:
            yield choose.choice("ab.-/") * choose.randrange(600)


def taken(path: str) -> bool:
    try:
        return check_path(path) == path
    except UnsafePath:
        return False


def written(path: str) -> Iterator[str]:
    """Every name that the bundle may write for a path."""
    for name in (path, overdue_path(path)):
        for body in (name, f"{name}.gz", f"{name}.br"):
            yield from (body, staged_name(body))


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


def test_whatever_is_taken_stays_under_the_root_and_has_no_twin() -> None:
    """T41: 100,000 names; the rules alone, without a file system."""
    seen: dict[str, str] = {}
    accepted = sorted({path for path in fuzzed(CASES) if taken(path)})
    for path in accepted:
        assert not any(part.startswith(".") for part in path.split("/"))
        for name in written(path):
            # Nothing to resolve, so nothing to escape by.
            assert os.path.normpath(f"/srv/{name}") == f"/srv/{name}"
            assert max(map(len, name.encode().split(b"/"))) <= 255
            same = unicodedata.normalize("NFKC", name).casefold()
            assert seen.setdefault(same, path) == path, f"{seen[same]!r} and {path!r} are one file"
    assert 5_000 < len(accepted) < CASES / 2  # both sides of the rule are well tried


def test_publishing_any_path_writes_that_file_or_nothing(tmp_path: Path) -> None:
    """T41 on a real file system: 600 of the names, those that are refused and those that are taken."""
    cases = list(dict.fromkeys(fuzzed(5000, seed=2)))
    refused = [path for path in cases if not taken(path)][:300]
    accepted = [path for path in cases if taken(path)][:300]
    for number, path in enumerate([*refused, *accepted]):
        beside = tmp_path / str(number)
        beside.mkdir()
        with suppress(UnsafePath):
            Bundle(beside / "public", "page").publish("1.1", [File(path, b"x", "text/html")])
        if number < len(refused):
            assert not list(beside.iterdir()), f"{path!r} left something behind"
        else:
            assert [entry.name for entry in beside.iterdir()] == ["public"]
            assert plain_files(beside / "public") == [path]
    assert {entry.name for entry in tmp_path.iterdir()} == {str(n) for n in range(600)}


def plain_files(root: Path) -> list[str]:
    """What residents are shown of a directory, as the operating system lists it."""
    found = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    return [str(path) for path in found if not path.parts[0].startswith(".")]
