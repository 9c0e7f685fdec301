"""What goes or comes back by a word, beside what its operator wrote, is told before it is said and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from broadcaster.testing.operators import CONFIGURATION, Daemonless

REPORT: dict[str, Any] = {"text": "Strömmen är borta.", "area": ["norra-ekbyn"]}
UPDATES = "/api/v1/incidents/A1/updates"
EIGHT = {"start": "2026-11-23T07:00:00+00:00", "end": "2026-11-23T11:00:00+00:00"}
NINE = {"start": "2026-11-23T08:00:00+00:00", "end": "2026-11-23T12:00:00+00:00"}
SPRING = "2026-11-22T18:00:00+00:00"


def test_the_channels_that_carry_only_what_is_graver_are_named(tmp_path: Path) -> None:
    routes = (
        "  - {severity: severe, channels: [sms]}\n  - {severity: extreme, channels: [sms, spare]}"
    )
    tiered = CONFIGURATION.replace(
        "  - {severity: minor, channels: [page, hook, sms]}",
        f"  - {{severity: minor, channels: [page, hook]}}\n{routes}",
    )
    with Daemonless(tmp_path, tiered) as town:

        def both(**more: Any) -> tuple[str, dict[str, str]]:
            more |= {"text": f"Strömmen är borta: {more}."}  # the same twice would be refused
            before = town.ask("POST", "/api/v1/preview", REPORT | more).json
            after = town.ask("POST", "/api/v1/incidents", REPORT | more).json
            found: list[tuple[str, dict[str, str]]] = [
                (one["severity"], one["not_by"]) for one in (before, after)
            ]
            assert found[0] == found[1]
            return found[0]

        assert both() == ("moderate", {"sms": "severe", "spare": "extreme"})
        assert both(severity="severe") == ("severe", {"spare": "extreme"})
        assert both(severity="extreme") == ("extreme", {})
        assert both(channel=["page"]) == ("moderate", {})  # he chose himself


def said(desk: Daemonless, text: str = "", **more: Any) -> Any:
    path = UPDATES if "kind" in more else "/api/v1/incidents"
    answer = desk.ask("POST", path, ({"text": text} if text else {}) | more)
    assert answer.status == 201, answer.content
    return answer.json


def told_before(desk: Daemonless, **command: Any) -> Any:
    return desk.ask("POST", "/api/v1/preview", {"incident": "A1", **command}).json


def told(desk: Daemonless, name: str, **command: Any) -> Any:
    """What the preview and then the answer tell under `name`: the same."""
    before = told_before(desk, **command)[name]
    after = said(desk, **command)[name]
    assert before == after
    return after


FACTS = (
    "areas",
    "planned",
    "etr",
    "since",
    "severity",
    "affected",
    "headline",
    "cause",
    "instruction",
)


def stands(desk: Daemonless) -> dict[str, Any]:
    found = desk.ask("GET", "/api/v1/incidents/A1").json
    planned = found["planned"]
    found["planned"] = f"{planned['start']}/{planned['end']}" if planned else None
    return {name: found[name] for name in FACTS}


def changes(desk: Daemonless, **command: Any) -> Any:
    """What the command is said to change: what the incident shows changed by it, and nothing else."""
    before = stands(desk)
    said_to_change = told(desk, "changes", **command)
    after = stands(desk)
    assert said_to_change == {
        name: {"before": before[name], "after": after[name]}
        for name in FACTS
        if before[name] != after[name]
    }
    return said_to_change


def test_a_retracted_correction_takes_the_plan_of_what_it_corrected_with_it(
    desk: Daemonless,
) -> None:
    said(desk, **REPORT | {"planned": EIGHT})
    said(desk, "En timme senare.", kind="update", planned=NINE)
    said(desk, "Bara Storgatan.", kind="correction")
    assert changes(desk, kind="retraction", corrects=3) == {
        "planned": {
            "before": f"{NINE['start']}/{NINE['end']}",
            "after": f"{EIGHT['start']}/{EIGHT['end']}",
        }
    }


def test_a_fact_that_was_said_again_is_told_to_go_with_the_word_that_said_it_first(
    desk: Daemonless,
) -> None:
    said(desk, **REPORT)
    said(desk, "Åskan.", kind="update", cause="Åska", affected=40, etr=SPRING)
    said(desk, "Bekräftat.", kind="update", cause="Åska")
    assert changes(desk, kind="retraction", corrects=2) == {
        "etr": {"before": SPRING, "after": None},
        "affected": {"before": 40, "after": None},
        "cause": {"before": "Åska", "after": ""},
    }


def test_areas_that_come_back_are_told(desk: Daemonless) -> None:
    said(desk, **REPORT | {"area": ["norra-ekbyn", "sodra-ekbyn"]})
    said(desk, "Klart i söder.", kind="restored", area=["sodra-ekbyn"])
    assert changes(desk, kind="retraction") == {
        "areas": {"before": ["norra-ekbyn"], "after": ["norra-ekbyn", "sodra-ekbyn"]}
    }


def test_an_end_that_is_taken_back_brings_back_its_areas_and_estimate(desk: Daemonless) -> None:
    said(desk, **REPORT | {"etr": SPRING})
    said(desk, "Åter.", kind="restored")
    assert changes(desk, kind="retraction") == {
        "areas": {"before": [], "after": ["norra-ekbyn"]},
        "etr": {"before": None, "after": SPRING},
    }


@pytest.mark.parametrize(
    "command",
    [
        {"kind": "update", "text": "Nu.", "cause": "Åska"},
        {"kind": "correction", "text": "Rätt.", "cause": "Åska", "etr": "none"},
        {"kind": "correction", "text": "Rätt.", "area": ["sodra-ekbyn"], "affected": 3},
        {"kind": "retraction", "corrects": 2},
        {"kind": "retraction", "all": True},
    ],
)
def test_what_an_operator_writes_himself_is_no_change_besides(
    desk: Daemonless, command: dict[str, Any]
) -> None:
    said(desk, **REPORT | {"etr": SPRING})
    said(desk, "Montör är på väg.", kind="update")
    assert told(desk, "changes", **command) == {}


def test_the_last_word_that_is_taken_back_leaves_nothing(desk: Daemonless) -> None:
    assert said(desk, **REPORT)["nothing_stands"] is False
    said(desk, "Montör är på väg.", kind="update")
    assert told(desk, "nothing_stands", kind="retraction") is False
    assert told(desk, "nothing_stands", kind="retraction", corrects=1) is True


def test_what_was_over_is_told_to_go_on(desk: Daemonless) -> None:
    assert said(desk, **REPORT)["reopens"] is False
    assert told(desk, "reopens", kind="restored", text="Åter.") is False
    assert told(desk, "reopens", kind="update", text="Borta igen.") is True
    assert told(desk, "reopens", kind="update", text="Fortfarande.") is False


def test_what_was_wholly_retracted_is_told_to_open_again(desk: Daemonless) -> None:
    said(desk, **REPORT)
    said(desk, kind="retraction", all=True)
    again = {"kind": "update", "text": "Borta på riktigt.", "area": ["norra-ekbyn"]}
    assert told(desk, "reopens", **again) is True
    assert desk.ask("GET", "/api/v1/incidents/A1").json["closed_at"] is None


def test_what_was_cancelled_before_it_went_out_opens_for_the_first_time(desk: Daemonless) -> None:
    said(desk, **REPORT | {"at": "2026-11-22T13:30:00+01:00"})
    desk.ask("DELETE", "/api/v1/scheduled/A1-1")
    again = {"kind": "update", "text": "Borta nu.", "area": ["norra-ekbyn"]}
    assert told(desk, "reopens", **again) is False


def test_what_only_staff_are_told_opens_nothing_again(tmp_path: Path) -> None:
    staffs = CONFIGURATION.replace("spare: {", "spare: {audience: staff, ")
    internal = {"kind": "update", "text": "Kabeln provas.", "audience": "staff"}
    with Daemonless(tmp_path, staffs) as desk:
        said(desk, **REPORT)
        said(desk, "Åter.", kind="restored")
        assert told(desk, "reopens", **internal) is False
        assert desk.ask("GET", "/api/v1/incidents/A1").json["closed_at"]


def test_a_report_of_where_something_goes_on_names_what_does(desk: Daemonless) -> None:
    assert said(desk, **REPORT)["already_open"] == {}
    again = REPORT | {"text": "Strömmen är borta här."}
    open_there = {"A1": ["norra-ekbyn"]}
    assert desk.ask("POST", "/api/v1/preview", again).json["already_open"] == open_there
    assert said(desk, **again)["already_open"] == open_there
    assert told(desk, "already_open", kind="update", text="Montör är på väg.") == {}


@pytest.mark.parametrize(
    "other",
    [
        {"planned": EIGHT},
        {"area": ["sodra-ekbyn"]},
        {"audience": "staff"},
        {"at": "2026-11-22T13:30:00+01:00"},
    ],
)
def test_what_does_not_go_on_there_for_residents_is_not_named(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    staffs = CONFIGURATION.replace("spare: {", "spare: {audience: staff, ")
    with Daemonless(tmp_path, staffs) as desk:
        said(desk, **REPORT | other)
        assert said(desk, **REPORT | {"text": "Nu är den borta."})["already_open"] == {}


def test_what_is_over_there_is_not_named(desk: Daemonless) -> None:
    said(desk, **REPORT)
    said(desk, "Åter.", kind="restored")
    assert said(desk, **REPORT | {"text": "Borta igen."})["already_open"] == {}


def test_an_estimate_of_what_is_over_is_none_that_falls_away(desk: Daemonless) -> None:
    said(desk, **REPORT | {"etr": SPRING})
    assert told_before(desk, text="Nu.")["etr_before"] == SPRING
    said(desk, "Åter.", kind="restored")
    assert told_before(desk, text="Borta igen.")["etr_before"] is None


def test_a_language_that_lacks_the_operators_words_is_told(desk: Daemonless) -> None:
    assert said(desk, **REPORT)["no_text_in"] == ["en"]
    both = {"sv": "Montör är framme.", "en": "Our crew is there."}
    assert told(desk, "no_text_in", kind="update", texts=both) == []
    assert told(desk, "no_text_in", kind="update", texts={"en": "Soon."}) == ["sv"]
    assert told(desk, "no_text_in", kind="update", cause="Åska") == []
    assert told(desk, "no_text_in", kind="retraction") == []
    assert told(desk, "no_text_in", kind="holding") == []


def test_where_nothing_is_said_in_a_language_no_text_is_missed_in_it(tmp_path: Path) -> None:
    staffs = CONFIGURATION.replace("spare: {", "spare: {audience: staff, ")
    with Daemonless(tmp_path, staffs) as desk:
        assert said(desk, **REPORT | {"audience": "staff"})["no_text_in"] == []


def test_the_answer_names_what_it_corrects(desk: Daemonless) -> None:
    assert said(desk, **REPORT)["corrects"] is None
    said(desk, "Nu.", kind="update")
    assert said(desk, "Rätt.", kind="correction", corrects=1)["corrects"] == 1
    assert said(desk, kind="retraction", all=True)["corrects"] is None


@pytest.mark.parametrize(
    ("last", "end"),
    [
        ({"kind": "restored", "text": "Åter."}, "restored"),
        ({"kind": "retraction", "all": True}, "retracted"),
    ],
)
def test_what_is_over_says_how_it_ended_and_where_it_was(
    desk: Daemonless, last: dict[str, Any], end: str
) -> None:
    said(desk, **REPORT | {"headline": "Vattenläcka"})
    (item,) = desk.ask("GET", "/api/v1/incidents").json["items"]
    assert (item["end"], item["ended"]) == ("", [])
    said(desk, **last)
    (item,) = desk.ask("GET", "/api/v1/incidents").json["items"]
    assert (item["end"], item["ended"]) == (end, ["norra-ekbyn"])
    assert (item["areas"], item["headline"]) == ([], "Vattenläcka")


def test_planned_work_that_was_retracted_is_still_called_planned(desk: Daemonless) -> None:
    said(desk, **REPORT | {"planned": EIGHT})
    said(desk, kind="retraction", all=True)
    (item,) = desk.ask("GET", "/api/v1/incidents").json["items"]
    assert (item["end"], item["planned"]) == ("retracted", EIGHT)


def test_what_was_cancelled_before_it_went_out_says_that_it_was(desk: Daemonless) -> None:
    said(desk, **REPORT | {"at": "2026-11-22T13:30:00+01:00"})
    desk.ask("DELETE", "/api/v1/scheduled/A1-1")
    (item,) = desk.ask("GET", "/api/v1/incidents").json["items"]
    assert (item["end"], item["ended"], item["areas"]) == ("cancelled", ["norra-ekbyn"], [])


def test_who_names_no_incident_is_told_where_they_all_are(idle_desk: Daemonless) -> None:
    answer = idle_desk.ask("GET", "/api/v1/incidents/A9")
    assert answer.detail == (
        "Det finns ingen händelse A9. Alla som finns: broadcaster incidents list"
    )


def test_a_retracted_reopening_is_told_to_close_it_again(desk: Daemonless) -> None:
    said(desk, **REPORT)
    assert told(desk, "closes", kind="restored", text="Åter.") is False  # he says so himself
    assert told(desk, "closes", kind="update", text="Borta igen.") is False
    assert told(desk, "closes", kind="retraction") is True
    assert told(desk, "closes", kind="retraction", all=True) is False


NORRA, SODRA = ["norra-ekbyn"], ["sodra-ekbyn"]


@pytest.mark.parametrize(
    ("text", "more", "named"),
    [
        ("Rätt är att även Södra Ekbyn är utan ström.", {}, SODRA),
        ("Även SÖDRA EKBYNS skola är utan ström.", {}, SODRA),
        ("Även Södra Ekbyn är utan ström.", {"area": SODRA}, []),
        ("Södra Ekbyn har ström.", {"area": SODRA, "without_area": NORRA}, []),
        ("Norra Ekbyn är utan ström.", {}, []),
        ("Södra Ekbynsskolan är öppen.", {}, []),
    ],
)
def test_an_area_that_the_text_names_and_the_word_is_not_about_is_told(
    desk: Daemonless, text: str, more: dict[str, Any], named: list[str]
) -> None:
    said(desk, **REPORT)
    assert told(desk, "names_also", kind="correction", text=text, **more) == named


def test_a_report_and_an_update_are_looked_at_too(desk: Daemonless) -> None:
    assert said(desk, "Mörkt, även i Södra Ekbyn.", area=NORRA)["names_also"] == SODRA
    assert told(desk, "names_also", kind="update", text="Ljust i Södra Ekbyn.") == SODRA


@pytest.mark.parametrize("kind", ["restored", "retraction"])
def test_what_takes_back_or_ends_may_name_any_area(desk: Daemonless, kind: str) -> None:
    said(desk, **REPORT)
    assert told(desk, "names_also", kind=kind, text="Södra Ekbyn var aldrig utan.") == []


def test_the_language_that_is_one_update_behind_is_named(desk: Daemonless) -> None:
    assert (
        said(desk, area=["norra-ekbyn"], texts={"sv": "Ström borta.", "en": "No power."})["behind"]
        == []
    )
    assert told(desk, "behind", kind="update", texts={"sv": "Montör är framme."}) == ["en"]
    assert told(desk, "behind", kind="update", cause="Åska") == []  # no words in any language
    assert told(desk, "behind", kind="holding") == []  # words of ours, in every language
    assert told(desk, "behind", kind="update", texts={"sv": "Klart.", "en": "Done."}) == []


def test_a_language_that_never_had_words_is_not_behind(desk: Daemonless) -> None:
    assert said(desk, **REPORT)["behind"] == []
    assert told(desk, "behind", kind="update", texts={"sv": "Montör är framme."}) == []
