"""The committed deploy/Caddyfile in a real Caddy, in front of the real public server and inbound listener."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.bundle import Bundle, File
from broadcaster.channel import InboundReply, Place
from broadcaster.inbound.following import door
from broadcaster.store import inbox
from broadcaster.testing.boards import context, states
from broadcaster.testing.caddy import CaddyServer
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.operators import CONFIGURATION, Daemonless
from broadcaster.testing.ports import free_port
from channels.feed.site import feeds
from channels.page.settings import PageSettings
from channels.page.site import pages

pytestmark = pytest.mark.real("caddy")
SITE = Path(__file__).parents[2] / "deploy" / "Caddyfile"
PAGE, INBOUND = "drift.ekbyn.example", "in.ekbyn.example"
SECURITY = {
    "content-security-policy",
    "cross-origin-resource-policy",
    "cache-control",
    "x-content-type-options",
    "referrer-policy",
    "permissions-policy",
}
HSTS = "strict-transport-security"
PLACES = (Place("Åsen", "12345", "norra-ekbyn"),)
BIG = bytes(8 * 2**20)
RESIDENTS = "residents: {channels: [sms]}\n"


class Reply:
    """An HTTP answer read to its end."""

    def __init__(self, client: socket.socket, method: str = "GET") -> None:
        response = http.client.HTTPResponse(client, method=method)
        response.begin()
        self.status, self.body = response.status, response.read()
        self.headers = [(name.lower(), value) for name, value in response.getheaders()]

    def __getitem__(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"{name} stands twice: {values}"
        return values[0] if values else None


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Front:
    """Caddy with what stands behind it; `kill` and `start` are for the public server."""

    def __init__(self, folder: Path, inbound_port: int, api_port: int) -> None:
        self.root, self.port = folder / "public", free_port()
        surroundings, shown = context(places=PLACES, answers=True), states()["three"]
        big = File("big.bin", BIG, "application/octet-stream")
        page = [*pages(shown, surroundings, PageSettings(kind="page")), big]
        Bundle(self.root, "page").publish("1.3", page)
        Bundle(self.root, "feed").publish("1.3", list(feeds(shown, surroundings)))
        self._process: subprocess.Popen[bytes] | None = None
        self.caddy = CaddyServer(
            SITE, self.root, {8080: self.port, 8090: inbound_port, 8070: api_port}
        )

    def start(self) -> None:
        command = [sys.executable, "-m", "broadcaster.public", "--directory", str(self.root)]
        command += ["--listen", f"127.0.0.1:{self.port}", "--https"]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(lambda: accepts(self.port), seconds=30)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            wait_until(lambda: not accepts(self.port))

    def connect(self, name: str = PAGE, port: int = 443, *, room: int = 0) -> socket.socket:
        client = socket.socket()
        client.settimeout(20)
        if room:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        client.connect(("127.0.0.1", self.caddy.ports[port]))
        if port == 80:
            return client
        trusted = ssl.create_default_context(cafile=str(self.caddy.folder / "authority.pem"))
        return trusted.wrap_socket(client, server_hostname=name)

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
        with self.connect(name, port) as client:
            with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
                client.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            return Reply(client, method)

    def directly(self, path: str, **headers: str) -> Reply:
        """Ask the public server past Caddy."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            lines = [f"{key.replace('_', '-')}: {value}\r\n" for key, value in headers.items()]
            request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{''.join(lines)}\r\n"
            client.sendall(request.encode())
            return Reply(client)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemonless]:
    with Daemonless(tmp_path_factory.mktemp("desk"), CONFIGURATION + RESIDENTS) as running:
        yield running


