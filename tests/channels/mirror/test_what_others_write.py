"""What others write into a copy without our signature makes us lose, delete and stop nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from broadcaster.bundle.disk import Tree as Disk
from broadcaster.bundle.manifest import digest
from broadcaster.bundle.paths import UnsafePath
from broadcaster.channel import Permanent, Transient
from broadcaster.domain.delivery import State
from broadcaster.httpclient import Deadline
from broadcaster.testing.openssh import OpenSsh
from broadcaster.testing.rig import Rig
from broadcaster.testing.storage import BUCKET, block, moto
from channels.mirror import MirrorAdapter, copying
from channels.mirror.far import Place, Thing

from .conftest import KEY, Boards
from .test_comparing import THREE, said, spoil

JOURNAL = ".manifest/mirror.copying.json"
JUNK = [
    b"[]",
    b'{"x": 1}',
    b"\xff",
    b"[" * 100_000,
    b'{"a": {"sha256": 1}}',
    b'{"by": "x", "beat": 1e999, "touched": {}, "drop": {}}',
    b'{"by": "x", "beat": 1, "touched": {"page/000": "\\ud800"}, "drop": {"": ["\\u0000"]}}',
    b'{"format": 1, "mode": 7, "revision": 5}',
    b"",
]


def listing(*names: str) -> bytes:
    """A shard that names these files, as anybody can write it."""
    entry = {"sha256": "0" * 64, "size": 1, "media_type": "text/plain"}
    return json.dumps(dict.fromkeys(names, entry)).encode()


def stray(body: bytes, board: str = "page") -> str:
    """Where such a shard passes for one of ours."""
    return f".manifest/{board}/000.{digest(body)}.json"


@contextmanager
def place(kind: str, boards: Boards) -> Iterator[dict[str, Any]]:
    """A copy below the folder `far` of a place of this kind, as the adapter's settings have it."""
    with ExitStack() as stack:
        if kind == "directory":
            boards.elsewhere = boards.folder / "disk/far"
            yield {"to": {"place": "directory", "path": str(boards.copy)}}
        elif kind == "sftp":
            yield {"to": stack.enter_context(OpenSsh()).block()}
        else:
            url = stack.enter_context(moto())
            bucket = f"{url}/{BUCKET}/far"
            yield {"to": block(url, bucket=bucket), "url": bucket}


def beside(kind: str, written: dict[str, Any]) -> dict[str, Any]:
    """The folder above, as settings of a place of its own."""
    to = written["to"]
    key = {"directory": "path", "sftp": "folder", "s3": "bucket"}[kind]
    return {**written, "to": {**to, key: to[key].rpartition("/")[0]}}


def there(mirror: MirrorAdapter, name: str) -> bool:
    with mirror._far.connected(Deadline(20)) as far:
        return far.read(name) is not None


