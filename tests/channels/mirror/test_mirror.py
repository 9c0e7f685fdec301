"""A copy holds what the boards have published, is signed, never goes backwards, and says how old it is."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from broadcaster.bundle import Bundle
from broadcaster.bundle.signed import Manifest, signature_name
from broadcaster.channel import (
    CanConfirm,
    CanProbe,
    Mode,
    Permanent,
    Probe,
    Receipt,
    Revision,
    Scope,
    Transient,
)
from broadcaster.domain.redundancy import THIS_MACHINE, independent, way
from broadcaster.httpclient import Answer, Deadline
from broadcaster.testing.boards import NOW, context, states
from broadcaster.testing.outage import agrees
from broadcaster.testing.peers import PEERS
from channels.feed import FeedAdapter
from channels.mirror import copying, directory
from channels.mirror.far import Found
from channels.page import PageAdapter

from .conftest import ATTEMPT, KEY, Boards, Quiet, cut, page, pem

Tree = Callable[[Path], dict[str, bytes]]
THREE = {
    "index.html": "allt",
    "incidents/a7/index.html": "A7",
    "areas/norra-ekbyn/index.html": "norr",
}
UNKNOWN_CURVE = """\
-----BEGIN PRIVATE KEY-----
ME4CAQAwEAYHKoZIzj0CAQYFK4EEAAYENzA1AgEBBA512DBQoROuuArRJ8M7+6Eg
Ax4ABISde8GXRxJZoeLUZ6kHJ5Y6qIwtT+ILfDOPag8=
-----END PRIVATE KEY-----
"""
"""A key of secp112r1, which the library for keys does not know."""


def manifest(boards: Boards) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((boards.copy / "mirror.json").read_bytes())
    return read


# -------------------------------------------------------------------------------------------------------- what is copied
def test_a_manifest_is_written_as_it_always_was() -> None:
    """Programs of others read it; the words of a copy are the boards' own, so it has no other golden file."""
    written = Manifest(
        mode="live",
        of="https://drift.ekbyn.example",
        revision=Revision(1, 17),
        copied_at="2026-11-22T15:05:00+01:00",
        made="page 3 feed 2",
        front={"feed.rss": "aa" * 32, "index.html": "bb" * 32},
        boards={"feed": "1.17", "page": "1.17"},
        shards={"page": {"": "cc" * 32, "a7": "dd" * 32}},
    )
    golden = Path(__file__).parent / "golden" / "mirror.json"
    agrees(golden, written.encode().decode())


def test_the_copy_holds_every_file_of_page_and_feed_byte_for_byte(tmp_path: Path) -> None:
    boards = Boards(tmp_path)
    shown = states()["three"]
    made = context(public_directory=str(boards.public), name="page")
    PageAdapter(PageAdapter.Settings(kind="page"), made).show(shown, ATTEMPT)
    made = context(public_directory=str(boards.public), name="feed")
    FeedAdapter(FeedAdapter.Settings(kind="feed"), made).show(shown, ATTEMPT)
    boards.mirror().show(shown, ATTEMPT)
    files = [p for p in boards.public.rglob("*") if p.is_file() and not p.name.startswith(".")]
    originals = {p.relative_to(boards.public) for p in files if ".manifest" not in p.parts}
    left_out = {p for p in originals if ".overdue." in p.name}
    stamped = {Path(folder, "index.html") for folder in ("", "en")}
    stamped |= {
        path.with_name(f"index.html.{coding}") for path in stamped for coding in ("gz", "br")
    }
    assert len(originals) > 50
    for path in originals - left_out - stamped:
        assert (boards.copy / path).read_bytes() == (boards.public / path).read_bytes(), path
    assert not [path for path in left_out if (boards.copy / path).exists()]


