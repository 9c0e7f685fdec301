"""A bare `correct A7` or `retract A7` is about the word it was typed against, however late it arrives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcaster.testing.commandline import Ended, StandInDaemon as Daemon

Run = Callable[..., Ended]
A7 = "GET /api/v1/incidents/A7"
ORGANISATION = "GET /api/v1/organisation"
PREVIEW = "POST /api/v1/preview"
UPDATES = "POST /api/v1/incidents/A7/updates"
SILENCE = (0, None)


@pytest.fixture
def spool(home: Path) -> Path:
    return home / ".local/state/broadcaster/spool"


def kept(spool: Path) -> dict[str, Any]:
    [path] = spool.glob("*.json")
    entry: dict[str, Any] = json.loads(path.read_text())
    return entry


def words(daemon: Daemon, *more: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The incident after its report and these words, numbered from 2."""
    said = daemon.incident()["updates"][0]
    updates = [said | {"update": number, **one} for number, one in enumerate(({}, *more), 1)]
    return 200, daemon.incident(update=len(updates), updates=updates)


def fall_silent(daemon: Daemon) -> None:
    daemon.answers |= {ORGANISATION: SILENCE, PREVIEW: SILENCE, UPDATES: SILENCE}


def come_back(daemon: Daemon) -> None:
    for route in (ORGANISATION, PREVIEW, UPDATES):
        del daemon.answers[route]


def silent_after_status(daemon: Daemon, run: Run, *more: dict[str, Any]) -> None:
    daemon.answers[A7] = words(daemon, *more)
    assert run("status", "A7").code == 0
    fall_silent(daemon)


def test_a_correction_that_is_kept_is_about_the_word_that_was_seen_last(
    daemon: Daemon, run: Run, at_terminal: Run, spool: Path
) -> None:
    silent_after_status(daemon, run, {"kind": "update"})
    ended = run("correct", "A7", "Right", "--yes")
    assert ended.code == 3
    assert "A7-2 is meant, the newest that was seen here." in ended.err
    come_back(daemon)
    daemon.answers[A7] = words(daemon, {"kind": "update"}, {"kind": "holding"})
    shown = at_terminal("status", typed="y\n").out
    assert "perhaps never sent: correction of A7-2 “Right”" in " ".join(shown.split())
    said = {"text": "Right", "kind": "correction", "corrects": 2}
    assert daemon.bodies(UPDATES) == [said, said]


@pytest.mark.parametrize(
    "gone",
    [
        {"kind": "update", "struck_by": 3},
        {"kind": "retraction"},
        {"kind": "update", "held": "scheduled"},
        {"kind": "update", "cancelled": True},
        {"kind": "holding"},
    ],
)
def test_what_does_not_stand_is_not_meant(
    daemon: Daemon, run: Run, spool: Path, gone: dict[str, Any]
) -> None:
    silent_after_status(daemon, run, gone)
    run("correct", "A7", "Right", "--yes")
    assert kept(spool)["body"]["corrects"] == 1


def test_his_own_last_word_is_meant(daemon: Daemon, run: Run, spool: Path) -> None:
    daemon.answers[UPDATES] = (201, daemon.accepted(kind="update", update=4))
    run("update", "A7", "x", "--yes")
    fall_silent(daemon)
    run("correct", "A7", "Right", "--yes")
    assert kept(spool)["body"]["corrects"] == 4


@pytest.mark.parametrize(("corrects", "meant"), [(2, None), (1, 2)])
def test_after_a_retraction_of_it_nothing_is_known(
    daemon: Daemon, run: Run, spool: Path, corrects: int, meant: int | None
) -> None:
    daemon.answers[A7] = words(daemon, {"kind": "update"})
    run("status", "A7")
    taken = daemon.accepted(kind="retraction", update=3, corrects=corrects)
    daemon.answers[UPDATES] = (201, taken)
    run("retract", f"A7-{corrects}", "--yes")
    fall_silent(daemon)
    run("correct", "A7", "Right", "--yes")
    assert kept(spool)["body"].get("corrects") == meant


