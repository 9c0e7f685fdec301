"""A folder on an SFTP server as the copy's place, by OpenSSH's own server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import Kind, Mode, Permanent, Revision, Scope, Transient
from broadcaster.domain.delivery import State
from broadcaster.httpclient import Deadline
from broadcaster.testing.boards import board, context
from broadcaster.testing.faultproxy import ANSWER, REQUEST, RESET, SILENCE, FaultProxy, strike
from broadcaster.testing.openssh import OpenSsh
from broadcaster.testing.peers import small_disk
from broadcaster.testing.rig import Rig
from channels.mirror import MirrorAdapter, copying

from .conftest import ATTEMPT, KEY, Boards, page

pytestmark = pytest.mark.real("openssh")
PAGES = {"index.html": "allt", "incidents/a7/index.html": "A7"}


@pytest.fixture
def far() -> Iterator[OpenSsh]:
    with OpenSsh() as server:
        yield server


def mirror(boards: Boards, far: OpenSsh, **changes: Any) -> MirrorAdapter:
    return boards.mirror(to=far.block(**changes))


def told(far: OpenSsh) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((far.files / "mirror.json").read_bytes())
    return read


def test_the_server_holds_the_copy_whole(boards: Boards, far: OpenSsh) -> None:
    boards.publish("1.1", PAGES)
    adapter = mirror(boards, far)
    assert adapter.standing() is None
    boards.show(adapter, "1.1")
    for path in ("incidents/a7/index.html", "incidents/a7/index.html.gz", "feed.json"):
        assert (far.files / path).read_bytes() == (boards.public / path).read_bytes()
    assert told(far)["revision"] == "1.1"
    assert adapter.standing() == Revision(1, 1)
    modes = {p.stat().st_mode & 0o777 for p in far.files.rglob("*") if p.is_file()}
    assert modes == {0o644}, "the web server there is another user"
    assert not list(far.files.rglob("*.new"))


def test_a_second_revision_changes_what_changed_and_drops_what_is_gone(
    boards: Boards, far: OpenSsh
) -> None:
    boards.publish("1.1", PAGES | {"areas/sjovik/index.html": "Sjövik"})
    boards.show(mirror(boards, far), "1.1")
    boards.publish("1.2", PAGES | {"incidents/a7/index.html": "A7 igen"})
    assert boards.show(mirror(boards, far), "1.2").detail == "4 files copied"
    assert (far.files / "incidents/a7/index.html").read_bytes() == page("A7 igen")
    assert not (far.files / "areas/sjovik/index.html").exists()


def test_another_host_key_is_refused_before_anything_is_sent(boards: Boards, far: OpenSsh) -> None:
    boards.publish("1.1", PAGES)
    adapter = mirror(boards, far)
    far.stop()
    far.renew("host")
    far.start()
    with pytest.raises(
        Permanent, match="shows another key than host_key, so nothing was sent"
    ) as e:
        boards.show(adapter, "1.1")
    assert e.value.scope is Scope.CHANNEL
    assert "Accepted" not in far.log
    assert list(far.files.iterdir()) == []


def test_whom_it_does_not_let_in_is_told_so(boards: Boards, far: OpenSsh) -> None:
    boards.publish("1.1", PAGES)
    far.renew("client")
    with pytest.raises(Permanent, match="does not let us in: have our public key allowed") as e:
        boards.show(mirror(boards, far), "1.1")
    assert e.value.scope is Scope.CHANNEL


def test_a_folder_that_is_missing_or_closed_parks_the_channel(boards: Boards, far: OpenSsh) -> None:
    boards.publish("1.1", PAGES)
    with pytest.raises(Permanent, match="nowhere is not there at 127"):
        boards.show(mirror(boards, far, folder="/nowhere"), "1.1")
    far.files.chmod(0o555)
    with pytest.raises(Permanent, match="does not let us write in") as e:
        boards.show(mirror(boards, far), "1.1")
    assert e.value.scope is Scope.CHANNEL
    far.files.chmod(0o755)
    boards.show(mirror(boards, far), "1.1")


def test_a_server_that_cannot_rename_over_a_file_parks_the_channel(
    boards: Boards, far: OpenSsh
) -> None:
    boards.publish("1.1", PAGES)
    far.stop()
    written = far.folder / "sshd_config"
    written.write_text(written.read_text().replace("-u 0022", "-u 0022 -P posix-rename"))
    far.start()
    with pytest.raises(Permanent, match="cannot rename a file over another") as e:
        boards.show(mirror(boards, far), "1.1")
    assert e.value.scope is Scope.CHANNEL


def test_files_of_others_may_be_named_in_any_letters(boards: Boards, far: OpenSsh) -> None:
    boards.publish("1.1", PAGES)
    adapter = mirror(boards, far)
    boards.show(adapter, "1.1")
    for folder in ("", "mirror", ".manifest/page", "incidents/a7"):
        name = os.fsencode(far.files / folder) + b"/bild-\xe5.jpg"
        with open(name, "wb"):  # noqa: PTH123 - a path holds no such letters
            pass
    with adapter._far.connected(Deadline(20)) as place:
        standing = adapter._copier.standing(place)
    assert adapter._compare(standing, Deadline(20)) == ""
    assert not adapter._damage


@pytest.mark.real("tmpfs")
def test_a_full_disk_is_tried_again_until_there_is_room(boards: Boards, far: OpenSsh) -> None:
    boards.publish("1.1", PAGES)
    with small_disk(far.files):
        far.files.chmod(0o777)
        filler = far.files / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(3 << 20))
        with pytest.raises(Transient, match="disk is full or our quota used up"):
            boards.show(adapter := mirror(boards, far), "1.1")
        assert not (far.files / "mirror.json").exists()
        filler.unlink()
        boards.show(adapter, "1.1")
        assert told(far)["revision"] == "1.1"


@pytest.mark.parametrize("at", [1, 2_000, 6_000])
def test_a_connection_cut_midway_switches_nothing_and_is_gone_on_with(
    boards: Boards, far: OpenSsh, at: int
) -> None:
    boards.publish("1.1", {**PAGES, **{f"incidents/b{n}/index.html": f"B{n}" for n in range(4)}})
    with FaultProxy(far.port) as proxy:
        adapter = mirror(boards, far, port=proxy.port)
        proxy.trouble = strike(REQUEST, at=at, by=RESET)
        with pytest.raises(Transient, match=r"connection to 127\.0\.0\.1 broke|could not write"):
            boards.show(adapter, "1.1")
        assert not (far.files / "mirror.json").exists()
        proxy.trouble = None
        boards.show(adapter, "1.1")
    assert told(far)["revision"] == "1.1"
    assert (far.files / "incidents/b3/index.html").read_bytes() == page("B3")


def test_a_server_that_falls_silent_is_given_up_in_time(boards: Boards, far: OpenSsh) -> None:
    boards.publish("1.1", PAGES)
    with (
        FaultProxy(far.port, strike(ANSWER, at=1, by=SILENCE)) as proxy,
        pytest.raises(Transient, match="was too slow"),
    ):
        boards.show(mirror(boards, far, port=proxy.port), "1.1", deadline=1.0)


def test_two_machines_take_turns(
    boards: Boards, far: OpenSsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards.publish("1.1", PAGES)
    journal = far.files / ".manifest/mirror.copying.json"
    journal.parent.mkdir()
    far._give_away()
    journal.write_text('{"by": "another", "beat": 3, "touched": {}, "drop": {}}')
    far.files.joinpath(".manifest").chmod(0o777)
    adapter = mirror(boards, far)
    for _ in range(2):
        with pytest.raises(Transient, match="Another machine copies to 127"):
            boards.show(adapter, "1.1")
    monkeypatch.setattr(copying, "LEASE", 0.0)
    boards.show(adapter, "1.1")
    assert told(far)["revision"] == "1.1"
    assert not journal.exists()


def test_a_drill_reaches_no_server_that_is_not_allowed(boards: Boards, far: OpenSsh) -> None:
    boards.publish("1.1", PAGES)
    settings = mirror(boards, far, host="203.0.113.7").settings
    walled = replace(
        context(Mode.DRILL, allowed_hosts=()), public_directory=str(boards.public), name="mirror"
    )
    adapter = MirrorAdapter(settings, walled)
    with pytest.raises(Permanent, match="Drill and demo reach only"):
        adapter.show(board(revision=Revision(1, 1)), ATTEMPT)
    assert "203.0.113.7" in adapter.hosts()


def test_a_key_with_a_passphrase_is_refused_when_it_is_configured(
    boards: Boards, far: OpenSsh
) -> None:
    with pytest.raises(ValueError, match="is no private key without a passphrase"):
        mirror(boards, far, key="secret words")
    with pytest.raises(ValueError, match="holds no host key"):
        mirror(boards, far, host_key="AAAA")


@pytest.mark.parametrize("apart", [False, True])
def test_what_an_operator_says_stands_on_the_other_server(
    tmp_path: Path, far: OpenSsh, apart: bool
) -> None:
    channels: dict[str, dict[str, Any]] = {
        "page": {"kind": "page"},
        "feed": {"kind": "feed"},
        "copy": {
            "kind": "mirror",
            "url": "http://127.0.0.1:9",
            "boards": ["page", "feed"],
            "key": KEY(),
            "to": far.block(),
            "own_process": apart,
        },
    }
    with Rig(tmp_path, channels) as rig:
        rig.say("Strömmen är borta.")
        rig.reached(State.ACCEPTED, channel="copy")
        assert "Strömmen är borta." in (far.files / "incidents/a1/index.html").read_text()
        assert "kopia" in (far.files / "index.html").read_text()
        rig.say("Den är åter.", kind=Kind.RESTORED)
        rig.reached(State.ACCEPTED, channel="copy", number=2)
        assert "Den är åter." in (far.files / "incidents/a1/index.html").read_text()
    assert told(far)["revision"] == "1.2"
    assert not (far.files / ".manifest/mirror.copying.json").exists()