@pytest.fixture(scope="module")
def front(desk: Daemonless, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    made = Front(tmp_path_factory.mktemp("front"), desk.inbound.port, desk.api.port)
    made.start()
    try:
        with made.caddy:
            yield made
    finally:
        made.kill()


@pytest.fixture
def bereft(desk: Daemonless, tmp_path: Path) -> Iterator[Front]:
    """A Caddy whose public server never came up."""
    made = Front(tmp_path, desk.inbound.port, desk.api.port)
    with made.caddy:
        yield made


def secured(reply: Reply, *, tls: bool = True) -> None:
    """Every security header stands on the answer, and once."""
    for name in SECURITY:
        assert reply[name], f"{reply.status} has no {name}: {reply.headers}"
    assert (reply[HSTS] is not None) == tls
    assert "caddy" not in (reply["server"] or "").lower()


@pytest.mark.parametrize("coding", ["", "gzip", "br"])
@pytest.mark.parametrize(
    "path", ["/", "/feed.atom", "/areas/norra-ekbyn/feed.json", "/my/centrum+sjovik/feed.atom"]
)
def test_bytes_and_headers_are_those_of_the_public_server(
    front: Front, path: str, coding: str
) -> None:
    told = {"date", "connection", "server"}  # of the connection, not of the file
    plain, got = (ask(path, Accept_Encoding=coding) for ask in (front.directly, front.ask))
    assert (got.status, got.body) == (200, plain.body)
    assert sorted(pair for pair in got.headers if pair[0] not in told) == sorted(
        pair for pair in plain.headers if pair[0] not in told
    )
    secured(got)
    again = front.ask(path, Accept_Encoding=coding, If_None_Match=got["etag"] or "")
    assert (again.status, again.body) == (304, b"")
    secured(again)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/no", 404), ("/index.html", 301), ("/my/no/feed.atom", 404), ("/my/", 303)],
)
def test_what_the_public_server_refuses_keeps_its_headers(
    front: Front, path: str, status: int
) -> None:
    plain, got = front.directly(path), front.ask(path)
    assert (got.status, got.body) == (plain.status, plain.body) == (status, plain.body)
    for name in (*SECURITY, HSTS, "location"):
        assert got[name] == plain[name]
    secured(got)


def test_where_a_place_lies_is_asked_through_it_and_kept_nowhere(front: Front) -> None:
    got = front.ask("/places/", "POST", body="place=åsen".encode())
    assert (got.status, got["location"], got["cache-control"]) == (
        303,
        "../areas/norra-ekbyn/",
        "no-store",
    )
    unknown = front.ask("/en/places/", "POST", body=b"place=Hemligby")
    assert (unknown.status, b"Hemligby" in unknown.body) == (200, True)
    for reply in (got, unknown):
        secured(reply)
    assert "Hemligby" not in "".join(front.caddy.lines)


def test_each_choice_of_areas_has_its_own_answer(front: Front) -> None:
    for key in ("centrum", "sjovik"):
        got = front.ask(f"/my/?area={key}")
        assert f"/my/{key}/feed.rss".encode() in got.body
        secured(got)


@pytest.mark.parametrize(
    "path", ["/.manifest/page.json", "/x/.hidden/y", "/%2emanifest/page.json", "/.index.html.new"]
)
def test_no_dot_file_is_served(front: Front, bereft: Front, path: str) -> None:
    for each in (front, bereft):
        got = each.ask(path)
        assert got.status == 404
        assert b"revision" not in got.body
        secured(got)


def test_a_long_question_and_a_large_report_are_refused_with_every_header(front: Front) -> None:
    asked = [("/places/", PAGE, size) for size in (1_000, 1_025, 9_000, 99_999)]
    for path, name, size in (*asked, ("/in/sms", INBOUND, 10**6)):
        got = front.ask(path, "POST", name=name, body=b"x" * size)
        assert got.status == 413
        secured(got)


def test_a_dead_public_server_is_answered_for_by_its_files(bereft: Front) -> None:
    wanted = {
        "/": "index.html",
        "/en/": "en/index.html",
        "/incidents/a7/": "incidents/a7/index.html",
        "/feed.atom": "feed.atom",
        "/areas/norra-ekbyn/feed.json": "areas/norra-ekbyn/feed.json",
        "/places/u00e5/": "places/u00e5/index.html",
    }
    for path, file in wanted.items():
        got = bereft.ask(path)
        assert (got.status, got.body) == (200, (bereft.root / file).read_bytes())
        assert got["cache-control"] == "public, max-age=20"
        secured(got)
        packed = bereft.ask(path, Accept_Encoding="br")
        assert packed["content-encoding"] == "br"
    assert "'unsafe-inline'" in (bereft.ask("/")["content-security-policy"] or "")
    for path, method in (("/no", "GET"), ("/places/", "POST"), ("/my/centrum/feed.atom", "GET")):
        got = bereft.ask(path, method)
        assert got.status in {404, 405, 502}
        secured(got)
    assert "127.0.0.1" not in "".join(line for line in bereft.caddy.lines if "/no" in line)


