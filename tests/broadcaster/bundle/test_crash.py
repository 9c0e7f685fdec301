"""Killed between any two system calls, and in the middle of a write: one whole revision is left.

Judged by the public server's own reader, then by the next writer.
"""

import os
import shutil
import signal
from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from broadcaster.bundle import Bundle, File, Overdue
from broadcaster.bundle.manifest import digest
from broadcaster.public.reader import Damaged, View, read_view
from broadcaster.testing.syscalls import passing

CALLS = ["open", "mkdir", "fchmod", "fsync", "rename", "unlink", "close", "stat"]
AFTER = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
REMOVED, ADDED = "old/index.html", "new/index.html"


def body(revision: str, path: str, times: int = 60) -> bytes:
    return f"{revision} {path}\n".encode() * times


def files(revision: str) -> list[File]:
    late = Overdue(AFTER, body(revision, "overdue"))
    lone = REMOVED if revision == "1.1" else ADDED
    return [
        File("index.html", body(revision, "index.html"), "text/html", late),
        # Long in 1.1, short in 1.2: its compressed copies must go.
        File("feed.json", body(revision, "feed.json", 60 if revision == "1.1" else 1), "text/json"),
        File(lone, body(revision, lone), "text/html"),
        File("same/index.html", b"never changes" * 30, "text/html"),
    ]


def publish(root: Path, revision: str) -> None:
    Bundle(root, "page").publish(
        revision,
        files(revision),
        whole=revision == "1.1",
        remove=([REMOVED] if revision == "1.2" else []),
    )


def mend(root: Path) -> None:
    Bundle(root, "page").standing()


def killed_at(step: int, act: Callable[[], None]) -> str | None:
    """Run `act` in a child that kills itself before its system call number `step`.

    Gives the name of the call, None when `act` came to its end first.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _trap(step, writer)
        act()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        name = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return name
    assert os.WEXITSTATUS(status) == 0
    return None


def _trap(step: int, pipe: int) -> None:
    count = 0
    real_write = os.write

    def point(name: str) -> None:
        nonlocal count
        count += 1
        if count == step:
            real_write(pipe, name.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    vars(os).update(passing(CALLS, point))


def shown(root: Path) -> str:
    """The revision that a freshly started public server shows, proved file by file."""
    view = read_view(root, "page", View())
    assert not view.damaged
    revision = ".".join(map(str, view.revision))
    expected = {f.path: f.body for f in files(revision)}
    seen = {}
    for address, resource in view.resources.items():
        assert resource
        path = address[1:] + ("index.html" if address.endswith("/") else "")
        seen[path] = resource.face.identity.body
        if resource.overdue:
            assert resource.overdue.identity.body == body(revision, "overdue")
    assert seen == expected
    return revision


def assert_mended(root: Path, revision: str) -> None:
    """The next writer completes what was committed: every plain file is that revision's."""
    assert Bundle(root, "page").standing(verify=True) == revision
    for file in files(revision):
        assert digest((root / file.path).read_bytes()) == digest(file.body)
    assert (root / REMOVED).exists() == (revision == "1.1")
    assert (root / "feed.json.br").exists() == (revision == "1.1")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_kill_anywhere_leaves_the_old_or_the_new_revision_whole(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    publish(origin, "1.1")
    seen: dict[str, set[str]] = {"1.1": set(), "1.2": set()}
    order = []
    for step in range(1, 10_000):
        root = tmp_path / f"step{step}"
        shutil.copytree(origin, root)
        name = killed_at(step, partial(publish, root, "1.2"))
        revision = shown(root)
        order.append(revision)
        seen[revision].add(name or "end")
        assert_mended(root, revision)
        if step % 3 == 0:  # a third of them tell whether the next publication takes hold
            publish(root, "1.2")
            assert shown(root) == "1.2"
            assert_mended(root, "1.2")
        shutil.rmtree(root)
        if name is None:
            break
    assert order == sorted(order)  # once committed, always the new one
    assert {"open", "write", "rename", "fsync", "unlink"} <= seen["1.1"] | seen["1.2"]
    assert {"rename", "unlink", "end"} <= seen["1.2"]  # killed while the names followed, too
    assert len(order) > 100


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_writer_killed_while_mending_is_mended_too(tmp_path: Path) -> None:
    root = tmp_path / "half"

    def commits(step: int) -> bool:
        shutil.rmtree(root, ignore_errors=True)
        publish(root, "1.1")
        killed_at(step, lambda: publish(root, "1.2"))
        return shown(root) == "1.2"

    # Once committed, always the new one.
    first = bisect_left(range(10_000), True, lo=1, key=commits)
    assert commits(first)
    for again in range(1, 10_000, 3):
        copy = tmp_path / "copy"
        shutil.copytree(root, copy)
        name = killed_at(again, partial(mend, copy))
        assert shown(copy) == "1.2"
        assert_mended(copy, "1.2")
        shutil.rmtree(copy)
        if name is None:
            break
    assert again > 20


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_kill_during_the_very_first_publication_shows_nothing_or_all(tmp_path: Path) -> None:
    complete = 0
    for step in range(1, 10_000, 2):
        root = tmp_path / f"step{step}"
        name = killed_at(step, partial(publish, root, "1.1"))
        try:
            complete += shown(root) == "1.1"
        except Damaged:
            assert not (root / ".manifest/page.json").exists()
            assert not complete
        publish(root, "1.1")
        assert shown(root) == "1.1"
        shutil.rmtree(root)
        if name is None:
            break
    assert complete > 5
