"""What is refused, counted and looked at is said in the operator's language, and says only what is true."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from broadcaster.store import reviving
from broadcaster.testing.operators import Daemonless

REPORT = {"text": "Strömmen är borta.", "area": ["norra-ekbyn"]}
IMPORT = "/api/v1/subscribers/import?channel=sms&source=x&legal_basis=y"


def refused(desk: Daemonless, path: str, body: Any) -> str:
    answer = desk.ask("POST", path, body)
    assert 400 <= answer.status < 500, answer.content
    return answer.detail


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"severity": "värst"}, "skriv minor, moderate, severe eller extreme"),
        ({"audience": "alla"}, "skriv public eller staff"),
        ({"affected": -3}, "skriv ett heltal från 0"),
        ({"affected": []}, "skriv ett heltal från 0"),
        ({"etr": "2026-11-22T19:00:00"}, "tiden saknar offset"),
        ({"quiet": "ja"}, "skriv true eller false"),
        (
            {"text": "a\x07b"},
            "Tecken 2 i texten (U+0007) är ett styrtecken. Ta bort det. Inget skickades.",
        ),
        ({"cause": "a\u202eb"}, "--cause: Tecken 2 i texten (U+202E) ändrar läsriktningen"),
        ({"text": 5}, "Begäran gick inte att förstå vid text: skriv text, inom citattecken."),
        ({"area": "norra-ekbyn"}, "vid area: skriv en lista, inom hakparenteser. Inget gjordes."),
        ({"area": ["x" * 81]}, "vid area.0: högst 80 tecken tas emot. Inget gjordes."),
        ({"planned": {"start": "2026-11-23T08:00:00Z"}}, "vid planned.end: det saknas."),
        ({"planned": 5}, "vid planned: skriv BÖRJAN/SLUT, såsom"),
    ],
)
def test_what_cannot_be_read_is_refused_in_the_operators_language(
    idle_desk: Daemonless, change: dict[str, Any], said: str
) -> None:
    assert said in refused(idle_desk, "/api/v1/incidents", REPORT | change)


@pytest.mark.parametrize("kind", ["notice", "report", ["update"]])
def test_a_kind_that_nobody_may_say_is_refused_by_naming_those_he_may(
    idle_desk: Daemonless, kind: Any
) -> None:
    said = refused(idle_desk, "/api/v1/incidents/A1/updates", {"text": "x", "kind": kind})
    assert "skriv update, correction, retraction, holding eller restored" in said


@pytest.mark.parametrize(
    "change",
    [{"area": ["nora-ekbyn"]}, {"area": ["x"]}, {"expires": "2020-01-01T00:00:00+01:00"}],
)
def test_a_token_that_is_refused_speaks_of_no_message(
    idle_desk: Daemonless, change: dict[str, Any]
) -> None:
    said = refused(idle_desk, "/api/v1/tokens", {"name": "Eva", "role": "author"} | change)
    assert said.endswith("Ingen åtkomstnyckel skapades.")


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        (
            "POST",
            "/tokens",
            {"name": "a\x07b", "role": "viewer"},
            "name: Tecken 2 i texten (U+0007)",
        ),
        ("POST", "/tokens", {"name": "", "role": "viewer"}, "name: skriv något."),
        ("POST", "/tokens", {"name": "x" * 301, "role": "viewer"}, "name: högst 300 tas emot."),
        ("POST", "/tokens", {"role": "viewer"}, "name: det saknas."),
        ("GET", "/incidents?limit=0", None, "limit: skriv minst 1."),
        ("GET", "/incidents?limit=501", None, "limit: skriv högst 500."),
        ("GET", "/incidents?limit=många", None, "limit: skriv ett heltal."),
        ("GET", f"/incidents/A{'9' * 18}", None, "incident: högst 18 tecken tas emot."),
        ("GET", "/incidents/kaka", None, "”kaka” är inte namnet på en händelse: skriv A7"),
        ("POST", "/incidents/A1/updates", {"corrects": 0, "text": "x"}, "corrects: skriv minst 1."),
        ("DELETE", "/tokens/bc_finnsinte", None, "Ingen åtkomstnyckel börjar med"),
    ],
)
def test_no_library_speaks_to_an_operator(
    idle_desk: Daemonless, method: str, path: str, body: Any, said: str
) -> None:
    answer = idle_desk.ask(method, f"/api/v1{quote(path, safe='/?=')}", body)
    assert 400 <= answer.status < 500
    assert said in answer.detail


def test_a_role_that_is_none_names_those_there_are(idle_desk: Daemonless) -> None:
    said = refused(idle_desk, "/api/v1/tokens", {"name": "Eva", "role": "boss"})
    assert "skriv viewer, author eller admin" in said


def test_a_token_named_by_its_person_says_to_write_its_number(idle_desk: Daemonless) -> None:
    answer = idle_desk.ask("DELETE", "/api/v1/tokens/Eva%20Ek")
    assert answer.status == 404
    assert "Skriv dess nummer: broadcaster tokens list" in answer.detail


def test_a_file_in_another_encoding_is_named_so(idle_desk: Daemonless) -> None:
    content = "address;area;language\n0701740605;norra-ekbyn;sv\n".encode("utf-16")
    answer = idle_desk.ask("POST", IMPORT, content, content_type="text/csv")
    assert (answer.status, "CSV UTF-8" in answer.detail) == (422, True)


def test_the_first_backup_makes_the_folder_of_backups(desk: Daemonless, tmp_path: Path) -> None:
    folder = tmp_path / "keep" / "backups"
    assert not folder.exists()
    answer = desk.ask("POST", "/api/v1/backups", {"path": str(folder / "ett")})
    assert answer.status == 201, answer.content
    assert (folder / "ett").is_file()


def test_a_backup_of_a_name_that_is_taken_is_refused_and_the_first_still_there(
    desk: Daemonless,
) -> None:
    first = desk.ask("POST", "/api/v1/backups", {"path": "fore"}).json
    written = Path(first["path"]).read_bytes()
    said = refused(desk, "/api/v1/backups", {"path": "fore"})
    assert said.endswith("Välj ett annat namn.")
    assert "fore" in said
    assert "ingen säkerhetskopia." not in said
    assert Path(first["path"]).read_bytes() == written


def test_the_doctor_writes_numbers_as_the_language_does(idle_desk: Daemonless) -> None:
    items = idle_desk.ask("GET", "/api/v1/doctor").json["items"]
    found = {one["what"]: one["sentence"] for one in items}
    assert found["configuration"] == "kanaler: 4, språk: 2, områden: 2"
    assert "," in found["disk"]
    assert "." not in found["disk"]
    assert json.dumps(found).count(" MB") == 1


def test_what_waits_says_where_and_when_it_goes_out(desk: Daemonless) -> None:
    desk.ask("POST", "/api/v1/incidents", REPORT | {"at": "2026-11-22T13:30:00+01:00"})
    (item,) = desk.ask("GET", "/api/v1/incidents").json["items"]
    assert item["release_at"] == "2026-11-22T12:30:00+00:00"
    assert item["areas"] == ["norra-ekbyn"]
    desk.ask("POST", "/api/v1/incidents", REPORT | {"text": "Nu."})
    items = desk.ask("GET", "/api/v1/incidents").json["items"]
    assert [item["release_at"] is None for item in items] == [True, False]


def test_planned_work_carries_its_times_wherever_it_is_told_of(desk: Daemonless) -> None:
    said = {"start": "2026-11-23T07:00:00+00:00", "end": "2026-11-23T11:00:00+00:00"}
    body = REPORT | {"planned": said}
    for path in ("/api/v1/preview", "/api/v1/incidents"):
        assert desk.ask("POST", path, body).json["planned"] == said
    assert desk.ask("GET", "/api/v1/incidents/A1").json["planned"] == said


def test_planned_work_of_a_restored_backup_says_that_it_does_nothing_by_itself(
    desk: Daemonless,
) -> None:
    work = {"start": "2026-11-23T07:00:00+00:00", "end": "2026-11-23T11:00:00+00:00"}
    desk.ask("POST", "/api/v1/incidents", REPORT | {"planned": work})
    assert desk.ask("GET", "/api/v1/incidents/A1").json["advice"] == []
    revive = partial(reviving.revive, used=reviving.Used(), erasures=(), now=desk.clock())
    desk.store.write(revive).result()
    (advice,) = desk.ask("GET", "/api/v1/incidents/A1").json["advice"]
    assert advice.startswith("A1 öppnas eller stängs inte längre av sig självt")
    anew = {"kind": "update", "text": "Som planerat.", "planned": work}
    assert desk.ask("POST", "/api/v1/incidents/A1/updates", anew).status == 201
    assert desk.ask("GET", "/api/v1/incidents/A1").json["advice"] == []


def test_a_preview_shows_what_is_taken_back_and_what_is_said_instead(desk: Daemonless) -> None:
    etr = {"etr": "2026-11-22T19:00:00+01:00"}
    desk.ask("POST", "/api/v1/incidents", REPORT | etr)
    body = {"incident": "A1", "kind": "correction", "text": "Rätt.", "etr": "none"}
    shown = desk.ask("POST", "/api/v1/preview", body).json
    assert shown["strikes"] == {
        "name": "A1-1",
        "headline": "Strömavbrott i Norra Ekbyn",
        "text": {"sv": REPORT["text"]},
    }
    assert shown["text"] == {"sv": "Rätt."}
    assert (shown["etr"], shown["etr_before"]) == (None, "2026-11-22T18:00:00+00:00")
    board = shown["channels"][0]
    assert (board["shape"], board["url"]) == ("board", "http://127.0.0.1:8080")
    whole = {"incident": "A1", "kind": "retraction", "all": True}
    strikes = desk.ask("POST", "/api/v1/preview", whole).json["strikes"]
    assert strikes == {"name": "A1", "headline": "", "text": {}}
    report = desk.ask("POST", "/api/v1/preview", REPORT | {"text": "Ny."}).json
    assert (report["strikes"], report["etr_before"]) == (None, None)


def test_the_end_of_an_incident_expects_nothing_more(desk: Daemonless) -> None:
    desk.ask("POST", "/api/v1/incidents", REPORT | {"etr": "2026-11-22T19:00:00+01:00"})
    over = {"kind": "restored", "text": "Strömmen är åter."}
    assert desk.ask("POST", "/api/v1/preview", over | {"incident": "A1"}).json["etr"] is None
    assert desk.ask("POST", "/api/v1/incidents/A1/updates", over).json["etr"] is None
