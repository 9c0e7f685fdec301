"""export writes what the daemon made, to the screen or a file, and says beside it which mode and word it is of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broadcaster.testing.commandline import Ended, StandInDaemon as Daemon

Run = Callable[..., Ended]
ROUTE = "GET /api/v1/incidents/A7/export"
MADE: dict[str, Any] = {
    "incident": "A7",
    "update": 3,
    "as": "radio",
    "mode": "drill",
    "languages": ["sv"],
    "at": "2026-11-22T15:20:00+01:00",
    "valid_until": "2026-11-22T15:50:00+01:00",
    "media_type": "text/plain",
    "content": "DRILL · To be read on the radio\n\nStrömavbrott\x1b[2J.\n",
    "scripts": [],
    "remarks": ["Some words are left out."],
}
BESIDE = "DRILL · A7-3 · holds until the next word, Sunday 22 November 2026 15:50"


@pytest.fixture
def made(daemon: Daemon) -> Daemon:
    daemon.answers[ROUTE] = (200, MADE)
    return daemon


def test_the_text_alone_is_the_answer_and_what_is_to_be_known_stands_beside_it(
    made: Daemon, run: Run
) -> None:
    ended = run("export", "A7", "--as", "radio")
    assert ended.code == 0
    assert ended.out == "DRILL · To be read on the radio\n\nStrömavbrott?[2J.\n"
    assert ended.err.splitlines() == [BESIDE, "Some words are left out."]


def test_a_file_holds_the_text_and_the_screen_does_not(
    made: Daemon, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "radio.txt"
    ended = run("export", "A7", "--as", "radio", "--out", str(file))
    assert (ended.code, ended.out) == (0, "")
    assert file.read_text(encoding="utf-8") == MADE["content"]
    assert f"written to {file}" in ended.err


def test_a_file_that_cannot_be_written_is_said(made: Daemon, run: Run, tmp_path: Path) -> None:
    ended = run("export", "A7", "--as", "radio", "--out", str(tmp_path))
    assert ended.code == 2
    assert f"{tmp_path} cannot be written: " in ended.err


def test_json_is_the_answer_of_the_daemon(made: Daemon, run: Run) -> None:
    assert json.loads(run("export", "a7", "--as", "radio", "--json").out) == MADE


def test_form_and_languages_are_asked_for_in_their_order(made: Daemon, run: Run) -> None:
    run("export", "A7", "--as", "notice", "--lang", "en", "--lang", "sv")
    assert "as=notice&lang=en&lang=sv" in made.queries


def test_a_form_must_be_named(made: Daemon, run: Run) -> None:
    ended = run("export", "A7")
    assert ended.code == 2
    assert "--as" in ended.err
