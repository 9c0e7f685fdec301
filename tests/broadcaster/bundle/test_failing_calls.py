"""Any one system call on the public files fails: readers keep a whole revision, and the next try succeeds.

One `Bundle` publishes all through it, as in a daemon that goes on after the error.
"""

import errno
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broadcaster.bundle import Bundle, File
from broadcaster.testing.published import look
from broadcaster.testing.syscalls import passing

CALLS = ["open", "mkdir", "fchmod", "fsync", "rename", "unlink", "stat"]


SOAK = bool(os.environ.get("SOAK"))
pytestmark = [pytest.mark.slow] if SOAK else []  # what `make soak` runs
ERRORS = [errno.EIO, errno.ENOSPC, errno.EACCES] if SOAK else [errno.EIO]


def files(number: int) -> list[File]:
    """One that changes, one whose packed copies come and go, one in a new folder (the last one's goes)."""
    body = f"revision {number}\n".encode()
    return [
        File("index.html", body * 20, "text/html"),
        File("feed.json", body * (20 if number % 2 else 1), "application/json"),
        File(f"incidents/a{number}/index.html", body * 20, "text/html"),
        File("same/index.html", b"never changes" * 30, "text/html"),
    ]


@contextmanager
def failing(nth: int, error: int) -> Iterator[list[str]]:
    """The `nth` call on a file fails while entered; the name of what failed, none when it was not reached."""
    count, failed = 0, list[str]()

    def point(name: str) -> None:
        nonlocal count
        count += 1
        if count == nth:
            failed.append(name)
            raise OSError(error, os.strerror(error))

    with pytest.MonkeyPatch.context() as patch:
        for name, call in passing(CALLS, point).items():
            patch.setattr(os, name, call)
        yield failed


def standing(root: Path) -> str:
    """The revision a reader meets, every file of it whole."""
    found = look(root, "page")
    assert found.torn == ()
    assert found.revision is not None
    return "{}.{}".format(*found.revision)


def publish(bundle: Bundle, number: int) -> None:
    gone = [f"incidents/a{number - 1}/index.html"]
    bundle.publish(f"1.{number}", files(number), remove=gone)


@pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
def test_whatever_call_fails_one_whole_revision_stands_and_the_next_try_succeeds(
    tmp_path: Path, error: int
) -> None:
    bundle, met = Bundle(tmp_path, "page"), Counter[str]()
    bundle.publish("1.1", files(1), whole=True)
    for number in range(2, 1000):
        old, new, refused = f"1.{number - 1}", f"1.{number}", False
        with failing(number - 1, error) as failed:
            try:
                publish(bundle, number)
            except OSError as raised:
                refused = raised.errno == error
        assert standing(tmp_path) in ({old, new} if refused else {new})
        if not failed:
            break
        met[failed[0]] += refused
        publish(bundle, number)
        assert standing(tmp_path) == new
        for file in files(number):
            assert (tmp_path / file.path).read_bytes() == file.body
    assert {*CALLS, "write"} == set(+met)
    assert met.total() > 50
