"""Subscribers come from files of any size, go when they want to, and are seen by nobody who need not (T29)."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from broadcaster.domain.choices import Choices, Quiet
from broadcaster.domain.incident import Severity
from broadcaster.domain.role import Role
from broadcaster.service import residents
from broadcaster.store import audit, choosing, erasures, gone
from broadcaster.testing.operators import CONFIGURATION, Daemonless, Reply

NAMED = {"channel": "sms", "source": "Kundregister 2026", "legal_basis": "Ellagen"}


def take(desk: Daemonless, content: str | bytes, token: str | None = None, **query: str) -> Reply:
    written = content.encode() if isinstance(content, str) else content
    path = f"/api/v1/subscribers/import?{urlencode(NAMED | query)}"
    return desk.ask("POST", path, written, token=token, content_type="text/csv")


def last(answer: Reply) -> Any:
    assert answer.status == 200, answer.content
    return json.loads(answer.content.splitlines()[-1])


def counted(desk: Daemonless) -> dict[str, int]:
    items = desk.ask("GET", "/api/v1/subscribers/count").json["items"]
    return {one["area"]: one["count"] for one in items}


HEAD = "address,area,language\n"
TWO = HEAD + "070-174 06 35,norra-ekbyn,sv\n+46701740636,norra-ekbyn|sodra-ekbyn,en\n"


def test_numbers_are_taken_as_people_write_them_and_counted_by_area(desk: Daemonless) -> None:
    said = last(take(desk, TWO))
    assert said == {"errors": [], "added": 2, "changed": 0, "refused": 0, "total": 2}
    assert counted(desk) == {"norra-ekbyn": 2, "sodra-ekbyn": 1}


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + TWO,
        TWO.replace("\n", "\r\n"),
        TWO.rstrip("\n"),
        TWO.replace(",", ";"),
        TWO.replace("|", " "),
        TWO.replace("norra-ekbyn,", "0139,"),
        'LANGUAGE,"Area",address\nsv,norra-ekbyn,0701740635\nen,norra-ekbyn sodra-ekbyn,0701740636',
        HEAD + "\n0701740635,norra-ekbyn,\n\n0701740636,norra-ekbyn sodra-ekbyn,en\n\n",
    ],
    ids=["mark", "dos", "no end", "semicolons", "spaces", "codes", "other order", "empty lines"],
)
def test_files_come_in_many_dialects(desk: Daemonless, content: str) -> None:
    assert last(take(desk, content))["added"] == 2
    assert counted(desk) == {"norra-ekbyn": 2, "sodra-ekbyn": 1}


@pytest.mark.parametrize(
    "content",
    ["", "\n", "0701740635,norra-ekbyn,sv\n", "address,area\n", "address,area,language,name\n"],
)
def test_a_file_without_its_columns_is_refused_and_nothing_taken(
    desk: Daemonless, content: str
) -> None:
    answer = take(desk, content)
    assert answer.status == 422
    assert "address,area,language" in answer.detail


def test_every_refused_row_is_named_by_its_line_and_reason_and_never_by_its_address(
    desk: Daemonless,
) -> None:
    rows = [
        "0701740635,norra-ekbyn,sv",
        "in the letter,norra-ekbyn,sv",
        "0701740636,nora-ekbyn,sv",
        "0701740637,norra-ekbyn,fi",
        "0701740638,,sv",
        ",norra-ekbyn,sv",
        "0701740639,norra-ekbyn",
        '"0701740640,norra-ekbyn,sv',
        "08-123 45 67,norra-ekbyn,sv",
        "0" * 20_000 + ",norra-ekbyn,sv",
        "0701740641,norra-ekbyn,sv",
    ]
    content = (HEAD + "\n".join(rows)).encode() + b"\n070\xff,norra-ekbyn,sv\n"
    said = last(take(desk, content, token=desk.token()))
    assert (said["added"], said["refused"], said["total"]) == (2, 10, 12)
    assert [error["line"] for error in said["errors"]] == [3, 4, 5, 6, 7, 8, 9, 10, 11, 13]
    assert all(error["reason"] for error in said["errors"])
    assert "07017" not in json.dumps(said["errors"])


def test_a_thousand_errors_are_told_and_all_are_counted(desk: Daemonless) -> None:
    said = last(take(desk, HEAD + "x,norra-ekbyn,sv\n" * 1_500))
    assert (len(said["errors"]), said["refused"]) == (1_000, 1_500)


def test_the_same_file_again_adds_nothing_and_another_only_what_is_new(desk: Daemonless) -> None:
    take(desk, TWO)
    assert last(take(desk, TWO))["added"] == 0
    assert last(take(desk, TWO))["changed"] == 0
    said = last(take(desk, HEAD + "0701740635,sodra-ekbyn,en\n0701740637,sodra-ekbyn,sv\n"))
    assert (said["added"], said["changed"]) == (1, 1)
    assert counted(desk) == {"norra-ekbyn": 2, "sodra-ekbyn": 3}


def test_an_address_that_comes_twice_is_one_subscriber_of_both_areas(desk: Daemonless) -> None:
    content = HEAD + "0701740635,norra-ekbyn,sv\n+46 70 174 06 35,sodra-ekbyn,sv\n"
    assert last(take(desk, content))["added"] == 1
    assert counted(desk) == {"norra-ekbyn": 1, "sodra-ekbyn": 1}


@pytest.mark.parametrize("missing", ["source", "legal_basis", "channel"])
def test_an_import_says_where_it_comes_from_and_why_it_may(desk: Daemonless, missing: str) -> None:
    assert take(desk, TWO, **{missing: " "}).status == 422
    assert counted(desk) == {}


def test_only_channels_that_send_letters_have_subscribers(desk: Daemonless) -> None:
    for channel in ("page", "hook", "nix"):
        answer = take(desk, TWO, channel=channel)
        assert answer.status == 422
        assert "sms" in answer.detail


def test_a_token_for_one_area_takes_rows_of_that_area_only(desk: Daemonless) -> None:
    said = last(take(desk, TWO, token=desk.token(Role.ADMIN, ("norra-ekbyn",))))
    assert (said["added"], said["refused"]) == (1, 1)
    assert counted(desk) == {"norra-ekbyn": 1}


def test_an_import_is_audited_without_an_address(desk: Daemonless) -> None:
    take(desk, TWO)
    rows = desk.store.read(lambda connection: audit.listing(connection, 0, 100))
    (noted,) = [row for row in rows if row.act == "import subscribers"]
    assert noted.detail == {"added": 2, "changed": 0, "refused": 0}
    assert "0701740635" not in str(rows)
    assert "4670" not in str(rows)


@pytest.fixture
def sending(desk: Daemonless) -> Iterator[socket.socket]:
    """A connection on which an import has begun, its body to come in chunks."""
    with socket.create_connection(("127.0.0.1", desk.api.port), timeout=20) as opened:
        path = f"/api/v1/subscribers/import?{urlencode(NAMED)}"
        named = f"Host: x\r\nAuthorization: Bearer {desk.admin}\r\nTransfer-Encoding: chunked"
        opened.sendall(f"POST {path} HTTP/1.1\r\n{named}\r\n\r\n".encode())
        yield opened


def send(connection: socket.socket, text: str) -> None:
    content = text.encode()
    connection.sendall(b"%x\r\n" % len(content) + content + b"\r\n")


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    read = b""
    while mark not in read:
        piece = connection.recv(65_536)
        assert piece, read
        read += piece
    return read


def test_progress_is_told_while_the_file_is_still_being_sent(
    desk: Daemonless, sending: socket.socket
) -> None:
    send(sending, HEAD)
    read_until(sending, b'{"done": 0')
    send(sending, "".join(f"07017406{n:02},norra-ekbyn,sv\n" for n in range(5, 65)) * 20)
    read_until(sending, b'{"done": 1200')
    send(sending, "0701740699,norra-ekbyn,sv\n")
    sending.sendall(b"0\r\n\r\n")
    said = read_until(sending, b"0\r\n\r\n")
    final = json.loads(next(line for line in said.splitlines() if line.startswith(b"{")))
    assert final["total"] == 1_201
    assert final["added"] == counted(desk)["norra-ekbyn"]


def test_a_file_that_breaks_off_can_be_sent_again(desk: Daemonless, sending: socket.socket) -> None:
    send(sending, TWO)
    read_until(sending, b'{"done": 2')
    sending.close()
    assert last(take(desk, TWO))["total"] == 2
    assert counted(desk) == {"norra-ekbyn": 2, "sodra-ekbyn": 1}


# ----------------------------------------------------------------------------------------------------------- leaving
def act(desk: Daemonless, what: str, address: str, **more: str) -> Reply:
    body = {"channel": "sms", "address": address} | more
    return desk.ask("POST", f"/api/v1/subscribers/{what}", body)


def test_who_says_no_gets_nothing_more_and_no_old_list_brings_him_back(desk: Daemonless) -> None:
    take(desk, TWO)
    assert act(desk, "remove", "0701740636").json == {"channel": "sms", "subscriptions": 2}
    assert counted(desk) == {"norra-ekbyn": 1}
    said = last(take(desk, TWO))
    assert (said["refused"], said["errors"][0]["line"]) == (1, 3)
    assert counted(desk) == {"norra-ekbyn": 1}
    assert last(take(desk, TWO, again="true"))["changed"] == 1
    assert counted(desk) == {"norra-ekbyn": 2, "sodra-ekbyn": 1}


def test_who_says_no_to_one_area_still_gets_the_other(desk: Daemonless) -> None:
    take(desk, TWO)
    assert act(desk, "remove", "0701740636", area="norra-ekbyn").json["subscriptions"] == 1
    assert counted(desk) == {"norra-ekbyn": 1, "sodra-ekbyn": 1}


def test_who_is_erased_is_gone_from_the_file_and_on_the_list(
    desk: Daemonless, tmp_path: Path
) -> None:
    take(desk, TWO)
    digest = desk.store.vault.digest("sms", "+46701740635")
    assert act(desk, "erase", "070-1740635").json["erased"] == 1
    assert counted(desk) == {"norra-ekbyn": 1, "sodra-ekbyn": 1}
    listed = erasures.read(tmp_path / "keep/erasures")
    assert [one.digest for one in listed] == [digest]
    with closing(sqlite3.connect(tmp_path / "broadcaster.db")) as database:
        found = database.execute("SELECT count(*) FROM subscriber").fetchone()[0]
    assert found == 1
    assert last(take(desk, TWO))["refused"] == 1
    assert last(take(desk, TWO, again="true"))["added"] == 1


def test_an_erasure_that_cannot_be_listed_is_not_done(desk: Daemonless, tmp_path: Path) -> None:
    take(desk, TWO)
    (tmp_path / "keep/erasures").mkdir()
    assert act(desk, "erase", "0701740635").status == 503
    assert counted(desk)["norra-ekbyn"] == 2


@pytest.mark.parametrize("address", ["nix", "08-123 45 67", "", "x" * 5_000])
def test_what_is_no_address_is_refused(desk: Daemonless, address: str) -> None:
    assert act(desk, "remove", address).status == 422
    assert act(desk, "erase", address).status == 422


def test_who_is_no_subscriber_is_said_so(desk: Daemonless) -> None:
    assert act(desk, "remove", "0701740635").status == 404


# ------------------------------------------------------------------------------------------------------------ export
def test_an_export_can_be_imported_again(desk: Daemonless) -> None:
    take(desk, TWO)
    written = desk.ask("GET", "/api/v1/subscribers/export")
    assert written.headers["content-type"].startswith("text/csv")
    lines = written.content.decode().splitlines()
    assert lines[0] == "address,area,language,channel,gone,least,quiet,summary,by_himself"
    assert sorted(lines[1:]) == [
        "+46701740635,norra-ekbyn,sv,sms,,,,,",
        "+46701740636,norra-ekbyn|sodra-ekbyn,en,sms,,,,,",
    ]
    assert last(take(desk, written.content))["changed"] == 0


def test_what_somebody_chose_is_counted_exported_and_taken_with_him_elsewhere(
    tmp_path: Path, desk: Daemonless
) -> None:
    configuration = CONFIGURATION + "residents: {channels: [sms]}\n"
    chosen = Choices(
        areas=("norra-ekbyn",),
        language="en",
        least=Severity.SEVERE,
        quiet=Quiet(time(22), time(6, 30)),
        summary=time(18),
    )
    (tmp_path / "own").mkdir()
    with Daemonless(tmp_path / "own", configuration) as own:
        residents.subscribe(own.desk, "sms", "0701740637", chosen, "keyword", "START")
        take(own, TWO)
        assert own.ask("GET", "/api/v1/subscribers").json["by_themselves"] == {"sms": 1}
        written = own.ask("GET", "/api/v1/subscribers/export").content
    row = "+46701740637,norra-ekbyn,en,sms,,severe,22:00-06:30,18:00,yes\r\n"
    assert row in written.decode()
    assert last(take(desk, written))["added"] == 3
    digest = desk.store.vault.digest("sms", "+46701740637")
    found = desk.store.read(lambda c: choosing.by_digest(c, "sms", digest))
    assert found is not None
    assert (found.choices, found.by_himself) == (chosen, False)


@pytest.mark.parametrize(
    "cells",
    [
        "grave,,",
        ",22:00,",
        ",22:00-24:00,",
        ",-,",
        ",,6 pm",
        ",,1:00",
        ",,²²:00",
    ],
)
def test_choices_that_cannot_be_read_refuse_their_row(desk: Daemonless, cells: str) -> None:
    content = f"address,area,language,least,quiet,summary\n0701740637,norra-ekbyn,sv,{cells}\n"
    assert last(take(desk, content))["refused"] == 1


def test_an_export_says_since_when_an_address_is_no_more_and_brings_it_back_only_when_told_so(
    desk: Daemonless,
) -> None:
    take(desk, TWO)
    at = datetime(2026, 11, 23, 13, 5, tzinfo=UTC)
    desk.desk.write(lambda connection: gone.note(connection, [1], at))
    written = desk.ask("GET", "/api/v1/subscribers/export").content
    assert "+46701740635,norra-ekbyn,sv,sms,2026-11-23T14:05:00+01:00,,,,\r\n" in written.decode()
    assert last(take(desk, written))["changed"] == 0
    assert desk.ask("GET", "/api/v1/subscribers").json["gone"] == {"sms": 1}
    assert last(take(desk, written, again="true"))["changed"] == 1
    assert desk.ask("GET", "/api/v1/subscribers").json["gone"] == {}


def test_an_export_has_no_formulas_for_a_spreadsheet(
    desk: Daemonless, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = desk.desk.configuration.adapters["sms"]
    monkeypatch.setattr(adapter, "address", lambda raw: raw)  # as a channel with freer addresses
    hostile = ["=cmd|' /C calc'!A0", "+SUM(1)", "-1+1", "@SUM(1)"]
    content = HEAD + "".join(f'"{one}",norra-ekbyn,sv\n' for one in hostile)
    assert last(take(desk, content))["added"] == len(hostile)
    written = desk.ask("GET", "/api/v1/subscribers/export").content
    cells = [line.split(",")[0].strip('"') for line in written.decode().splitlines()[1:]]
    assert cells == [f"'{one}" for one in hostile]
    assert last(take(desk, written))["added"] == 0


def test_an_export_for_one_area_shows_that_area_only(desk: Daemonless) -> None:
    take(desk, TWO)
    token = desk.token(Role.ADMIN, ("sodra-ekbyn",))
    written = desk.ask("GET", "/api/v1/subscribers/export", token=token).content.decode()
    assert written.splitlines()[1:] == ["+46701740636,sodra-ekbyn,en,sms,,,,,"]


def test_an_export_pages_through_any_number(desk: Daemonless) -> None:
    numbers = [f"07017{n:05}" for n in range(40_600, 43_100)]
    take(desk, HEAD + "".join(f"{one},norra-ekbyn,sv\n" for one in numbers))
    expected = counted(desk)["norra-ekbyn"]
    written = desk.ask("GET", "/api/v1/subscribers/export").content.decode().splitlines()
    assert len(written) - 1 == expected == len(set(written)) - 1 > 2_000


def test_who_is_erased_while_the_file_is_being_sent_is_not_brought_back_by_its_rest(
    desk: Daemonless, sending: socket.socket
) -> None:
    take(desk, HEAD + "0701740699,norra-ekbyn,sv\n")
    send(sending, HEAD)
    read_until(sending, b'{"done": 0')
    assert act(desk, "erase", "0701740699").json["erased"] == 1
    send(sending, "0701740699,norra-ekbyn,sv\n0701740698,norra-ekbyn,sv\n")
    sending.sendall(b"0\r\n\r\n")
    read_until(sending, b"0\r\n\r\n")
    assert counted(desk) == {"norra-ekbyn": 1}
