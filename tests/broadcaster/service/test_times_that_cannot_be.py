"""A slip in a time is refused before anybody reads it; an outage that begins again knows nothing of the one before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from broadcaster.testing.clock import NOON
from broadcaster.testing.operators import Daemonless

REPORT = {"text": "Strömmen är borta.", "area": ["norra-ekbyn"]}


def at(**later: float) -> str:
    return (NOON + timedelta(**later)).isoformat()


def planned(start: float, end: float) -> dict[str, str]:
    return {"start": at(hours=start), "end": at(hours=end)}


@pytest.mark.parametrize(
    ("fields", "option", "words"),
    [
        ({"planned": planned(20, 24), "etr": at(hours=19)}, "etr", "före arbetets början"),
        ({"planned": planned(20, 24), "etr": at(hours=20)}, "etr", "före arbetets början"),
        ({"planned": planned(24, 20)}, "planned", "BÖRJAN/SLUT"),
        ({"planned": planned(-24, -20)}, "planned", "har redan passerat"),
        ({"etr": "9999-12-31T00:00:00+00:00"}, "etr", "kontrollera året"),
        ({"next": at(days=400)}, "next", "kontrollera året"),
        ({"until": at(days=400)}, "until", "kontrollera året"),
        ({"at": at(days=400)}, "at", "kontrollera året"),
        ({"since": at(days=-400)}, "since", "kontrollera året"),
        ({"planned": planned(400 * 24, 400 * 24 + 1)}, "planned", "kontrollera året"),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused_and_nothing_is_stored(
    idle_desk: Daemonless, fields: dict[str, Any], option: str, words: str
) -> None:
    before = idle_desk.ask("GET", "/api/v1/incidents").json
    answer = idle_desk.ask("POST", "/api/v1/incidents", REPORT | fields)
    assert answer.status == 422, answer.content
    assert f"--{option} " in answer.json["detail"]
    assert words in answer.json["detail"]
    assert idle_desk.ask("GET", "/api/v1/incidents").json == before


def test_an_estimate_within_planned_work_is_taken(desk: Daemonless) -> None:
    answer = desk.ask(
        "POST", "/api/v1/incidents", REPORT | {"planned": planned(20, 24), "etr": at(hours=22)}
    )
    assert answer.status == 201, answer.content


def test_an_outage_that_begins_again_inherits_neither_estimate_nor_cause(desk: Daemonless) -> None:
    told = REPORT | {
        "etr": at(hours=9),
        "cause": "Grävskada",
        "affected": 300,
        "instruction": "Koka vattnet.",
        "since": at(hours=-1),
    }
    assert desk.ask("POST", "/api/v1/incidents", told).status == 201
    updates = "/api/v1/incidents/A1/updates"
    assert desk.ask("POST", updates, {"kind": "restored"}).status == 201
    desk.clock.pass_by(hours=2)
    answer = desk.ask("POST", updates, {"kind": "update", "text": "Strömmen är borta igen."})
    assert answer.status == 201, answer.content
    incident = desk.ask("GET", "/api/v1/incidents/A1").json
    newest = incident["updates"][-1]
    assert newest["areas"] == ["norra-ekbyn"]
    told_before = ("etr", "cause", "instruction", "affected")
    assert not [name for name in told_before if newest.get(name)]
    assert incident["since"] == at(hours=2)
