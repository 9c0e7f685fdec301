"""The N-th system call on the public files fails: what stood stands whole, and the page is current in the end."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path

import pytest

from broadcaster.domain.incident import Kind
from broadcaster.testing.published import Look, look, shown
from broadcaster.testing.rig import Rig
from broadcaster.testing.syscalls import failing

pytestmark = [pytest.mark.scenario, pytest.mark.real("strace"), pytest.mark.timeout(600)]
SOAK = bool(os.environ.get("SOAK"))
OVER = {"accepted", "confirmed"}
WORDS = 4
RENAME, OPEN = "rename,renameat,renameat2", "openat"
CASES = [(RENAME, "EIO", 2)]
if SOAK:
    CASES = [
        (calls, error, nth)
        for calls in (RENAME, OPEN, "write", "fsync", "unlinkat", "fchmod", "flock")
        for error in ("EIO", "ENOSPC", "EACCES", "EROFS")
        for nth in range(1, 31, 3)
    ]


def whole(public: Path) -> Look:
    """What a reader meets. strace holds all threads of this process, so once the call that fails may be the reader's."""
    with contextlib.suppress(OSError):
        return look(public, "page")
    return look(public, "page")


@pytest.mark.parametrize(("calls", "error", "nth"), CASES)
def test_when_a_call_on_the_public_files_fails_the_page_stands_and_is_current_in_the_end(
    tmp_path: Path, calls: str, error: str, nth: int
) -> None:
    public, details = tmp_path / "public", set[str]()

    def current(rig: Rig, number: int) -> bool:
        assert whole(public).torn == ()
        row = rig.delivery("page", number)
        details.add(row["detail"])
        return row["state"] in OVER

    with Rig(tmp_path, {"page": {"kind": "page"}}) as rig:
        rig.say("Läge i1u1.")
        rig.until(lambda: current(rig, 1))
        watched = [public, *public.rglob("*"), public / "incidents/a1"]
        with failing(os.getpid(), calls, error, nth, watched):
            for number in range(2, WORDS + 1):
                rig.say(f"Läge i1u{number}.", Kind.UPDATE)
                rig.until(partial(current, rig, number))
        found = whole(public)
    print(f"{calls} {nth} {error}: {sorted(details)}")
    assert found.revision == (1, WORDS)
    assert f"i1u{WORDS}" in shown(public, found, "index.html")
    assert not any("defect" in detail for detail in details)
    assert SOAK or any("could not be written" in detail for detail in details)
