"""The residents' front door: plain pages and forms, in which nothing is lost, told or sent that should not be."""

from __future__ import annotations

import contextlib
import http.client
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
import structlog

from broadcaster.domain.incident import Severity
from broadcaster.store import personal, tables as t
from broadcaster.testing.operators import CONFIGURATION, Daemonless, Reply

RESIDENTS = "residents: {channels: [mail, sms], number: 71 120}\n"
WITH_MAIL = CONFIGURATION.replace(
    "  sms:\n",
    "  mail: {kind: email, sender: varning@ekbyn.example, suppliers: [{host: 127.0.0.1, port: 1, tls: none}]}\n  sms:\n",
).replace("channels: [page, hook, sms]", "channels: [page, hook, mail, sms]")
ADDRESS = "asa.berg@example.org"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Daemonless]:
    with Daemonless(tmp_path, WITH_MAIL + RESIDENTS) as running:
        yield running


def call(desk: Daemonless, path: str, form: Any = None, **headers: str) -> Reply:
    """GET, or POST of a form (pairs, or bytes as they are)."""
    body = form if isinstance(form, bytes) or form is None else urlencode(form, doseq=True).encode()
    headers.setdefault("Content_Type", "application/x-www-form-urlencoded")
    method = headers.pop("method", "GET" if form is None else "POST")
    return desk.ask(method, path, body, token="", port=desk.inbound.port, **headers)


def field(answer: Reply, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.content.decode())
    assert found is not None
    return found[1]


def filled(desk: Daemonless, **more: object) -> dict[str, object]:
    """The form as somebody fills it in who has read it."""
    sealed = field(call(desk, "/follow/"), "seal")
    desk.clock.pass_by(seconds=3)
    form = {"address": ADDRESS, "area": ["norra-ekbyn"], "language": "sv", "seal": sealed}
    return form | more


def letters(desk: Daemonless, channel: str = "mail") -> list[tuple[str, str, str]]:
    """What has come to be sent: what it is, to whom, and its body."""
    vault = desk.store.vault
    claimed = desk.store.write(
        lambda c: personal.claim(c, channel, desk.clock(), timedelta(seconds=1), 1000)
    ).result()
    return [(one.what, *one.opened(vault)[::2]) for one in claimed]


def subscribed(desk: Daemonless, **more: object) -> str:
    """Somebody who has asked and said yes; returns his page's path."""
    assert call(desk, "/follow/", filled(desk, **more)).status == 200
    [(_, _, body)] = letters(desk)
    path = re.search(r"/follow/confirm/[a-z0-9]+", body)
    assert path is not None
    answer = call(desk, path[0], b"")
    found = re.search(r'href="[^"]*(/follow/mine/[^"]+)"', answer.content.decode())
    assert answer.status == 200
    assert found is not None
    return found[1]


def rows(desk: Daemonless, table: sa.Table) -> int:
    found: Any = desk.store.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(table)))
    return int(found)


# --------------------------------------------------------------------------------------------------------- subscribing
def test_asking_saying_yes_changing_and_leaving(door: Daemonless) -> None:
    page = subscribed(door)
    assert rows(door, t.subscription) == 1
    shown = call(door, page).content.decode()
    assert "a…@example.org" in shown
    assert ADDRESS not in shown
    changed = call(
        door, page, {"area": ["norra-ekbyn", "sodra-ekbyn"], "language": "sv", "from": "22:00", "to": "06:30"}
    )  # fmt: skip
    assert "Dina val är sparade." in changed.content.decode()
    assert 'name="from" value="22:00"' in changed.content.decode()
    assert rows(door, t.subscription) == 2
    assert call(door, f"{page}/leave", b"").status == 200
    assert "Inget skickas till" in call(door, page).content.decode()


def test_looking_at_a_link_confirms_nothing(door: Daemonless) -> None:
    call(door, "/follow/", filled(door))
    [(_, address, body)] = letters(door)
    assert address == ADDRESS
    path = re.search(r"/follow/confirm/[a-z0-9]+", body)
    assert path is not None
    for method in ("GET", "HEAD", "GET"):
        assert call(door, path[0], method=method).status == 200
    assert rows(door, t.subscriber) == 0
    assert call(door, path[0], b"").status == 200
    assert rows(door, t.subscriber) == 1
    assert call(door, path[0], b"").status == 404  # once


def test_known_and_unknown_read_the_same(door: Daemonless) -> None:
    first = call(door, "/follow/", filled(door))
    again = call(door, "/follow/", filled(door))  # no second letter today
    other = call(door, "/follow/", filled(door, address="nils@example.org"))
    assert first.content == again.content == other.content
    assert first.headers.keys() == other.headers.keys()
    assert {address for _, address, _ in letters(door)} == {ADDRESS, "nils@example.org"}
    link = {"seal": field(call(door, "/follow/link/"), "seal")}
    door.clock.pass_by(seconds=3)
    known = call(door, "/follow/link/", link | {"address": ADDRESS})
    unknown = call(door, "/follow/link/", link | {"address": "lisa@example.org"})
    assert known.content == unknown.content