def test_plain_http_is_sent_to_https(front: Front) -> None:
    got = front.ask("/incidents/a7/?x=1", port=80)
    assert (got.status, got["location"]) == (301, f"https://{PAGE}/incidents/a7/?x=1")
    secured(got, tls=False)


@pytest.mark.parametrize("name", [PAGE, INBOUND])
def test_nothing_older_than_tls_1_2_is_spoken(front: Front, name: str) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    address = ("127.0.0.1", front.caddy.ports[443])
    with (
        socket.create_connection(address, timeout=20) as client,
        pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"),
    ):
        old.wrap_socket(client, server_hostname=name)


def test_reports_reach_the_inbound_listener_as_they_were_called(
    front: Front, desk: Daemonless, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = desk.desk.configuration.adapters["sms"]
    monkeypatch.setattr(channel, "verify", lambda request: InboundReply(status=202))
    got = front.ask("/in/sms/a%2Fb?k=%C3%A5&t=2", "POST", name=INBOUND, body=b"status=8")
    assert got.status == 202
    secured(got)
    (row,) = desk.store.read(lambda connection: inbox.waiting(connection, desk.clock()))
    assert (row.request.query, row.request.body) == ("k=%C3%A5&t=2", b"status=8")
    headers = row.request.headers
    assert (headers["host"], headers["x-forwarded-proto"]) == (INBOUND, "https")


def test_residents_subscribe_through_it_and_no_answer_is_kept(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_from: list[str] = []
    monkeypatch.setattr(
        door, "network_of", lambda request, _: asked_from.append(request.headers["x-forwarded-for"])
    )
    got = front.ask("/follow/", name=INBOUND)
    secured(got)
    assert (got.status, got["cache-control"]) == (200, "no-store")
    form = b"channel=sms&address=x"
    front.ask("/follow/", "POST", name=INBOUND, body=form, X_Forwarded_For="203.0.113.9")
    assert asked_from == ["127.0.0.1"]
    assert front.ask("/follow/", "POST", name=INBOUND, body=b"x" * 10_000).status == 413


def test_the_operators_api_is_not_reached(front: Front, desk: Daemonless) -> None:
    assert desk.ask("GET", "/healthz").status == 200
    for path in ("/api/v1/openapi.json", "/healthz", "/readyz", "/metrics", "/in/../healthz"):
        for name in (PAGE, INBOUND):
            got = front.ask(path, name=name)
            assert got.status == 404
            secured(got)


@pytest.mark.slow
def test_who_dribbles_headers_or_never_reads_is_let_go(front: Front) -> None:
    """Without its `timeouts` block Caddy would hold them for ever."""
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(front.connect()) for _ in range(20)]
        deaf = [stack.enter_context(front.connect(room=4096)) for _ in range(20)]
        for client in slow:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        for client in deaf:
            client.sendall(f"GET /big.bin HTTP/1.1\r\nHost: {PAGE}\r\n\r\n".encode())
        wait_until(lambda: held(front) >= 40)
        assert front.ask("/").status == 200
        wait_until(lambda: held(front) <= 2, seconds=120)


def held(front: Front) -> int:
    """How many connections of readers Caddy holds (state ESTABLISHED)."""
    port = f":{front.caddy.ports[443]:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    lines += [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    return sum(line[1].endswith(port) and line[3] == "01" for line in lines)


def test_only_ports_and_paths_of_the_file_are_replaced(front: Front) -> None:
    text = (front.caddy.folder / "Caddyfile").read_text()
    for line, given in zip(text.splitlines(), SITE.read_text().splitlines(), strict=True):
        if line != given:
            words = ("http_port", "https_port", "admin ", "reverse_proxy ", "tls ", "root ")
            assert line.strip().startswith(words)


def test_it_is_written_as_caddy_writes_it() -> None:
    from broadcaster.testing.peers import PEERS

    caddy = str(PEERS["caddy"].path("caddy"))
    done = subprocess.run([caddy, "fmt", str(SITE)], capture_output=True, text=True, check=False)
    assert done.stdout == SITE.read_text()
