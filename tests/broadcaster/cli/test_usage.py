"""Help and usage errors speak the organisation's first language, and end as they did: 0 for help, 2 for an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from broadcaster.cli.language import known_language
from broadcaster.testing.commandline import Ended, StandInDaemon as Daemon, organisation

Run = Callable[..., Ended]
REPORT = "POST /api/v1/incidents"
SWEDISH = "organisation: {name: Ekbyns Energi, languages: [sv, en]}\n"


@pytest.fixture
def nowhere(environ: dict[str, str]) -> dict[str, str]:
    """A machine that knows no daemon."""
    del environ["BROADCASTER_URL"], environ["BROADCASTER_TOKEN"]
    return environ


@pytest.fixture
def here(nowhere: dict[str, str], tmp_path: Path) -> Path:
    """A Swedish configuration where the command is typed."""
    path = tmp_path / "broadcaster.yaml"
    path.write_text(SWEDISH)
    return path


def test_help_is_in_the_language_of_the_configuration(here: Path, run: Run) -> None:
    ended = run("report", "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Användning: broadcaster report [FLAGGOR] [TEXT]\n")
    assert "  --etr TID              När det beräknas vara över" in ended.out


def test_help_is_in_the_language_the_daemon_said_last_time(
    daemon: Daemon, environ: dict[str, str], run: Run
) -> None:
    assert run("--help").out.startswith("Usage:")
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(languages=["sv", "en"]))
    assert run("status").code == 0
    asked = len(daemon.asked)
    assert run("--help").out.startswith("Användning:")
    assert len(daemon.asked) == asked
    del environ["BROADCASTER_URL"]
    assert run("--help").out.startswith("Usage:")
    assert run("status", "--help", "--server", daemon.url).out.startswith("Användning:")


def test_help_is_in_the_language_of_the_server_that_login_kept(
    home: Path, nowhere: dict[str, str], run: Run
) -> None:
    known = "organisation-https%3A%2F%2Fin.example%3A443.json"
    for path, content in (
        (home / ".config/broadcaster/login.json", {"server": "https://in.example:443"}),
        (home / ".local/state/broadcaster" / known, {"languages": ["sv", "en"]}),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
    assert run("--help").out.startswith("Användning:")


def test_the_machines_language_counts_only_while_nothing_else_is_known(
    nowhere: dict[str, str], run: Run, tmp_path: Path
) -> None:
    assert run("--help").out.startswith("Usage:")
    nowhere["LANG"] = "sv_SE.UTF-8"
    assert run("--help").out.startswith("Användning:")
    (tmp_path / "broadcaster.yaml").write_text(SWEDISH.replace("[sv, en]", "[en, sv]"))
    assert run("--help").out.startswith("Usage:")


def test_a_language_nobody_translated_gets_english(nowhere: dict[str, str], run: Run) -> None:
    nowhere["LANG"] = "de_DE.UTF-8"
    assert run("--help").out.startswith("Usage:")
    nowhere["LANG"] = "../sv/x"
    assert run("--help").out.startswith("Usage:")


@pytest.mark.parametrize(
    ("written", "language"),
    [
        ("organisation:\n  name: x\n  languages: [fi, sv]\n", "fi"),
        ("organisation:\n  languages:\n    - nb\n    - sv\n", "nb"),
        ('organisation: {"languages": ["sv-FI"]}\n', "sv-FI"),
        ("# languages: [de]\norganisation:\n  languages: ['sv']\n", "sv"),
        ("organisation: {name: x}\n", "en"),
        ("\x00: [", "en"),
    ],
)
def test_the_first_language_is_read_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, language: str
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    path = tmp_path / "site.yaml"
    path.write_text(written)
    assert known_language(["report", "--config", str(path)]) == language
    assert known_language(["report", f"--config={path}", "--help"]) == language


def test_a_configuration_that_is_not_there_is_no_reason_to_fail(
    nowhere: dict[str, str], run: Run
) -> None:
    ended = run("report", "--config", "nowhere.yaml", "--help")
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["reprot"], "Fel: Kommandot 'reprot' finns inte. Menade du 'report', 'export'?\n"),
        (["channels", "lst"], "Fel: Kommandot 'lst' finns inte. Menade du 'list'?\n"),
        (
            ["report", "--severty", "x"],
            "Fel: Flaggan --severty finns inte. Menade du --server, --severity?\n",
        ),
        (["report", "--zzz"], "Fel: Flaggan --zzz finns inte.\n"),
        (["update"], "Fel: Argumentet 'ID' saknas.\n"),
        (
            ["config", "check", "a", "b"],
            "Fel: För mycket skrivet: b. Sätt texten inom citattecken.\n",
        ),
        (["subscribers", "import"], "Fel: Argumentet 'FIL' saknas.\n"),
        (["resend", "A7"], "Fel: Flaggan '--channel' saknas.\n"),
        (["report", "--affected", "många"], "Fel: '--affected': det ska vara ett heltal.\n"),
        (["report", "--affected", "-1"], "Fel: '--affected': det ska vara minst 0.\n"),
        (["incidents", "list", "--limit", "501"], "Fel: '--limit': det ska vara högst 500.\n"),
        (["report", "--wait", "snart"], "Fel: '--wait': det ska vara ett tal.\n"),
        (["report", "--area"], "Fel: Flaggan '--area' saknar sitt värde.\n"),
        (["report", "--yes=1"], "Fel: Flaggan '--yes' tar inget värde.\n"),
        (["report", "--text-sv"], "--text-sv saknar sin text.\n"),
    ],
)
def test_what_is_not_understood_is_said_in_swedish_and_exits_2(
    here: Path, run: Run, arguments: list[str], sentence: str
) -> None:
    ended = run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith(sentence)
    assert "Usage" not in ended.err


def test_what_is_not_understood_stands_below_how_it_is_written(here: Path, run: Run) -> None:
    assert run("update").err == (
        "Användning: broadcaster update [FLAGGOR] ID [TEXT]\n"
        "Hjälp: broadcaster update --help\n\n"
        "Fel: Argumentet 'ID' saknas.\n"
    )


def test_english_errors_stay_as_they_are(nowhere: dict[str, str], run: Run) -> None:
    ended = run("update")
    assert ended.code == 2
    assert ended.err.startswith("Usage: broadcaster update [OPTIONS] ID [TEXT]\n")
    assert ended.err.endswith("Error: Missing argument 'ID'.\n")


def test_a_group_without_a_command_shows_its_help_and_exits_2(here: Path, run: Run) -> None:
    ended = run("backup")
    assert (ended.code, ended.out) == (2, "")
    assert "Skriv en säkerhetskopia medan servern kör." in ended.err


def test_what_was_typed_wrong_cannot_steer_the_terminal(here: Path, run: Run) -> None:
    assert "\x1b" not in run("report", "--\x1b[2J", "\x1b]0;x").err
    assert "\x1b" not in run("\x1b[2J").err


# --------------------------------------------------------------------------- what is said before the daemon is heard
def test_a_dead_daemon_is_told_in_one_language(
    here: Path, nowhere: dict[str, str], run: Run
) -> None:
    nowhere["BROADCASTER_URL"] = "http://127.0.0.1:1"
    ended = run("status")
    assert ended.code == 3
    assert "kan inte nås: förbindelsen nekades. Är den igång?" in ended.err


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        (
            "https://x/api",
            "https://x/api är ingen adress till en server: skriv https://värd:port\n",
        ),
        (
            "https://x:port",
            "https://x:port är ingen adress till en server: skriv https://värd:port\n",
        ),
        ("http://in.example", "åtkomstnyckeln skulle skickas oskyddad: skriv https://\n"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_in_the_same_language(
    here: Path, run: Run, server: str, sentence: str
) -> None:
    ended = run("status", "--server", server)
    assert ended.code == 2
    assert ended.err.endswith(sentence)


def test_an_input_that_ends_at_a_question_is_told_in_the_same_language(
    here: Path, daemon: Daemon, at_terminal: Run
) -> None:
    ended = at_terminal("login", "--server", daemon.url, typed="\x04", after="visas inte")
    assert ended.code == 1
    assert ended.out.endswith("Avbrutet. Inget skickades.\n")


def test_somebody_elses_words_stand_between_the_marks_of_the_language(
    daemon: Daemon, run: Run
) -> None:
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(languages=["sv", "en"]))
    assert "”The power is out”\n" in run("preview", "x").out


def test_no_word_is_broken_at_the_edge_of_a_terminal(
    daemon: Daemon, run: Run, at_terminal: Run
) -> None:
    detail = "Nothing was sent, " + ", ".join(f"because of {number}" for number in range(20)) + "."
    daemon.answers[REPORT] = (422, {"detail": detail, "status": 422})
    shown = at_terminal("report", "x", "--area", "norra-ekbyn", "--yes").out
    assert max(map(len, shown.splitlines())) <= 80
    assert " ".join(shown.split()) == detail
    assert run("report", "x", "--area", "norra-ekbyn", "--yes").err == detail + "\n"


def test_a_line_without_blanks_is_left_to_the_terminal(daemon: Daemon, at_terminal: Run) -> None:
    daemon.answers[REPORT] = (422, {"detail": "https://" + "x" * 200, "status": 422})
    assert "x" * 200 in at_terminal("report", "x", "--area", "norra-ekbyn", "--yes").out
