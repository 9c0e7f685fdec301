"""Anybody who has the public key sees whether a copy is whole; whoever keeps it sees too whether it is the newest."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broadcaster import daemon
from broadcaster.bundle import verifying
from broadcaster.channel import Kind
from broadcaster.domain.delivery import State
from broadcaster.testing.commandline import Ended, run_at_terminal, run_command
from broadcaster.testing.rig import Rig
from broadcaster.testing.servers import FarEnd, Fault, Reply, Request, reset, too_many, unavailable
from channels.mirror.journal import Seal
from channels.mirror.settings import signing_key

from .conftest import KEY, Boards, pem

Run = Callable[..., Ended]
THREE = {
    "index.html": "allt",
    "incidents/a7/index.html": "A7",
    "areas/norra-ekbyn/index.html": "norr",
}
HURT = "incidents/a7/index.html"
ROOT = Path(__file__).parents[3]


def quiet(_files: int) -> None:
    pass


@pytest.fixture
def key(boards: Boards) -> Path:
    """The public half, as a neighbour has it."""
    path = boards.folder / "mirror-public.pem"
    path.write_bytes(Seal(signing_key(KEY())).pem)
    return path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
    }


@pytest.fixture
def run(environ: dict[str, str], tmp_path: Path) -> Run:
    return lambda *arguments: run_command(("channels", "verify", *arguments), environ, tmp_path, "")


@pytest.fixture
def copy(boards: Boards) -> Boards:
    boards.publish("1.7", THREE)
    boards.show(boards.mirror(), "1.7")
    return boards


def by_web_and_folder(boards: Boards, address: str) -> tuple[str, str]:
    return address, str(boards.copy)


def test_a_whole_copy_is_whole_by_its_address_and_in_its_folder(
    copy: Boards, key: Path, address: str
) -> None:
    for place in by_web_and_folder(copy, address):
        found = daemon.verify_place(place, key, 20, quiet)
        assert found["good"], found
        assert (found["revision"], found["mode"], found["of"]) == (
            "1.7",
            "live",
            "https://drift.ekbyn.example",
        )
        plain = {p for p in copy.public.rglob("*") if p.is_file() and p.suffix != ".lock"}
        listed = len(list(copy.copy.glob(".manifest/*/*.json")))
        served = {p for p in plain if ".manifest" not in p.parts}
        forms = {p for p in served if p.parent == copy.public and p.name.startswith("index.html.")}
        assert found["files"] == len(served - forms) + listed + 1, "and the public key"


@pytest.mark.parametrize(
    ("name", "body", "finds"),
    [
        (HURT, b"<p>forged</p>", "differing"),
        (HURT, None, "missing"),
        ("index.html", b"<p>forged</p>", "differing"),
        ("feed.json", b"{}", "differing"),
        (f"{HURT}.gz", b"forged", "differing"),
        ("mirror/key.pem", b"another key", "differing"),
        ("mirror/key.pem", None, "missing"),
        ("a list", None, "missing"),
        ("a list", b"{}", "differing"),
    ],
)
def test_each_file_that_is_not_as_it_was_signed_is_found(
    copy: Boards, key: Path, address: str, name: str, body: bytes | None, finds: str
) -> None:
    lists = (str(p.relative_to(copy.copy)) for p in copy.copy.glob(".manifest/page/*.json"))
    name = next(lists) if name == "a list" else name
    (copy.copy / name).unlink()
    if body is not None:
        (copy.copy / name).write_bytes(body)
    for place in by_web_and_folder(copy, address):
        found = daemon.verify_place(place, key, 20, quiet)
        assert not found["good"]
        assert found[f"{finds}_names"] == [name]
        assert found["missing"] + found["differing"] == 1


def test_a_place_without_compressed_forms_lacks_nothing(copy: Boards, key: Path) -> None:
    for form in [*copy.copy.rglob("*.gz"), *copy.copy.rglob("*.br")]:
        form.unlink()
    assert daemon.verify_place(str(copy.copy), key, 20, quiet)["good"]


def test_another_key_a_forged_manifest_and_no_copy_at_all_are_refused(
    copy: Boards, key: Path, tmp_path: Path
) -> None:
    place = str(copy.copy)
    other = tmp_path / "other.pem"
    other.write_bytes(Seal(signing_key(pem())).pem)
    with pytest.raises(daemon.NoCopy, match="is not signed by this key"):
        daemon.verify_place(place, other, 20, quiet)
    manifest = copy.copy / "mirror.json"
    manifest.write_text(manifest.read_text().replace('"1.7"', '"1.8"'))
    with pytest.raises(daemon.NoCopy, match="is not signed by this key"):
        daemon.verify_place(place, key, 20, quiet)
    manifest.unlink()
    with pytest.raises(daemon.NoCopy, match=r"there is no mirror\.json"):
        daemon.verify_place(place, key, 20, quiet)
    with pytest.raises(daemon.NoCopy, match="is no public Ed25519 key in PEM"):
        daemon.verify_place(place, copy.public / "feed.json", 20, quiet)


class Slow(FarEnd):
    """It shows the manifest and its signature, and then nothing any more."""

    name = "slow"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.asked: list[str] = []

    def answer(self, request: Request) -> Reply:
        self.asked.append(request.path)
        if "/.manifest/" in request.path:
            return Reply(302, b"", (("Location", "http://127.0.0.1:9/"),))
        return Reply(200, (self.folder / request.path.lstrip("/")).read_bytes())


def test_a_redirect_is_not_followed_and_counts_as_nothing_there(copy: Boards, key: Path) -> None:
    with Slow(copy.copy) as far:
        found = daemon.verify_place(far.url, key, 20, quiet)
    lists = len(list(copy.copy.glob(".manifest/*/*.json")))
    assert (found["missing"], found["files"]) == (lists, lists + 1)


class Stumbling(FarEnd):
    """It shows the copy, and answers `often` times otherwise where `name` is asked for."""

    name = "stumbling"

    def __init__(self, folder: Path, wrong: str, reply: Reply, often: int) -> None:
        super().__init__()
        self.folder, self.wrong, self.reply, self.left = folder, wrong, reply, often
        self.meanwhile: Callable[[], None] = lambda: None

    def answer(self, request: Request) -> Reply:
        name = request.path.lstrip("/")
        if self.left and self.wrong in name:
            self.left -= 1
            self.meanwhile()
            return self.reply
        file = self.folder / name
        return Reply(200, file.read_bytes()) if file.is_file() else Reply(404)


BUSY = Reply(503, b"Slow Down")


@pytest.mark.parametrize(
    "name", [HURT, "mirror.json", ".sig", "feed.json", "mirror/key.pem", f"{HURT}.gz"]
)
@pytest.mark.parametrize("fault", [unavailable(), too_many(0), reset()], ids=["503", "429", "cut"])
def test_an_answer_that_fails_once_is_asked_for_again(
    copy: Boards, key: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: Fault
) -> None:
    monkeypatch.setattr(verifying, "_PAUSE", 0.01)
    with Stumbling(copy.copy, name, BUSY, 0) as far:
        far.next(fault, path=name)
        assert daemon.verify_place(far.url, key, 20, quiet)["good"]


def test_what_is_never_answered_well_ends_it_and_of_compressed_forms_counts_as_lacking(
    copy: Boards, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "_PAUSE", 0.01)
    with (
        Stumbling(copy.copy, HURT, BUSY, 1000) as far,
        pytest.raises(daemon.CopyUnreachable, match="503"),
    ):
        daemon.verify_place(far.url, key, 20, quiet)
    with Stumbling(copy.copy, ".gz", BUSY, 1000) as far:
        assert daemon.verify_place(far.url, key, 20, quiet)["good"]


@pytest.mark.parametrize("at", [".sig", HURT, ".manifest/page/", "mirror/key.pem"])
def test_a_copy_that_goes_on_meanwhile_is_compared_again(
    copy: Boards, key: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    monkeypatch.setattr(verifying, "_PAUSE", 0.01)

    def go_on() -> None:
        copy.publish("1.8", {"index.html": "nytt", HURT: "nu", "areas/x/index.html": "x"})
        copy.show(copy.mirror(), "1.8")

    with Stumbling(copy.copy, at, Reply(404), 1) as far:
        far.meanwhile = go_on
        found = daemon.verify_place(far.url, key, 20, quiet)
    assert found["good"], found
    assert found["revision"] == "1.8"


def test_one_that_never_stands_still_is_told_and_not_called_damaged(
    copy: Boards, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "_PAUSE", 0.01)
    (copy.copy / HURT).unlink()
    count = iter(range(8, 1000))

    def go_on() -> None:
        revision = f"1.{next(count)}"
        copy.publish(revision, THREE | {"index.html": revision})
        copy.show(copy.mirror(), revision)

    with Stumbling(copy.copy, HURT, Reply(404), 1000) as far:
        far.meanwhile = go_on
        with pytest.raises(daemon.CopyUnreachable, match="is renewed again and again"):
            daemon.verify_place(far.url, key, 60, quiet)


def test_files_are_looked_at_again_while_a_copying_is_under_way_but_not_for_ever(
    copy: Boards, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "_PAUSE", 0.01)
    journal = copy.copy / ".manifest/mirror.copying.json"
    journal.write_text("anybody may have written it")
    (copy.copy / HURT).write_bytes(b"half a copying")
    assert not daemon.verify_place(str(copy.copy), key, 20, quiet)["good"]
    body = (copy.public / HURT).read_bytes()
    looked = verifying._Work.look

    def mend(*asked: Any) -> Any:
        found = looked(*asked)
        if asked[1] == HURT:
            (copy.copy / HURT).write_bytes(body)
        return found

    monkeypatch.setattr(verifying._Work, "look", mend)
    assert daemon.verify_place(str(copy.copy), key, 20, quiet)["good"]


@pytest.mark.parametrize("name", [HURT, "mirror.json", f"{HURT}.gz"])
def test_what_is_no_plain_file_in_a_folder_counts_as_nothing_there(
    copy: Boards, key: Path, name: str
) -> None:
    file = copy.copy / name
    for make in (
        os.mkfifo,
        lambda file: file.symlink_to(file),
        lambda file: file.symlink_to("/dev/zero"),
    ):
        file.unlink()
        make(file)
        if name == "mirror.json":
            with pytest.raises(daemon.NoCopy, match="there is no"):
                daemon.verify_place(str(copy.copy), key, 5, quiet)
        else:
            found = daemon.verify_place(str(copy.copy), key, 5, quiet)
            assert found["missing_names"] == ([name] if name == HURT else [])


def test_an_address_may_be_written_in_capitals(copy: Boards, key: Path, address: str) -> None:
    assert daemon.verify_place(address.replace("http", "HTTP"), key, 20, quiet)["good"]


def test_it_ends_in_time(copy: Boards, key: Path, address: str) -> None:
    for place in by_web_and_folder(copy, address):
        with pytest.raises(daemon.CopyUnreachable):
            daemon.verify_place(place, key, 0.0, quiet)


def test_many_wrong_files_are_counted_and_the_first_named(
    boards: Boards, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "TOLD", 5)
    boards.publish("1.1", {f"incidents/a{n}/index.html": f"A{n}" for n in range(12)})
    boards.show(boards.mirror(), "1.1")
    shutil.rmtree(boards.copy / "incidents")
    found = daemon.verify_place(str(boards.copy), key, 20, quiet)
    assert (found["missing"], len(found["missing_names"])) == (12, 5)


# ------------------------------------------------------------------------------------------------------- as it is typed
def test_a_neighbour_types_address_and_key(
    copy: Boards, key: Path, address: str, run: Run, environ: dict[str, str], tmp_path: Path
) -> None:
    said = run(address, "--key", str(key))
    assert said.code == 0, said
    first, *lines = said.out.splitlines()
    assert first == f"LIVE · The copy at {address} is whole."
    assert lines[0].split() == ["copy", "of", "https://drift.ekbyn.example"]
    assert lines[1].split()[:3] == ["copied", "2026-11-22", "15:05,"]
    assert lines[2].split() == ["revision", "1.7"]
    assert lines[3].split("files")[1].strip().endswith("as they were signed")
    (copy.copy / HURT).unlink()
    (copy.copy / "feed.json").write_text("{}")
    said = run(address, "--key", str(key))
    assert said.code == 1
    assert "is NOT as it should be." in said.out
    assert [line.split() for line in said.out.splitlines()[-2:]] == [
        ["lacks", HURT],
        ["differs", "feed.json"],
    ]
    told = json.loads(run(str(copy.copy), "--key", str(key), "--json").out)
    assert (told["good"], told["missing_names"], told["differing_names"]) == (
        False,
        [HURT],
        ["feed.json"],
    )
    arguments = ("channels", "verify", address, "--key", str(key))
    shown = run_at_terminal(arguments, environ, tmp_path)
    assert all(len(line) <= 80 for line in shown.out.splitlines())


def test_what_cannot_be_verified_says_why(
    copy: Boards, key: Path, run: Run, tmp_path: Path
) -> None:
    said = run("./copy")
    assert said.code == 2
    assert "--key: name the file with the public key" in said.err
    said = run("http://127.0.0.1:9", "--key", str(key))
    assert said.code == 3
    assert "cannot be reached" in said.err
    other = tmp_path / "other.pem"
    other.write_bytes(Seal(signing_key(pem())).pem)
    said = run(str(copy.copy), "--key", str(other))
    assert said.code == 1
    assert "is not signed by this key" in said.err
    assert run(str(copy.copy), "--key", str(tmp_path / "none.pem")).code == 1


def test_whoever_keeps_it_names_the_channel_and_hears_whether_it_is_the_newest(
    tmp_path: Path, boards: Boards, address: str, run: Run
) -> None:
    channels: dict[str, dict[str, Any]] = {
        "page": {"kind": "page"},
        "feed": {"kind": "feed"},
        "copy": {
            "kind": "mirror",
            "url": address,
            "boards": ["page", "feed"],
            "key": KEY(),
            "to": {"place": "directory", "path": str(boards.copy)},
        },
    }
    with Rig(tmp_path, channels) as rig:
        rig.say("Strömmen är borta.")
        rig.reached(State.ACCEPTED, channel="copy")
        found = daemon.verify_channel(rig.path, "copy", 20, quiet)
        assert found["good"], found
        assert (found["revision"], found["store_revision"]) == ("1.1", "1.1")
        said = run("copy", "--config", str(rig.path))  # beside the daemon that runs
        assert said.code == 0, said
        assert "revision  1.1, den senaste" in said.out
        before = shutil.copytree(boards.copy, tmp_path / "before")
        rig.say("En kabel är av.", kind=Kind.UPDATE)
        rig.reached(State.ACCEPTED, channel="copy", number=2)
    shutil.rmtree(boards.copy)
    shutil.copytree(before, boards.copy)
    found = daemon.verify_channel(rig.path, "copy", 20, quiet)
    assert found["whole"]
    assert not found["good"]
    assert (found["revision"], found["store_revision"]) == ("1.1", "1.2")
    said = run("page", "--config", str(rig.path))
    assert said.code == 1
    assert "copy" in said.err
