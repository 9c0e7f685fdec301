"""status answers first, says what to do, and follows every change."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from broadcaster.testing.commandline import (
    Ended,
    StandInDaemon as Daemon,
    delivery,
    organisation,
)

Run = Callable[..., Ended]
A7 = "GET /api/v1/incidents/A7"
SENTENCE = "x is stopped: Its token is refused. Mend it, then: broadcaster channels resume x"
RESUME = "broadcaster channels resume x"
PARKED = {"state": "parked", "because": "Its token is refused.", "remedy": RESUME}


def test_status_gives_the_answer_first_and_the_table_last(daemon: Daemon, run: Run) -> None:
    waiting = delivery("x", "waiting", accepted_at=None, stop=PARKED)
    daemon.deliveries = [delivery("page", "confirmed"), waiting]
    daemon.answers[A7] = (200, daemon.incident(advice=[SENTENCE]))
    lines = run("status", "A7").out.splitlines()
    assert lines[0] == "LIVE · A7 · Power cut · Norra Ekbyn"
    assert lines[1] == "Going out: 1 of 2 channels so far."
    assert lines[2] == SENTENCE
    assert " ".join(lines[-1].split()) == f"x parked {SENTENCE.partition(': ')[2]}"
    assert all(line == line.rstrip() for line in lines)


NOT_IN_ORDER = "Not in order: a disk is full or nearly so, the clock jumped or is wrong. What to do: broadcaster doctor\n"
DEGRADED = [{"what": what, "where": "", "sentence": "…"} for what in ("disk", "clock", "clock")]


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["status", "A7"],
        ["status", "A7", "--json"],
        ["channels", "list"],
        ["report", "--yes", "--area", "norra-ekbyn", "Power is out."],
    ],
    ids=" ".join,
)
def test_what_touches_all_that_is_sent_is_said_in_one_line_beside_the_answer(
    daemon: Daemon, run: Run, command: list[str]
) -> None:
    daemon.answers["GET /api/v1/channels"] = (200, {"items": []})
    well = run(*command)
    assert "Not in order" not in well.err
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(degraded=DEGRADED))
    ended = run(*command)
    assert (ended.code, ended.err.replace("\n", " ").split()) == (well.code, NOT_IN_ORDER.split())
    assert "nearly so" not in ended.out


def test_the_doctor_says_what_is_wrong_itself(daemon: Daemon, run: Run) -> None:
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(degraded=DEGRADED))
    daemon.answers["GET /api/v1/doctor"] = (200, {"items": [], "ready": True})
    assert run("doctor").err == ""


def test_what_is_wrong_is_said_in_the_language_of_the_organisation(
    daemon: Daemon, run: Run
) -> None:
    daemon.answers["GET /api/v1/organisation"] = (
        200,
        organisation(degraded=DEGRADED[:1], languages=["sv"]),
    )
    said = " ".join(run("status").err.split())
    assert (
        said == "Inte i ordning: en disk är full eller nästan full. Vad du gör: broadcaster doctor"
    )


def test_a_paused_channel_says_so_and_how_it_goes_on(daemon: Daemon, run: Run) -> None:
    paused = {"state": "paused", "because": "", "remedy": RESUME}
    daemon.deliveries = [delivery("x", "waiting", accepted_at=None, stop=paused)]
    last = run("status", "A7").out.splitlines()[-1]
    assert re.search("^ +x +paused +go on: broadcaster channels resume x$", last)


def test_a_channel_that_is_gone_is_not_called_paused(daemon: Daemon, run: Run) -> None:
    gone = {"state": "gone", "because": "", "remedy": "broadcaster channels reroute x --to NAME"}
    daemon.deliveries = [delivery("x", "waiting", accepted_at=None, stop=gone)]
    last = run("status", "A7").out.splitlines()[-1]
    said = "not in the configuration any more: broadcaster channels reroute x --to NAME"
    assert re.search(f"^ +x +gone +{said}$", last)


def test_the_list_says_where_something_waits_on_a_channel_that_is_stopped(
    daemon: Daemon, run: Run
) -> None:
    held = daemon.incident(incident="A8", stopped={"sms": "parked", "x": "paused"})
    items = [daemon.incident(stopped={}), held]
    daemon.answers["GET /api/v1/incidents"] = (200, {"items": items, "next": ""})
    first, second = run("status").out.splitlines()[1:]
    assert first.split()[0] == "A7"
    assert "parked" not in first
    assert second.endswith(", sms parked, x paused")


def test_what_was_cancelled_before_it_went_out_is_not_said_to_be_out(
    daemon: Daemon, run: Run
) -> None:
    daemon.deliveries = [delivery("page", "withdrawn", accepted_at=None)]
    incident = daemon.incident(closed_at=START)
    cancelled = [update | {"cancelled": True} for update in incident["updates"]]
    daemon.answers[A7] = (200, incident | {"updates": cancelled})
    out = run("status", "A7").out
    assert out.splitlines()[1] == "Cancelled: nothing of it went out."
    assert "[cancelled, nobody got it]" in out


def test_a_watch_needs_to_know_which_of_several(daemon: Daemon, run: Run) -> None:
    two = [daemon.incident(), daemon.incident(incident="A8")]
    daemon.answers["GET /api/v1/incidents"] = (200, {"items": two, "next": ""})
    ended = run("status", "--watch")
    assert (ended.code, ended.err) == (
        *(2, "Say which one to watch: broadcaster status A7 --watch\n"),
    )


def test_where_nothing_is_open_a_watch_says_that_it_does_not_begin(
    daemon: Daemon, run: Run
) -> None:
    daemon.answers["GET /api/v1/incidents"] = (200, {"items": [], "next": ""})
    ended = run("status", "--watch")
    assert (ended.code, ended.err) == (2, "Nothing is open, so there is nothing to watch.\n")


def test_a_watch_without_a_name_is_of_the_only_one_that_is_open(daemon: Daemon, run: Run) -> None:
    ended = run("status", "--watch")
    assert (ended.code, ended.out.startswith("LIVE · A7 · ")) == (0, True)


def test_what_goes_on_stands_before_what_is_planned_and_what_waits(
    daemon: Daemon, run: Run
) -> None:
    items = [
        daemon.incident(incident="A9", release_at=START, promise=END),
        daemon.incident(incident="A8", planned={"start": START, "end": END}),
        daemon.incident(),
    ]
    daemon.answers["GET /api/v1/incidents"] = (200, {"items": items, "next": ""})
    names = [line.split()[0] for line in run("status").out.splitlines()[1:]]
    assert names == ["A7", "A8", "A9"]
    listed = [line.split()[0] for line in run("incidents", "list").out.splitlines()[1:]]
    assert listed == ["A9", "A8", "A7"]


def test_status_json_is_the_daemons_answer(daemon: Daemon, run: Run) -> None:
    assert run("status", "A7", "--json").json["incident"] == "A7"


def test_status_without_a_name_shows_the_only_open_incident(daemon: Daemon, run: Run) -> None:
    assert run("status").out.startswith("LIVE · A7 · Power cut")


def test_status_without_a_name_lists_several_and_marks_what_is_overdue(
    daemon: Daemon, run: Run
) -> None:
    items = [
        daemon.incident(overdue=True),
        daemon.incident(incident="A8", headline="Water leak", in_doubt=148),
    ]
    daemon.answers["GET /api/v1/incidents"] = (200, {"items": items, "next": ""})
    out = run("status").out
    assert out.startswith("LIVE · 2 open\n")
    assert "OVERDUE since" in out
    [leak] = [line for line in out.splitlines() if "Water leak" in line]
    assert leak.endswith("148 letters uncertain")


def test_where_all_is_planned_the_head_is_one_sentence(daemon: Daemon, run: Run) -> None:
    planned = {"start": START, "end": END}
    items = [daemon.incident(planned=planned), daemon.incident(incident="A8", planned=planned)]
    daemon.answers["GET /api/v1/incidents"] = (200, {"items": items, "next": ""})
    assert run("status").out.startswith("LIVE · 0 open, 2 planned\n")


def test_nothing_open_is_said(daemon: Daemon, run: Run) -> None:
    daemon.answers["GET /api/v1/incidents"] = (200, {"items": [], "next": ""})
    assert run("status").out == "LIVE · Nothing is open.\n"


def test_the_watch_in_a_pipe_writes_a_line_per_change_and_ends_when_all_rests(
    daemon: Daemon, run: Run
) -> None:
    states = iter(["sending", "sending", "confirmed"])

    def moved(body: Any) -> tuple[int, Any]:
        daemon.deliveries = [delivery("page", next(states, "confirmed"))]
        return 200, daemon.incident()

    daemon.answers[A7] = moved
    ended = run("status", "A7", "--watch")
    assert ended.code == 0
    changes = [line for line in ended.out.splitlines() if "  page  " in line]
    assert ["sending" in line for line in changes] == [True, False]


def test_what_is_typed_during_the_watch_moves_nothing_in_its_table(
    daemon: Daemon, at_terminal: Run
) -> None:
    states = iter(["sending", "sending", "confirmed"])

    def moved(body: Any) -> tuple[int, Any]:
        daemon.deliveries = [delivery("page", next(states, "confirmed"))]
        return 200, daemon.incident(closed_at=START)

    daemon.answers[A7] = moved
    ended = at_terminal("status", "A7", "--watch", typed="zzz", after="  page  ")
    assert (ended.code, "confirmed" in ended.out) == (0, True)
    assert "zzz" not in ended.out


def test_a_watch_says_since_when_the_server_is_silent_and_no_longer_once_it_answers(
    daemon: Daemon, at_terminal: Run
) -> None:
    daemon.deliveries = [delivery("page", "sending")]
    going_on, over = daemon.incident(), daemon.incident(closed_at=START)
    over["deliveries"] = [delivery("page", "confirmed")]
    answers = iter([(200, going_on), (0, None), (503, {"title": "Unavailable", "status": 503})])
    daemon.answers[A7] = lambda body: next(answers, (200, over))
    ended = at_terminal("status", "A7", "--watch")
    assert ended.code == 0, ended.out
    frames = [" ".join(frame.split()) for frame in ended.out.split("LIVE · A7 ")[1:]]
    told = r"The server does not answer: this is how it stood at \d\d[:.]\d\d[:.]\d\d\."
    silent = [re.search(told, frame) is not None for frame in frames]
    assert silent[:4] == [False, True, True, False], ended.out
    assert not any(silent[4:])
    assert ["page sending" in frame for frame in frames[:4]] == [True, True, True, False]


def test_an_unknown_incident_is_refused(run: Run) -> None:
    assert run("status", "A99").code == 4


START, END = "2099-11-23T07:00:00+00:00", "2099-11-23T11:00:00+00:00"


def test_what_is_planned_or_waits_is_not_said_to_go_on(daemon: Daemon, run: Run) -> None:
    items = [
        daemon.incident(),
        daemon.incident(incident="A8", headline="", planned={"start": START, "end": END}),
        daemon.incident(incident="A9", release_at=START, promise=END),
    ]
    daemon.answers["GET /api/v1/incidents"] = (200, {"items": items, "next": ""})
    out = run("status").out
    assert out.startswith("LIVE · 1 open, 1 planned, 1 waiting\n")
    _, going_on, planned, waits = out.splitlines()
    assert "next word" in going_on
    assert "Planned power cut" in planned
    assert planned.endswith("planned Monday 23 November 2099 08:00 – 12:00")
    assert waits.endswith("goes out Monday 23 November 2099 08:00")


def test_planned_work_that_has_begun_goes_on(daemon: Daemon, run: Run) -> None:
    began = {"start": "2026-01-01T07:00:00+00:00", "end": END}
    items = [daemon.incident(planned=began), daemon.incident(incident="A8")]
    daemon.answers["GET /api/v1/incidents"] = (200, {"items": items, "next": ""})
    assert run("status").out.startswith("LIVE · 2 open\n")


def test_an_incident_of_which_nothing_is_out_says_when_it_goes_out(
    daemon: Daemon, run: Run
) -> None:
    daemon.deliveries = []
    daemon.answers[A7] = (
        200,
        daemon.incident(release_at=START, planned={"start": START, "end": END}),
    )
    lines = run("status", "A7").out.splitlines()
    assert lines[1].startswith(
        "Nothing of it has gone out yet. It goes out Monday 23 November 2099"
    )
    assert "Planned: Monday 23 November 2099 08:00 – 12:00" in lines


def test_an_update_without_words_says_where(daemon: Daemon, run: Run) -> None:
    said = daemon.incident()["updates"][0] | {
        "text": {},
        "kind": "restored",
        "ended": ["norra-ekbyn"],
    }
    daemon.answers[A7] = (200, daemon.incident(updates=[said]))
    assert "restored  Anna: Norra Ekbyn\n" in run("status", "A7").out


@pytest.mark.parametrize(
    ("corrected", "said"),
    [
        (
            {"channels": 6, "corrected": 5, "slowest": "sms", "seconds": 14.2, "lacking": ["x"]},
            "  [put right on 5 of 6 channels, slowest sms 14.2 s]  [still wrong on x]",
        ),
        (
            {"channels": 1, "corrected": 0, "slowest": "", "seconds": None, "lacking": ["sms"]},
            "  [put right on 0 of 1 channels]  [still wrong on sms]",
        ),
        (None, "not where I said."),
    ],
)
def test_a_correction_says_how_far_it_is_and_how_long_it_took(
    daemon: Daemon, run: Run, corrected: object, said: str
) -> None:
    update = daemon.incident()["updates"][0] | {
        "kind": "correction",
        "text": {"en": "It is not where I said."},
        "corrected": corrected,
    }
    daemon.answers[A7] = (200, daemon.incident(updates=[update]))
    (line,) = [each for each in run("status", "A7").out.splitlines() if "Anna" in each]
    assert line.endswith(said)


def test_what_nobody_has_counted_is_not_said_to_be_nought(daemon: Daemon, run: Run) -> None:
    counts = dict.fromkeys(("total", "accepted", "confirmed", "failed", "uncertain", "skipped"), 0)
    daemon.deliveries = [delivery("sms", "waiting", shape="letter", counts=counts)]
    daemon.answers[A7] = (200, daemon.incident())
    assert run("status", "A7").out.splitlines()[-1].split() == ["sms", "waiting"]


def test_an_address_can_be_clicked_where_there_is_room_for_it(daemon: Daemon, run: Run) -> None:
    long = "https://social.example/@ekbynsenergi/1122334455667788"
    daemon.deliveries = [
        delivery("page", "confirmed", url="http://127.0.0.1:8080/"),
        delivery("x", "accepted", url=long),
    ]
    daemon.answers[A7] = (200, daemon.incident())
    page, x = run("status", "A7").out.splitlines()[-2:]
    assert page.endswith("  http://127.0.0.1:8080/")
    assert x.endswith(" social.example/@ekbynsenergi/1122334455667788")


def test_on_a_terminal_no_name_and_no_address_is_cut_off(daemon: Daemon, at_terminal: Run) -> None:
    name, path = "press-tidningen-norra-ekbyn", "ekbynsenergi/1122334455667788990011"
    url = f"127.0.0.1:8080/{path}"
    daemon.deliveries = [delivery(name, "accepted", url=f"http://{url}")]
    daemon.answers[A7] = (200, daemon.incident())
    lines = at_terminal("status", "A7").out.splitlines()
    assert any(name in line for line in lines)
    assert url in "".join(line.strip().split("  ")[-1] for line in lines)


def test_what_is_over_is_neither_planned_nor_waiting(daemon: Daemon, run: Run) -> None:
    closed = daemon.incident(closed_at=START, planned={"start": START, "end": END})
    daemon.answers["GET /api/v1/incidents"] = (200, {"items": [closed], "next": ""})
    first, line = run("incidents", "list").out.splitlines()
    assert (first, "closed " in line) == ("LIVE · Nothing is open.", True)


@pytest.mark.parametrize(
    ("end", "first", "when", "listed"),
    [
        ("restored", "LIVE · A7 · The power is back · Norra Ekbyn", "Closed: ", "closed "),
        ("retracted", "LIVE · A7 · Power cut · Norra Ekbyn", "All of it was retracted: ", "retr"),
        ("cancelled", "LIVE · A7 · Power cut · Norra Ekbyn", "Cancelled: ", "cancelled "),
    ],
)
def test_what_is_over_says_how_it_ended_and_where(
    daemon: Daemon, run: Run, end: str, first: str, when: str, listed: str
) -> None:
    over = daemon.incident(closed_at=START, end=end, areas=[], ended=["norra-ekbyn"], headline="")
    daemon.answers[A7] = (200, over)
    lines = run("status", "A7").out.splitlines()
    assert lines[0] == first
    assert [line.startswith(f"{when}Monday 23 November 2099") for line in lines].count(True) == 1
    daemon.answers["GET /api/v1/incidents"] = (200, {"items": [over], "next": ""})
    (line,) = run("incidents", "list").out.splitlines()[1:]
    assert f"Norra Ekbyn  {listed}" in line


def test_planned_work_that_was_retracted_is_called_so_but_not_promised(
    daemon: Daemon, run: Run
) -> None:
    planned = {"start": START, "end": END}
    gone = daemon.incident(closed_at=START, end="retracted", planned=planned, headline="")
    daemon.answers[A7] = (200, gone)
    out = run("status", "A7").out
    assert out.startswith("LIVE · A7 · Planned power cut · ")
    assert "Planned: " not in out


def test_a_retraction_among_the_words_says_of_which(daemon: Daemon, run: Run) -> None:
    said = daemon.incident()["updates"][0]
    taken = [
        said | {"update": 2, "kind": "correction", "corrects": 1},
        said | {"update": 3, "kind": "retraction", "corrects": 2},
        said | {"update": 4, "kind": "retraction", "corrects": None},
    ]
    daemon.answers[A7] = (200, daemon.incident(updates=taken))
    out = run("status", "A7").out
    for words in ("correction of A7-1", "retraction of A7-2", "retraction of all of A7"):
        assert f"  {words}  Anna: " in out


def test_a_scheduled_update_says_when_and_not_a_word_of_the_machine(
    daemon: Daemon, run: Run
) -> None:
    said = daemon.incident()["updates"][0] | {"held": "scheduled", "release_at": START}
    daemon.answers[A7] = (200, daemon.incident(updates=[said]))
    out = run("status", "A7").out
    assert "[goes out Monday 23 November 2099 08:00]" in out
    assert "scheduled" not in out


def test_of_a_list_that_is_cut_off_the_head_says_what_it_counts(daemon: Daemon, run: Run) -> None:
    two = [daemon.incident(), daemon.incident(incident="A8")]
    daemon.answers["GET /api/v1/incidents"] = (200, {"items": two, "next": "6"})
    assert run("incidents", "list").out.startswith("LIVE · 2 open (of the 2 newest)\n")


@pytest.mark.parametrize(("count", "said"), [(1, "0 pågår, 1 planerad"), (2, "2 planerade")])
def test_one_planned_work_is_spoken_of_as_one(
    daemon: Daemon, run: Run, count: int, said: str
) -> None:
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(languages=["sv"]))
    planned = daemon.incident(planned={"start": START, "end": END})
    daemon.answers["GET /api/v1/incidents"] = (200, {"items": [planned] * count, "next": ""})
    assert run("incidents", "list").out.partition("\n")[0].endswith(said)
