import gzip
import json
import os
import random
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import brotli
import pytest

from broadcaster.bundle import Bundle, File, NotStanding, OlderRevision, Overdue, UnsafePath

HTML = "text/html; charset=utf-8"
LONG = "Strömavbrott i Norra Ekbyn. " * 40


def page(path: str, text: str = LONG, overdue: Overdue | None = None) -> File:
    return File(path, text.encode(), HTML, overdue)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "public"


@pytest.fixture
def bundle(root: Path) -> Bundle:
    return Bundle(root, "page")


def visible(root: Path) -> set[str]:
    return {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and ".manifest" not in path.parts
    }


def entries(root: Path, owner: str = "page") -> dict[str, dict[str, object]]:
    shards = (root / ".manifest" / owner).iterdir()
    return {p: e for shard in shards for p, e in json.loads(shard.read_bytes()).items()}


def test_a_file_stands_with_its_compressed_copies(bundle: Bundle, root: Path) -> None:
    assert bundle.standing() is None
    bundle.publish("1.1", [page("incidents/a7/index.html")])
    written = root / "incidents/a7/index.html"
    assert written.read_text() == LONG
    assert gzip.decompress((root / "incidents/a7/index.html.gz").read_bytes()).decode() == LONG
    assert brotli.decompress((root / "incidents/a7/index.html.br").read_bytes()).decode() == LONG
    assert bundle.standing() == Bundle(root, "page").standing(verify=True) == "1.1"


def test_small_and_already_packed_files_are_not_compressed(bundle: Bundle, root: Path) -> None:
    bundle.publish("1.1", [page("small.html", "x" * 200), File("a.png", b"x" * 999, "image/png")])
    assert visible(root) == {"small.html", "a.png"}


def test_other_users_can_read_whatever_the_umask_says(bundle: Bundle, root: Path) -> None:
    before = os.umask(0o077)
    try:
        bundle.publish("1.1", [page("a/index.html")])
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (root / "a").iterdir()}
    assert modes == {0o644}
    assert (root / "a").stat().st_mode & 0o777 == 0o755
    assert (root / ".manifest/page.json").stat().st_mode & 0o777 == 0o644
    assert (root / ".manifest").stat().st_mode & 0o777 == 0o755


def test_only_what_changed_is_written(bundle: Bundle, root: Path) -> None:
    bundle.publish("1.1", [page("a.html"), page("b.html")])
    before = {name: (root / name).stat().st_ino for name in visible(root)}
    bundle.publish("1.2", [page("a.html"), page("b.html", LONG + "Nytt.")])
    after = {name: (root / name).stat().st_ino for name in visible(root)}
    assert {name for name in after if after[name] != before[name]} == {
        "b.html",
        "b.html.gz",
        "b.html.br",
    }
    assert bundle.standing(verify=True) == "1.2"


def test_an_update_rewrites_one_shard_of_a_long_history(bundle: Bundle, root: Path) -> None:
    history = [page(f"incidents/a{n}/index.html", f"{n}") for n in range(2000)]
    bundle.publish("1.2000", history, whole=True)
    before = {shard.name for shard in (root / ".manifest/page").iterdir()}
    bundle.publish("1.2001", [page("incidents/a7/index.html", "nytt")])
    after = {shard.name for shard in (root / ".manifest/page").iterdir()}
    assert len(after - before) == len(before - after) == 1


@pytest.mark.parametrize("older", ["1.16", "0.99"])
def test_it_never_goes_backwards(bundle: Bundle, root: Path, older: str) -> None:
    bundle.publish("1.17", [page("index.html", "17")])
    with pytest.raises(OlderRevision):
        bundle.publish(older, [page("index.html", "older")])
    with pytest.raises(OlderRevision):
        Bundle(root, "page").publish(older, [page("index.html", "older")], whole=True)
    assert (root / "index.html").read_text() == "17"
    bundle.publish("2.3", [page("index.html", "restored")])
    assert bundle.standing(verify=True) == "2.3"


@pytest.mark.parametrize("revision", ["", "1", "1.", "1.2.3", "01.2", "1.-2", "a.b", "1.２"])
def test_what_is_no_revision_is_refused(bundle: Bundle, revision: str) -> None:
    with pytest.raises(ValueError, match="not a revision"):
        bundle.publish(revision, [])


def test_the_same_again_touches_nothing(bundle: Bundle, root: Path) -> None:
    bundle.publish("1.1", [page("a.html"), page("b.html")])
    before = {path: path.stat().st_ino for path in root.rglob("*")}
    bundle.publish("1.1", [page("a.html")])
    Bundle(root, "page").publish("1.1", [page("a.html"), page("b.html")], whole=True)
    assert {path: path.stat().st_ino for path in root.rglob("*")} == before


