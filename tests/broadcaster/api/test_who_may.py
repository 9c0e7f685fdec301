"""Every route, every role, a foreign area: who may do what is one table, and no route is missing from it (T01)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import Route

from broadcaster.api.guard import OPEN
from broadcaster.domain.role import Role
from broadcaster.store import Rank, tokens
from broadcaster.testing.operators import Daemonless

V, A, S = Role.VIEWER, Role.AUTHOR, Role.ADMIN
REPORT = {"text": "Strömmen är borta.", "area": ["norra-ekbyn"]}
ADDRESS = {"channel": "sms", "address": "070-174 06 35"}
IMPORT = "/subscribers/import?channel=sms&source=list&legal_basis=law"
# (method, route) → the role it takes, whether a token for another area only may use it, and a request.
POLICY: dict[tuple[str, str], tuple[Role, bool, str, Any]] = {
    ("GET", "/organisation"): (V, True, "", None),
    ("POST", "/incidents"): (A, False, "", REPORT),
    ("GET", "/incidents"): (V, True, "", None),
    ("GET", "/incidents/{incident}"): (V, True, "/incidents/A1", None),
    ("GET", "/incidents/{incident}/deliveries"): (V, True, "/incidents/A1/deliveries", None),
    ("GET", "/incidents/{incident}/export"): (V, True, "/incidents/A1/export?as=radio", None),
    ("POST", "/incidents/{incident}/updates"): (A, False, "/incidents/A1/updates", {"text": "Nu."}),
    ("POST", "/preview"): (V, False, "", REPORT),
    ("POST", "/deliveries/{delivery}/resend"): (A, False, "/deliveries/2/resend", None),
    ("GET", "/scheduled"): (V, True, "", None),
    ("POST", "/scheduled"): (A, False, "", REPORT | {"at": "2026-11-22T12:30:00Z"}),
    ("PATCH", "/scheduled/{name}"): (A, False, "/scheduled/A1-2", {"at": "2026-11-22T12:40:00Z"}),
    ("DELETE", "/scheduled/{name}"): (A, False, "/scheduled/A1-2", None),
    ("GET", "/channels"): (V, True, "", None),
    ("POST", "/channels/{name}/probe"): (A, True, "/channels/hook/probe", None),
    ("POST", "/channels/{name}/pause"): (A, False, "/channels/hook/pause", None),
    ("POST", "/channels/{name}/resume"): (A, False, "/channels/hook/resume", None),
    ("POST", "/channels/{name}/drop"): (S, False, "/channels/hook/drop", None),
    ("POST", "/channels/{name}/reroute"): (S, False, "/channels/hook/reroute", {"to": "spare"}),
    ("GET", "/tokens"): (S, True, "", None),
    ("POST", "/tokens"): (S, False, "", {"name": "Kim", "role": "viewer", "area": ["norra-ekbyn"]}),
    ("DELETE", "/tokens/{token}"): (S, False, "/tokens/1", None),
    ("GET", "/audit"): (V, True, "", None),
    ("POST", "/audit/verify"): (V, True, "", None),
    ("POST", "/backups"): (S, False, "", {"path": "night.backup"}),
    ("GET", "/doctor"): (V, True, "", None),
    ("GET", "/coverage"): (V, True, "", None),
    ("POST", "/subscribers/import"): (S, True, IMPORT, b"address,area,language\n"),
    ("GET", "/subscribers/export"): (S, True, "", None),
    ("GET", "/subscribers"): (V, True, "", None),
    ("GET", "/subscribers/count"): (V, True, "", None),
    ("POST", "/subscribers/remove"): (S, False, "", ADDRESS | {"area": "norra-ekbyn"}),
    ("POST", "/subscribers/erase"): (S, False, "", ADDRESS),
}


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemonless]:
    """One incident in Norra Ekbyn with an update that waits for its time."""
    with Daemonless(tmp_path_factory.mktemp("roles")) as running:
        assert running.ask("POST", "/api/v1/incidents", REPORT).status == 201
        later = {"text": "Snart klart.", "at": "2026-11-22T12:20:00Z"}
        assert running.ask("POST", "/api/v1/incidents/A1/updates", later).status == 201
        yield running


def routes(of: Any) -> Iterator[tuple[str, str]]:
    """(method, path) of every route of an application or router, also of those it includes; paths without prefix."""
    for route in of.routes:
        if isinstance(route, Route | APIRoute):
            yield from (
                (method, route.path) for method in (route.methods or ()) if method != "HEAD"
            )
        else:
            yield from routes(route.original_router)


def request(desk: Daemonless, place: tuple[str, str], token: str) -> Any:
    _, _, path, body = POLICY[place]
    return desk.ask(place[0], "/api/v1" + (path or place[1]), body, token=token)


def test_every_route_has_its_policy(idle_desk: Daemonless) -> None:
    there = {(method, path) for method, path in routes(idle_desk.app) if path not in OPEN}
    assert there == set(POLICY)


def test_every_route_says_which_role_it_takes(idle_desk: Daemonless) -> None:
    said = {
        (method.upper(), path.removeprefix("/api/v1")): described["x-role"]
        for path, methods in idle_desk.app.openapi()["paths"].items()
        for method, described in methods.items()
    }
    assert said == {place: policy[0].value for place, policy in POLICY.items()}


@pytest.mark.parametrize("place", [one for one in POLICY if POLICY[one][0] is not V], ids=" ".join)
def test_a_role_is_looked_at_before_anything_of_the_body_is_read(
    standing: Daemonless, monkeypatch: pytest.MonkeyPatch, place: tuple[str, str]
) -> None:
    read: list[str] = []
    stream = Request.stream

    def noted(one: Request) -> Any:
        read.append(one.url.path)
        return stream(one)

    monkeypatch.setattr(Request, "stream", noted)
    standing.ask("POST", "/api/v1/preview", REPORT)
    assert read.pop() == "/api/v1/preview"  # so that a body that is read is seen
    path = "/api/v1" + (POLICY[place][2] or place[1])
    answer = standing.ask(place[0], path, b"{" * 1_000_000, token=standing.token(V))
    assert (answer.status, read) == (403, [])


@pytest.mark.parametrize("place", POLICY, ids=" ".join)
def test_without_a_good_token_nothing_is_answered(
    standing: Daemonless, place: tuple[str, str]
) -> None:
    for token in ("", "bc_" + "x" * 43):
        answer = request(standing, place, token)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"


TOO_LITTLE = [
    (place, role)
    for place, (needed, *_) in POLICY.items()
    for role in Role
    if not role.covers(needed)
]


@pytest.mark.parametrize(
    ("place", "role"), TOO_LITTLE, ids=[f"{role} {' '.join(place)}" for place, role in TOO_LITTLE]
)
def test_a_role_that_does_not_cover_it_is_refused(
    standing: Daemonless, place: tuple[str, str], role: Role
) -> None:
    answer = request(standing, place, standing.token(role))
    assert answer.status == 403
    assert str(POLICY[place][0]) in answer.detail


@pytest.mark.parametrize("place", POLICY, ids=" ".join)
def test_a_token_for_another_area_is_refused_what_concerns_this_one(
    standing: Daemonless, place: tuple[str, str]
) -> None:
    needed, elsewhere_too, _, _ = POLICY[place]
    answer = request(standing, place, standing.token(needed, ("sodra-ekbyn",)))
    assert (answer.status != 403) is elsewhere_too, answer.content


@pytest.mark.parametrize("path", sorted(OPEN))
def test_machines_that_watch_need_no_token(standing: Daemonless, path: str) -> None:
    assert standing.ask("GET", path, token="").status == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/api/v1/", "/api/v1/nix", "/in/sms"])
def test_there_is_nothing_else_and_without_a_token_not_even_that_is_said(
    standing: Daemonless, path: str
) -> None:
    assert standing.ask("GET", path, token="").status == 401
    assert standing.ask("GET", path).status == 404


@pytest.mark.parametrize(
    "header", ["Basic YTpi", "Bearer", "Bearer ", "bearer x y", "Bearer \xe5", "x" * 5_000]
)
def test_a_header_that_is_no_bearer_is_refused(standing: Daemonless, header: str) -> None:
    answer = standing.ask("GET", "/api/v1/organisation", token="", Authorization=header)
    assert answer.status == 401


def test_a_revoked_token_opens_nothing_more_within_five_seconds(desk: Daemonless) -> None:
    secret = desk.token(V)
    assert desk.ask("GET", "/api/v1/organisation", token=secret).status == 200
    begun = time.monotonic()
    assert desk.ask("DELETE", f"/api/v1/tokens/{secret[:11]}").status == 200
    while desk.ask("GET", "/api/v1/organisation", token=secret).status == 200:
        assert time.monotonic() - begun < 5
        time.sleep(0.05)  # a token is looked up again after a time of its own
    refused = desk.ask("GET", "/api/v1/organisation", token=secret, accept_language="en")
    assert "revoked" in refused.detail


def test_an_expired_token_opens_nothing_more(desk: Daemonless) -> None:
    now = desk.clock()
    secret, _ = desk.store.write(
        lambda c: tokens.issue(c, now, "Kim", V, (), now + timedelta(hours=1), "test"), Rank.ACCEPT
    ).result()
    desk.clock.pass_by(hours=1)
    answer = desk.ask("GET", "/api/v1/organisation", token=secret, accept_language="en")
    assert answer.status == 401
    assert "expired" in answer.detail


def test_a_token_is_shown_once_and_kept_as_a_digest(desk: Daemonless) -> None:
    body = {"name": "Kim", "role": "author", "area": ["0139"], "expires": "2026-12-31T00:00:00Z"}
    made = desk.ask("POST", "/api/v1/tokens", body)
    assert made.status == 201
    assert made.json["areas"] == ["norra-ekbyn"]
    listed = desk.ask("GET", "/api/v1/tokens")
    assert made.json["secret"] not in listed.content.decode()
    assert {one["name"] for one in listed.json["items"]} == {"Eva", "Kim"}
    assert desk.ask("GET", "/api/v1/organisation", token=made.json["secret"]).status == 200


def test_an_administrator_of_one_area_makes_none_for_all(desk: Daemonless) -> None:
    narrow = desk.token(S, ("sodra-ekbyn",))
    for areas in ([], ["norra-ekbyn"], ["norra-ekbyn", "sodra-ekbyn"]):
        body = {"name": "Kim", "role": "admin", "area": areas}
        assert desk.ask("POST", "/api/v1/tokens", body, token=narrow).status == 403
    body = {"name": "Kim", "role": "admin", "area": ["sodra-ekbyn"]}
    assert desk.ask("POST", "/api/v1/tokens", body, token=narrow).status == 201


def test_the_last_administrator_stays(desk: Daemonless) -> None:
    answer = desk.ask("DELETE", f"/api/v1/tokens/{desk.admin[:11]}")
    assert answer.status == 409
    assert desk.ask("GET", "/api/v1/tokens").status == 200


def test_a_token_that_is_not_there_is_not_found(desk: Daemonless) -> None:
    assert desk.ask("DELETE", "/api/v1/tokens/99999").status == 404
    assert desk.ask("DELETE", "/api/v1/tokens/bc_nothing").status == 404
