"""A real hub and subscriber (flask-websub) before the real public server, also with the committed nginx between them."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from broadcaster.channel import Attempt, Board, Revision, Transient
from broadcaster.testing.boards import NOW, board, context, corrected_cut, minutes, power_cut
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.nginx import NginxServer
from broadcaster.testing.ports import free_port
from broadcaster.testing.websub import WebSubHub
from channels.feed import FeedAdapter
from channels.websub import WebSubAdapter

pytestmark = pytest.mark.real("websub")
ATTEMPT = Attempt(number=1, at=NOW, not_after=minutes(60), deadline=30)
SECRET = "a secret of the subscriber's own"
SITE = """
server {
    listen 80;
    location / {
        proxy_pass http://127.0.0.1:8080;
    }
}
"""


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture
def hub() -> Iterator[WebSubHub]:
    with WebSubHub() as hub:
        yield hub


@pytest.fixture
def public(tmp_path: Path) -> Iterator[int]:
    """The port of the real public server over `tmp_path`/public."""
    port, folder = free_port(), tmp_path / "public"
    folder.mkdir()
    command = [sys.executable, "-m", "broadcaster.public", "--directory", str(folder)]
    with subprocess.Popen(
        [*command, "--listen", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL
    ) as server:
        try:
            wait_until(lambda: accepts(port), seconds=30)
            yield port
        finally:
            server.terminate()


class Place:
    """Feeds at `port` and the channel that tells `hub` of them."""

    def __init__(self, folder: Path, port: int, hub: str) -> None:
        self.port = port
        made = context(
            public_directory=str(folder), public_url=f"http://127.0.0.1:{port}", name="feed"
        )
        self.feed = FeedAdapter(FeedAdapter.Settings(kind="feed", hubs=(hub,)), made)
        self.websub = WebSubAdapter(
            WebSubAdapter.Settings(kind="websub", url=hub), replace(made, name="websub")
        )

    def write(self, shown: Board) -> None:
        """Publish the feeds, and wait until the public server shows them."""
        self.feed.show(shown, ATTEMPT)
        wait_until(lambda: f'"{shown.revision}"'.encode() in self.read("/feed.json")[1], seconds=20)

    def tell(self, shown: Board) -> None:
        self.websub.show(replace(shown, since=self.websub.standing()), ATTEMPT)

    def read(self, path: str) -> tuple[dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return {name.lower(): value for name, value in answer.getheaders()}, answer.read()


@pytest.fixture
def place(tmp_path: Path, public: int, hub: WebSubHub) -> Iterator[Place]:
    place = Place(tmp_path / "public", public, hub.url)
    yield place
    place.feed.close()
    place.websub.close()


@pytest.mark.parametrize("path", ["/feed.atom", "/en/areas/norra-ekbyn/feed.rss", "/feed.json"])
def test_whoever_follows_a_feed_by_the_hub_is_sent_each_new_word_signed(
    path: str, place: Place, hub: WebSubHub
) -> None:
    first = board(replace(power_cut(), updates=power_cut().updates[1:]))
    place.write(first)
    address = f"http://127.0.0.1:{place.port}{path}"
    found = hub.follow(address, SECRET)  # discovered, and the subscriber's intent verified
    assert found == {"hub_url": hub.url, "topic_url": address, "status": 202, "known": True}
    place.tell(first)
    second = board(corrected_cut())
    place.write(second)
    place.tell(second)
    told = hub.received()  # only what carries the right HMAC stands here
    assert [topic for topic, _ in told] == [address] * len(told)
    assert told[-1][1] == place.read(path)[1]
    assert "Rättat" in told[-1][1].decode() or "Corrected" in told[-1][1].decode()


def test_a_hub_that_was_away_is_told_when_it_is_back(place: Place, hub: WebSubHub) -> None:
    place.write(board(power_cut()))
    hub.follow(f"http://127.0.0.1:{place.port}/feed.atom", SECRET)
    hub.stopped()
    with pytest.raises(Transient):
        place.tell(board(power_cut()))
    assert hub.received() == []
    hub.stopped()
    place.tell(board(power_cut()))
    assert [body for _, body in hub.received()] == [place.read("/feed.atom")[1]]
    assert place.websub.standing() == Revision(1, 3)


def test_the_public_server_says_where_the_hub_is(place: Place, hub: WebSubHub) -> None:
    place.write(board(power_cut()))
    own = f"http://127.0.0.1:{place.port}/areas/0127/feed.rss"
    headers, _ = place.read("/areas/0127/feed.rss")
    assert headers["link"] == f'<{own}>; rel="self", <{hub.url}>; rel="hub"'
    assert "link" not in place.read("/calendar.ics")[0]


@pytest.mark.real("nginx")
def test_nginx_passes_it_on(tmp_path: Path, public: int, hub: WebSubHub) -> None:
    site = tmp_path / "site.conf"
    site.write_text(SITE)
    with NginxServer(site, {8080: public}) as nginx:
        place = Place(tmp_path / "public", nginx.ports[80], hub.url)
        place.write(board(power_cut()))
        assert 'rel="hub"' in place.read("/feed.atom")[0]["link"]
        assert hub.follow(f"http://127.0.0.1:{place.port}/feed.atom", SECRET)["known"]
        place.feed.close()
        place.websub.close()