def test_the_same_revision_may_look_different_after_a_changed_template(
    bundle: Bundle, root: Path
) -> None:
    bundle.publish("1.1", [page("a.html", "old template")])
    bundle.publish("1.1", [page("a.html", "new template")], whole=True)
    assert (root / "a.html").read_text() == "new template"
    assert bundle.standing(verify=True) == "1.1"


def test_a_merge_keeps_what_it_does_not_name(bundle: Bundle, root: Path) -> None:
    bundle.publish("1.1", [page("a/x.html"), page("b/x.html")])
    bundle.publish("1.2", [page("c/x.html")], remove=["b/x.html", "never/was.html"])
    assert set(entries(root)) == {"a/x.html", "c/x.html"}
    assert visible(root) == {f"{d}/x.html{s}" for d in "ac" for s in ("", ".gz", ".br")}


def test_whole_means_exactly_these_files(bundle: Bundle, root: Path) -> None:
    bundle.publish("1.1", [page("a/x.html"), page("b/x.html")])
    bundle.publish("1.2", [page("b/x.html", "kort")], whole=True)
    assert visible(root) == {"b/x.html"}  # and no stale compressed copy beside the short file
    assert set(entries(root)) == {"b/x.html"}
    assert bundle.standing(verify=True) == "1.2"


def test_the_overdue_variant_stands_beside_its_page(bundle: Bundle, root: Path) -> None:
    after = datetime(2026, 11, 22, 15, 50, tzinfo=timezone(timedelta(hours=1)))
    bundle.publish("1.1", [page("a/index.html", overdue=Overdue(after, LONG.upper().encode()))])
    assert (root / "a/index.overdue.html").read_text() == LONG.upper()
    overdue = entries(root)["a/index.html"]["overdue"]
    assert isinstance(overdue, dict)
    assert (overdue["path"], overdue["after"]) == (
        "a/index.overdue.html",
        "2026-11-22T14:50:00+00:00",
    )
    bundle.publish("1.2", [page("a/index.html")])
    assert not (root / "a/index.overdue.html").exists()
    assert bundle.standing(verify=True) == "1.2"


def test_a_promise_without_a_zone_and_a_broken_media_type_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Overdue(datetime(2026, 11, 22, 15, 50), b"")  # noqa: DTZ001 - what is refused
    with pytest.raises(ValueError, match="media type"):
        File("a.html", b"", "text/html\r\nset-cookie: x=1")


def test_two_files_for_one_path_are_refused(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="two files"):
        bundle.publish("1.1", [page("a.html"), page("a.html", "other")])


@pytest.mark.parametrize("name", ["a/x.html", "a/x.html.br", "b.html"])
@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_damage_is_noticed_and_mended(bundle: Bundle, root: Path, name: str, harm: str) -> None:
    files = [page("a/x.html"), page("b.html")]
    bundle.publish("1.5", files)
    (root / name).write_bytes(b"?") if harm == "changed" else (root / name).unlink()
    assert bundle.standing() == "1.5"  # trusts what it wrote
    assert bundle.standing(verify=True) is None
    restarted = Bundle(root, "page")
    assert restarted.standing() is None
    with pytest.raises(NotStanding):
        restarted.publish("1.6", [page("c.html")])
    restarted.publish("1.5", files, whole=True)
    assert restarted.standing(verify=True) == Bundle(root, "page").standing() == "1.5"
    assert (root / "a/x.html").read_text() == LONG


@pytest.mark.parametrize("harm", ["root", "shard", "shard gone"])
def test_a_damaged_manifest_is_noticed_and_mended(bundle: Bundle, root: Path, harm: str) -> None:
    files = [page("a/x.html"), page("b.html")]
    bundle.publish("1.5", files)
    shard = next((root / ".manifest/page").iterdir())
    if harm == "root":
        (root / ".manifest/page.json").write_bytes(b'{"revision": 3}')
    elif harm == "shard":
        shard.write_bytes(b"{}")
    else:
        shard.unlink()
    restarted = Bundle(root, "page")
    assert restarted.standing() is None
    with pytest.raises(NotStanding):
        restarted.publish("1.6", files)
    restarted.publish("1.6", files, whole=True)
    assert Bundle(root, "page").standing() == "1.6"
    assert set(entries(root)) == {"a/x.html", "b.html"}


def test_a_shard_lost_under_a_running_writer_is_not_forgotten(bundle: Bundle, root: Path) -> None:
    bundle.publish("1.5", [page("a/x.html"), page("a/y.html")])
    next((root / ".manifest/page").iterdir()).unlink()
    with pytest.raises(NotStanding):
        bundle.publish("1.6", [page("a/x.html", "ny")])
    assert bundle.standing() is None


