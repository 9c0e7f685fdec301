"""A full disk is seen wherever it is that we write, and said by its folder."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from broadcaster.daemon.watching import Watch
from broadcaster.engine import probing
from broadcaster.service import doctor, room
from broadcaster.store import StoreFull, channels
from broadcaster.store.handing import Refusal
from broadcaster.telemetry import Metrics
from broadcaster.testing.rig import OPERATOR, Rig, mastodon, webhook
from broadcaster.testing.servers import MastodonServer, WebhookReceiver

MEBIBYTE = 2**20
HEALTH = {"ready": True, "degraded": ()}


def watch_of(rig: Rig) -> Watch:
    return Watch(rig.desk, rig.engine, Metrics(), "n1", lambda _: 1, lambda: False)


def page_in(folder: Path) -> dict[str, str]:
    return {"url": "http://127.0.0.1:9", "directory": str(folder / "not yet"), "listen": "none"}


PLACES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "store": ("url", lambda folder: f"sqlite:///{folder}/broadcaster.db"),
    "page": ("public", page_in),
    "audit": ("audit_head", lambda folder: str(folder / "head")),
    "erasures": ("erasures", lambda folder: str(folder / "erasures")),
}


@pytest.mark.parametrize("what", PLACES)
def test_a_full_disk_is_named_wherever_it_is_written_to(
    tmp_path: Path, small_disk: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "LEAST_DISK", 100 * MEBIBYTE)  # whatever this machine has left
    key, value = PLACES[what]
    with Rig(tmp_path, {"page": {"kind": "page"}}, **{key: value(small_disk)}) as rig:
        full = [state for state in watch_of(rig).look() if state.what == "disk"]
        assert [state.where for state in full] == [what]
        assert str(small_disk) in str(full[0].values["folders"])
        found = doctor.examine(rig.desk, OPERATOR, HEALTH, {}, "sv")["items"]
        [said] = [item for item in found if item["what"] == "disk"]
        assert said["verdict"] == "mend"
        assert str(small_disk) in said["sentence"]
        assert "Frigör utrymme" in said["sentence"]


def test_the_disk_of_a_log_that_is_a_file_counts(
    tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Rig(tmp_path, {"page": {"kind": "page"}}) as rig,
        (small_disk / "daemon.log").open("w") as log,
        monkeypatch.context() as patch,
    ):
        patch.setattr(sys, "stderr", log)
        assert (("log",), (small_disk,)) in [(d.what, d.folders) for d in room.disks(rig.desk)]


def test_folders_on_one_disk_are_one_disk(tmp_path: Path) -> None:
    with Rig(tmp_path, {"page": {"kind": "page"}}) as rig:
        [disk] = [disk for disk in room.disks(rig.desk) if "store" in disk.what]
        assert {"store", "page", "audit", "erasures"} <= set(disk.what)


def test_a_store_that_takes_no_writes_is_not_called_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Rig(tmp_path, {"page": {"kind": "page"}}) as rig:
        refusal = Refusal(StoreFull("Full."), 0.0, 0.0)
        monkeypatch.setattr(type(rig.store), "refusing", property(lambda _: refusal))
        answer = doctor.examine(rig.desk, OPERATOR, HEALTH, {}, "sv")
        said = {item["what"]: (item["verdict"], item["sentence"]) for item in answer["items"]}
        assert said["store"] == ("mend", "Full.")
        assert not answer["ready"]


def test_a_channel_is_not_blamed_for_a_store_that_takes_no_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: Future[None] = Future()
    refused.set_exception(StoreFull("Full."))
    with WebhookReceiver() as far, Rig(tmp_path, {"hook": webhook(far)}) as rig:
        with monkeypatch.context() as patch:
            patch.setattr(rig.store, "write", lambda *_: refused)
            said = rig.call(asyncio.wait_for(probing.probe(rig.lane("hook")), 10.0))
        assert said is not None
        assert said.good, said.sentence


def probed(rig: Rig) -> datetime | None:
    return rig.store.read(lambda c: channels.state(c, "social")).probed_at


def test_a_channel_whose_answer_the_store_did_not_take_is_asked_again_before_the_next_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: Future[None] = Future()
    refused.set_exception(StoreFull("Full."))
    with MastodonServer() as far, Rig(tmp_path, {"social": mastodon(far)}) as rig:
        lane = rig.lane("social")
        rig.until(lambda: probed(rig) is not None)
        with monkeypatch.context() as patch:
            patch.setattr(rig.store, "write", lambda *_: refused)
            rig.call(probing.probe(lane))
        before = probed(rig)
        rig.call(rig.engine.probe_again())
        assert before != (after := probed(rig))
        rig.call(rig.engine.probe_again())
        assert probed(rig) == after  # what was kept is not asked for again
