"""The operator sees what his word does: its kind, what goes or comes back by it, who gets no words of his."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from broadcaster.testing.commandline import Ended, StandInDaemon as Daemon, organisation

Run = Callable[..., Ended]
UPDATES = "POST /api/v1/incidents/A7/updates"
PREVIEW = "POST /api/v1/preview"
ORGANISATION = "GET /api/v1/organisation"
CHANGES: dict[str, dict[str, Any]] = {
    "etr": {"before": "2099-11-23T22:30:00+00:00", "after": None},
    "cause": {"before": "A digger " + "x" * 60, "after": "Lightning"},
    "planned": {
        "before": "2099-11-23T08:00:00+00:00/2099-11-23T12:00:00+00:00",
        "after": "2099-11-23T07:00:00+00:00/2099-11-23T11:00:00+00:00",
    },
    "areas": {"before": ["norra-ekbyn"], "after": ["norra-ekbyn", "sodra-ekbyn"]},
    "affected": {"before": None, "after": 1340},
    "headline": {"before": "Water leak", "after": ""},
}
CHANGED = (
    "Changes with it: area Norra Ekbyn → Norra Ekbyn, Södra Ekbyn; "
    "planned time Mon 23 Nov 2099 09:00 – 13:00 → 08:00 – 12:00; "
    "estimate Mon 23 Nov 2099 23:30 → none; number affected unknown → 1,340; "
    f"headline Water leak → Power cut; cause A digger {'x' * 50}… → Lightning"
)
WORDLESS = 'No text in Swedish: your words stand there untranslated. Add: --text-sv "…"'
UTAN = "Utan text på engelska: där står dina ord oöversatta."


def swedish(daemon: Daemon) -> None:
    daemon.answers[ORGANISATION] = (200, organisation(languages=["sv", "en"]))


def test_a_preview_names_each_fact_that_changes_by_it(daemon: Daemon, run: Run) -> None:
    moved = daemon.preview(
        kind="retraction",
        changes=CHANGES,
        areas=["norra-ekbyn", "sodra-ekbyn"],
        areas_before=["norra-ekbyn"],
        etr_before=CHANGES["etr"]["before"],
    )
    daemon.answers[PREVIEW] = (200, moved)
    lines = run("preview", "--kind", "retraction", "--incident", "A7").out.splitlines()
    assert CHANGED in lines
    assert not any(line.startswith("Now concerned as well") for line in lines)
    assert not any(line.startswith("No estimate any more") for line in lines)


def test_the_question_names_what_changes_and_the_language_without_a_text(
    daemon: Daemon, at_terminal: Run
) -> None:
    asked = daemon.preview(asks=True, kind="retraction", changes=CHANGES, no_text_in=["sv"])
    daemon.answers[PREVIEW] = (200, asked)
    ended = at_terminal("retract", "A7", "Wrong.", typed="norra ekbyn\n")
    assert ended.code == 0, ended.out
    shown = " ".join(ended.out[: ended.out.index("nothing to give up")].split())
    assert CHANGED in shown
    assert WORDLESS in shown


def test_the_answer_names_them_off_a_terminal_too(daemon: Daemon, run: Run) -> None:
    swedish(daemon)
    more = {"kind": "retraction", "corrects": 2, "update": 3, "no_text_in": ["en"]}
    changes = {name: CHANGES[name] for name in ("etr", "affected")}
    daemon.answers[UPDATES] = (201, daemon.accepted(changes=changes, **more))
    lines = run("retract", "A7", "Fel.", "--yes").out.splitlines()
    assert lines[0].endswith(" · Återtagande av A7-2 · Power cut · Norra Ekbyn")
    assert [lines[1], lines[3]] == [
        "Ändras därmed: bedömning mån 23 nov 2099 23.30 → ingen; antal berörda okänt → 1\xa0340",
        f"{UTAN} " + 'Ge den så här: broadcaster update A7 "…" --text-en "…"',
    ]


def test_nothing_is_said_where_nothing_changes_besides(daemon: Daemon, run: Run) -> None:
    nothing: dict[str, Any] = {"changes": {}, "no_text_in": [], "reopens": False}
    daemon.answers[UPDATES] = (201, daemon.accepted(kind="correction", corrects=1, **nothing))
    daemon.answers[PREVIEW] = (200, daemon.preview(**nothing))
    out = run("correct", "A7", "x", "--yes").out + run("preview", "x").out
    assert "Changes with it" not in out
    assert "No text in" not in out
    assert "opened again" not in out


def test_who_is_told_that_it_is_over_is_not_advised_to_open_it_again(
    daemon: Daemon, run: Run
) -> None:
    over = daemon.accepted(kind="restored", areas=[], ended=["norra-ekbyn"], no_text_in=["sv"])
    daemon.answers[UPDATES] = (201, over)
    out = run("restored", "A7", "It is back.", "--yes").out
    assert "No text in Swedish: your words stand there untranslated.\n" in out
    assert "broadcaster update" not in out


def test_that_nothing_is_left_is_said_before_and_after(daemon: Daemon, run: Run) -> None:
    daemon.answers[PREVIEW] = (200, daemon.preview(name="A7-3", nothing_stands=True))
    daemon.answers[UPDATES] = (201, daemon.accepted(kind="retraction", nothing_stands=True))
    for out in (run("preview", "--incident", "A7").out, run("retract", "A7", "--yes").out):
        assert "\nNothing of A7 stands after it.\n" in out


def test_that_it_is_over_again_is_said_before_and_after(daemon: Daemon, run: Run) -> None:
    daemon.answers[PREVIEW] = (200, daemon.preview(name="A7-3", closes=True))
    daemon.answers[UPDATES] = (201, daemon.accepted(kind="retraction", closes=True))
    for out in (run("preview", "--incident", "A7").out, run("retract", "A7", "--yes").out):
        assert "\nA7 is over again with it.\n" in out


def test_nobody_is_advised_to_correct_what_does_not_stand(daemon: Daemon, run: Run) -> None:
    assert "Put right: broadcaster correct A7" in run("retract", "A7", "--yes").out
    daemon.answers[UPDATES] = (201, daemon.accepted(kind="retraction", nothing_stands=True))
    out = run("retract", "A7", "--all", "--yes").out
    assert out.endswith("\nWatch: broadcaster status A7 --watch\n")


def test_json_has_what_the_daemon_says_of_it(daemon: Daemon, run: Run) -> None:
    daemon.answers[UPDATES] = (201, daemon.accepted(changes=CHANGES, no_text_in=["sv"]))
    answer = run("retract", "A7", "--yes", "--json").json
    assert (answer["changes"], answer["no_text_in"]) == (CHANGES, ["sv"])


OVER = {"headline": "", "kind": "restored", "areas": [], "ended": ["norra-ekbyn"]}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"kind": "retraction", "corrects": 1}, "Återtagande av A7-1 · Strömavbrott · Norra Ekbyn"),
        (
            {"kind": "retraction", "areas": [], "ended": ["norra-ekbyn"]},
            "Återtagande av hela A7 · Strömavbrott · Norra Ekbyn",
        ),
        ({"kind": "correction", "corrects": 1}, "Rättelse av A7-1 · Strömavbrott · Norra Ekbyn"),
        (OVER, "Strömmen är åter · Norra Ekbyn"),
        (OVER | {"headline": "Vattenläcka"}, "Avhjälpt: Vattenläcka · Norra Ekbyn"),
        (
            OVER | {"kind": "correction", "corrects": 1},
            "Rättelse av A7-1 · Strömmen är åter · Norra Ekbyn",
        ),
        (
            OVER | {"areas": ["sodra-ekbyn"]},
            "Strömmen är åter · Norra Ekbyn\nFortfarande berört: Södra Ekbyn",
        ),
        ({"kind": "update", "reopens": True}, "Öppnat igen · Strömavbrott · Norra Ekbyn"),
        (
            {"kind": "retraction", "corrects": 1, "reopens": True},
            "Återtagande av A7-1 · Öppnat igen · Strömavbrott · Norra Ekbyn",
        ),
        ({"kind": "update"}, "Besked · Strömavbrott · Norra Ekbyn"),
        ({"kind": "holding"}, "Inget nytt · Strömavbrott · Norra Ekbyn"),
    ],
)
def test_the_first_line_says_what_kind_of_word_was_accepted_and_what_it_is_about(
    daemon: Daemon, run: Run, answer: dict[str, Any], said: str
) -> None:
    swedish(daemon)
    accepted = daemon.accepted(update=2, **{"headline": "", **answer})
    daemon.answers[UPDATES] = (201, accepted)
    out = run("update", "A7", "x", "--yes").out
    assert out.startswith("LIVE · A7-2 mottaget ")
    assert out.partition(" · ")[2].partition(" · ")[2].startswith(f"{said}\n")


def test_what_is_scheduled_says_its_kind_and_what_it_does(daemon: Daemon, run: Run) -> None:
    held = daemon.accepted(
        held="scheduled",
        release_at="2026-11-23T02:57:00+00:00",
        kind="correction",
        corrects=1,
        no_text_in=["sv"],
    )
    daemon.answers[UPDATES] = (201, held)
    out = run("correct", "A7", "x", "--yes").out
    assert "goes out Monday 23 November 03:57 · Correction of A7-1 · Power cut" in out
    assert "No text in Swedish" in out


def test_a_preview_says_that_what_was_over_is_opened_again(daemon: Daemon, run: Run) -> None:
    daemon.answers[PREVIEW] = (200, daemon.preview(name="A7-4", kind="update", reopens=True))
    out = run("preview", "--incident", "A7", "Out again").out
    assert "\nA7 was over: it is opened again.\n" in out


def test_a_language_nobody_knows_is_named_by_its_tag(daemon: Daemon, run: Run) -> None:
    daemon.answers[PREVIEW] = (200, daemon.preview(no_text_in=["qx-0"]))
    assert "No text in qx-0: " in run("preview", "x").out


def test_what_is_scheduled_is_not_given_its_other_text_by_a_command_that_is_refused(
    daemon: Daemon, run: Run
) -> None:
    swedish(daemon)
    held = daemon.accepted(
        held="scheduled", release_at="2026-11-23T02:57:00+00:00", no_text_in=["en"]
    )
    daemon.answers["POST /api/v1/incidents"] = (201, held)
    out = run("report", "x", "--area", "norra-ekbyn", "--yes").out
    assert "broadcaster update" not in out
    again = 'broadcaster scheduled cancel A7-1, säg det sedan på nytt med --text-en "…"'
    assert f"{UTAN} Ge den så här: {again}\n" in out


def test_how_severe_it_is_is_said_in_the_organisations_language(daemon: Daemon, run: Run) -> None:
    swedish(daemon)
    milder = {"severity": {"before": "severe", "after": "moderate"}}
    taken = daemon.accepted(kind="retraction", corrects=2, changes=milder)
    daemon.answers[UPDATES] = (201, taken)
    out = run("retract", "A7-2", "--yes").out
    assert "Ändras därmed: allvarlighet allvarlig → måttlig\n" in out


def test_who_reports_what_goes_on_already_is_told_of_it_before_and_after(
    daemon: Daemon, run: Run
) -> None:
    swedish(daemon)
    there = {"A12": ["sodra-ekbyn"]}
    daemon.answers[PREVIEW] = (200, daemon.preview(already_open=there))
    daemon.answers["POST /api/v1/incidents"] = (201, daemon.accepted(already_open=there))
    report = ("x", "--area", "sodra-ekbyn")
    for out in (run("preview", *report).out, run("report", *report, "--yes").out):
        assert "\nA12 pågår redan i Södra Ekbyn: broadcaster update A12\n" in out


def test_preview_question_and_answer_name_the_language_that_is_one_update_behind(
    daemon: Daemon, run: Run, at_terminal: Run
) -> None:
    late = "Swedish is one update behind: it had your words, and has none now."
    lacks: dict[str, Any] = {"no_text_in": ["sv"], "behind": ["sv"]}
    daemon.answers[PREVIEW] = (200, daemon.preview(asks=True, kind="update", **lacks))
    daemon.answers[UPDATES] = (201, daemon.accepted(kind="update", **lacks))
    for out in (
        run("preview", "--incident", "A7", "x").out,
        at_terminal("update", "A7", "x", typed="norra ekbyn\n").out,
        run("update", "A7", "x", "--yes").out,
    ):
        assert late in " ".join(out.split())
        assert "No text in Swedish" not in out
    answer = json.loads(run("update", "A7", "x", "--yes", "--json").out)
    assert answer["behind"] == ["sv"]


def test_easy_swedish_is_called_what_people_call_it(daemon: Daemon, run: Run) -> None:
    daemon.answers[PREVIEW] = (200, daemon.preview(behind=["sv-simple"]))
    out = run("preview", "x").out
    assert "Lätt svenska is one update behind" in out
    assert '--text-sv-simple "…"' in out
    assert run("preview", "x", "--text-sv-simple", "y").code == 0
    assert daemon.bodies(PREVIEW)[-1]["texts"]["sv-simple"] == "y"
