"""The residents' front door behind the committed deploy/nginx.conf: its policy, its limits, and who asks."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcaster.domain.choices import Choices
from broadcaster.inbound.following import askers, door as door_module
from broadcaster.service import residents
from broadcaster.testing.nginx import NginxServer
from broadcaster.testing.operators import CONFIGURATION, Daemonless

pytestmark = pytest.mark.real("nginx")
SITE = Path(__file__).parents[2] / "deploy" / "nginx.conf"
NAME = "in.ekbyn.example"
MAIL = "  mail: {kind: email, sender: varning@ekbyn.example, suppliers: [{host: 127.0.0.1, port: 1, tls: none}]}\n  sms:\n"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemonless]:
    written = CONFIGURATION.replace("  sms:\n", MAIL).replace(
        'url: "http://127.0.0.1:8090"}', f'url: "https://{NAME}"}}'
    )
    folder = tmp_path_factory.mktemp("desk")
    with Daemonless(folder, f"{written}residents: {{channels: [mail]}}\n") as running:
        yield running


@pytest.fixture(scope="module")
def nginx(desk: Daemonless) -> Iterator[NginxServer]:
    behind = {8080: 9, 8090: desk.inbound.port, 8070: desk.api.port}
    with NginxServer(SITE, behind) as running:
        yield running


def ask(
    nginx: NginxServer, path: str, method: str = "GET", body: bytes = b"", **headers: str
) -> http.client.HTTPResponse:
    context = ssl.create_default_context(cafile=str(nginx.folder / "authority.pem"))
    context.check_hostname = False  # the names are the deployment's, the certificate the test's
    connection = http.client.HTTPSConnection(
        "127.0.0.1", nginx.ports[443], timeout=15, context=context
    )
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Host": NAME} | FORM | named)
        answer = connection.getresponse()
        answer.read()
    return answer


@pytest.mark.parametrize(
    ("path", "status"), [("/follow/", 200), ("/follow", 200), ("/follow/mine/x", 404)]
)
def test_a_page_has_its_own_policy_once_and_is_kept_nowhere(
    nginx: NginxServer, path: str, status: int
) -> None:
    answer = ask(nginx, path)
    assert answer.status == status
    for name in ("Content-Security-Policy", "Cache-Control", "Referrer-Policy"):
        assert len(answer.headers.get_all(name) or ()) == 1, name
    assert "style-src 'sha256-" in str(answer.headers["Content-Security-Policy"])
    assert "form-action 'self'" in str(answer.headers["Content-Security-Policy"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Strict-Transport-Security"]
    assert not answer.headers["Set-Cookie"]


def test_one_click_works_through_it_and_a_browser_is_at_home(
    nginx: NginxServer, desk: Daemonless
) -> None:
    choices = Choices(areas=("norra-ekbyn",), language="sv")
    mark = residents.subscribe(desk.desk, "mail", "asa@example.org", choices, "browser", "ja")
    own = {"Origin": f"https://{NAME}"}
    changed = ask(nginx, f"/follow/mine/{mark}", "POST", b"area=sodra-ekbyn", **own)
    assert changed.status == 200
    other = {"Origin": "https://evil.example"}
    assert ask(nginx, f"/follow/mine/{mark}", "POST", b"area=norra-ekbyn", **other).status == 403
    left = ask(nginx, f"/follow/mine/{mark}/leave", "POST", b"List-Unsubscribe=One-Click", **other)
    assert left.status == 200
    held = residents.mine(desk.desk, mark)
    assert held is not None
    assert held.choices.areas == ()


def test_what_is_too_long_ends_at_nginx(nginx: NginxServer) -> None:
    assert ask(nginx, "/follow/", "POST", b"a=" + b"x" * 9000).status == 413


def test_who_asks_is_told_by_nginx_and_by_nobody_else(
    nginx: NginxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    network_of = askers.network_of

    def noted(request: Any, proxies: Any) -> str:
        seen.append(request.headers["x-forwarded-for"])
        return network_of(request, proxies)

    monkeypatch.setattr(door_module, "network_of", noted)
    ask(nginx, "/follow/", "POST", b"area=norra-ekbyn", X_Forwarded_For="198.51.100.7")
    assert seen == ["127.0.0.1"]
