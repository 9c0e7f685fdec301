"""The committed deploy/nginx.conf in a real nginx, in front of the real public server and inbound listener."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broadcaster.bundle import Bundle, File, Overdue
from broadcaster.channel import InboundReply
from broadcaster.store import inbox
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.nginx import NginxServer
from broadcaster.testing.operators import Daemonless
from broadcaster.testing.ports import free_port

pytestmark = pytest.mark.real("nginx")
SITE = Path(__file__).parents[2] / "deploy" / "nginx.conf"
PAGE, INBOUND = "drift.ekbyn.example", "in.ekbyn.example"
CODINGS = ("", "gzip", "br")
SECURITY = {
    "content-security-policy",
    "cross-origin-resource-policy",
    "cache-control",
    "x-content-type-options",
    "referrer-policy",
    "permissions-policy",
}
HSTS = "strict-transport-security"
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/feed.atom": ("feed.atom", "application/atom+xml; charset=utf-8"),
    "/brief/": ("brief/index.html", "text/html; charset=utf-8"),
    "/feed.json": ("feed.json", "application/feed+json"),
    "/embed/": ("embed/index.html", "text/html; charset=utf-8"),
}

LINKS = (("self", "https://drift.ekbyn.example/feed.atom"), ("hub", "https://hub.example/"))


class Reply:
    """An HTTP answer read to its end; `headers` are all of them, in lower case, with how often each came."""

    def __init__(self, client: socket.socket, method: str = "GET") -> None:
        response = http.client.HTTPResponse(client, method=method)
        response.begin()
        self.status, self.body = response.status, response.read()
        self.headers = [(name.lower(), value) for name, value in response.getheaders()]

    def __getitem__(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"{name} stands twice: {values}"
        return values[0] if values else None


class Front:
    """nginx with what stands behind it; `kill` and `start` are for the public server."""

    def __init__(self, folder: Path, inbound_port: int, api_port: int) -> None:
        self.root, self.port = folder / "public", free_port()
        self.number = 0
        self.publish()
        self._process: subprocess.Popen[bytes] | None = None
        self.nginx = NginxServer(SITE, {8080: self.port, 8090: inbound_port, 8070: api_port})

    def publish(self, overdue: Overdue | None = None) -> None:
        """Publish the next revision."""
        self.number += 1
        files = [
            File(
                path,
                self.text(path),
                media_type,
                overdue if path == "index.html" else None,
                links=LINKS if path == "feed.atom" else (),
            )
            for path, media_type in FILES.values()
        ]
        Bundle(self.root, "page").publish(f"1.{self.number}", files)

    def text(self, path: str) -> bytes:
        """What is published at a path now."""
        line = f"<p>revision {self.number} of {path}, åäö</p>\n"
        # What is brief is not compressed by us: nginx must not do it either.
        lines = line if path.startswith("brief") else line * 40
        framed = ' data-framed="anywhere"' if path.startswith("embed") else ""
        return f"<!DOCTYPE html><html{framed}><style>p{{margin:0}}</style>{lines}".encode()

    def start(self) -> None:
        command = [sys.executable, "-m", "broadcaster.public", "--directory", str(self.root)]
        command += ["--listen", f"127.0.0.1:{self.port}", "--https"]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(lambda: accepts(self.port), seconds=20)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            wait_until(lambda: not accepts(self.port))

    def connect(self, name: str = PAGE, port: int = 443) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.nginx.ports[port]), timeout=15)
        if port == 80:
            return client
        context = ssl.create_default_context(cafile=str(self.nginx.folder / "authority.pem"))
        context.check_hostname = False  # the names are the deployment's, the certificate the test's
        return context.wrap_socket(client, server_hostname=name)

    def raw(self, request: bytes, name: str = PAGE, port: int = 443, method: str = "GET") -> Reply:
        with self.connect(name, port) as client:
            # It may have been refused, and answered, before it was all sent.
            with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
                client.sendall(request)
            return Reply(client, method)

    def ask(
        self,
        path: str,
        method: str = "GET",
        *,
        name: str = PAGE,
        port: int = 443,
        body: bytes = b"",
        **headers: str,
    ) -> Reply:
        given = {"Host": name, "Connection": "close", "Content-Length": str(len(body))}
        given |= {key.replace("_", "-"): value for key, value in headers.items()}
        lines = [f"{method} {path} HTTP/1.1", *(f"{key}: {value}" for key, value in given.items())]
        request = "\r\n".join([*lines, "", ""]).encode() + body
        return self.raw(request, name, port, method)

    def directly(self, path: str, **headers: str) -> Reply:
        """Ask the public server past nginx."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
            lines = [f"{key.replace('_', '-')}: {value}\r\n" for key, value in headers.items()]
            request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{''.join(lines)}\r\n"
            client.sendall(request.encode())
            return Reply(client)


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemonless]:
    with Daemonless(tmp_path_factory.mktemp("desk")) as running:
        yield running