def test_a_program_that_sends_the_form_unread_sends_nobody_a_letter(door: Daemonless) -> None:
    form = filled(door)
    for sealed in ("", "x", "1.2", f"{int(door.clock().timestamp()) - 5}.{'0' * 32}"):
        answer = call(door, "/follow/", form | {"seal": sealed})
        assert answer.status == 422
        assert "Tryck på knappen en gång till" in answer.content.decode()
        assert ADDRESS in answer.content.decode()  # whoever was only too quick has lost nothing
    quick = form | {"seal": field(call(door, "/follow/"), "seal")}
    assert call(door, "/follow/", quick).status == 422
    door.clock.pass_by(hours=2, seconds=1)
    assert call(door, "/follow/", form).status == 422
    assert letters(door) == []


def test_who_was_too_quick_presses_again(door: Daemonless) -> None:
    quick = filled(door) | {"seal": field(call(door, "/follow/"), "seal")}
    again = field(call(door, "/follow/", quick), "seal")
    door.clock.pass_by(seconds=2)
    assert call(door, "/follow/", quick | {"seal": again}).status == 200


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"area": []}, "Välj minst en plats."),
        ({"address": ""}, "Skriv din adress."),
        ({"address": "asa"}, "Adressen"),
        ({"from": "22:00"}, "Tysta timmar"),
        ({"from": "22:00", "to": "22:00"}, "Tysta timmar"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_lost(
    door: Daemonless, more: dict[str, object], said: str
) -> None:
    answer = call(door, "/follow/", filled(door, **more))
    assert answer.status == 422
    assert said in answer.content.decode()
    assert 'role="alert"' in answer.content.decode()
    assert letters(door) == []


@pytest.mark.parametrize(
    "body",
    [
        b"address=a%00b&area=norra-ekbyn",
        b"address=a%ff&area=norra-ekbyn",
        b"address=" + b"a" * 255 + b"&area=norra-ekbyn",
        b"area=nowhere",
        b"area=norra-ekbyn&least=all",
        b"area=norra-ekbyn&language=xx",
        b"area=norra-ekbyn&from=25:00&to=03:00",
        b"area=norra-ekbyn&channel=sms",
        b"area=norra-ekbyn&address=a&address=b",
        b"&".join(b"f%d=x" % n for n in range(61)),
        b"address=" + b"a" * 8192,
        b"\xff\xfe",
        b"no form",
    ],
)
def test_what_no_form_of_ours_sends_is_not_read(door: Daemonless, body: bytes) -> None:
    assert call(door, "/follow/", body).status == 400
    assert rows(door, t.opt_in) == 0


# -------------------------------------------------------------------------------------------------------------- leaving
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (
            b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (b"", "text/plain"),
    ],
)
def test_one_click_from_anywhere_ends_it(door: Daemonless, body: bytes, kind: str) -> None:
    page = subscribed(door)
    foreign = {"Origin": "https://mail.example", "Sec_Fetch_Site": "cross-site"}
    answer = call(door, f"{page}/leave", body, Content_Type=kind, **foreign)
    assert answer.status == 200
    assert "set-cookie" not in answer.headers
    assert rows(door, t.subscription) == 0
    assert call(door, f"{page}/leave", body, Content_Type=kind).status == 200  # twice holds once


def test_leaving_answers_alike_for_whom_nobody_knows(door: Daemonless) -> None:
    page = subscribed(door)
    unknown = call(door, "/follow/mine/1-" + "0" * 32 + "/leave", b"List-Unsubscribe=One-Click")
    known = call(door, f"{page}/leave", b"List-Unsubscribe=One-Click")
    assert (unknown.status, unknown.content) == (known.status, known.content)


def test_looking_at_the_way_out_changes_nothing(door: Daemonless) -> None:
    page = subscribed(door)
    assert call(door, f"{page}/leave").status == 200
    assert rows(door, t.subscription) == 1


def test_one_area_is_left_and_the_other_stays(door: Daemonless) -> None:
    page = subscribed(door, area=["norra-ekbyn", "sodra-ekbyn"])
    assert call(door, f"{page}/leave", {"area": "norra-ekbyn"}).status == 200
    assert rows(door, t.subscription) == 1


def test_who_wants_every_one_of_many_areas_gets_them(tmp_path: Path) -> None:
    keys = [f"kommun-{number}" for number in range(290)]
    more = "".join(f"  {key}: {{name: {key.title()}}}\n" for key in keys)
    written = WITH_MAIL.replace("areas:\n", f"areas:\n{more}", 1)
    with Daemonless(tmp_path, written + RESIDENTS) as door:
        subscribed(door, area=keys)
        assert rows(door, t.subscription) == 290


