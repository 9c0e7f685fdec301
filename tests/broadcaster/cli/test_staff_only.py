"""What only staff were told is marked wherever it is shown: nobody is to believe that residents know."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broadcaster.testing.commandline import Ended, StandInDaemon as Daemon, run_command
from broadcaster.testing.operators import CONFIGURATION, Daemonless

Run = Callable[..., Ended]
STAFF = ("report", "Inbrott.", "--area", "norra-ekbyn", "--audience", "staff", "--yes")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Daemonless]:
    duty = CONFIGURATION.replace(
        "  hook: {kind: webhook,", "  hook: {kind: webhook, audience: staff,"
    )
    with Daemonless(tmp_path, duty) as desk:
        yield desk


@pytest.fixture
def at_desk(desk: Daemonless, home: Path, tmp_path: Path) -> Run:
    """Run `broadcaster …` against a real API."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        "BROADCASTER_URL": f"http://127.0.0.1:{desk.api.port}",
        "BROADCASTER_TOKEN": desk.admin,
    }
    return lambda *arguments: run_command(arguments, environ, tmp_path)


def test_what_only_staff_know_is_marked_in_answer_preview_status_and_list(at_desk: Run) -> None:
    answer = at_desk(*STAFF)
    assert answer.code == 0, answer.err
    assert " · Bara personal · Strömavbrott · Norra Ekbyn\n" in answer.out
    assert at_desk("status").out.startswith("DEMO · A1 · Bara personal · Strömavbrott")
    assert "Strömavbrott (bara personal)" in at_desk("incidents", "list").out
    previewed = at_desk("preview", "Mer.", "--incident", "A1", "--kind", "update").out
    assert previewed.startswith("DEMO · Besked · Bara personal · ")


def test_a_staff_word_among_public_ones_is_marked_alone(at_desk: Run) -> None:
    at_desk("report", "Strömmen är borta.", "--area", "norra-ekbyn", "--yes")
    at_desk("update", "A1", "Kabeln är av.", "--audience", "staff", "--yes")
    out = at_desk("status", "A1").out
    assert out.startswith("DEMO · A1 · Strömavbrott")
    assert "  första besked  Eva: Strömmen är borta." in out
    assert "  besked, bara personal  Eva: Kabeln är av." in out
    assert "bara personal" not in at_desk("incidents", "list").out


def test_what_staff_alone_knew_stays_marked_when_it_is_taken_back(at_desk: Run) -> None:
    at_desk(*STAFF)
    at_desk("retract", "A1", "--all", "--yes")
    assert "Strömavbrott (bara personal)" in at_desk("incidents", "list").out


def test_the_question_says_that_only_staff_are_told(daemon: Daemon, at_terminal: Run) -> None:
    asked = daemon.preview(asks=True, audience="staff")
    daemon.answers["POST /api/v1/preview"] = (200, asked)
    shown = at_terminal(*STAFF[:-1], typed="\n").out
    assert "LIVE · Report · Staff only · Power cut · Norra Ekbyn" in shown


def test_a_kept_word_for_staff_is_offered_as_one(daemon: Daemon, run: Run) -> None:
    daemon.answers["POST /api/v1/incidents"] = (0, None)
    run(*STAFF)
    assert "perhaps never sent: report staff only norra-ekbyn" in run("status").err
