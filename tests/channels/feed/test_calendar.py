"""The calendar of planned outages, read back by programs that are not ours: icalendar, and ical.js as phones' web views use it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
from hypothesis import given, settings, strategies as st

from broadcaster.channel import Board, Kind, Mode, Revision
from broadcaster.domain.board import BoardIncident, Struck
from broadcaster.domain.incident import Planned
from broadcaster.testing.boards import (
    NOW,
    board,
    context,
    incident,
    minutes,
    planned_cut,
    power_cut,
    states,
    update,
)
from broadcaster.testing.peers import NODE_MODULES
from broadcaster.testing.rig import Rig
from channels.feed.calendar import Calendar, written
from channels.feed.outages import MOST
from channels.feed.site import feeds

START, END = minutes(8 * 60 - 5), minutes(12 * 60 - 5)
BOTH = ("norra-ekbyn", "sjovik")


def calendars(shown: Board) -> dict[str, bytes]:
    made = feeds(shown, context(shown.mode))
    return {file.path: file.body for file in made if file.path.endswith(".ics")}


def events(shown: Board, path: str = "calendar.ics") -> list[Any]:
    (calendar,) = icalendar.Calendar.from_ical(calendars(shown)[path], multiple=True)
    assert not calendar.errors
    return [node for node in calendar.walk("VEVENT") if not node.errors]


def only(shown: Board, path: str = "calendar.ics") -> Any:
    (event,) = events(shown, path)
    return event


def of_two_areas(**facts: Any) -> BoardIncident:
    """A9 in Norra Ekbyn and Sjövik."""
    (told,) = planned_cut().updates
    both = replace(told, areas=BOTH)
    given: dict[str, Any] = {"areas": BOTH, "areas_ever": BOTH, "updates": (both,)}
    return replace(planned_cut(), **(given | facts))


def test_a_planned_outage_is_an_event_with_its_place_and_times() -> None:
    event = only(states()["planned"])
    assert (event.start, event.end) == (START, END)
    assert event["DTSTART"].to_ical() == b"20261122T220000Z"
    assert str(event["UID"]) == "a9@drift.ekbyn.example"
    assert str(event["SUMMARY"]) == "Planerat strömavbrott i Sjövik"
    assert str(event["LOCATION"]) == "Sjövik"
    assert str(event["URL"]) == "https://drift.ekbyn.example/incidents/a9/"
    assert str(event["STATUS"]) == "CONFIRMED"
    assert "Vi byter en transformator." in event["DESCRIPTION"]
    assert "söndag 22 november 23.00 till mån 23 nov 03.00" in event["DESCRIPTION"]


def test_every_language_and_area_has_its_own() -> None:
    shown = states()["three"]
    assert only(shown, "en/areas/sjovik/calendar.ics")["SUMMARY"] == "Planned power cut in Sjövik"
    assert only(shown, "areas/0128/calendar.ics")["UID"] == only(shown)["UID"]
    assert events(shown, "areas/norra-ekbyn/calendar.ics") == []


def test_what_was_not_planned_is_no_event() -> None:
    assert events(states()["one"]) == []


def test_nobody_is_invited_and_phones_look_again() -> None:
    (calendar,) = icalendar.Calendar.from_ical(
        calendars(states()["planned"])["calendar.ics"], multiple=True
    )
    assert "METHOD" not in calendar
    assert calendar["X-WR-CALNAME"] == "Ekbyns Energi: Alla områden (planerade avbrott)"
    assert calendar["REFRESH-INTERVAL"].to_ical() == b"PT30M"
    assert calendar["X-PUBLISHED-TTL"] == "PT30M"


def moved() -> BoardIncident:
    later = Planned(START + timedelta(days=1), END + timedelta(days=1))
    (first,) = planned_cut().updates
    word = update(
        2, Kind.UPDATE, NOW, "Arbetet flyttas ett dygn.", areas=("sjovik",), planned=later
    )
    return replace(planned_cut(), updates=(word, first), planned=later)


def retracted() -> BoardIncident:
    told = moved()
    at = minutes(30)
    struck = tuple(
        replace(each, changed_at=at, struck=Struck(Kind.RETRACTION, at, 3)) for each in told.updates
    )
    gone = update(3, Kind.RETRACTION, at, "Arbetet ställs in.", areas=(), ended=("sjovik",))
    return replace(told, updates=(gone, *struck), areas=(), retracted=True, closed_at=at)


def test_whoever_has_it_sees_it_moved_and_then_cancelled() -> None:
    told = [
        only(board(each), "areas/sjovik/calendar.ics")
        for each in (planned_cut(), moved(), retracted())
    ]
    assert {str(event["UID"]) for event in told} == {"a9@drift.ekbyn.example"}
    for earlier, later in pairwise(told):
        assert later["SEQUENCE"] > earlier["SEQUENCE"]
        assert later["LAST-MODIFIED"].dt > earlier["LAST-MODIFIED"].dt
        assert later["DTSTAMP"].dt == later["LAST-MODIFIED"].dt
    assert told[1].start == START + timedelta(days=1)
    assert told[2]["STATUS"] == "CANCELLED"
    assert told[2]["SUMMARY"] == "Inställt: Planerat strömavbrott i Sjövik"


def test_what_is_said_after_a_restored_backup_counts_on_above_all_before() -> None:
    (told,) = planned_cut().updates
    again = replace(planned_cut(), updates=(replace(told, revision=Revision(2, 1)),))
    assert only(board(again))["SEQUENCE"] > only(board(moved()))["SEQUENCE"]


def test_power_back_early_ends_the_event_when_it_was_back() -> None:
    (first,) = planned_cut().updates
    at = START + timedelta(hours=1, seconds=20)
    back = update(2, Kind.RESTORED, at, "Klart.", areas=(), ended=("sjovik",))
    event = only(board(replace(planned_cut(), updates=(back, first), areas=(), closed_at=at)))
    assert event["STATUS"] == "CONFIRMED"
    assert (event.start, event.end) == (START, START + timedelta(hours=1))


def test_called_off_before_it_began_is_cancelled() -> None:
    (first,) = planned_cut().updates
    off = update(2, Kind.RESTORED, NOW, "Blir inte av.", areas=(), ended=("sjovik",))
    event = only(board(replace(planned_cut(), updates=(off, first), areas=(), closed_at=NOW)))
    assert event["STATUS"] == "CANCELLED"
    assert (event.start, event.end) == (START, END)


def test_an_estimate_beyond_the_plan_makes_it_longer() -> None:
    late = END + timedelta(hours=2)
    assert only(board(replace(planned_cut(), etr=late))).end == late


def test_over_in_one_area_it_goes_on_in_the_other() -> None:
    (first,) = of_two_areas().updates
    at = START + timedelta(hours=1)
    here = update(
        2, Kind.RESTORED, at, "Klart i Sjövik.", areas=("norra-ekbyn",), ended=("sjovik",)
    )
    shown = board(of_two_areas(areas=("norra-ekbyn",), updates=(here, first)))
    assert only(shown, "areas/sjovik/calendar.ics").end == at
    assert only(shown, "areas/norra-ekbyn/calendar.ics").end == END


def test_where_it_was_named_by_mistake_it_is_cancelled() -> None:
    shown = board(of_two_areas(areas=("norra-ekbyn",), areas_stated=("norra-ekbyn",)))
    assert only(shown, "areas/sjovik/calendar.ics")["STATUS"] == "CANCELLED"
    assert only(shown, "areas/norra-ekbyn/calendar.ics")["STATUS"] == "CONFIRMED"


def test_a_drill_says_so_first() -> None:
    drill = replace(planned_cut(), mode=Mode.DRILL)
    shown = board(drill, mode=Mode.DRILL)
    assert only(shown)["SUMMARY"].startswith("ÖVNING: ")
    assert b"X-WR-CALNAME:\xc3\x96VNING: " in calendars(shown)["calendar.ics"]


def test_times_are_true_on_the_night_when_clocks_change() -> None:
    night = Planned(
        datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Stockholm")),
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Stockholm")),
    )
    event = only(board(replace(planned_cut(), planned=night)))
    assert event["DTSTART"].to_ical() == b"20261025T003000Z"
    assert event["DTEND"].to_ical() == b"20261025T013000Z"


def test_another_incident_leaves_the_calendar_byte_for_byte() -> None:
    before = calendars(board(planned_cut()))["calendar.ics"]
    assert calendars(board(power_cut(), planned_cut(), at=minutes(5)))["calendar.ics"] == before


def test_five_hundred_outages_leave_those_that_come_soonest() -> None:
    many = []
    for number in range(500):
        period = Planned(START + timedelta(hours=number), END + timedelta(hours=number))
        told = update(1, Kind.REPORT, NOW, "Arbete.", areas=("sjovik",), planned=period)
        many.append(incident(f"B{number}", (told,), planned=period))
    found = events(board(*many))
    assert len(found) == MOST
    assert found[-1].start == START + timedelta(hours=MOST - 1)


def test_what_an_operator_says_moves_the_event_that_phones_have(tmp_path: Path) -> None:
    with Rig(tmp_path, {"feed": {"kind": "feed", "confirm": False}}) as rig:
        path = tmp_path / "public" / "areas" / "norra-ekbyn" / "calendar.ics"
        period = Planned(rig.clock() + timedelta(hours=2), rig.clock() + timedelta(hours=4))
        seen = []
        said: list[tuple[Kind, dict[str, Any]]] = [
            (Kind.REPORT, {"planned": period}),
            (Kind.UPDATE, {}),  # what is not said again still stands
            (Kind.RETRACTION, {"whole": True}),
        ]
        for number, (kind, facts) in enumerate(said, 1):
            rig.say(f"Besked {number}.", kind, **facts)
            rig.accepted("feed", number=number)
            calendar = icalendar.Calendar.from_ical(path.read_bytes())
            event: Any = calendar.walk("VEVENT")[0]
            assert f"Besked {number}." in event["DESCRIPTION"]
            assert event.start == period.start.replace(microsecond=0)
            assert event.end == period.end.replace(microsecond=0)
            seen.append((str(event["UID"]), event["SEQUENCE"], str(event["STATUS"])))
    assert seen == [
        ("a1@127.0.0.1:9", 0, "CONFIRMED"),
        ("a1@127.0.0.1:9", 1, "CONFIRMED"),
        ("a1@127.0.0.1:9", 2, "CANCELLED"),
    ]


def without_events(**words: str) -> bytes:
    given = {"name": "n", "description": "d", "home": "https://a.example/", "address": "https://b"}
    return written(Calendar(**(given | words), events=()))


@settings(max_examples=400, deadline=None)
@given(
    st.text(st.characters(codec=None) | st.sampled_from(list('\\;,:"\r\n\u2028å🚧ﷺ')), max_size=200)
)
def test_no_text_breaks_a_line_or_is_lost(text: str) -> None:
    body = without_events(description=text)
    assert all(len(line) <= 75 for line in body.split(b"\r\n"))
    lines = body.decode().split("\r\n")  # each line decodes: no letter is cut
    assert lines[-1] == ""
    assert not set("".join(lines)) & set("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")
    (calendar,) = icalendar.Calendar.from_ical(body, multiple=True)
    assert [str(node.name) for node in calendar.walk()] == ["VCALENDAR", "VTIMEZONE", "STANDARD"]
    kept = [letter for letter in text if letter.isalnum()]
    assert [each for each in str(calendar["DESCRIPTION"]) if each.isalnum()] == kept


SCRIPT = """
import ICAL from "ical.js";
import { readFileSync } from "node:fs";
const read = path => {
  const calendar = new ICAL.Component(ICAL.parse(readFileSync(path, "utf8")));
  return calendar.getAllSubcomponents("vevent").map(node => {
    const event = new ICAL.Event(node);
    return [event.uid, event.summary, event.description, event.startDate.toJSDate().toISOString(),
            event.endDate.toJSDate().toISOString(), event.sequence, node.getFirstPropertyValue("status")];
  });
};
console.log(JSON.stringify(process.argv.slice(2).map(read)));
"""


@pytest.mark.real("ical.js")
def test_ical_js_reads_the_same(tmp_path: Any) -> None:
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    (tmp_path / "read.mjs").write_text(SCRIPT)
    text = 'Å, ä; ö \\ "x": \n' + "Längs Kvarnvägen 🚧 " * 12
    (told,) = planned_cut().updates
    odd = replace(planned_cut(), updates=(replace(told, texts={"sv": text}),))
    shown = {"odd": board(odd), "cancelled": board(retracted()), "none": board()}
    paths = []
    for name, each in shown.items():
        paths.append(tmp_path / f"{name}.ics")
        paths[-1].write_bytes(calendars(each)["calendar.ics"])
    ran = subprocess.run(
        ["node", str(tmp_path / "read.mjs"), *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    (one,), (gone,), none = json.loads(ran.stdout)
    assert one[:2] == ["a9@drift.ekbyn.example", "Planerat strömavbrott i Sjövik"]
    assert one[2].startswith(text.strip())
    assert one[3:5] == ["2026-11-22T22:00:00.000Z", "2026-11-23T02:00:00.000Z"]
    assert gone[-1] == "CANCELLED"
    assert none == []