def test_the_form_offers_no_severity_above_what_everybody_is_told(door: Daemonless) -> None:
    offered = re.findall(r'<option value="(\w+)"', call(door, "/follow/").content.decode())
    assert [each for each in offered if each in set(Severity)] == ["minor", "moderate", "severe"]
    page = subscribed(door, least="extreme")  # by a page that was open before an upgrade
    assert '<option value="severe" selected' in call(door, page).content.decode()
    change = sa.update(t.subscriber).values(least=Severity.EXTREME.rank)  # as an import may say
    door.store.write(lambda c: c.execute(change).close()).result()
    assert '<option value="severe" selected' in call(door, page).content.decode()


def test_what_is_held_is_given_out_and_then_erased(door: Daemonless) -> None:
    page = subscribed(door)
    held = call(door, f"{page}/export")
    assert held.headers["content-type"] == "application/json"
    assert held.headers["content-disposition"].startswith("attachment")
    assert held.json["address"] == ADDRESS
    assert call(door, f"{page}/erase", {}).status == 422  # without the tick
    assert rows(door, t.subscriber) == 1
    assert call(door, f"{page}/erase", {"sure": "yes"}).status == 200
    assert rows(door, t.subscriber) == 0
    assert call(door, page).status == 404


# ------------------------------------------------------------------------------------------------------ what surrounds it
def test_another_website_can_do_nothing_for_its_readers(door: Daemonless) -> None:
    page = subscribed(door)
    form = filled(door, address="nils@example.org")
    for headers in (
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://evil.example"},
    ):
        assert call(door, "/follow/", form, **headers).status == 403
        assert call(door, f"{page}/erase", {"sure": "yes"}, **headers).status == 403
        assert call(door, page, {"area": "sodra-ekbyn"}, **headers).status == 403
    own = f"http://127.0.0.1:{door.inbound.port}"
    for headers in ({"Sec_Fetch_Site": "same-origin", "Origin": "null"}, {"Origin": own}, {"Origin": "null"}):  # fmt: skip
        assert call(door, page, {"area": "sodra-ekbyn"}, **headers).status == 200


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/follow/", "GET", 200),
        ("/follow", "GET", 200),
        ("/follow/en/", "GET", 200),
        ("/follow/link/", "GET", 200),
        ("/follow/nothing", "GET", 404),
        ("/follow/confirm/nope", "GET", 404),
        ("/follow/confirm/nope", "POST", 404),
        ("/follow/mine/nope", "GET", 404),
        ("/follow/mine/nope/export", "GET", 404),
        ("/follow/mine/nope/export", "POST", 404),
        ("/follow/mine/nope/erase", "GET", 404),
        ("/follow/mine/%00/", "GET", 404),
        ("/follow/", "PUT", 405),
        ("/follow/", "OPTIONS", 405),
        ("/follow/", "POST", 422),
    ],
)
def test_every_answer_is_a_calm_page_under_a_strict_policy(
    door: Daemonless, path: str, method: str, status: int
) -> None:
    answer = call(door, path, b"x=y" if method == "POST" else None, method=method)
    assert answer.status == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    said = answer.headers["content-security-policy"]
    assert said.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in said
    assert "frame-ancestors 'none'" in said
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert not {"set-cookie", "server"} & answer.headers.keys()
    text = answer.content.decode()
    assert "DEMO" in text
    assert "<script" not in text
    assert f'lang="{"en" if "/en/" in path else "sv"}"' in text


def test_one_policy_holds_and_not_two(door: Daemonless) -> None:
    """Two would both hold: ours for pages and the listener's own, which lets no style in."""
    connection = http.client.HTTPConnection("127.0.0.1", door.inbound.port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", "/follow/")
        answer = connection.getresponse()
        answer.read()
    assert len(answer.headers.get_all("Content-Security-Policy") or ()) == 1


def test_a_page_is_in_the_language_that_was_chosen(door: Daemonless) -> None:
    page = subscribed(door, language="en")
    assert '<html lang="en"' in call(door, page).content.decode()
    unknown = call(door, "/follow/mine/x", Accept_Language="fr, en-GB;q=0.8")
    assert '<html lang="en"' in unknown.content.decode()


def test_without_residents_there_is_no_front_door(idle_desk: Daemonless) -> None:
    for path in ("/follow/", "/follow", "/follow/mine/x/leave"):
        assert idle_desk.ask("GET", path, token="", port=idle_desk.inbound.port).status == 404


def test_what_people_write_is_shown_as_text(door: Daemonless) -> None:
    answer = call(door, "/follow/", filled(door, address='"><script>alert(1)</script>'))
    assert b"<script" not in answer.content


def test_nothing_of_who_came_is_in_the_log(door: Daemonless) -> None:
    with structlog.testing.capture_logs() as told:
        page = subscribed(door)
        call(door, f"{page}/leave", b"List-Unsubscribe=One-Click")
        call(door, "/follow/", filled(door))
    for canary in (ADDRESS, page.rpartition("/")[2], "example.org"):
        assert canary not in str(told)
