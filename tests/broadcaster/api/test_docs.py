"""The page on the API names every field that is taken and every field that is answered, and none besides."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from broadcaster.channel import Probe
from broadcaster.domain.delivery import State
from broadcaster.store import channels, tables as t
from broadcaster.testing.operators import Daemonless

Route = tuple[str, str]
REFUSAL = "A refusal"
IN_WORDS = {("GET", "/subscribers/export")}
"""What is no JSON and told of in a section of its own."""
PLANNED = {"start": "2026-11-22T13:30:00+01:00", "end": "2026-11-22T19:00:00+01:00"}
REPORT = {"text": "Strömmen är borta.", "area": ["norra-ekbyn"], "planned": PLANNED}
LATER = {"incident": "A1", "text": "Snart klart.", "at": "2026-11-22T12:20:00Z"}
PEOPLE = b"address,area,language\n0701740605,norra-ekbyn,sv\nx,norra-ekbyn,sv\n"
ADDRESS = {"channel": "sms", "address": "070-174 06 05"}
FAILED, PROBED, PARKED = "a delivery failed", "a channel was asked", "the channels are parked"
OUT = "everything was accepted"
# What is asked, in this order; together the answers hold every field once with something in it.
ASKED: list[str | tuple[str, str, str, Any]] = [
    PARKED,
    ("POST", "/subscribers/import", "?channel=sms&source=list&legal_basis=law", PEOPLE),
    ("GET", "/organisation", "", None),
    ("POST", "/incidents", "", REPORT),
    ("POST", "/scheduled", "", LATER),
    ("GET", "/scheduled", "", None),
    ("PATCH", "/scheduled/A1-2", "", {"at": "2026-11-22T12:30:00Z"}),
    ("DELETE", "/scheduled/A1-2", "", None),
    ("POST", "/incidents/A1/updates", "", {"text": "Nu."}),
    ("POST", "/preview", "", {"incident": "A1", "kind": "correction", "text": "Så är det."}),
    ("GET", "/incidents", "", None),
    ("GET", "/incidents/A1", "", None),
    ("GET", "/incidents/A1/deliveries", "", None),
    ("GET", "/incidents/A1/export", "?as=radio&lang=en", None),
    FAILED,
    ("POST", "/deliveries/9/resend", "", None),
    OUT,
    ("POST", "/incidents/A1/updates", "", {"kind": "correction", "text": "Så är det."}),
    ("GET", "/incidents/A1", "", None),
    PROBED,
    ("GET", "/channels", "", None),
    ("GET", "/coverage", "?area=norra-ekbyn", None),
    ("POST", "/channels/hook/probe", "", None),
    ("POST", "/channels/hook/pause", "", None),
    ("POST", "/channels/hook/resume", "", None),
    ("POST", "/channels/hook/drop", "", None),
    ("POST", "/channels/hook/reroute", "", {"to": "spare"}),
    ("POST", "/tokens", "", {"name": "Kim", "role": "viewer"}),
    ("GET", "/tokens", "", None),
    ("DELETE", "/tokens/2", "", None),
    ("GET", "/audit", "", None),
    ("POST", "/audit/verify", "", None),
    ("POST", "/backups", "", {"path": "night.backup"}),
    ("GET", "/doctor", "", None),
    ("GET", "/subscribers", "", None),
    ("GET", "/subscribers/count", "", None),
    ("POST", "/subscribers/remove", "", ADDRESS),
    ("POST", "/subscribers/erase", "", ADDRESS),
    ("POST", "/incidents", "", {"text": 5, "tekst": ""}),
]


@dataclass(frozen=True, slots=True)
class Section:
    """One heading of the page: the routes it is about, and field → the heading whose fields each of it has, or ""."""

    routes: tuple[Route, ...]
    rows: dict[str, str]


def rows_of(text: str) -> Iterator[tuple[str, str]]:
    """(field, what is said of it) of every row of the tables; a row may name several fields."""
    for line in text.splitlines():
        if line.startswith("| `"):
            _, fields, said, _ = line.split("|")
            yield from ((field, said) for field in re.findall(r"`([^`]+)`", fields))


@pytest.fixture(scope="module")
def page() -> str:
    return (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")


@pytest.fixture(scope="module")
def sections(page: str) -> dict[str, Section]:
    answered = page.partition("## What you are answered")[2].partition("\n## ")[0]
    found = {}
    for part in answered.split("\n### ")[1:]:
        heading, _, text = part.partition("\n")
        routes = re.findall(r"`(GET|POST|PATCH|DELETE) (/[^`]*)`", text.partition("\n| ")[0])
        rows = {
            field: (re.findall(r"\(#([a-z-]+)\)", said) or [""])[0] for field, said in rows_of(text)
        }
        found[heading] = Section(tuple(routes), rows)
    return found


def documented(sections: dict[str, Section], heading: str) -> set[str]:
    """The fields of a section, with those of the sections that it points to."""
    fields = set()
    for field, anchor in sections[heading].rows.items():
        fields.add(field)
        named = [name for name in sections if name.lower().replace(" ", "-") == anchor]
        for inner in (one for name in named for one in documented(sections, name)):
            fields.add(f"{field}.{inner}")
    return fields


def fields_of(answer: Any, known: set[str], at: str = "") -> Iterator[str]:
    """The fields of an answer as the page writes them; what the page calls a map (`{}`) is not looked into."""
    if isinstance(answer, dict) and f"{at}{{}}" not in known:
        if at:
            yield at
        for key, value in answer.items():
            yield from fields_of(value, known, f"{at}.{key}".lstrip("."))
    elif isinstance(answer, list) and (f"{at}[]" in known or any(map(is_object, answer))):
        yield f"{at}[]"
        for each in filter(is_object, answer):
            yield from (one for one in fields_of(each, known, f"{at}[]") if one != f"{at}[]")
    else:
        yield f"{at}{{}}" if isinstance(answer, dict) else at


def is_object(value: Any) -> bool:
    return isinstance(value, dict)


def set_up(desk: Daemonless, what: str) -> None:
    def work(connection: Any) -> None:
        if what == PARKED:
            for name in desk.desk.configuration.adapters:
                channels.park(connection, name, desk.clock(), "It wants money.")
        elif what == FAILED:
            connection.execute(
                update(t.delivery).where(t.delivery.c.id == 9).values(state=State.FAILED)
            )
        elif what == OUT:
            connection.execute(update(t.delivery).values(accepted_at=desk.clock()))
        else:
            desk.probes["hook"] = Probe(good=True, sentence="It answers.")
            channels.record_probe(connection, "hook", desk.clock(), desk.probes["hook"])

    desk.store.write(work).result()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[Route, list[Any]]:
    """What was answered, by route as the page writes it; refusals under ("", "")."""
    given: dict[Route, list[Any]] = defaultdict(list)
    with Daemonless(tmp_path_factory.mktemp("answers")) as desk:
        desk.degraded = [{"what": "disk", "where": "store", "sentence": "Free some."}]
        written = [(m, p.removeprefix("/api/v1")) for m, p in routes(desk)]
        for asked in ASKED:
            if isinstance(asked, str):
                set_up(desk, asked)
                continue
            method, path, query, body = asked
            answer = desk.ask(method, f"/api/v1{path}{query}", body)
            (route,) = [one for one in written if one[0] == method and fits(one[1], path)]
            given[route if answer.status < 300 else ("", "")] += map(
                json.loads, answer.content.splitlines()
            )
        desk.desk.clock = None  # type: ignore[assignment] # so that something breaks in the daemon
        with capture_logs():
            given["", ""].append(desk.ask("GET", "/api/v1/incidents").json)
    return given


def routes(desk: Daemonless) -> list[Route]:
    found = desk.app.openapi()["paths"]
    return [(method.upper(), path) for path, methods in found.items() for method in methods]


def fits(route: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{[a-z]+\}", "[^/]+", route), path) is not None


def test_every_route_has_its_answer_described(
    idle_desk: Daemonless, sections: dict[str, Section]
) -> None:
    told = [route for section in sections.values() for route in section.routes]
    there = {(method, path.removeprefix("/api/v1")) for method, path in routes(idle_desk)}
    assert sorted(told) == sorted(there - IN_WORDS)


def test_every_answer_has_the_fields_that_are_described_and_no_other(
    sections: dict[str, Section], answers: dict[Route, list[Any]]
) -> None:
    wrong = []
    for heading, section in sections.items():
        known = documented(sections, heading)
        for route in section.routes or (("", ""),) * (heading == REFUSAL):
            seen = {field for answer in answers[route] for field in fields_of(answer, known)}
            if seen != known:
                wrong.append(f"{heading} {' '.join(route)}: {sorted(seen ^ known)}")
    assert wrong == []


@pytest.mark.parametrize(
    ("body", "tables"),
    [
        ("ReportBody", ["`POST /incidents`"]),
        ("UpdateBody", ["`POST /incidents`", "`POST /incidents/{id}/updates`"]),
        ("PreviewBody", ["`POST /incidents`", "`POST /incidents/{id}/updates`", "+incident"]),
    ],
)
def test_every_field_that_is_taken_is_described(
    idle_desk: Daemonless, page: str, body: str, tables: list[str]
) -> None:
    sent = page.partition("## What you send")[2].partition("\n## ")[0]
    told = {name.removeprefix("+") for name in tables if name.startswith("+")}
    for name in tables:
        for table in re.findall(
            rf"^\| {re.escape(name)}.*?(?=\n\n)", sent, re.DOTALL | re.MULTILINE
        ):
            told |= {field for field, _ in rows_of(table)} - {name.strip("`")}
    taken = idle_desk.app.openapi()["components"]["schemas"][body]["properties"]
    assert told == set(taken)
