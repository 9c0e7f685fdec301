"""A real nginx between our page and its readers: what it passes on is confirmed, an old copy and a rewritten page are not."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.channel import Attempt, Permanent, Transient
from broadcaster.testing.boards import NOW, board, context, minutes, states
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.nginx import NginxServer
from broadcaster.testing.ports import free_port
from channels.page import PageAdapter

pytestmark = pytest.mark.real("nginx")
ATTEMPT = Attempt(number=1, at=NOW, not_after=minutes(60), deadline=10)
SITE = """
proxy_cache_path /var/cache/copies keys_zone=copies:1m;
server {
    listen 80;  # a cache that asks for nothing anew for an hour, whatever we say
    location / {
        proxy_pass http://127.0.0.1:8080;
        proxy_cache copies;
        proxy_cache_valid 200 1h;
        proxy_ignore_headers Cache-Control Expires Vary;
    }
}
server {
    listen 443;  # a proxy that means to improve pages
    location / {
        proxy_pass http://127.0.0.1:8080;
        proxy_set_header Accept-Encoding "";
        sub_filter "</body>" "<!-- improved --></body>";
    }
}
"""


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[NginxServer]:
    port, site = free_port(), tmp_path / "site.conf"
    site.write_text(SITE)
    (tmp_path / "public").mkdir()
    command = [sys.executable, "-m", "broadcaster.public", "--directory", str(tmp_path / "public")]
    with subprocess.Popen(
        [*command, "--listen", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL
    ) as public:
        try:
            wait_until(lambda: accepts(port), seconds=30)
            with NginxServer(site, {8080: port}) as server:
                yield server
        finally:
            public.terminate()


def answers(port: int) -> bool:
    """Whether the page is there: the public server answers 503 until it has seen the first."""
    with contextlib.suppress(OSError, urllib.error.HTTPError):
        return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).status == 200)
    return False


def page(tmp_path: Path, port: int) -> PageAdapter:
    settings = PageAdapter.Settings(kind="page")
    address = f"http://127.0.0.1:{port}"
    return PageAdapter(
        settings, context(public_directory=str(tmp_path / "public"), public_url=address)
    )


def test_an_old_copy_that_a_cache_keeps_is_told(tmp_path: Path, nginx: NginxServer) -> None:
    shown = page(tmp_path, nginx.ports[80])
    first = shown.show(board(), ATTEMPT)
    wait_until(lambda: answers(nginx.ports[80]), seconds=20)
    assert shown.confirm(first, ATTEMPT, None)
    second = shown.show(states()["one"], ATTEMPT)
    assert second.handle != first.handle
    with pytest.raises(Transient, match=f"shows revision {first.handle}, not {second.handle}"):
        shown.confirm(second, ATTEMPT, None)
    shown.close()


def test_a_page_that_is_rewritten_on_its_way_is_told(tmp_path: Path, nginx: NginxServer) -> None:
    shown = page(tmp_path, nginx.ports[443])
    receipt = shown.show(states()["one"], ATTEMPT)
    wait_until(lambda: answers(nginx.ports[443]), seconds=20)
    with pytest.raises(Permanent, match="not as it was published"):
        shown.confirm(receipt, ATTEMPT, None)
    shown.close()