KINDS = ["directory", pytest.param("sftp", marks=pytest.mark.real("openssh")), "s3"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_without_our_signature_deletes_nothing_but_itself(boards: Boards, kind: str) -> None:
    boards.publish("1.1", THREE)
    with place(kind, boards) as written:
        mirror = boards.mirror(**written)
        boards.show(mirror, "1.1")
        above = boards.mirror(**beside(kind, written))
        spoil(above, "victim.txt", b"theirs")
        spoil(mirror, "neighbour.html", b"theirs")
        spoil(mirror, "mirror/theirs.sig", b"theirs")
        body = listing("../victim.txt", "neighbour.html", "/victim.txt")
        spoil(mirror, stray(body), body)
        assert said(mirror) == ""
        boards.show(mirror, "1.1")
        assert there(above, "victim.txt")
        assert there(mirror, "neighbour.html")
        assert there(mirror, "mirror/theirs.sig")
        assert not there(mirror, stray(body))


def test_nor_does_it_make_the_daemon_delete_its_store(tmp_path: Path, address: str) -> None:
    channels: dict[str, dict[str, Any]] = {
        "page": {"kind": "page"},
        "copy": {
            "kind": "mirror",
            "url": address,
            "boards": ["page"],
            "key": KEY(),
            "to": {"place": "directory", "path": str(tmp_path / "copy")},
        },
    }
    with Rig(tmp_path, channels) as rig:
        rig.say("Strömmen är borta.")
        rig.reached(State.ACCEPTED, channel="copy")
    ours = {
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and not {"copy", "public"} & {*path.parts}
    }
    assert ours
    body = listing(*(f"../{path.relative_to(tmp_path)}" for path in ours))
    foreign = tmp_path / "copy" / stray(body)
    foreign.write_bytes(body)
    with Rig(tmp_path, channels) as rig:
        rig.until(lambda: not foreign.exists())
        rig.until(lambda: not (tmp_path / "copy" / JOURNAL).exists())
        assert {path for path in ours if not path.exists()} <= {
            path for path in ours if path.name.endswith(("-wal", "-shm"))
        }


@pytest.mark.parametrize("kind", KINDS)
def test_a_journal_without_our_signature_deletes_nothing(
    boards: Boards, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "LEASE", 0.0)
    boards.publish("1.1", THREE)
    with place(kind, boards) as written:
        mirror = boards.mirror(**written)
        boards.show(mirror, "1.1")
        above = boards.mirror(**beside(kind, written))
        spoil(above, "victim.txt", b"theirs")
        spoil(mirror, "neighbour.html", b"theirs")
        spoil(mirror, "incidents/a7/index.html", b"forged")
        stands = dict.fromkeys(("page/000", "../x", "x"), "0" * 64)
        drop = {"page/000": ["../victim.txt", "neighbour.html", "/victim.txt"]}
        foreign = {"by": "another", "beat": 3, "touched": stands, "drop": drop}
        spoil(mirror, JOURNAL, json.dumps(foreign).encode())
        with pytest.raises(Transient, match="Another machine copies"):
            boards.show(mirror, "1.1")
        boards.show(mirror, "1.1")
        assert there(above, "victim.txt")
        assert there(mirror, "neighbour.html")
        assert not there(mirror, JOURNAL)
        assert said(mirror) == ""
        assert not mirror._damage.lost, "it was written anew, whatever that journal says"


def test_pages_that_went_while_such_a_journal_stood_go_from_the_copy(
    boards: Boards, tree: Callable[[Path], dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "LEASE", 0.0)
    boards.publish("1.1", THREE)
    mirror = boards.mirror()
    boards.show(mirror, "1.1")
    boards.publish("1.2", {"index.html": "allt"})
    (boards.copy / JOURNAL).write_bytes(b"[]")
    with pytest.raises(Transient, match="Another machine copies"):
        boards.show(mirror, "1.2")
    boards.show(mirror, "1.2")
    assert not [name for name in tree(boards.copy) if name.startswith(("incidents", "areas"))]


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk[:20]))
@pytest.mark.parametrize("where", ["list", JOURNAL, "mirror.json", "mirror/key.pem"])
def test_junk_there_stops_no_word(
    boards: Boards, monkeypatch: pytest.MonkeyPatch, junk: bytes, where: str
) -> None:
    monkeypatch.setattr(copying, "LEASE", 0.0)
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    name = stray(junk) if where == "list" else where
    (boards.copy / name).write_bytes(junk)
    mirror = boards.mirror()
    said(mirror)
    boards.publish("1.2", THREE | {"index.html": "nytt"})
    if where == JOURNAL and junk:
        with pytest.raises(Transient, match="Another machine copies"):
            boards.show(mirror, "1.2")
    boards.show(mirror, "1.2")
    assert json.loads((boards.copy / "mirror.json").read_bytes())["revision"] == "1.2"
    again = boards.mirror()
    said(again)
    boards.show(again, "1.2")
    assert not (boards.copy / stray(junk)).exists()


@pytest.mark.parametrize("kind", KINDS)
def test_folders_under_the_names_of_lists_and_signatures_stop_nothing(
    boards: Boards, kind: str
) -> None:
    boards.publish("1.1", THREE)
    with place(kind, boards) as written:
        mirror = boards.mirror(**written)
        boards.show(mirror, "1.1")
        for name in (stray(b""), f"mirror/{'0' * 64}.sig", "mirror/old.sig"):
            spoil(mirror, f"{name}/x", b"theirs")
        mirror = boards.mirror(**written)
        assert said(mirror) == ""
        boards.show(mirror, "1.1")
        boards.publish("1.2", THREE | {"index.html": "nytt"})
        boards.show(mirror, "1.2")
        assert there(mirror, "mirror/old.sig/x")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "a//x", "a/./x", "..", ""])
@pytest.mark.parametrize("kind", KINDS)
def test_no_place_touches_what_is_outside_of_it(boards: Boards, kind: str, name: str) -> None:
    with place(kind, boards) as written:
        mirror = boards.mirror(**written)
        acts: tuple[Callable[[Place], object], ...] = (
            lambda far: far.read(name),
            lambda far: far.drop([name]),
            lambda far: far.write([Thing(name, b"x"), Thing("good.txt", b"x")]),
        )
        for act in acts:
            with pytest.raises(Permanent), mirror._far.connected(Deadline(20)) as far:
                act(far)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a//x", "a/..", "", "a/\0"])
def test_no_tree_reaches_what_is_outside_of_it(tmp_path: Path, name: str) -> None:
    tree = Disk(tmp_path / "root")
    for act in (tree.drop, tree.read, lambda name: tree.stage(name, b"x"), tree.settle):
        with pytest.raises(UnsafePath):
            act(name)


@pytest.mark.parametrize("name", ["incidents/a7/index.html", "incidents/a7", ".manifest/page"])
def test_what_is_no_plain_file_is_told_with_its_folder(boards: Boards, name: str) -> None:
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    odd = boards.copy / name
    odd.rename(boards.folder / "aside")
    odd.symlink_to(boards.folder / "aside")
    boards.publish("1.2", THREE | {"incidents/a7/index.html": "nytt"})
    with pytest.raises(Permanent, match=f"'{name}'"):
        boards.show(boards.mirror(), "1.2")