def test_owners_share_a_directory_and_not_a_manifest(bundle: Bundle, root: Path) -> None:
    feed = Bundle(root, "feed")
    bundle.publish("1.2", [page("index.html")], whole=True)
    feed.publish("1.1", [File("feed.json", b"{}", "application/json")], whole=True)
    bundle.publish("1.3", [page("other.html")], whole=True)
    assert (bundle.standing(verify=True), feed.standing(verify=True)) == ("1.3", "1.1")
    assert "feed.json" in visible(root)


def test_a_reloaded_lane_carries_on_from_what_the_old_one_wrote(root: Path) -> None:
    old, new = Bundle(root, "page"), Bundle(root, "page")
    old.publish("1.1", [page("a.html", "1")])
    assert new.standing() == "1.1"
    old.publish("1.2", [page("b.html", "2")])
    new.publish("1.3", [page("c.html", "3")])
    assert set(entries(root)) == {"a.html", "b.html", "c.html"}
    with pytest.raises(OlderRevision):
        old.publish("1.2", [page("b.html", "2")])


def test_many_writers_leave_the_newest_whole(root: Path) -> None:
    def write(first: int) -> None:
        mine = Bundle(root, "page")
        for n in range(first, 60, 4):
            try:
                mine.publish(f"1.{n}", [page(f"d{i}/x.html", f"{n}") for i in range(3)])
            except OlderRevision:
                continue

    threads = [threading.Thread(target=write, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Bundle(root, "page").standing(verify=True) == "1.59"
    assert {(root / f"d{i}/x.html").read_text() for i in range(3)} == {"59"}


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_revision_and_the_next_try_works(
    bundle: Bundle, root: Path
) -> None:
    noise = random.Random(7).randbytes(50_000)
    bundle.publish("1.1", [page("a.html", "1"), page("b.html", "1")])
    with largest_file(20_000), pytest.raises(OSError, match="File too large"):
        bundle.publish("1.2", [page("a.html", "2"), File("b.html", noise, HTML)])
    assert (root / "a.html").read_text() == "1"
    assert bundle.standing() == Bundle(root, "page").standing() == "1.1"
    # Nor does what came to nothing take the room that the store needs for a retraction.
    assert [path.name for path in root.rglob(".*.new")] == []
    bundle.publish("1.2", [page("a.html", "2"), File("b.html", noise, HTML)])
    assert Bundle(root, "page").standing() == "1.2"


def test_symbolic_links_are_refused_everywhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "victim").write_bytes(b"untouched")
    linked_root = tmp_path / "linked"
    linked_root.symlink_to(elsewhere)
    with pytest.raises(UnsafePath):
        Bundle(linked_root, "page").publish("1.1", [page("a.html")])
    for number, (link, target) in enumerate(
        [
            ("a/b", elsewhere),
            ("a/b.html", elsewhere / "victim"),
            ("a/.b.html.new", elsewhere / "victim"),
            (".manifest", elsewhere),
            (".manifest/page.json", elsewhere / "victim"),
            (".manifest/page.lock", elsewhere / "victim"),
        ]
    ):
        root = tmp_path / f"public{number}"
        (root / link).parent.mkdir(parents=True)
        (root / link).symlink_to(target)
        with pytest.raises(UnsafePath):
            Bundle(root, "page").publish("1.1", [page("a/b/c.html"), page("a/b.html")])
        assert [path.name for path in elsewhere.iterdir()] == ["victim"]
        assert (elsewhere / "victim").read_bytes() == b"untouched"


def test_a_folder_in_the_way_is_refused_and_the_old_revision_stands(
    bundle: Bundle, root: Path
) -> None:
    bundle.publish("1.1", [page("a/x.html", "1")])
    for path in ("a", "a/x.html/y.html"):
        with pytest.raises(UnsafePath):
            bundle.publish("1.2", [page("a/x.html", "2"), page(path)])
    assert Bundle(root, "page").standing() == "1.1"


def test_the_wall_clock_plays_no_part(bundle: Bundle, root: Path) -> None:
    past = Overdue(datetime(1999, 1, 1, tzinfo=UTC), b"late")
    bundle.publish("1.1", [page("a.html", overdue=past)])
    assert (root / "a.html").read_text() == LONG


def test_what_was_published_can_be_read_back_unless_it_was_damaged(
    bundle: Bundle, root: Path
) -> None:
    bundle.publish("1.1", [page("a/one.html"), page("a/two.html"), page("b/three.html")])
    (root / "a/two.html").write_text("half a pa")
    (root / "b/own.html").write_text("nobody published this")
    wanted = ["a/one.html", "a/two.html", "b/three.html", "b/own.html", "c/none.html"]
    found = {path: LONG.encode() for path in ("a/one.html", "b/three.html")}
    assert bundle.bodies(wanted) == Bundle(root, "page").bodies(wanted) == found
    assert Bundle(root, "feed").bodies(wanted) == {}
