"""A flood at the residents' door holds up nobody else: not operators, not gateways, not those who want to leave."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from broadcaster.channel import InboundReply, InboundRequest
from broadcaster.domain.choices import Choices
from broadcaster.inbound.following import door as door_module
from broadcaster.service import fuses, residents, signing_up
from broadcaster.store import inbox, spending
from broadcaster.testing.operators import CONFIGURATION, Daemonless, Reply

MAIL = "  mail: {kind: email, sender: varning@ekbyn.example, suppliers: [{host: 127.0.0.1, port: 1, tls: none}]}\n  sms:\n"
FUSES = "fuses: {confirmations_per_hour: 5, network_per_hour: 3, block_per_hour: 3, in_a_row_per_day: 2, spend_per_hour: 4}"
WRITTEN = CONFIGURATION.replace("  sms:\n", MAIL)
MARK = "/follow/mine/{}/leave"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Daemonless]:
    with Daemonless(
        tmp_path, f"{WRITTEN}residents: {{channels: [mail, sms], {FUSES}}}\n"
    ) as running:
        yield running


def call(desk: Daemonless, method: str, path: str, body: bytes | None = None) -> Reply:
    kind = "application/x-www-form-urlencoded"
    return desk.ask(method, path, body, token="", port=desk.inbound.port, Content_Type=kind)


def believing(desk: Daemonless, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gateway's reports in, whatever they are."""

    def verify(_: InboundRequest) -> InboundReply:
        return InboundReply()

    monkeypatch.setattr(desk.desk.configuration.adapters["sms"], "verify", verify)


def test_forms_that_all_hang_hold_up_nobody_else(
    door: Daemonless, monkeypatch: pytest.MonkeyPatch
) -> None:
    believing(door, monkeypatch)
    choices = Choices(areas=("norra-ekbyn",), language="sv")
    mark = residents.subscribe(door.desk, "mail", "asa@example.org", choices, "browser", "ja")
    inside, over = Event(), Event()

    def hang(*_: object) -> None:
        inside.set()
        over.wait(60)

    monkeypatch.setattr(residents, "mine", hang)
    monkeypatch.setattr(residents, "waiting", hang)
    with ThreadPoolExecutor(8) as crowd:
        asked = [crowd.submit(call, door, "GET", "/follow/confirm/x") for _ in range(8)]
        assert inside.wait(20)
        try:
            assert door.ask("GET", "/api/v1/incidents").status == 200
            assert call(door, "POST", "/in/sms", b"status=8").status == 200
            kept = door.store.read(lambda c: inbox.waiting(c, door.clock()))
            assert len(kept) == 1
            monkeypatch.undo()
            believing(door, monkeypatch)
            left = call(door, "POST", MARK.format(mark), b"List-Unsubscribe=One-Click")
            assert left.status == 200
        finally:
            over.set()
        assert {each.result().status for each in asked} <= {404, 500, 503}
    held = residents.mine(door.desk, mark)
    assert held is not None
    assert held.choices.areas == ()


def test_forms_that_trickle_in_leave_room_for_gateways(
    door: Daemonless, monkeypatch: pytest.MonkeyPatch
) -> None:
    believing(door, monkeypatch)
    monkeypatch.setattr(door_module, "MOST_OPEN", 5)
    head = b"POST /follow/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\na"
    slow = [socket.create_connection(("127.0.0.1", door.inbound.port)) for _ in range(5)]
    try:
        for each in slow:
            each.sendall(head)
        for _ in range(200):  # until the five have been read
            if (answer := call(door, "GET", "/follow/")).status != 200:
                break
        assert answer.status == 503
        assert answer.headers["retry-after"]
        assert b"<h1>" in answer.content
        assert call(door, "POST", "/in/sms", b"status=8").status == 200
        unknown = call(door, "POST", MARK.format("1-" + "0" * 32), b"")
        assert unknown.status == 200
    finally:
        for each in slow:
            each.close()


# ---------------------------------------------------------------------------------------------------------------- fuses
def may(desk: Daemonless, address: str, network: str = "", channel: str = "mail") -> bool:
    adapter = desk.desk.configuration.adapters[channel]
    return fuses.may_ask(desk.desk, adapter, address, network)  # type: ignore[arg-type]  # a letter channel


def blown(desk: Daemonless) -> list[str]:
    return [name for name, _ in desk.store.read(lambda c: spending.blown(c, desk.clock()))]


def test_so_many_letters_to_confirm_an_hour_and_no_more(door: Daemonless) -> None:
    assert [may(door, f"{n}@example.org") for n in range(7)] == [True] * 5 + [False] * 2
    assert blown(door) == ["confirmations"]
    door.clock.pass_by(hours=1)
    assert may(door, "8@example.org")
    assert blown(door) == []


def test_one_network_does_not_use_up_what_is_everybodys(door: Daemonless) -> None:
    asked = [may(door, f"{n}@example.org", "192.0.2.0/24") for n in range(5)]
    assert asked == [True] * 3 + [False] * 2
    assert may(door, "other@example.org", "198.51.100.0/24")
    assert "192.0.2" not in str(door.store.read(lambda c: c.exec_driver_sql("SELECT * FROM spent").all()))  # fmt: skip


def test_numbers_in_a_row_and_of_other_countries_get_nothing(door: Daemonless) -> None:
    row = [may(door, f"+4670174060{n}", channel="sms") for n in range(4)]
    assert row == [True, True, False, False]
    assert blown(door) == ["numbers"]
    assert not may(door, "+4791234567", channel="sms")  # Norway is not listed
    assert may(door, "+46701746055", channel="sms")


def test_numbers_of_one_block_get_only_so_many(door: Daemonless) -> None:
    block = [may(door, f"+467017406{n}5", channel="sms") for n in range(1, 6)]
    assert block == [True] * 3 + [False] * 2


def test_money_is_the_last_fuse(door: Daemonless, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door.desk.configuration.adapters["sms"], "price", lambda: (2.0, "SEK"))
    spent = [may(door, f"+4670174{n}605", channel="sms") for n in range(1, 5)]
    assert spent == [True, True, False, False]
    assert blown(door) == ["spend_per_hour"]


def test_who_chooses_anew_for_hours_on_end_fills_no_disk(door: Daemonless) -> None:
    choices = Choices(areas=("norra-ekbyn",), language="sv")
    mark = residents.subscribe(door.desk, "mail", "asa@example.org", choices, "browser", "ja")
    path = f"/follow/mine/{mark}"
    forms = [f"area=norra-ekbyn&language={tag}".encode() for tag in ("en", "sv")]
    said = [call(door, "POST", path, forms[n % 2]).status for n in range(fuses.CHANGES_AN_HOUR + 2)]
    assert set(said[:-2]) == {200}
    assert said[-2:] == [503, 503]
    assert call(door, "POST", f"{path}/leave", b"").status == 200
    left = residents.mine(door.desk, mark)
    assert left is not None
    assert left.choices.areas == ()
    door.clock.pass_by(hours=1)
    assert call(door, "POST", path, forms[0]).status == 200


def test_behind_a_blown_fuse_the_answer_is_the_same_and_nothing_is_sent(door: Daemonless) -> None:
    choices = Choices(areas=("norra-ekbyn",), language="sv")
    for n in range(9):
        signing_up.ask(door.desk, "mail", f"{n}@example.org", choices, "")
    count = "SELECT count(*) FROM personal_letter"
    assert door.store.read(lambda c: c.exec_driver_sql(count).scalar()) == 5