@contextlib.contextmanager
def running(desk: Daemonless, folder: Path) -> Iterator[Front]:
    made = Front(folder, desk.inbound.port, desk.api.port)
    made.start()
    try:
        with made.nginx:
            yield made
    finally:
        made.kill()


@pytest.fixture
def front(desk: Daemonless, tmp_path: Path) -> Iterator[Front]:
    """An nginx with an empty cache, for a test that publishes, kills or looks at the cache."""
    with running(desk, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared(desk: Daemonless, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """One nginx for the tests that only ask."""
    with running(desk, tmp_path_factory.mktemp("shared")) as made:
        yield made


def secured(reply: Reply, *, tls: bool = True) -> None:
    """Every security header stands on the answer, and once."""
    for name in SECURITY:
        assert reply[name], f"{reply.status} has no {name}: {reply.headers}"
    assert (reply[HSTS] is not None) == tls
    assert "nginx/" not in (reply["server"] or "")


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("path", FILES)
def test_bytes_and_headers_are_those_of_the_public_server(
    front: Front, path: str, coding: str
) -> None:
    told = {"date", "connection", "server"}  # of the connection, not of the file
    plain = front.directly(path, Accept_Encoding=coding)
    for _ in range(2):  # from behind, then from the cache
        got = front.ask(path, Accept_Encoding=coding)
        assert (got.status, got.body) == (200, plain.body)
        assert sorted(pair for pair in got.headers if pair[0] not in told) == sorted(
            pair for pair in plain.headers if pair[0] not in told
        )
        secured(got)
    assert (got["link"] is not None) == (path == "/feed.atom")  # where a hub and its askers look
    assert got["content-encoding"] == (None if path == "/brief/" else coding or None)


def test_other_sites_may_frame_what_is_made_for_it_and_nothing_else(shared: Front) -> None:
    for path in FILES:
        got = shared.ask(path)
        ancestors = "*" if path == "/embed/" else "'none'"
        assert f"frame-ancestors {ancestors};" in (got["content-security-policy"] or "")
    assert shared.ask("/embed/")["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize(
    ("wanted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0,deflate;q=0.6,identity;q=0.3", "gzip"),
        ("br;q=0, gzip;q=0.001", "gzip"),
        ("br;q=0, gzip;q=0", None),
        ("zstd", None),
        ("abr, xgzip", None),
    ],
)
def test_each_reader_gets_an_encoding_it_takes(
    shared: Front, wanted: str, coding: str | None
) -> None:
    got = shared.ask("/", Accept_Encoding=wanted)
    assert (got["content-encoding"], got["vary"]) == (coding, "Accept-Encoding")


def test_an_unchanged_file_is_not_sent_again(shared: Front) -> None:
    full = shared.ask("/feed.atom", Accept_Encoding="gzip")
    later = email.utils.formatdate(time.time() + 9, usegmt=True)
    validators: list[dict[str, Any]] = [
        {"If_None_Match": full["etag"] or ""},
        {"If_Modified_Since": full["last-modified"] or ""},
        {"If_Modified_Since": later},
    ]
    for headers in validators:
        got = shared.ask("/feed.atom", Accept_Encoding="gzip", **headers)
        assert (got.status, got.body, got["etag"]) == (304, b"", full["etag"])
        secured(got)
        assert got["content-security-policy"] == full["content-security-policy"]


@pytest.mark.parametrize(("status", "path"), [(404, "/no"), (301, "/index.html"), (404, "//")])
def test_what_the_public_server_refuses_keeps_its_headers(
    shared: Front, status: int, path: str
) -> None:
    plain = shared.directly(path)
    got = shared.ask(path)
    assert (got.status, got.body) == (plain.status, plain.body) == (status, plain.body)
    for name in (*SECURITY, HSTS, "location"):
        assert got[name] == plain[name]
    secured(got)


BIG = b"a" * 40_000
OWN = {
    "no HTTP": b"\x00\x01 garbage\r\n\r\n",
    "bad header": b"GET / HTTP/1.1\r\nHost: a b/c\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "long address": b"GET /" + BIG + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "large headers": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + BIG + b"\r\n\r\n",
    "trace": b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
    "large body": b"POST /in/sms HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n",
    "strange version": b"GET / HTTP/7.0\r\nHost: x\r\n\r\n",
    "strange coding": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n",
}


@pytest.mark.parametrize("request_name", OWN)
@pytest.mark.parametrize(("name", "port"), [(PAGE, 443), (INBOUND, 443), (PAGE, 80)])
def test_what_nginx_itself_refuses_carries_every_header_once(
    shared: Front, request_name: str, name: str, port: int
) -> None:
    got = shared.raw(OWN[request_name], name, port)
    assert got.status >= 400 or port == 80
    secured(got, tls=port == 443)


@pytest.mark.parametrize(("name", "port"), [(PAGE, 443), (INBOUND, 443), (PAGE, 80)])
def test_a_request_whose_answer_knows_no_headers_gets_none(
    shared: Front, name: str, port: int
) -> None:
    with shared.connect(name, port) as client:
        client.sendall(b"GET /\r\n")  # HTTP/0.9
        assert client.recv(1000) == b""


def test_headers_the_public_server_finds_too_large_come_back_with_every_header(
    shared: Front,
) -> None:
    """Its own answer to this has none (docs/adr/0010)."""
    large: dict[str, Any] = {f"X{n}": "a" * 6000 for n in range(4)}
    plain, got = shared.directly("/large", **large), shared.ask("/large", **large)
    assert (plain.status, plain["content-security-policy"]) == (431, None)
    assert got.status == 431
    secured(got)


def test_plain_http_to_the_tls_port_is_refused_with_every_header(shared: Front) -> None:
    address = ("127.0.0.1", shared.nginx.ports[443])
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        got = Reply(client)
    assert got.status == 400
    secured(got)


def test_plain_http_is_sent_to_https(shared: Front) -> None:
    got = shared.ask("/incidents/a7/?x=1", port=80)
    assert (got.status, got["location"]) == (301, f"https://{PAGE}/incidents/a7/?x=1")
    secured(got, tls=False)


def test_a_dead_public_server_is_answered_for_from_the_cache(front: Front) -> None:
    wanted = {
        (path, coding): front.ask(path, Accept_Encoding=coding).body
        for path in FILES
        for coding in CODINGS
    }
    front.kill()
    front.nginx.age(timedelta(hours=20))
    for (path, coding), body in wanted.items():
        got = front.ask(f"{path}?fbclid={time.time()}", Accept_Encoding=f"{coding}, zstd")
        assert (got.status, got.body) == (200, body)
        secured(got)
    unknown = front.ask("/areas/unknown/")
    assert unknown.status == 502
    secured(unknown)
    logs = [path.read_text() for path in front.nginx.folder.glob("*access.log")]
    logs.append((front.nginx.folder / "broadcaster-error.log").read_text())
    assert "127.0.0.1" not in "".join(logs), "a reader's address was kept"


@pytest.mark.slow
def test_a_public_server_that_hangs_is_answered_for_from_the_cache(front: Front) -> None:
    body = front.ask("/").body
    front.kill()
    front.nginx.age(timedelta(hours=20))
    with socket.create_server(("127.0.0.1", front.port)):  # takes connections, says nothing
        begun = time.monotonic()
        got = front.ask("/")
        assert (got.status, got.body) == (200, body)
        # Five seconds of ours; nginx itself would wait for sixty.
        assert time.monotonic() - begun < 30
        unknown = front.ask("/areas/unknown/")
    assert unknown.status == 504
    secured(unknown)


def test_a_new_revision_is_seen_when_its_max_age_is_over(front: Front) -> None:
    first = front.ask("/")
    front.publish()
    wait_until(lambda: front.directly("/").body != first.body)
    front.nginx.age(timedelta(seconds=kept(first)))
    wait_until(lambda: front.ask("/").body == front.text("index.html"))


def test_the_first_reader_after_a_quiet_night_gets_the_newest_page(front: Front) -> None:
    front.ask("/")
    front.publish()
    wait_until(lambda: front.directly("/").body == front.text("index.html"))
    front.nginx.age(timedelta(hours=8))
    assert front.ask("/").body == front.text("index.html")


@pytest.mark.slow
def test_a_broken_promise_shows_through_the_cache(front: Front) -> None:
    after = datetime.now(UTC) + timedelta(seconds=4)
    front.publish(Overdue(after, b"<p>Beskedet dr\xc3\xb6jer</p>"))
    wait_until(lambda: front.directly("/").body == front.text("index.html"))
    assert b"revision 2" in front.ask("/").body
    wait_until(lambda: b"Beskedet" in front.ask("/").body)
    # What is kept for its usual time would show sixteen seconds later.
    assert datetime.now(UTC) - after < timedelta(seconds=12)


@pytest.mark.slow
def test_the_time_a_copy_may_be_kept_shrinks_as_a_promise_draws_near(front: Front) -> None:
    front.publish(Overdue(datetime.now(UTC) + timedelta(seconds=18), b"<p>Sen"))
    wait_until(lambda: front.directly("/").body == front.text("index.html"))
    first = front.ask("/")
    wait_until(lambda: kept(front.directly("/")) <= kept(first) - 3)
    front.nginx.age(timedelta(seconds=20))
    assert kept(front.ask("/")) <= kept(first) - 3


def kept(reply: Reply) -> int:
    """The seconds that an answer may be kept."""
    found = re.match(r"public, max-age=(\d+),", reply["cache-control"] or "")
    assert found, reply.headers
    return int(found[1])


def test_no_odd_spelling_of_an_address_is_kept_for_the_address_itself(front: Front) -> None:
    for odd in ("//", "/./", "/x/../feed.atom", "//feed.atom", "/%2e/feed.atom", "/feed.atom%00"):
        front.ask(odd)
    for path, (file, _) in FILES.items():
        got = front.ask(path)
        assert (got.status, got.body) == (200, front.text(file))


def test_reports_reach_the_inbound_listener_as_they_were_called(
    shared: Front, desk: Daemonless, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = desk.desk.configuration.adapters["sms"]
    monkeypatch.setattr(channel, "verify", lambda request: InboundReply(status=202))
    path = "/in/sms/a%2Fb?k=%C3%A5&t=2"
    got = shared.ask(path, "POST", name=INBOUND, body=b"status=8", X_Signature="abc")
    assert got.status == 202
    secured(got)
    (row,) = desk.store.read(lambda connection: inbox.waiting(connection, desk.clock()))
    assert (row.request.query, row.request.body) == ("k=%C3%A5&t=2", b"status=8")
    headers = row.request.headers
    assert (headers["host"], headers["x-forwarded-proto"]) == (INBOUND, "https")
    assert headers["x-signature"] == "abc"


def test_what_is_no_report_and_no_page_is_not_found(shared: Front) -> None:
    for path in ("/", "/in", "/IN/sms", "/x/../api/v1/channels", "/api/v1/openapi.json", "/readyz"):
        got = shared.ask(path, name=INBOUND)
        assert (got.status, b"<center>nginx</center>" in got.body) == (404, True)  # its own answer
        secured(got)
    unknown = shared.ask("/in/unknown", name=INBOUND)
    assert unknown.status == 404
    secured(unknown)


def test_the_operators_api_is_not_reached(shared: Front, desk: Daemonless) -> None:
    paths = ("/api/v1/openapi.json", "/healthz", "/readyz", "/metrics", "/in/../healthz")
    assert desk.ask("GET", "/healthz").status == 200
    for path in paths:
        for name in (PAGE, INBOUND):
            assert shared.ask(path, name=name).status == 404


@pytest.mark.parametrize("name", [PAGE, INBOUND])
def test_nothing_older_than_tls_1_2_is_spoken(shared: Front, name: str) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    address = ("127.0.0.1", shared.nginx.ports[443])
    with (
        socket.create_connection(address, timeout=10) as client,
        pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"),
    ):
        old.wrap_socket(client, server_hostname=name)


def test_a_file_nginx_cannot_read_is_told_with_its_reason(tmp_path: Path) -> None:
    site = tmp_path / "site.conf"
    site.write_text("server { nonsense on; }")
    with pytest.raises(RuntimeError, match='unknown directive "nonsense"'), NginxServer(site, {}):
        pass


def test_only_ports_and_paths_of_the_file_are_replaced(shared: Front) -> None:
    text = (shared.nginx.folder / "site.conf").read_text()
    for line, given in zip(text.splitlines(), SITE.read_text().splitlines(), strict=True):
        if line != given:
            words = ("listen ", "proxy_pass ", "ssl_certificate", "proxy_cache_path", "error_log")
            assert line.strip().startswith(words)


def test_the_cache_is_where_nginx_can_make_it() -> None:
    """nginx makes one folder, not those above it; Debian's has no /var/cache/nginx."""
    [path] = re.findall(r"^proxy_cache_path (\S+) ", SITE.read_text(), re.MULTILINE)
    assert Path(path).parent.is_dir()
