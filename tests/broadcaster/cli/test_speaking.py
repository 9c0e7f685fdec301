"""What an operator says reaches the daemon as he meant it, once, and the answer begins with the mode."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from broadcaster.testing.commandline import (
    Ended,
    StandInDaemon as Daemon,
    delivery,
    organisation,
)

Run = Callable[..., Ended]
REPORT = "POST /api/v1/incidents"
UPDATES = "POST /api/v1/incidents/A7/updates"


def refusal(status: int, detail: str) -> tuple[int, dict[str, Any]]:
    return status, {"type": "about:blank", "title": "No", "status": status, "detail": detail}


def test_a_report_says_what_was_written_with_absolute_times(daemon: Daemon, run: Run) -> None:
    ended = run(
        *["report", "Out in Norra Ekbyn", "--area", "norra-ekbyn", "--area", "0127"],
        *["--next", "45m", "--etr", "2027-01-10 19:00", "--since", "2026-01-10 14:05"],
        *["--severity", "moderate", "--affected", "1200", "--cause", "unknown", "--quiet", "--yes"],
        *["--text-sv", "Strömmen är borta", "--text-fi=Sähkö poikki = totta"],
    )
    assert ended.code == 0, ended.err
    body = daemon.bodies(REPORT)[0]
    assert datetime.fromisoformat(body.pop("next")).utcoffset() is not None
    assert body == {
        "text": "Out in Norra Ekbyn",
        "texts": {"sv": "Strömmen är borta", "fi": "Sähkö poikki = totta"},
        "area": ["norra-ekbyn", "0127"],
        "etr": "2027-01-10T19:00:00+01:00",
        "since": "2026-01-10T14:05:00+01:00",
        "severity": "moderate",
        "affected": 1200,
        "cause": "unknown",
        "quiet": True,
    }
    assert len(daemon.headers(REPORT)["Idempotency-Key"]) >= 32


def test_the_answer_begins_with_the_mode_and_echoes_weekday_and_date(
    daemon: Daemon, run: Run
) -> None:
    promise = "2026-11-23T02:57:00+00:00"
    daemon.answers[REPORT] = (201, daemon.accepted(mode="drill", promise=promise))
    lines = run("report", "x", "--area", "norra-ekbyn", "--yes").out.splitlines()
    assert lines[0].startswith("DRILL · A7-1 accepted ")
    assert "Next word: Monday 23 November 03:57" in lines[1]


def test_sentences_are_in_the_first_language_of_the_organisation(daemon: Daemon, run: Run) -> None:
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(languages=["sv", "en"]))
    out = run("report", "x", "--area", "norra-ekbyn", "--yes").out
    assert "Allt är ute." in out
    assert "bekräftat  0," in out
    assert daemon.headers(REPORT)["Accept-Language"] == "sv"


@pytest.mark.parametrize(
    ("arguments", "kind", "more"),
    [
        (["update", "a7", "New"], "update", {"text": "New"}),
        (
            ["update", "A7", "--without-area", "norra-ekbyn"],
            "update",
            {"without_area": ["norra-ekbyn"]},
        ),
        (["update", "A7", "x", "--etr", "none"], "update", {"text": "x", "etr": "none"}),
        (["correct", "A7-2", "Right"], "correction", {"text": "Right", "corrects": 2}),
        (["correct", "A7", "Right"], "correction", {"text": "Right"}),
        (["retract", "A7"], "retraction", {}),
        (["retract", "A7", "--all"], "retraction", {"all": True}),
        (["holding", "A7"], "holding", {}),
        (["restored", "A7", "--area", "norra-ekbyn"], "restored", {"area": ["norra-ekbyn"]}),
        (["update", "A7", "Ny", "--lang", "sv"], "update", {"texts": {"sv": "Ny"}}),
    ],
)
def test_each_verb_sends_its_kind(
    daemon: Daemon, run: Run, arguments: list[str], kind: str, more: dict[str, Any]
) -> None:
    ended = run(*arguments, "--yes")
    assert ended.code == 0, ended.err
    assert daemon.bodies(UPDATES) == [{"kind": kind, **more}]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["retract", "A7", "--area", "norra-ekbyn"], "--without-area AREA"),
        (["holding", "A7", "--area", "norra-ekbyn"], "broadcaster restored ID --area AREA"),
        (["holding", "A7", "--etr", "5h"], "--etr says nothing with holding"),
        (["holding", "A7", "--text-sv", "Inget nytt."], "--text says nothing with holding"),
        (["retract", "A7", "--audience", "staff"], "--audience says nothing with retract"),
        (["restored", "A7", "--affected", "3"], "--affected says nothing with restored"),
    ],
)
def test_an_option_that_says_nothing_is_refused_with_what_says_it(
    daemon: Daemon, run: Run, arguments: list[str], named: str
) -> None:
    ended = run(*arguments, "--yes")
    assert ended.code == 2
    assert named in " ".join(ended.err.split())
    assert daemon.bodies(UPDATES) == []


def test_an_update_names_the_newest_update_and_a_retraction_needs_none(
    daemon: Daemon, run: Run
) -> None:
    daemon.answers["GET /api/v1/incidents/A7"] = (200, daemon.incident(update=4))
    run("update", "A7", "x", "--yes")
    assert daemon.headers(UPDATES)["If-Match"] == '"4"'
    run("retract", "A7", "--yes")
    assert "If-Match" not in daemon.headers(UPDATES)


def test_planned_work_ends_at_the_next_such_time_after_it_begins(daemon: Daemon, run: Run) -> None:
    planned = "2027-03-01 22:00/04:00"
    run("report", "Work", "--area", "norra-ekbyn", "--planned", planned, "--yes")
    assert daemon.bodies(REPORT)[0]["planned"] == {
        "start": "2027-03-01T22:00:00+01:00",
        "end": "2027-03-02T04:00:00+01:00",
    }


def test_json_is_the_daemons_answer(daemon: Daemon, run: Run) -> None:
    answer = run("report", "x", "--area", "norra-ekbyn", "--yes", "--json").json
    assert answer["incident"] == "A7"
    assert [one["channel"] for one in answer["deliveries"]] == ["page", "feed"]


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 4), (403, 4), (409, 4), (412, 4), (422, 4), (429, 4), (500, 1), (503, 1)],
)
def test_a_refusal_exits_4_and_a_failing_daemon_1(
    daemon: Daemon, run: Run, status: int, code: int
) -> None:
    daemon.answers[REPORT] = refusal(status, "Nothing was sent, because.")
    ended = run("report", "x", "--area", "norra-ekbyn", "--yes", "--json")
    assert ended.code == code
    assert ended.err == "Nothing was sent, because.\n"
    assert ended.json["status"] == status


def test_a_wrong_token_exits_4_and_says_what_to_do(environ: dict[str, str], run: Run) -> None:
    environ["BROADCASTER_TOKEN"] = "wrong"
    ended = run("status")
    assert (ended.code, "broadcaster login" in ended.err) == (4, True)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["report", "x", "--next", "banana"], 2, '--next: "banana" is not a time'),
        (["report", "x", "--at", "2026-10-25 02:30"], 4, "comes twice"),
        (["report", "x", "--at", "2027-03-28 02:30"], 4, "does not exist"),
        (["report", "x", "--planned", "22:00"], 2, "START/END"),
        (["report", "x", "--text", "sv"], 2, "--text"),
        (["report", "x", "--text-sv"], 2, "--text-sv"),
        (["report", "x", "--tekst-sv", "y"], 2, "--tekst-sv"),
        (["report"], 2, "Say what has happened"),
        (["update", "seven", "x"], 2, '"seven" is no incident'),
        (["report", "x", "--affected", "-1"], 2, "--affected"),
    ],
)
def test_what_cannot_be_understood_is_said_and_nothing_is_sent(
    daemon: Daemon, run: Run, arguments: list[str], code: int, sentence: str
) -> None:
    ended = run(*arguments, "--yes")
    assert ended.code == code
    assert sentence in ended.err
    assert daemon.bodies(REPORT) == []


def test_off_a_terminal_what_would_ask_is_refused_without_yes(daemon: Daemon, run: Run) -> None:
    daemon.answers["POST /api/v1/preview"] = (200, daemon.preview(asks=True))
    ended = run(
        "report", "x", "--area", "norra-ekbyn", "--severity", "severe", stdin="norra ekbyn\n"
    )
    assert ended.code == 4
    assert "--yes" in ended.err
    assert daemon.bodies(REPORT) == []


def test_off_a_terminal_what_would_not_ask_is_sent(daemon: Daemon, run: Run) -> None:
    assert run("report", "x", "--area", "norra-ekbyn").code == 0
    assert daemon.bodies("POST /api/v1/preview")[0]["kind"] == "report"
    assert len(daemon.bodies(REPORT)) == 1


def test_wait_exits_0_when_every_channel_accepted(daemon: Daemon, run: Run) -> None:
    daemon.deliveries = [delivery("page", "sending")]

    def arrived(body: Any) -> tuple[int, Any]:
        return 200, {"items": [delivery("page", "confirmed"), delivery("old", "failed", update=9)]}

    daemon.answers["GET /api/v1/incidents/A7/deliveries"] = arrived
    ended = run("report", "x", "--area", "norra-ekbyn", "--yes", "--wait", "20", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["deliveries"][0]["state"] == "confirmed"


def test_wait_exits_5_when_a_channel_did_not_accept_in_time(daemon: Daemon, run: Run) -> None:
    daemon.deliveries = [delivery("page", "confirmed"), delivery("x", "waiting")]
    ended = run("report", "x", "--area", "norra-ekbyn", "--yes", "--wait", "0.3")
    assert ended.code == 5
    assert "A7-1 is accepted, but not everywhere in time." in ended.err


@pytest.mark.parametrize(("failed", "code"), [(5, 0), (6, 5)])
def test_wait_takes_up_to_5_per_cent_of_failed_letters(
    daemon: Daemon, run: Run, failed: int, code: int
) -> None:
    counts = {"total": 100, "accepted": 100 - failed, "confirmed": 0, "failed": failed}
    daemon.deliveries = [delivery("sms", "accepted", counts=counts, shape="letter")]
    ended = run("report", "x", "--area", "norra-ekbyn", "--yes", "--wait", "20")
    assert ended.code == code


def test_what_is_scheduled_says_when_it_goes_out(daemon: Daemon, run: Run) -> None:
    held = daemon.accepted(held="scheduled", release_at="2026-11-23T02:57:00+00:00", deliveries=[])
    daemon.answers[REPORT] = (201, held)
    ended = run("report", "x", "--area", "norra-ekbyn", "--at", "2026-11-23 03:57", "--wait", "1")
    assert ended.code == 0
    assert "A7-1 is accepted and goes out Monday 23 November 03:57" in ended.out
    assert "broadcaster scheduled change A7-1" in ended.out


def test_what_steers_a_terminal_is_shown_as_a_question_mark(daemon: Daemon, run: Run) -> None:
    daemon.answers[REPORT] = refusal(422, "There is no area \x1b[2J\x9b\u202e.")
    assert run("report", "x", "--yes").err == "There is no area ?[2J??.\n"


def test_half_a_character_reaches_the_daemon_and_breaks_nothing(daemon: Daemon, run: Run) -> None:
    daemon.answers[REPORT] = lambda body: refusal(422, f"No: {body['text']}")
    ended = run("report", "a\udcffb", "--area", "norra-ekbyn", "--yes")
    assert ended.code == 4
    assert ended.err == "No: a\\udcffb\n"


def test_preview_shows_text_length_parts_and_what_forces_ucs2(daemon: Daemon, run: Run) -> None:
    channel = {
        "channel": "sms", "kind": "sms_http", "shape": "letter", "language": "sv",
        "variant": "news", "texts": ["Elen är åter – tack"], "unit": "characters", "used": 19,
        "limit": 70, "encoding": "UCS-2", "parts": 1, "forcing": ["–"], "cost_per_address": 0.5,
        "currency": "SEK", "recipients": 12430, "remarks": [], "error": "", "fallback": False,
    }  # fmt: skip
    preview = daemon.preview(
        channels=[channel], recipients={"sms": 12430}, cost={"amount": 6215.0, "currency": "SEK"}
    )
    daemon.answers["POST /api/v1/preview"] = (200, preview)
    ended = run("preview", "Elen är åter – tack", "--kind", "restored", "--incident", "a7-2")
    assert ended.code == 0, ended.err
    assert daemon.bodies("POST /api/v1/preview") == [
        {"text": "Elen är åter – tack", "kind": "restored", "incident": "A7", "corrects": 2}
    ]
    assert "sms to 12,430 addresses: 12,430 parts; about 6,215 SEK" in ended.out
    assert "19 of 70 characters, UCS-2, 1 part" in ended.out
    assert "  | Elen är åter – tack\n" in ended.out
    assert "“–” make it UCS-2" in ended.out
    assert daemon.bodies(REPORT) == []


# --------------------------------------------------------------------------------------------- at a terminal
Terminal = Callable[..., Ended]


@pytest.fixture
def asking(daemon: Daemon) -> Daemon:
    channels = [
        {"channel": "sms", "language": "sv", "parts": 2, "recipients": 12000},
        {"channel": "sms", "language": "en", "parts": 1, "recipients": 430},
        {"channel": "email", "language": "sv", "parts": 0, "recipients": 12430, "fallback": True},
    ]
    preview = daemon.preview(asks=True, recipients={"sms": 12430}, channels=channels)
    daemon.answers["POST /api/v1/preview"] = (200, preview)
    return daemon


def test_severe_asks_for_the_areas_name(asking: Daemon, at_terminal: Terminal) -> None:
    ended = at_terminal("report", "x", "--area", "norra-ekbyn", typed="norra\nNorra ekbyn\n")
    assert ended.code == 0, ended.out
    assert "LIVE · Report · Power cut · Norra Ekbyn" in ended.out
    assert "sms to 12,430 addresses: 24,430 parts" in ended.out
    assert '"norra" is not the name.' in ended.out
    assert len(asking.bodies(REPORT)) == 1


def test_before_and_after_it_is_said_what_goes_only_with_what_is_graver(
    asking: Daemon, at_terminal: Terminal
) -> None:
    less = {"severity": "moderate", "not_by": {"sms": "severe", "siren": "extreme"}}
    preview = asking.preview(asks=True, recipients={"email": 12}, **less)
    asking.answers["POST /api/v1/preview"] = (200, preview)
    asking.answers[REPORT] = (201, asking.accepted(**less))
    out = at_terminal("report", "x", "--area", "norra-ekbyn", typed="Norra ekbyn\n").out
    said = "Severity: moderate (--severity). Not by: sms (from severe), siren (from extreme)"
    assert " ".join(out.split()).count(said) == 2


def test_without_the_areas_name_nothing_is_sent(asking: Daemon, at_terminal: Terminal) -> None:
    ended = at_terminal("report", "x", "--area", "norra-ekbyn", typed="y\n\n")
    assert (ended.code, "Nothing was sent." in ended.out) == (4, True)
    assert asking.bodies(REPORT) == []


def test_four_questions_make_a_report(daemon: Daemon, at_terminal: Terminal) -> None:
    typed = "nowhere\nnorra, sodra-ekbyn\n\nStrömmen är borta\nsoon\n2h\n\ny\n"
    preview = daemon.preview()
    daemon.answers["POST /api/v1/preview"] = (200, preview)
    ended = at_terminal("report", typed=typed)
    assert ended.code == 0, ended.out
    assert 'There is no area "nowhere".' in ended.out
    assert '"soon" is not a time' in ended.out
    assert "empty: in 45 min" in ended.out
    body = daemon.bodies(REPORT)[0]
    assert body["area"] == ["norra-ekbyn", "sodra-ekbyn"]
    assert body["text"] == "Strömmen är borta"
    assert "etr" in body
    # What was confirmed, however long that took.
    assert body["next"] == preview["promise"]


@pytest.mark.parametrize(
    ("typed", "kind"), [("retract", "retraction"), ("correct", "correction"), ("holding",) * 2]
)
def test_preview_takes_the_word_that_is_typed_as_a_command(
    daemon: Daemon, run: Run, typed: str, kind: str
) -> None:
    assert run("preview", "--kind", typed, "--incident", "A7").code == 0
    assert daemon.bodies("POST /api/v1/preview") == [{"kind": kind, "incident": "A7"}]


def test_a_no_to_the_preview_sends_nothing(daemon: Daemon, at_terminal: Terminal) -> None:
    ended = at_terminal("report", typed="norra\nx\n\n\nn\n")
    assert ended.code == 4
    assert daemon.bodies(REPORT) == []


def test_the_table_closes_when_all_is_confirmed(daemon: Daemon, at_terminal: Terminal) -> None:
    ended = at_terminal("report", "x", "--area", "norra-ekbyn")
    assert ended.code == 0
    assert "Everything is out." in ended.out
    assert "broadcaster status A7 --watch" in ended.out


def test_who_did_not_see_a_colleagues_update_is_told_before_it_is_too_late(
    daemon: Daemon, at_terminal: Terminal
) -> None:
    at_terminal("status", "A7")
    daemon.answers["GET /api/v1/incidents/A7"] = (200, daemon.incident(update=3))
    daemon.answers[UPDATES] = refusal(412, "Bo wrote A7-3 meanwhile.")
    ended = at_terminal("update", "A7", "x")
    assert daemon.headers(UPDATES)["If-Match"] == '"1"'
    assert (ended.code, "Bo wrote A7-3" in ended.out) == (4, True)
    del daemon.answers[UPDATES]
    at_terminal("update", "A7", "x")
    assert daemon.headers(UPDATES)["If-Match"] == '"3"'


def test_the_problem_document_is_valid_json_for_scripts(daemon: Daemon, run: Run) -> None:
    daemon.answers[REPORT] = refusal(422, "å")
    assert json.loads(run("report", "x", "--yes", "--json").out)["detail"] == "å"
