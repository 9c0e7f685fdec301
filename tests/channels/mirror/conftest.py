"""Boards of a few lines and a copy of them, for tests that do not care what a page looks like."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broadcaster.bundle import Bundle, File
from broadcaster.channel import Attempt, Mode, Receipt, Revision, Transient
from broadcaster.httpclient import Deadline
from broadcaster.testing.boards import NOW, board, context, minutes
from channels.mirror import MirrorAdapter
from channels.mirror.directory import Directory
from channels.mirror.far import Found, Place, Print, Thing
from channels.mirror.settings import DirectoryPlace

ATTEMPT = Attempt(number=1, at=NOW, not_after=minutes(60), deadline=20)


def pem() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


KEY = cache(pem)


def page(text: str) -> bytes:
    filler = "så är läget. " * 40  # long enough to be compressed
    return f"<!doctype html><body><main><p>{text}: {filler}</p>\n</main></body>\n".encode()


@dataclass
class Boards:
    """A page and a feed in one public directory, and adapters that copy them."""

    folder: Path
    elsewhere: Path | None = None

    @property
    def public(self) -> Path:
        return self.folder / "public"

    @property
    def copy(self) -> Path:
        return self.elsewhere or self.folder / "copy"

    def publish(
        self, revision: str, pages: Mapping[str, str], *, feed: str = "", made: str = "a"
    ) -> None:
        """Let the page show exactly `pages` (text by path), and the feed the same revision."""
        files = [File(path, page(text), "text/html; charset=utf-8") for path, text in pages.items()]
        files.append(File("page.maker.txt", made.encode(), "text/plain"))
        Bundle(self.public, "page").publish(revision, files, whole=True)
        self.publish_feed(feed or revision)

    def publish_feed(self, revision: str) -> None:
        files = [
            File("feed.json", f'{{"revision": "{revision}"}}'.encode(), "application/feed+json"),
            File("feed.maker.txt", b"f", "text/plain"),
        ]
        Bundle(self.public, "feed").publish(revision, files, whole=True)

    def mirror(self, mode: Mode = Mode.LIVE, **written: Any) -> MirrorAdapter:
        block: dict[str, Any] = {
            "kind": "mirror",
            "url": "http://127.0.0.1:9",
            "boards": ["page", "feed"],
            "key": KEY(),
            "to": {"place": "directory", "path": str(self.copy)},
            "look": 0.001,
            **written,
        }
        if block["to"]["place"] == "directory" and not self.copy.exists():
            self.copy.mkdir(parents=True)
        made = context(public_directory=str(self.public), name="mirror")
        return MirrorAdapter(MirrorAdapter.Settings.model_validate(block), replace(made, mode=mode))

    def beside(self, name: str) -> Boards:
        """Boards of another store, whose mirror writes into the same copy."""
        return Boards(self.folder / name, self.copy)

    def show(self, adapter: MirrorAdapter, revision: str, **circumstances: Any) -> Receipt:
        shown = board(revision=Revision.parse(revision))
        return adapter.show(shown, replace(ATTEMPT, **circumstances))


class Cut:
    """A real directory whose connection breaks at the `after`-th thing that is written or dropped."""

    def __init__(self, far: Directory, after: int) -> None:
        self.called, self.variants, self._far = far.called, far.variants, far
        self.left = after
        self.before_cut: Callable[[], None] = lambda: None

    @contextmanager
    def connected(self, deadline: Deadline) -> Iterator[Place]:
        with self._far.connected(deadline) as place:
            self._place = place
            yield self

    def hosts(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        pass

    def read(self, name: str) -> Found | None:
        return self._place.read(name)

    def write(self, things: Any) -> None:
        for thing in things:
            self._spend()
            self._place.write([thing])

    def swap(self, thing: Thing, before: Found | None) -> None:
        self._spend()
        self._place.swap(thing, before)

    def drop(self, names: Any) -> None:
        for name in names:
            self._spend()
            self._place.drop([name])

    def differing(self, wanted: Mapping[str, Print]) -> set[str]:
        return self._place.differing(wanted)

    def names(self, folder: str) -> Collection[str]:
        return self._place.names(folder)

    def _spend(self) -> None:
        if self.left == 0:
            self.before_cut()
            raise Transient("The connection broke.")
        self.left -= 1


def cut(boards: Boards, after: int) -> tuple[MirrorAdapter, Cut]:
    mirror = boards.mirror()
    far = Cut(
        Directory(DirectoryPlace(place="directory", path=str(boards.copy)), "drift.ekbyn.example"),
        after,
    )
    mirror._far = far
    return mirror, far


@pytest.fixture
def boards(tmp_path: Path) -> Boards:
    return Boards(tmp_path)


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes]]:
    """What stands below a folder for readers: everything but the locks."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix != ".lock"
        }

    return read


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address(boards: Boards) -> Iterator[str]:
    boards.copy.mkdir(exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(boards.copy)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