def test_a_retraction_that_is_tried_again_does_not_take_back_what_a_colleague_said_meanwhile(
    daemon: Daemon, run: Run
) -> None:
    silent: Iterator[bool] = iter([True, False])
    strikes: dict[str, Any] = {"strikes": {"name": "A7-2", "text": {}}}
    daemon.answers[PREVIEW] = (200, daemon.preview(kind="retraction", **strikes))

    def answer(body: Any) -> tuple[int, Any]:
        return SILENCE if next(silent) else (201, daemon.accepted(update=4))

    daemon.answers[UPDATES] = answer
    assert run("retract", "A7", "--yes").code == 0
    assert daemon.bodies(UPDATES) == [{"kind": "retraction", "corrects": 2}] * 2
    assert "If-Match" not in daemon.headers(UPDATES)


def test_a_retraction_typed_twice_is_left_for_the_daemon_to_refuse(
    daemon: Daemon, run: Run
) -> None:
    refused = (409, {"status": 409, "detail": "A7-2 was retracted."})
    daemon.answers |= {PREVIEW: refused, UPDATES: refused}
    ended = run("retract", "A7", "--yes")
    assert (ended.code, ended.err) == (4, "A7-2 was retracted.\n")
    assert daemon.bodies(UPDATES) == [{"kind": "retraction"}]


@pytest.mark.parametrize(
    ("typed", "corrects"), [("B1\n9x\nA7-3\n", 3), ("3\n", 3), ("A8-2\n2\n", 2), ("\n", None)]
)
def test_where_nothing_was_seen_it_is_asked_at_a_terminal(
    daemon: Daemon, run: Run, at_terminal: Run, spool: Path, typed: str, corrects: int | None
) -> None:
    run("incidents", "list")
    fall_silent(daemon)
    ended = at_terminal("correct", "A7", "Right", typed=typed)
    assert "Which update of A7 is meant, such as A7-2" in " ".join(ended.out.split())
    assert kept(spool)["body"].get("corrects") == corrects


def test_off_a_terminal_it_is_said_that_the_word_is_not_known(
    daemon: Daemon, run: Run, spool: Path
) -> None:
    run("incidents", "list")
    fall_silent(daemon)
    ended = run("correct", "A7", "Right", "--yes")
    assert "Which update of A7 is meant is not known here" in ended.err
    assert "corrects" not in kept(spool)["body"]


def test_behind_a_word_of_his_own_that_is_kept_too_nothing_is_taken_for_known(
    daemon: Daemon, run: Run
) -> None:
    silent_after_status(daemon, run)
    run("update", "A7", "New", "--yes")
    ended = run("correct", "A7", "Right", "--yes")
    assert "is not known here" in ended.err


def test_of_which_word_a_kept_one_is_that_nobody_knew_is_shown_before_it_is_sent(
    daemon: Daemon, run: Run, at_terminal: Run, spool: Path
) -> None:
    run("incidents", "list")
    fall_silent(daemon)
    run("correct", "A7", "Right", "--yes")
    come_back(daemon)
    strikes: dict[str, Any] = {"strikes": {"name": "A7-5", "text": {"en": "A colleague's"}}}
    daemon.answers[PREVIEW] = (200, daemon.preview(kind="correction", **strikes))
    shown = at_terminal("status", typed="y\nn\n").out
    assert "Corrects A7-5:" in shown
    assert "A colleague's" in shown
    assert len(daemon.bodies(UPDATES)) == 1


def test_off_a_terminal_what_is_kept_says_what_to_do(daemon: Daemon, run: Run) -> None:
    silent_after_status(daemon, run)
    run("correct", "A7", "Right", "--yes")
    come_back(daemon)
    assert "At a terminal the next command asks whether to send it" in run("status").err


def test_the_words_of_a_kept_command_that_is_refused_are_given_back(
    daemon: Daemon, run: Run, at_terminal: Run
) -> None:
    silent_after_status(daemon, run)
    run("correct", "A7", "Right " * 20, "--yes")
    come_back(daemon)
    daemon.answers[UPDATES] = (409, {"status": 409, "detail": "A7-1 was already corrected."})
    shown = " ".join(at_terminal("status", typed="y\n").out.split())
    assert "A7-1 was already corrected." in shown
    assert f"You wrote: {'Right ' * 20}".strip() in shown
