"""What is lost or damaged in a copy is seen from lists of its files, told, and written again."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from broadcaster.bundle.signed import Manifest
from broadcaster.channel import Permanent, Revision, Scope, Transient
from broadcaster.domain.delivery import State
from broadcaster.httpclient import Deadline
from broadcaster.testing.openssh import OpenSsh
from broadcaster.testing.rig import Rig
from broadcaster.testing.servers import FarEnd, Reply, Request
from broadcaster.testing.storage import BUCKET, S3rver, block, checking_moto, moto
from channels.mirror import MirrorAdapter, comparing, copying
from channels.mirror.far import Thing

from .conftest import ATTEMPT, KEY, Boards, cut, page, pem

Tree = Callable[[Path], dict[str, bytes]]
THREE = {
    "index.html": "allt",
    "incidents/a7/index.html": "A7",
    "areas/norra-ekbyn/index.html": "norr",
}
LOST = "lost or damaged (1): they are written anew."


def said(mirror: MirrorAdapter) -> str:
    """What the comparison told; what is seen by the copy's own address comes after it."""
    with mirror._far.connected(Deadline(20)) as far:
        standing = mirror._copier.standing(far)
    return mirror._compare(standing, Deadline(20))


def mended(boards: Boards, mirror: MirrorAdapter, revision: str = "1.1") -> int:
    """How many files are written again, of a copy that was found damaged; it is whole then."""
    assert mirror.standing() is None
    count = int(boards.show(mirror, revision).detail.split()[0])
    assert mirror.standing() == Revision.parse(revision)
    return count


