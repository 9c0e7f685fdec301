"""What the public server answers by itself, asked through the committed deploy/nginx.conf in a real nginx."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from broadcaster.bundle import Bundle
from broadcaster.channel import Place
from broadcaster.testing.boards import context, states
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.nginx import NginxServer
from broadcaster.testing.ports import free_port
from channels.feed.site import feeds
from channels.page.settings import PageSettings
from channels.page.site import pages

pytestmark = pytest.mark.real("nginx")
SITE = Path(__file__).parents[2] / "deploy" / "nginx.conf"
PLACES = (Place("Åsen", "12345", "norra-ekbyn"),)
SECURITY = (
    *("content-security-policy", "cross-origin-resource-policy", "cache-control"),
    *("x-content-type-options", "referrer-policy", "permissions-policy"),
    "strict-transport-security",
)


class Front:
    def __init__(self, folder: Path) -> None:
        self.root, self.port = folder / "public", free_port()
        surroundings, shown = context(places=PLACES, answers=True), states()["three"]
        made = list(pages(shown, surroundings, PageSettings(kind="page")))
        Bundle(self.root, "page").publish("1.3", made)
        Bundle(self.root, "feed").publish("1.3", list(feeds(shown, surroundings)))
        command = [sys.executable, "-m", "broadcaster.public", "--directory", str(self.root)]
        command += ["--listen", f"127.0.0.1:{self.port}", "--https"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(self.accepts, seconds=30)
        self.nginx = NginxServer(SITE, {8080: self.port})

    def accepts(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (each must stand once) and body of one answer through nginx."""
        trusted = ssl.create_default_context(cafile=str(self.nginx.folder / "authority.pem"))
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.nginx.ports[443], timeout=20, context=trusted
        )
        connection.request(method, path, body, {"Host": "drift.ekbyn.example"})
        response = connection.getresponse()
        told, headers = response.read(), [(k.lower(), v) for k, v in response.getheaders()]
        connection.close()
        names = [name for name, _ in headers]
        assert {name: names.count(name) for name in SECURITY} == dict.fromkeys(SECURITY, 1)
        return response.status, dict(headers), told

    def kept(self) -> bytes:
        """All that nginx has in its cache and in its logs."""
        return b"".join(p.read_bytes() for p in self.nginx.folder.rglob("*") if p.is_file())


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    made = Front(tmp_path)
    try:
        with made.nginx:
            yield made
    finally:
        made.process.kill()
        made.process.wait()


def test_where_a_place_lies_is_asked_through_nginx_and_kept_nowhere(front: Front) -> None:
    for folder in ("", "en/"):
        asked = front.ask(f"/{folder}places/", "POST", "place=åsen".encode())
        assert (asked[0], asked[1]["location"]) == (303, "../areas/norra-ekbyn/")
        status, headers, body = front.ask(f"/{folder}places/", "POST", b"place=Hemligby")
        assert (status, headers["cache-control"]) == (200, "no-store")
        assert b"Hemligby" in body
        assert b"Hemligby" not in front.ask(f"/{folder}places/")[2]
    assert b"Hemligby" not in front.kept()
    assert front.ask("/places/", "POST", b"x" * 1500)[0] == 413


def test_each_choice_of_areas_has_its_own_answer_and_none_is_kept(front: Front) -> None:
    for key in ("centrum", "sjovik", "centrum"):
        status, headers, body = front.ask(f"/my/?area={key}&form=feed.atom")
        assert (status, headers["cache-control"]) == (200, "no-store")
        assert f"/my/{key}/feed.atom".encode() in body
    assert front.ask("/en/my/?area=no")[0] == 200
    assert front.ask("/my/")[0] == 303


def test_a_channel_of_ones_own_stands_for_a_while_without_its_server(front: Front) -> None:
    path = "/my/centrum+sjovik/feed.atom"
    first = front.ask(path)
    assert first[0] == 200
    assert first[1]["cache-control"].startswith("public, max-age=20")
    page = front.ask("/places/")
    front.process.kill()
    front.process.wait()
    # Its worker ends when it sees that it is alone.
    wait_until(lambda: not front.accepts(), seconds=30)
    front.nginx.age(timedelta(hours=1))
    assert front.ask(path)[2] == first[2]
    assert front.ask("/places/")[2] == page[2]
    assert front.ask("/places/", "POST", b"place=x")[0] == 502
    assert front.ask("/my/?area=centrum")[0] == 502