def test_the_front_page_says_of_what_it_is_a_copy_and_since_when(tmp_path: Path) -> None:
    boards = Boards(tmp_path)
    made = context(public_directory=str(boards.public), name="page")
    PageAdapter(PageAdapter.Settings(kind="page"), made).show(states()["one"], ATTEMPT)
    boards.mirror(boards=["page"]).show(states()["one"], ATTEMPT)
    link = '<a href="https://drift.ekbyn.example/">drift.ekbyn.example</a>'
    for name, line in {
        "index.html": f"Det här är en kopia av {link}, gjord söndag 22 november 2026 15.05.",
        "en/index.html": f"This is a copy of {link}, made Sunday 22 November 2026 15:05.",
    }.items():
        shown = (boards.copy / name).read_text()
        assert f'<p class="fact where">{line}</p>\n</main>' in shown
        # Another style would need another hash in the policy: soft, and with room above.
        assert ".fact{color:var(--soft)" in shown
        assert ".where{margin:.7rem 0 0}" in shown
        without = shown.replace(f'<p class="fact where">{line}</p>\n', "")
        assert without == (boards.public / name).read_text()
        assert not (boards.copy / f"{name}.gz").exists(), "a compressed one would lack the line"


def test_only_what_has_changed_is_copied(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    mirror = boards.mirror()
    boards.show(mirror, "1.1")
    untouched = boards.copy / "areas/norra-ekbyn/index.html"
    before = untouched.stat().st_ino
    boards.publish("1.2", THREE | {"incidents/a7/index.html": "A7 igen"})
    # incidents/a7/index.html and its two compressed forms, and feed.json; front pages are always written
    assert boards.show(mirror, "1.2").detail == "4 files copied"
    assert boards.show(boards.mirror(), "1.2").detail == "0 files copied"
    assert untouched.stat().st_ino == before
    assert (boards.copy / "incidents/a7/index.html").read_bytes() == page("A7 igen")


def test_what_is_gone_from_the_boards_goes_from_the_copy_and_nothing_else(
    boards: Boards, tree: Tree
) -> None:
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    (boards.copy / "robots.txt").write_text("somebody else's")
    del (fewer := dict(THREE))["areas/norra-ekbyn/index.html"]
    boards.publish("1.2", fewer)
    boards.show(boards.mirror(), "1.2")
    standing = tree(boards.copy)
    assert not [name for name in standing if name.startswith("areas/")]
    assert "robots.txt" in standing
    shards = {name for name in standing if name.startswith(".manifest/")}
    told = manifest(boards)["shards"]
    assert shards == {f".manifest/{b}/{k}.{s}.json" for b in told for k, s in told[b].items()}
    assert len([name for name in standing if name.endswith(".sig")]) == 1


def test_it_waits_for_every_board_to_have_published_the_revision(boards: Boards) -> None:
    boards.publish("1.2", THREE, feed="1.1")
    mirror = boards.mirror()
    late = threading.Timer(0.3, boards.publish_feed, ("1.2",))
    late.start()
    boards.show(mirror, "1.2")
    late.join()
    assert json.loads((boards.copy / "feed.json").read_bytes()) == {"revision": "1.2"}


def test_every_file_is_on_disk_before_the_manifest_speaks_of_it(
    boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards.publish("1.1", THREE)
    mirror, synced = boards.mirror(), []
    really = os.fsync

    def note(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    boards.show(mirror, "1.1")
    switch = next(n for n, path in enumerate(synced) if "mirror.json" in path)
    before = synced[:switch]
    assert [path for path in before if "incidents/a7/" in path]
    assert [path for path in before if "feed.json" in path]


def test_a_board_that_does_not_publish_is_named(boards: Boards) -> None:
    boards.publish("1.2", THREE, feed="1.1")
    with pytest.raises(Transient, match=r"^feed has not shown revision 1\.2 in .* yet"):
        boards.show(boards.mirror(), "1.2", deadline=0.5)
    assert not (boards.copy / "mirror.json").exists()


def test_pages_made_anew_for_the_same_revision_are_copied_anew(boards: Boards) -> None:
    boards.publish("1.1", THREE, made="a")
    mirror = boards.mirror()
    boards.show(mirror, "1.1")
    assert mirror.standing() == Revision(1, 1)
    boards.publish("1.1", THREE | {"incidents/a7/index.html": "nya ord"}, made="b")
    assert mirror.standing() is None
    boards.show(mirror, "1.1")
    assert mirror.standing() == Revision(1, 1)
    assert (boards.copy / "incidents/a7/index.html").read_bytes() == page("nya ord")


def test_a_damaged_original_is_never_copied(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    (boards.public / "incidents/a7/index.html").write_text("torn")
    with pytest.raises(Transient, match="is not what its manifest says"):
        boards.show(boards.mirror(), "1.1")
    assert not (boards.copy / "mirror.json").exists()
    assert not (boards.copy / "incidents/a7/index.html").exists()


# ------------------------------------------------------------------------------------------------------ never backwards
def test_an_older_revision_never_replaces_a_newer_one(boards: Boards, tree: Tree) -> None:
    boards.publish("1.5", THREE)
    boards.show(boards.mirror(), "1.5")
    before = tree(boards.copy)
    other = boards.beside("restored")  # another node, or a backup that was put back
    other.publish("1.4", THREE | {"index.html": "gammalt"})
    behind = other.mirror()
    assert behind.standing() is None
    with pytest.raises(Transient, match="another machine of ours may be ahead") as first:
        other.show(behind, "1.4")
    assert first.value.scope is Scope.MESSAGE
    assert tree(boards.copy) == before
    other.publish("1.5", THREE)
    other.show(behind, "1.5")  # it was another machine: our store has that revision by now
    assert behind.standing() == Revision(1, 5)


def test_one_board_that_is_ahead_there_does_not_go_back_either(boards: Boards, tree: Tree) -> None:
    boards.publish("1.1", THREE)
    other = boards.beside("other")
    other.publish("1.1", THREE)
    boards.publish("1.2", THREE | {"incidents/a7/index.html": "nytt"}, feed="1.1")
    boards.show(boards.mirror(), "1.1")
    before = tree(boards.copy)
    behind = other.mirror()
    with pytest.raises(Transient, match=r"holds revision 1\.2, newer than ours, 1\.1"):
        other.show(behind, "1.1")
    assert tree(boards.copy) == before
    other.publish("1.2", THREE | {"incidents/a7/index.html": "nytt"})
    other.show(behind, "1.2")
    assert behind.standing() == Revision(1, 2)


def test_a_new_empty_store_does_not_take_the_old_ones_copy_for_its_own(
    boards: Boards, tree: Tree, address: str
) -> None:
    """Else every word of the new one would count as out until it has as many revisions as the old one had."""
    boards.publish("1.57", THREE)
    boards.show(boards.mirror(url=address), "1.57")
    before = tree(boards.copy)
    new = boards.beside("new")
    new.publish("1.2", {"index.html": "nytt avbrott"})
    mirror = new.mirror(url=address)
    assert mirror.standing() is None
    assert not mirror.probe(ATTEMPT).good
    assert not mirror.confirm(Receipt(handle="1.2"), ATTEMPT)
    with pytest.raises(Transient):
        new.show(mirror, "1.2")
    with pytest.raises(Permanent, match=r"another store wrote it.*empty this one") as caught:
        new.show(mirror, "1.2")
    assert caught.value.scope is Scope.CHANNEL
    assert tree(boards.copy) == before


def test_the_same_revision_of_another_store_is_not_ours(boards: Boards, address: str) -> None:
    boards.publish("1.3", THREE)
    boards.show(boards.mirror(url=address), "1.3")
    new = boards.beside("new")
    new.publish("1.3", {"index.html": "nytt avbrott"})
    mirror = new.mirror(url=address)
    assert mirror.standing() is None
    assert not mirror.confirm(Receipt(handle="1.3"), ATTEMPT)
    new.show(mirror, "1.3")
    assert mirror.standing() == Revision(1, 3)
    assert mirror.confirm(Receipt(handle="1.3"), ATTEMPT)


@pytest.mark.parametrize(
    ("stands", "comes"), [("drill", "live"), ("live", "drill"), ("demo", "drill")]
)
def test_a_drill_and_the_real_thing_never_share_a_place(
    boards: Boards, tree: Tree, address: str, stands: str, comes: str
) -> None:
    boards.publish("1.9", THREE)
    boards.show(boards.mirror(Mode(stands), url=address), "1.9")
    before = tree(boards.copy)
    other = boards.beside("other")
    other.publish("1.9", THREE)
    mirror = other.mirror(Mode(comes), url=address)
    for act in (
        mirror.standing,
        lambda: other.show(mirror, "1.9"),
        lambda: mirror.probe(ATTEMPT),
    ):
        with pytest.raises(Permanent, match=f"mode {stands}, and this is {comes}.*empty") as caught:
            act()
        assert caught.value.scope is Scope.CHANNEL
    with pytest.raises(Permanent, match=f"mode {stands}, and this is {comes}") as caught:
        mirror.confirm(Receipt(handle="1.9"), ATTEMPT)
    assert caught.value.scope is Scope.MESSAGE
    assert tree(boards.copy) == before


def test_a_drill_with_a_key_of_its_own_does_not_write_over_the_real_copy(boards: Boards) -> None:
    boards.publish("1.9", THREE)
    boards.show(boards.mirror(), "1.9")
    with pytest.raises(Permanent, match="mode live, and this is drill"):
        boards.show(boards.mirror(Mode.DRILL, key=pem()), "1.9")
    # The other way round nobody who writes there can keep a live word back.
    boards.show(boards.mirror(key=pem()), "1.9")


def test_a_clock_set_back_holds_nothing_back(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    boards.publish("1.2", THREE)
    boards.show(boards.mirror(), "1.2", at=NOW.replace(year=2020))
    assert manifest(boards)["revision"] == "1.2"
    assert manifest(boards)["copied_at"].startswith("2020-11-22T15:05:00")


def test_a_higher_epoch_goes_on_where_a_backup_was_restored(boards: Boards) -> None:
    boards.publish("1.9", THREE)
    boards.show(boards.mirror(), "1.9")
    other = Boards(boards.folder / "restored")
    other.publish("2.1", THREE)
    other.show(other.mirror(to={"place": "directory", "path": str(boards.copy)}), "2.1")
    assert manifest(boards)["revision"] == "2.1"


# ------------------------------------------------------------------------------------------------- cut off and together
def whole(boards: Boards, standing: dict[str, bytes]) -> None:
    """See that what stands is exactly what its signed manifest says."""
    body = standing["mirror.json"]
    assert signature_name(body) in standing
    told = Manifest.decode(body)
    for board, shards in told.shards.items():
        for key, sha256 in shards.items():
            shard = json.loads(standing[f".manifest/{board}/{key}.{sha256}.json"])
            for path, entry in shard.items():
                wanted = told.front.get(path, entry["sha256"])
                assert hashlib.sha256(standing[path]).hexdigest() == wanted, path


def test_cut_off_anywhere_the_old_manifest_stands_until_all_is_there_and_the_next_one_finishes(
    boards: Boards, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "LEASE", 0.0)
    second = {
        "index.html": "nytt",
        "incidents/a7/index.html": "A7 nytt",
        "incidents/a8/index.html": "A8",
    }
    met, after = set(), 0
    while True:
        here = Boards(boards.folder / str(after))
        here.publish("1.1", THREE)
        here.show(here.mirror(), "1.1")
        here.publish("1.2", second)
        mirror, _ = cut(here, after)
        try:
            here.show(mirror, "1.2")
        except Transient:
            told = manifest(here)["revision"]
            met.add(told)
            standing = tree(here.copy)
            if told == "1.2":
                whole(here, standing)
            if b"nytt" in standing["index.html"] or b"1.2" in standing["feed.json"]:
                assert b"nytt" in standing["incidents/a7/index.html"], (
                    "what leads there comes after"
                )
        else:
            break
        other = here.mirror()  # of another process: it has to see that the first one is dead
        if (here.copy / ".manifest/mirror.copying.json").exists():
            with pytest.raises(Transient, match="Another machine copies"):
                here.show(other, "1.2")
        here.show(other, "1.2")
        standing = tree(here.copy)
        whole(here, standing)
        assert not [name for name in standing if name.startswith("areas/") or "copying" in name]
        assert len([name for name in standing if name.endswith(".sig")]) == 1
        after += 1
    assert met == {"1.1", "1.2"}
    assert after > 20


def test_what_was_written_and_is_gone_before_the_switch_does_not_stay(
    boards: Boards, tree: Tree
) -> None:
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    boards.publish("1.2", THREE | {"incidents/a9/index.html": "falskt larm"})
    mirror, far = cut(boards, 6)
    with pytest.raises(Transient, match="broke"):
        boards.show(mirror, "1.2")
    assert (boards.copy / "incidents/a9/index.html").exists()
    boards.publish("1.3", THREE)
    far.left = 10_000
    boards.show(mirror, "1.3")
    standing = tree(boards.copy)
    whole(boards, standing)
    assert not [name for name in standing if "/a9/" in name]
    told = {
        f".manifest/{b}/{k}.{s}.json"
        for b, m in manifest(boards)["shards"].items()
        for k, s in m.items()
    }
    assert {name for name in standing if name.startswith(".manifest/")} == told


def test_what_the_deadline_cuts_off_goes_on_in_the_next_call(boards: Boards) -> None:
    many = {f"incidents/a{n}/index.html": f"A{n}" for n in range(60)}
    boards.publish("1.1", {"index.html": "allt", **many})
    mirror, far = cut(boards, 10_000)
    slow, written = Deadline(100.0), far.write

    def write(things: Any) -> None:
        written(things)
        slow._end -= 60.0

    far.write = write  # type: ignore[method-assign]  # a far side that takes a minute for each batch
    with (
        far.connected(slow) as place,
        pytest.raises(Transient, match=r"64 of 18\d files are copied"),
    ):
        mirror._copier.show(place, Revision(1, 1), NOW, slow)
    far.write = written  # type: ignore[method-assign]  # as above
    again = boards.show(mirror, "1.1").detail
    assert int(again.split()[0]) < 125
    assert mirror.standing() == Revision(1, 1)


def test_another_machine_that_copies_is_waited_for_and_overtaken_when_it_is_dead(
    boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards.publish("1.1", THREE)
    first, _ = cut(boards, 6)
    with pytest.raises(Transient, match="broke"):
        boards.show(first, "1.1")
    second = boards.mirror()
    for _ in range(2):
        with pytest.raises(Transient, match=r"^Another machine copies to .*/copy\.$"):
            boards.show(second, "1.1")
    monkeypatch.setattr(copying, "LEASE", 0.0)
    boards.show(second, "1.1")
    assert manifest(boards)["revision"] == "1.1"


def test_who_was_overtaken_does_not_switch_the_manifest(
    boards: Boards, monkeypatch: pytest.MonkeyPatch, tree: Tree
) -> None:
    monkeypatch.setattr(copying, "LEASE", 0.0)
    boards.publish("1.1", THREE)
    slow, far = cut(boards, 10_000)
    write = far.write

    def overtaken(things: Any) -> None:
        write(things)
        # After the first files another machine takes this one for dead and is quicker.
        far.write = write  # type: ignore[method-assign]  # a step between two of its steps
        other = copying.Copier(slow._copier.known.source, slow._seal, "there")
        with pytest.raises(Transient, match="Another machine copies"):
            other.show(far, Revision(1, 1), NOW, Deadline(20))
        other.show(far, Revision(1, 1), NOW, Deadline(20))

    far.write = overtaken  # type: ignore[method-assign]  # as above
    with pytest.raises(Transient, match="Another machine has begun to copy"):
        boards.show(slow, "1.1")
    whole(boards, tree(boards.copy))


# -------------------------------------------------------------------------------------------------------------- signed
@pytest.mark.real("openssl")
def test_anybody_can_verify_a_copy_with_openssl(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    body = (boards.copy / "mirror.json").read_bytes()
    told = subprocess.run(
        [
            str(PEERS["openssl"].path("openssl")),
            *("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "mirror/key.pem"),
            *("-in", "mirror.json", "-sigfile", f"mirror/{hashlib.sha256(body).hexdigest()}.sig"),
        ],
        cwd=boards.copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Signature Verified Successfully" in told.stdout, told.stderr


def test_what_somebody_else_wrote_there_counts_for_nothing(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    mirror = boards.mirror()
    boards.show(mirror, "1.1")
    forged = (boards.copy / "mirror.json").read_text().replace('"1.1"', '"9.9"')
    (boards.copy / "mirror.json").write_text(forged)
    assert isinstance(mirror, CanProbe)
    probe = mirror.probe(ATTEMPT)
    assert not probe.good
    assert "is not signed by our key" in probe.sentence
    assert mirror.standing() is None, "a forged revision may not hold back what we say"
    boards.show(mirror, "1.1")
    assert manifest(boards)["revision"] == "1.1"


def test_a_new_key_signs_anew(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    renewed = boards.mirror(key=pem())
    assert renewed.standing() is None
    boards.show(renewed, "1.1")
    assert renewed.standing() == Revision(1, 1)
    assert boards.mirror().standing() is None
    assert len(list((boards.copy / "mirror").glob("*.sig"))) == 1


def test_a_journal_that_cannot_be_read_has_everything_written_anew(
    boards: Boards, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "LEASE", 0.0)
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    (boards.copy / "incidents/a7/index.html").write_text("half a page")
    (boards.copy / ".manifest/mirror.copying.json").write_text("[]")
    boards.publish("1.2", THREE)
    mirror = boards.mirror()
    with pytest.raises(Transient):
        boards.show(mirror, "1.2")
    boards.show(mirror, "1.2")
    whole(boards, tree(boards.copy))


# ----------------------------------------------------------------------------------------------------- seen from outside
def test_confirmed_is_what_residents_can_read_there(boards: Boards, address: str) -> None:
    mirror = boards.mirror(url=address)
    assert isinstance(mirror, CanConfirm)
    assert not mirror.confirm(Receipt(handle="1.1"), ATTEMPT), "nothing stands there"
    boards.publish("1.1", THREE)
    receipt = boards.show(mirror, "1.1")
    assert receipt.url == f"{address}/"
    assert mirror.confirm(receipt, ATTEMPT)
    assert not mirror.confirm(Receipt(handle="1.2"), ATTEMPT)
    assert mirror.probe(ATTEMPT).sentence == (
        f"{boards.copy} holds revision 1.1, copied 2026-11-22 15:05, and {address} shows it."
    )
    (boards.copy / "index.html").write_text("another page")
    assert not mirror.confirm(receipt, ATTEMPT)
    assert not mirror.probe(ATTEMPT).good


class Elsewhere(Quiet):
    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        self.send_response(301)
        self.send_header("Location", "https://parked.example/")
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_an_address_that_leads_elsewhere_is_what_residents_meet_and_does_not_end_the_looking(
    boards: Boards,
) -> None:
    """Scope `channel` would say that nothing can be seen from outside, and switch the look off for good."""
    boards.publish("1.1", THREE)
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = boards.mirror(url=f"http://127.0.0.1:{server.server_port}")
        receipt = boards.show(mirror, "1.1")
        for act in (lambda: mirror.confirm(receipt, ATTEMPT), lambda: mirror.probe(ATTEMPT)):
            with pytest.raises(Permanent) as caught:
                act()
            assert caught.value.scope is Scope.MESSAGE


def test_a_refused_certificate_does_not_end_the_looking(
    boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards.publish("1.1", THREE)
    mirror = boards.mirror()
    receipt = boards.show(mirror, "1.1")

    def refuse(*_: object, **__: object) -> None:
        raise Permanent("The certificate of kopia is refused (expired).", scope=Scope.CHANNEL)

    monkeypatch.setattr(mirror._caller, "call", refuse)
    with pytest.raises(Permanent, match="certificate") as caught:
        mirror.confirm(receipt, ATTEMPT)
    assert caught.value.scope is Scope.MESSAGE


def test_what_is_not_signed_by_us_is_never_confirmed(boards: Boards, address: str) -> None:
    boards.publish("1.1", THREE)
    mirror = boards.mirror(url=address)
    receipt = boards.show(mirror, "1.1")
    forged = (boards.copy / "mirror.json").read_text().replace("drift.", "drift2.")
    (boards.copy / "mirror.json").write_text(forged)
    with pytest.raises(Permanent, match="is not signed by us") as caught:
        mirror.confirm(receipt, ATTEMPT)
    assert caught.value.scope is Scope.MESSAGE


def test_a_place_that_nobody_serves_is_told_by_the_probe(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    mirror = boards.mirror()
    assert mirror.probe(ATTEMPT).sentence == f"{boards.copy} lets us in; nothing was copied yet."
    boards.show(mirror, "1.1")
    with pytest.raises(Transient, match="cannot be reached"):
        mirror.probe(ATTEMPT)


def test_what_was_seen_is_trusted_for_a_while(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    trusting, looking = boards.mirror(look=3600), boards.mirror(look=0.0001)
    boards.show(trusting, "1.1")
    boards.show(looking, "1.1")
    (boards.copy / "mirror.json").unlink()
    assert trusting.standing() == Revision(1, 1)
    assert looking.standing() is None


# ------------------------------------------------------------------------------------------------------------- settings
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"key": "no key"}, "is no Ed25519 key in PEM"),
        ({"key": UNKNOWN_CURVE}, "is no Ed25519 key in PEM"),
        ({"boards": []}, "at least 1 item"),
        ({"boards": ["page", "page"]}, 'holds "page" twice'),
        ({"boards": ["../../etc"]}, "is no name of a channel"),
        ({"boards": [""]}, "is no name of a channel"),
        ({"to": {"place": "ftp"}}, "place"),
        ({"to": {"place": "directory", "path": ""}}, "at least 1 character"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_to_write(
    boards: Boards, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        boards.mirror(**wrong)


@pytest.mark.parametrize("inside", [".", "copy", ".."])
def test_a_copy_in_or_around_the_original_is_refused(boards: Boards, inside: str) -> None:
    with pytest.raises(
        ValueError, match=r"to\.path is .* and public\.directory is .* neither in the other"
    ):
        boards.mirror(to={"place": "directory", "path": str(boards.public / inside)})


def test_a_board_that_has_published_nothing_is_missed_at_once(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    misspelt = boards.mirror(boards=["page", "pag"])
    assert misspelt.standing() is None
    with pytest.raises(Transient, match=r"^pag has not shown revision 1\.1"):
        boards.show(misspelt, "1.1", deadline=0.5)


def test_a_copy_on_a_disk_of_this_machine_falls_with_it_and_with_the_original(
    boards: Boards,
) -> None:
    url = "https://kopia.another.example"
    here = way("copy", (), boards.mirror(url=url).hosts())
    original = way("page", (), ["drift.ekbyn.example"])
    assert here.needs == {THIS_MACHINE, "ekbyn.example", "another.example"}
    assert independent([here.domains, original.domains]) == 1
    share = {"place": "directory", "path": str(boards.copy), "host": "nas.third.example"}
    declared = way("copy", (), boards.mirror(url=url, to=share).hosts())
    assert declared.needs == {"third.example", "another.example"}
    assert independent([declared.domains, original.domains]) == 2


def test_the_key_is_a_secret(boards: Boards) -> None:
    mirror = boards.mirror()
    assert mirror.secrets() == (KEY(),)
    assert KEY().splitlines()[1] not in repr(mirror.settings)


def test_a_directory_that_cannot_be_written_is_said(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    mirror = boards.mirror()
    (boards.copy / "incidents").symlink_to("/tmp")  # noqa: S108 - it is never written to
    with pytest.raises(Permanent, match=r"copy cannot be used: 'incidents' .* symbolic link") as e:
        boards.show(mirror, "1.1")
    assert e.value.scope is Scope.CHANNEL


def test_a_share_that_is_not_mounted_is_waited_for_and_never_made(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    mirror = boards.mirror()
    boards.copy.rmdir()
    with pytest.raises(Transient, match="copy is not there: make it, or mount what it is on"):
        boards.show(mirror, "1.1")
    assert not boards.copy.exists()


def test_a_probe_does_not_wait_for_a_copying(boards: Boards) -> None:
    boards.publish("1.1", THREE)
    mirror, far = cut(boards, 5)
    told = []
    far.before_cut = lambda: told.append(boards.mirror().probe(ATTEMPT).sentence)
    with pytest.raises(Transient, match="broke"):
        boards.show(mirror, "1.1")
    assert told == [f"{boards.copy} lets us in; nothing was copied yet."]


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_switch_between_the_two_readings_of_a_probe_is_no_fault(
    boards: Boards, address: str, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    """The place is read first and its address then: as the manifest, its signature or the front page is read, all goes on."""
    boards.publish("1.1", THREE)
    mirror = boards.mirror(url=address)
    boards.show(mirror, "1.1")
    fetch = mirror._fetch
    fetched: list[str] = []

    def switch(name: str, deadline: Deadline) -> Answer:
        fetched.append(name)
        if len(fetched) == nth:
            boards.publish("1.2", THREE | {"index.html": "under tiden"})
            boards.show(boards.mirror(), "1.2")
        return fetch(name, deadline)

    monkeypatch.setattr(mirror, "_fetch", switch)
    probe = mirror.probe(ATTEMPT)
    assert probe.good
    assert "holds revision 1.2" in probe.sentence
    assert probe.sentence.endswith(f"and {address} shows it.")


def test_a_signature_that_goes_with_the_switch_is_no_foreign_copy(
    boards: Boards, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards.publish("1.1", THREE)
    mirror = boards.mirror(url=address)
    boards.show(mirror, "1.1")
    read = directory._Open.read
    switched: list[str] = []

    def switch(place: directory._Open, name: str) -> Found | None:
        if not switched and name.endswith(".sig"):
            switched.append(name)
            boards.publish("1.2", THREE)
            boards.show(boards.mirror(), "1.2")
        return read(place, name)

    monkeypatch.setattr(directory._Open, "read", switch)
    assert "holds revision 1.2" in mirror.probe(ATTEMPT).sentence
    assert switched


def test_a_probe_while_it_is_copied_finds_no_fault(
    boards: Boards, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The front pages are new before the manifest is: what is half done is no wrong address."""
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    boards.publish("1.2", dict.fromkeys(THREE, "nytt"))
    mirror, far = cut(boards, 0)
    told: list[Probe] = []
    looking = boards.mirror(url=address)
    monkeypatch.setattr(far, "_spend", lambda: told.append(looking.probe(ATTEMPT)))
    boards.show(mirror, "1.2")
    assert len(told) > 10
    assert [probe.sentence for probe in told if not probe.good] == []
    assert {probe.sentence for probe in told[1:]} == {
        f"{boards.copy} holds revision 1.1, copied 2026-11-22 15:05, and {address} shows it.",
        f"{boards.copy} holds revision 1.1, copied 2026-11-22 15:05, and is being copied to right now.",
        f"{boards.copy} holds revision 1.2, copied 2026-11-22 15:05, and {address} shows it.",
    }


def test_an_address_that_shows_another_place_is_a_fault_also_after_a_copying_that_broke_off(
    boards: Boards, address: str
) -> None:
    boards.publish("1.1", THREE)
    boards.show(boards.mirror(), "1.1")
    shown = (boards.copy / "mirror.json").read_bytes()
    boards.publish("1.2", dict.fromkeys(THREE, "nytt"))
    mirror, _ = cut(boards, 3)
    with pytest.raises(Transient):
        boards.show(mirror, "1.2")
    (boards.copy / "elsewhere").mkdir()
    far = boards.mirror(url=f"{address}/elsewhere")
    assert (boards.copy / "mirror.json").read_bytes() == shown
    assert not far.probe(ATTEMPT).good


def test_the_boards_are_never_held_up(boards: Boards) -> None:
    """Copying takes no lock of a board: one that publishes meanwhile is not waited for."""
    boards.publish("1.1", THREE)
    mirror, far = cut(boards, 5)
    published = threading.Event()

    def publish() -> None:
        boards.publish("1.2", THREE | {"index.html": "under tiden"})
        published.set()

    def meanwhile() -> None:
        threading.Thread(target=publish).start()
        published.wait(10)

    far.before_cut = meanwhile
    with pytest.raises(Transient):
        boards.show(mirror, "1.1")
    assert published.is_set()
    assert Bundle(boards.public, "page").standing() == "1.2"