# ---------------------------------------------------------------------------------------------------------- a directory
@pytest.mark.parametrize("loss", ["gone", "other bytes of the same length", "half", "a folder"])
def test_a_file_that_was_lost_or_damaged_is_told_and_written_again(
    boards: Boards, tree: Tree, loss: str
) -> None:
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    whole = tree(boards.copy)
    hurt = boards.copy / "incidents/a7/index.html"
    body = hurt.read_bytes()
    hurt.unlink()
    if loss == "other bytes of the same length":
        hurt.write_bytes(bytes(len(body)))
    elif loss == "half":
        hurt.write_bytes(body[: len(body) // 2])
    mirror = boards.mirror()  # of a daemon that was started anew
    probe = mirror.probe(ATTEMPT)
    assert not probe.good
    assert probe.sentence == f"Files in {boards.copy} are {LOST}"
    assert mended(boards, mirror) == 3, "it and its compressed forms; no other shard"
    after = tree(boards.copy)
    assert hurt.read_bytes() == body
    assert {name for name in whole if not name.startswith("mirror")} == {
        name for name in after if not name.startswith("mirror")
    }


@pytest.mark.parametrize("name", ["index.html", "mirror/key.pem", "feed.json", "a list"])
def test_so_are_front_page_key_and_lists(boards: Boards, tree: Tree, name: str) -> None:
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    lists = (str(p.relative_to(boards.copy)) for p in boards.copy.glob(".manifest/page/*.json"))
    name = next(lists) if name == "a list" else name
    before = tree(boards.copy)[name]
    (boards.copy / name).write_bytes(b"damaged")
    mirror = boards.mirror()
    assert LOST in mirror.probe(ATTEMPT).sentence
    mended(boards, mirror)
    assert tree(boards.copy)[name] == before


def test_a_whole_copy_is_left_alone(boards: Boards, tree: Tree) -> None:
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    before = tree(boards.copy)
    mirror = boards.mirror()
    assert said(mirror) == ""
    assert not mirror._damage
    assert mirror.standing() == Revision(1, 1)
    assert boards.show(mirror, "1.1").detail == "0 files copied"
    assert tree(boards.copy) == before


def test_it_is_compared_at_the_start_and_every_hour(
    boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards.publish("1.1", THREE)
    mirror = boards.mirror()
    boards.show(mirror, "1.1")
    said(mirror)
    (boards.copy / "feed.json").unlink()
    said(mirror)
    assert mirror.standing() == Revision(1, 1), "the hour is not over"
    monkeypatch.setattr(comparing, "EVERY", 0.0)
    said(mirror)
    assert mended(boards, mirror) == 2, "all at the root of that board"


def test_what_takes_long_goes_on_in_the_next_probe(
    boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "_GROUP", 1)
    monkeypatch.setattr(comparing, "_SHARE", 1.1)  # whatever was spent, it was too much
    boards.publish("1.1", THREE)
    mirror = boards.mirror()
    boards.show(mirror, "1.1")
    for name in ("feed.json", "incidents/a7/index.html"):
        (boards.copy / name).unlink()
    shards = len(list(boards.copy.glob(".manifest/*/*.json")))
    for _ in range(shards):
        assert mirror._comparer._ended is None
        said(mirror)
    assert mirror._comparer._ended is not None
    assert mirror._damage.lost == {"feed.json", "incidents/a7/index.html"}


def test_nothing_is_compared_while_something_is_copied_or_is_to_be(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    mirror = boards.mirror()
    boards.show(mirror, "1.1")
    hurt = "areas/norra-ekbyn/index.html"
    (boards.copy / hurt).unlink()
    journal = boards.copy / ".manifest/mirror.copying.json"
    journal.write_text('{"by": "another", "beat": 3, "touched": {}, "drop": {}}')
    said(mirror)
    assert not mirror._damage
    journal.unlink()
    boards.publish("1.2", THREE | {"index.html": "nytt"})
    said(mirror)
    assert not mirror._damage, "the next word comes first"
    boards.show(mirror, "1.2")
    said(mirror)
    assert mirror._damage.lost == {hurt}


def test_what_was_seen_while_a_copying_ended_counts_for_nothing(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    mirror, far = cut(boards, 10_000)
    boards.show(mirror, "1.1")
    hurt = boards.copy / "areas/norra-ekbyn/index.html"
    hurt.unlink()
    names = far.names

    def meanwhile(folder: str) -> Collection[str]:
        if folder == "mirror":
            boards.publish("1.2", THREE | {"index.html": "nytt"})
            boards.show(boards.mirror(), "1.2")
        return names(folder)

    far.names = meanwhile  # type: ignore[method-assign]  # a step between two of its steps
    said(mirror)
    assert not mirror._damage
    far.names = names  # type: ignore[method-assign]  # as above
    said(mirror)
    assert mirror._damage.lost == {"areas/norra-ekbyn/index.html"}


def test_a_mending_that_is_cut_off_is_gone_on_with_by_whoever_comes(
    boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "LEASE", 0.0)
    boards.publish("1.1", THREE)
    mirror, far = cut(boards, 10_000)
    boards.show(mirror, "1.1")
    hurt = boards.copy / "incidents/a7/index.html"
    hurt.unlink()
    said(mirror)
    far.left = 1  # the journal
    with pytest.raises(Transient, match="broke"):
        boards.show(mirror, "1.1")
    other = boards.mirror()  # it has compared nothing
    with pytest.raises(Transient, match="Another machine copies"):
        boards.show(other, "1.1")
    boards.show(other, "1.1")
    assert hurt.read_bytes() == page("A7")


def test_under_a_new_key_lists_and_signatures_of_the_old_one_go_and_its_pages_stay(
    boards: Boards, tree: Tree
) -> None:
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    (boards.copy / "robots.txt").write_text("somebody else's")
    fewer = {"index.html": "allt", "incidents/a7/index.html": "A7, nytt"}
    boards.publish("1.2", fewer)
    renewed = boards.mirror(key=pem())
    boards.show(renewed, "1.2")
    assert renewed.standing() == Revision(1, 2)
    said(renewed)
    assert mended(boards, renewed, "1.2") == 0
    standing = tree(boards.copy)
    clean = boards.beside("clean")
    clean = Boards(clean.folder)
    clean.publish("1.2", fewer)
    clean.show(clean.mirror(), "1.2")
    expected = {name for name in tree(clean.copy) if not name.endswith(".sig")}
    area = "areas/norra-ekbyn/index.html"
    unknown = {"robots.txt", area, f"{area}.gz", f"{area}.br"}  # nothing signed speaks of them
    assert {name for name in standing if not name.endswith(".sig")} == expected | unknown
    assert len([name for name in standing if name.endswith(".sig")]) == 1


def test_a_running_daemon_mends_its_copy_by_itself(tmp_path: Path, address: str) -> None:
    """Nobody says anything: the probe sees the loss, and the next look of the lane has it written again."""
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
    hurt = tmp_path / "copy/incidents/a1/index.html"
    with Rig(tmp_path, channels) as rig:
        rig.say("Strömmen är borta.")
        rig.reached(State.ACCEPTED, channel="copy")
        before = hurt.read_bytes()
    hurt.write_bytes(b"damaged")
    with Rig(tmp_path, channels) as rig:
        rig.until(lambda: hurt.read_bytes() == before)


# -------------------------------------------------------------------------------------------------------------- buckets
def spoil(mirror: MirrorAdapter, name: str, body: bytes | None) -> None:
    """Put something else there, or take it away, as the far side itself might."""
    with mirror._far.connected(Deadline(20)) as far:
        if body is None:
            far.drop([name])
        else:
            far.write([Thing(name, body)])


def see_it_mended(boards: Boards, to: dict[str, Any], url: str) -> None:
    boards.publish("1.1", THREE)
    mirror = boards.mirror(to=to, url=url)
    boards.show(mirror, "1.1")
    assert said(mirror) == ""
    assert not mirror._damage, "a whole copy"
    hurt = "incidents/a7/index.html"
    same = page("B8")
    assert len(same) == len(page("A7"))
    for spoilt in (None, b"short", same):
        spoil(mirror, hurt, spoilt)
        again = boards.mirror(to=to, url=url)
        assert LOST in again.probe(ATTEMPT).sentence, spoilt
        assert mended(boards, again) == 1
        last = boards.mirror(to=to, url=url)
        assert said(last) == ""
        assert not last._damage


@pytest.mark.real("s3rver")
@pytest.mark.parametrize("folder", ["", "/kopia/av"])
def test_s3rver_tells_what_was_lost(boards: Boards, folder: str) -> None:
    with S3rver() as storage:
        bucket = f"{storage.url}/{BUCKET}{folder}"
        see_it_mended(boards, block(storage.url, bucket=bucket), bucket)


def test_moto_tells_what_was_lost(boards: Boards) -> None:
    with moto() as url:
        see_it_mended(boards, block(url), f"{url}/{BUCKET}")


def test_moto_lists_more_than_a_thousand_files(boards: Boards) -> None:
    """Here and not at s3rver, which ends such a list with an error of its own (its token needs a cipher that is gone)."""
    with moto() as url:
        mirror = boards.mirror(to=block(url, bucket=f"{url}/{BUCKET}/kopia"))
        many = {f"{n:04}.txt" for n in range(1010)}
        with mirror._far.connected(Deadline(60)) as far:
            far.write([Thing(f"many/{name}", b"") for name in many])
            assert set(far.names("many")) == many


def manifest_there(mirror: MirrorAdapter) -> Manifest | None:
    with mirror._far.connected(Deadline(20)) as far:
        return mirror._copier.standing(far).manifest


def refuse(*_: object) -> None:
    raise Permanent("The key may not list.", scope=Scope.CHANNEL)


def test_a_key_that_may_not_list_is_told_and_parks_nothing(
    boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards.publish("1.1", THREE)
    with checking_moto("s3:GetObject", "s3:PutObject", "s3:DeleteObject") as to:
        mirror = boards.mirror(to=to)
        # Without that right the storage says "forbidden" where nothing stands yet: it was taken away later.
        with mirror._far.connected(Deadline(20)) as far:
            far.write([Thing("mirror.json", b"{}")])
            with pytest.raises(Permanent, match=r"allow it .* and ListBucket"):
                far.names("mirror")
        monkeypatch.setattr(mirror._comparer, "look", refuse)
        assert said(mirror) == "The key may not list."
        boards.show(mirror, "1.1")
        monkeypatch.setattr(mirror, "_read_outside", lambda _: manifest_there(mirror))
        monkeypatch.setattr(mirror, "_front_shown", lambda *_: True)
        probe = mirror.probe(ATTEMPT)
        assert not probe.good
        assert probe.sentence.endswith("but its files could not be compared: The key may not list.")


class Lists(FarEnd):
    """A bucket under a name of its own, whose folder `kopia` is listed two files at a time, with ETags that are no MD5."""

    name = "s3"

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, bytes] = {}

    def answer(self, request: Request) -> Reply:
        name = request.path.lstrip("/")
        query = dict(parse_qsl(request.query))
        if request.method == "PUT":
            self.held[name] = request.body
            return Reply(200)
        if request.method == "DELETE":
            self.held.pop(name, None)
            return Reply(204)
        if name == "" and "list-type" in query:
            return self._page(query)
        if name not in self.held:
            return Reply(404, b"<Error><Code>NoSuchKey</Code></Error>")
        return Reply(200, self.held[name], (("ETag", '"kms-1"'),))

    def _page(self, query: Mapping[str, str]) -> Reply:
        names = sorted(name for name in self.held if name.startswith(query["prefix"]))
        begin = int(query.get("continuation-token", "0/&").split("/")[0])
        told = "".join(
            f"<Contents><Key>{name}</Key><Size>{len(self.held[name])}</Size><ETag>&quot;kms-1&quot;</ETag></Contents>"
            for name in names[begin : begin + 2]
        )
        more = begin + 2 < len(names)
        after = f"<NextContinuationToken>{begin + 2}/&amp;</NextContinuationToken>" if more else ""
        flag = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return Reply(
            200,
            f"<?xml version='1.0'?><ListBucketResult>{flag}{told}{after}</ListBucketResult>".encode(),
        )


def test_a_long_list_is_read_to_its_end_and_etags_that_are_no_md5_are_not_compared(
    boards: Boards,
) -> None:
    boards.publish("1.1", THREE)
    with Lists() as far:
        to = block(far.url, bucket=f"{far.url}/kopia")
        mirror = boards.mirror(to=to, url=to["bucket"])
        boards.show(mirror, "1.1")
        assert said(mirror) == ""
        assert not mirror._damage
        hurt = "kopia/incidents/a7/index.html"
        for spoilt in (b"", b"short"):
            del far.held[hurt]
            far.held |= {hurt: spoilt} if spoilt else {}
            again = boards.mirror(to=to, url=to["bucket"])
            assert LOST in again.probe(ATTEMPT).sentence
            assert mended(boards, again) == 1


class Odd(Lists):
    """One whose first page is another than the list's."""

    def __init__(self, first: str, *, endless: bool = False) -> None:
        super().__init__()
        self.first, self.endless, self.asked = first, endless, 0

    def _page(self, query: Mapping[str, str]) -> Reply:
        self.asked += 1
        if self.endless or "continuation-token" not in query:
            told = (
                f"<ListBucketResult><IsTruncated>true</IsTruncated>{self.first}</ListBucketResult>"
            )
            return Reply(200, told.encode())
        return super()._page(query)


def test_an_empty_page_does_not_end_a_list_that_goes_on(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    with Odd("<NextContinuationToken>0/&amp;</NextContinuationToken>") as far:
        to = block(far.url, bucket=f"{far.url}/kopia")
        mirror = boards.mirror(to=to, url=to["bucket"])
        boards.show(mirror, "1.1")
        assert said(mirror) == ""
        assert not mirror._damage


@pytest.mark.parametrize(
    ("first", "asked"),
    [
        ("<Contents><Key>kopia/x</Key><Size>1</Size></Contents>", 1),
        ("<NextContinuationToken></NextContinuationToken>", 1),
        ("<NextContinuationToken>same</NextContinuationToken>", 2),
    ],
)
def test_a_list_that_never_goes_on_is_told_and_not_asked_for_for_ever(
    boards: Boards, first: str, asked: int
) -> None:
    boards.publish("1.1", THREE)
    with Odd(first, endless=True) as far:
        to = block(far.url, bucket=f"{far.url}/kopia")
        mirror = boards.mirror(to=to, url=to["bucket"])
        boards.show(mirror, "1.1")
        assert said(mirror) == "127.0.0.1 does not list the files of the bucket."
        assert not mirror._damage
        assert far.asked == asked


@pytest.mark.parametrize("folder", ["min%20kopia", "a+b", "a%2Bb", "%C3%A5/kopia"])
def test_a_folder_in_a_bucket_may_have_any_name(boards: Boards, folder: str) -> None:
    with moto() as url:
        bucket = f"{url}/{BUCKET}/{folder}"
        boards.publish("1.1", THREE)
        mirror = boards.mirror(to=block(url, bucket=bucket), url=bucket)
        boards.show(mirror, "1.1")
        assert said(mirror) == ""
        assert not mirror._damage


def test_a_comparison_that_takes_too_long_leaves_time_to_see_the_copy_from_outside(
    boards: Boards, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards.publish("1.1", THREE)
    mirror = boards.mirror(url=address)
    boards.show(mirror, "1.1")
    given: list[float] = []

    def slow(_place: object, _standing: object, deadline: Deadline) -> None:
        given.append(deadline.seconds)
        raise Transient("The far side was too slow.")

    monkeypatch.setattr(mirror._comparer, "look", slow)
    probe = mirror.probe(replace(ATTEMPT, deadline=10))
    assert given[0] <= 6
    assert not probe.good
    assert probe.sentence == (
        f"{boards.copy} holds revision 1.1, copied 2026-11-22 15:05, but its files could not be compared: "
        "The far side was too slow."
    )


# ----------------------------------------------------------------------------------------------------------------- SFTP
@pytest.mark.real("openssh")
def test_openssh_tells_what_was_lost(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    with OpenSsh() as far:
        to = far.block()
        boards.show(boards.mirror(to=to), "1.1")
        hurt = far.files / "incidents/a7/index.html"
        body = hurt.read_bytes()
        for spoilt in (None, b"short"):
            spoil(boards.mirror(to=to), "incidents/a7/index.html", spoilt)
            mirror = boards.mirror(to=to)
            assert LOST in mirror.probe(ATTEMPT).sentence
            assert mended(boards, mirror) == 3
            assert hurt.read_bytes() == body
        whole = boards.mirror(to=to)
        assert said(whole) == ""
        assert not whole._damage
        assert json.loads((far.files / "mirror.json").read_bytes())["revision"] == "1.1"
