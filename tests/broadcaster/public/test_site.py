"""What the server takes over from the directory, and what it never does."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from broadcaster.bundle import Bundle, File
from broadcaster.public import site as site_module
from broadcaster.public.reader import View, read_view
from broadcaster.public.site import Site

HTML = "text/html"


def publish(root: Path, revision: str, owner: str = "page", **files: str) -> None:
    given = [File(f"{name}.html", text.encode(), HTML) for name, text in files.items()]
    Bundle(root, owner).publish(revision, given)


def shown(site: Site, address: str) -> str | None:
    resource = site.table.get(address)
    return resource.face.identity.body.decode() if resource else None


@pytest.fixture
def site(tmp_path: Path) -> Site:
    publish(tmp_path, "1.1", a="a1", b="b1")
    site = Site(tmp_path)
    site.look()
    assert (shown(site, "/a.html"), shown(site, "/b.html")) == ("a1", "b1")
    return site


def test_the_table_is_swapped_as_one(site: Site, tmp_path: Path) -> None:
    before = site.table
    publish(tmp_path, "1.2", a="a2", b="b2")
    assert site.table is before
    site.look()
    assert (shown(site, "/a.html"), shown(site, "/b.html")) == ("a2", "b2")
    assert before["/a.html"] is not site.table["/a.html"]
    same = site.table
    site.look()
    assert site.table is same


def test_what_did_not_change_is_not_read_again(site: Site, tmp_path: Path) -> None:
    kept = site.table["/b.html"]
    publish(tmp_path, "1.2", a="a2")
    site.look()
    assert site.table["/b.html"] is kept


def test_a_removed_page_is_gone(site: Site, tmp_path: Path) -> None:
    Bundle(tmp_path, "page").publish("1.2", [], remove=["b.html"])
    site.look()
    assert set(site.table) == {"/a.html"}


def test_a_revision_that_is_not_whole_is_waited_for(site: Site, tmp_path: Path) -> None:
    publish(tmp_path, "1.2", a="a2", b="b2")
    (tmp_path / "b.html").write_bytes(b"half")
    for _ in range(3):
        site.look()
        assert (shown(site, "/a.html"), shown(site, "/b.html")) == ("a1", "b1")
    (tmp_path / "b.html").write_bytes(b"b2")
    site.look()
    assert (shown(site, "/a.html"), shown(site, "/b.html")) == ("a2", "b2")


def test_a_file_that_gets_its_name_while_it_is_looked_for_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, "1.1", a="a1")
    plain, staged = tmp_path / "a.html", tmp_path / ".a.html.new"
    plain.rename(staged)
    really_open = os.open

    def open_late(path: str, *rest: int, **more: int) -> int:
        if path == staged.name:
            staged.rename(plain)  # the writer was quicker
        return really_open(path, *rest, **more)

    monkeypatch.setattr(os, "open", open_late)
    assert read_view(tmp_path, "page", View()).damaged == ()


def test_a_file_damaged_for_good_does_not_hold_back_the_others(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, "1.2", a="a2", b="b2", c="c2")
    (tmp_path / "b.html").write_bytes(b"half")
    (tmp_path / "c.html").unlink()
    monkeypatch.setattr(site_module, "_GRACE", 0.0)
    monkeypatch.setattr(site_module, "_RETRY", 0.0)
    site.look()
    assert (shown(site, "/a.html"), shown(site, "/b.html")) == ("a2", "b1")
    assert site.table["/c.html"] is None  # answered with 503, not 404
    publish_again = Bundle(tmp_path, "page")
    assert publish_again.standing() is None
    files = {"a": "a2", "b": "b2", "c": "c2"}
    publish_again.publish(
        "1.2", [File(f"{n}.html", t.encode(), HTML) for n, t in files.items()], whole=True
    )
    site.look()
    assert (shown(site, "/b.html"), shown(site, "/c.html")) == ("b2", "c2")


def test_a_lost_shard_leaves_its_pages_as_they_were(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, "1.2", a="a2")
    for shard in (tmp_path / ".manifest/page").iterdir():
        shard.unlink()
    monkeypatch.setattr(site_module, "_GRACE", 0.0)
    site.look()
    assert (shown(site, "/a.html"), shown(site, "/b.html")) == ("a1", "b1")


def test_a_cold_start_shows_what_is_whole(tmp_path: Path) -> None:
    publish(tmp_path, "1.1", a="a1", b="b1")
    (tmp_path / "b.html").write_bytes(b"half")
    cold = Site(tmp_path)
    cold.look()
    assert (shown(cold, "/a.html"), cold.table["/b.html"]) == ("a1", None)


def test_it_never_goes_backwards(site: Site, tmp_path: Path) -> None:
    older = tmp_path / "older"
    publish(older, "1.0", a="a0", b="b0")
    for name in ("a.html", "b.html", ".manifest"):
        target = tmp_path / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        (older / name).rename(target)
    site.look()
    assert shown(site, "/a.html") == "a1"
    publish(tmp_path, "2.0", a="restored")
    site.look()
    assert shown(site, "/a.html") == "restored"


def test_it_stands_when_the_directory_is_lost(site: Site, tmp_path: Path) -> None:
    for entry in tmp_path.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    site.look()
    assert shown(site, "/a.html") == "a1"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"revision":"x","shards":{}}'])
def test_a_manifest_that_makes_no_sense_changes_nothing(
    site: Site, tmp_path: Path, body: bytes
) -> None:
    (tmp_path / ".manifest/page.json").write_bytes(body)
    site.look()
    assert shown(site, "/a.html") == "a1"


def test_more_folders_than_are_held_open_are_read_and_none_is_left_open(tmp_path: Path) -> None:
    paths = [f"incidents/a{number}/index.html" for number in range(150)]
    Bundle(tmp_path, "page").publish("1.1", [File(path, path.encode(), HTML) for path in paths])
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not files
    view = read_view(tmp_path, "page", View())
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - as above
    assert not view.damaged
    bodies = {each.face.identity.body.decode() for each in view.resources.values() if each}
    assert bodies == set(paths)


def test_owners_come_and_stand_together(site: Site, tmp_path: Path) -> None:
    publish(tmp_path, "1.1", owner="feed", feed="f1")
    site.look()
    assert {shown(site, f"/{name}.html") for name in ("a", "b", "feed")} == {"a1", "b1", "f1"}


def test_links_and_paths_that_lead_out_are_not_read(tmp_path: Path) -> None:
    root = tmp_path / "public"
    secret = tmp_path / "secret.html"
    secret.write_bytes(b"secret")
    publish(root, "1.1", a="secret")
    (root / "a.html").unlink()
    (root / "a.html").symlink_to(secret)
    (root / "sub").symlink_to(tmp_path)
    os.mkfifo(root / "pipe.html")
    sha256 = hashlib.sha256(b"secret").hexdigest()
    entry = {"sha256": sha256, "size": 6, "media_type": HTML}
    names = ["a.html", "../secret.html", "sub/secret.html", "pipe.html", str(secret)]
    shard = json.dumps(dict.fromkeys(names, entry)).encode()
    digest = hashlib.sha256(shard).hexdigest()
    (root / f".manifest/page/00.{digest}.json").write_bytes(shard)
    manifest = {"revision": "1.2", "shards": {"00": digest}, "removed": []}
    (root / ".manifest/page.json").write_text(json.dumps(manifest))
    view = read_view(root, "page", View())
    assert len(view.damaged) == len(names)
    assert not any(view.resources.values())
