"""The right daemon is found, and a token goes to no other."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broadcaster.cli.addressing import normal
from broadcaster.cli.failing import BadAddress
from broadcaster.testing.commandline import (
    TOKEN,
    Ended,
    StandInDaemon as Daemon,
    organisation,
    standing_in,
)

Run = Callable[..., Ended]


def configure(directory: Path, url: str, token: str = TOKEN) -> Path:
    """The configuration of a daemon, and the token that `init` writes beside it."""
    listen = url.removeprefix("http://")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "admin.token").write_text(f"{token}\n")
    path = directory / "broadcaster.yaml"
    path.write_text(f'api: {{listen: "{listen}"}}\nchannels: {{sms: {{token: "${{NOT_SET}}"}}}}\n')
    return path


@pytest.fixture
def bare(environ: dict[str, str]) -> dict[str, str]:
    """Nothing in the environment names a daemon."""
    del environ["BROADCASTER_URL"], environ["BROADCASTER_TOKEN"]
    return environ


def test_no_daemon_named_anywhere_is_said_with_what_to_do(bare: dict[str, str], run: Run) -> None:
    ended = run("status")
    assert ended.code == 2
    assert "broadcaster login" in ended.err


def test_the_configuration_here_names_the_daemon_and_needs_no_channel_secret(
    bare: dict[str, str], daemon: Daemon, run: Run, tmp_path: Path
) -> None:
    configure(tmp_path, daemon.url)
    assert run("status").code == 0
    assert daemon.headers("GET /api/v1/organisation")["Authorization"] == f"Bearer {TOKEN}"


def test_a_configuration_written_out_wins_over_what_is_remembered(
    bare: dict[str, str], daemon: Daemon, run: Run, tmp_path: Path
) -> None:
    with standing_in() as production:
        login = Path(bare["HOME"]) / ".config/broadcaster/login.json"
        login.parent.mkdir(parents=True)
        login.write_text(json.dumps({"server": production.url, "token": TOKEN}))
        bare["BROADCASTER_URL"] = production.url
        path = configure(tmp_path / "demo", daemon.url)
        assert run("status", "--config", str(path)).code == 0
        assert production.asked == []
        assert daemon.asked


def test_server_wins_over_everything_and_gets_no_foreign_token(
    bare: dict[str, str], daemon: Daemon, run: Run, tmp_path: Path
) -> None:
    with standing_in() as other:
        login = Path(bare["HOME"]) / ".config/broadcaster/login.json"
        login.parent.mkdir(parents=True)
        login.write_text(json.dumps({"server": daemon.url, "token": TOKEN}))
        configure(tmp_path, daemon.url)
        assert run("status", "--server", other.url).code == 4
        assert all("Authorization" not in headers for _, _, headers in other.asked)
        assert daemon.asked == []


def test_login_tries_the_token_and_keeps_it_for_its_owner_only(
    bare: dict[str, str], daemon: Daemon, run: Run, at_terminal: Run, home: Path
) -> None:
    ended = at_terminal("login", "--server", daemon.url, typed=f"{TOKEN}\n", after="shown):")
    assert ended.code == 0, ended.out
    assert TOKEN not in ended.out.partition("Token (not shown)")[2]
    path = home / ".config/broadcaster/login.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert run("status").code == 0


def test_login_keeps_no_token_that_opens_nothing(
    bare: dict[str, str], daemon: Daemon, at_terminal: Run, home: Path
) -> None:
    assert at_terminal("login", "--server", daemon.url, typed="wrong\n", after="shown):").code == 4
    assert not (home / ".config/broadcaster/login.json").exists()


def test_the_first_command_after_login_is_kept_when_the_daemon_is_dead(
    bare: dict[str, str], daemon: Daemon, run: Run, at_terminal: Run, home: Path
) -> None:
    swedish = organisation(languages=["sv"], operator={"expires_at": None, "role": "author"})
    daemon.answers["GET /api/v1/organisation"] = (200, swedish)
    shown = at_terminal("login", "--server", daemon.url, typed=f"{TOKEN}\n", after="shown):").out
    assert "Sparat i\n" in shown
    daemon.answers["GET /api/v1/organisation"] = (0, None)
    daemon.answers["POST /api/v1/incidents/A7/updates"] = (0, None)
    ended = run("update", "A7", "From Eva", "--yes")
    assert (ended.code, "sparas i 15 minuter" in ended.err) == (3, True)
    assert len(list((home / ".local/state/broadcaster/spool").glob("*.json"))) == 1


def test_login_off_a_terminal_says_what_to_do_instead(bare: dict[str, str], run: Run) -> None:
    ended = run("login")
    assert (ended.code, "BROADCASTER_TOKEN" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://drift.example:8443/", "https://drift.example:8443"),
        ("https://drift.example", "https://drift.example:443"),
        ("127.0.0.1:8070", "http://127.0.0.1:8070"),
        ("http://[::1]:8070", "http://[::1]:8070"),
        ("http://10.0.0.7:8070", "http://10.0.0.7:8070"),
        ("http://broadcaster:8070", "http://broadcaster:8070"),
    ],
)
def test_an_address_is_kept_in_one_spelling(written: str, read: str) -> None:
    assert normal(written) == read


@pytest.mark.parametrize(
    "written",
    [
        *("http://drift.example", "http://9.9.9.9:8070", "ftp://x", "https://u:p@x"),
        *("https://x/api", "https://x:port", "https://[", ""),
    ],
)
def test_an_address_that_would_leak_the_token_or_is_none_is_refused(written: str) -> None:
    with pytest.raises(BadAddress):
        normal(written)


# ------------------------------------------------------------------------------- a configuration that is being typed in
REPORT = ("report", "Out", "--area", "norra-ekbyn", "--next", "45m", "--yes", "--json")


def mistyped(path: Path) -> Path:
    """The same configuration with an unclosed brace in its third line."""
    path.write_text(path.read_text() + "store: {url: x\n")
    return path


def test_a_typing_error_in_the_configuration_silences_nobody_whose_daemon_was_reached_before(
    bare: dict[str, str], daemon: Daemon, run: Run, tmp_path: Path
) -> None:
    path = configure(tmp_path, daemon.url)
    assert run("status").code == 0
    mistyped(path)
    ended = run(*REPORT)
    assert (ended.code, ended.json["incident"]) == (0, "A7")
    told = f"broadcaster.yaml:4 has an error: broadcaster config check {path.name}. "
    assert ended.err.startswith(told)
    assert (ended.err.count("\n"), daemon.url in ended.err) == (1, True)
    assert daemon.headers("POST /api/v1/incidents")["Authorization"] == f"Bearer {TOKEN}"
    assert run("status", "--server", daemon.url).code == 0
    kept = Path(bare["HOME"]) / ".local/state/broadcaster/configurations.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert TOKEN not in kept.read_text()


def test_a_report_into_a_dead_daemon_of_a_mistyped_configuration_is_kept(
    bare: dict[str, str], daemon: Daemon, run: Run, tmp_path: Path
) -> None:
    path = configure(tmp_path, daemon.url)
    assert run("status").code == 0
    mistyped(path)
    daemon.answers["GET /api/v1/organisation"] = (0, None)
    daemon.answers["POST /api/v1/incidents"] = (0, None)
    ended = run(*REPORT)
    assert (ended.code, "kept for 15 minutes" in ended.err) == (3, True)
    # What nobody answered for is not said to run.
    assert f"Its daemon was last reached at {daemon.url}." in ended.err
    assert "running daemon" not in ended.err


def test_for_a_configuration_that_is_gone_nobody_speaks_to_where_it_was_reached(
    bare: dict[str, str], daemon: Daemon, run: Run, tmp_path: Path
) -> None:
    path = configure(tmp_path, daemon.url)
    assert run("status", "--config", str(path)).code == 0
    asked = len(daemon.asked)
    path.unlink()
    assert run(*REPORT, "--config", str(path)).code == 2
    assert len(daemon.asked) == asked


def test_the_token_of_a_mistyped_configuration_goes_to_no_daemon_it_never_reached(
    bare: dict[str, str], daemon: Daemon, run: Run, tmp_path: Path
) -> None:
    path = configure(tmp_path, daemon.url)
    assert run("status").code == 0
    mistyped(path)
    theirs = mistyped(configure(tmp_path / "theirs", daemon.url))
    with standing_in() as other:
        assert run("status", "--server", other.url).code == 4
        assert run("status", "--server", other.url, "--config", str(theirs)).code == 4
        assert all("Authorization" not in headers for _, _, headers in other.asked)


def test_a_mistyped_configuration_says_how_its_daemon_is_spoken_to(
    bare: dict[str, str], daemon: Daemon, run: Run, tmp_path: Path
) -> None:
    mistyped(configure(tmp_path / "a town", daemon.url))
    ended = run("status", "--config", "a town/broadcaster.yaml")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("broadcaster.yaml:4  (the whole file)\n")
    way = f"BROADCASTER_TOKEN=\"$(cat '{tmp_path}/a town/admin.token')\" broadcaster … --server http://127.0.0.1:8070"
    assert way in ended.err.splitlines()[-1]
    assert "BROADCASTER_TOKEN" not in run("status", "--config", "none.yaml").err


def test_a_configuration_whose_address_is_mistyped_is_told_and_its_daemon_found(
    bare: dict[str, str], daemon: Daemon, run: Run, tmp_path: Path
) -> None:
    path = configure(tmp_path, daemon.url)
    assert run("status").code == 0
    path.write_text('api: {listen: "127.0.0.1;8070"}\n')
    ended = run("status")
    assert (ended.code, ended.err.startswith("broadcaster.yaml has an error:")) == (0, True)
    (Path(bare["HOME"]) / ".local/state/broadcaster/configurations.json").write_text("[]")
    ended = run("status")
    assert (ended.code, "broadcaster.yaml: api.listen: " in ended.err) == (2, True)


# ----------------------------------------------------------------------------------------------- the end of the token
@pytest.mark.parametrize(("days", "warned"), [(13, True), (15, False), (None, False)])
def test_every_command_says_beside_its_answer_that_its_token_ends_within_two_weeks(
    daemon: Daemon, run: Run, days: int | None, warned: bool
) -> None:
    ends = days and (datetime.now(UTC) + timedelta(days=days)).isoformat()
    operator: dict[str, object] = {
        "name": "Anna",
        "role": "author",
        "areas": [],
        "expires_at": ends,
    }
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(operator=operator))
    for command in (("status",), ("status", "--json")):
        ended = run(*command)
        assert ended.code == 0
        assert ("Your token ends" in ended.err) is warned
        assert ended.err.count("\n") == warned
        assert "Your token ends" not in ended.out


# ------------------------------------------------------------------------------------------------------ its language
def test_the_first_question_names_no_language_and_the_daemon_answers_in_its_own(
    daemon: Daemon, run: Run
) -> None:
    run("status")
    asked = [headers for route, _, headers in daemon.asked if route == "GET /api/v1/organisation"]
    assert ["Accept-Language" in headers for headers in asked] == [False]


def test_a_daemon_that_falls_silent_is_spoken_of_in_the_organisations_language(
    daemon: Daemon, run: Run
) -> None:
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(languages=["sv"]))
    assert run("status").code == 0
    daemon.answers["GET /api/v1/organisation"] = (0, None)
    ended = run("status")
    assert (ended.code, "bröt innan svaret kom" in ended.err) == (3, True)


def test_what_is_done_without_a_daemon_is_said_in_the_organisations_language(
    run: Run, tmp_path: Path
) -> None:
    written = (
        "mode: live\norganisation: {name: Ekbyn, languages: [sv], timezone: Europe/Stockholm}\n"
    )
    (tmp_path / "broadcaster.yaml").write_text(written)
    missing = run("backup", "restore", "x")
    places = (tmp_path / "x", tmp_path / "var" / "backups" / "x")
    assert (missing.code, all(str(place) in missing.err for place in places)) == (4, True)
    places[1].parent.mkdir(parents=True)
    places[1].touch()
    ended = run("backup", "restore", "x")
    assert str(places[1]) in ended.err
    assert (ended.code, "Det finns ingen att fråga" in ended.err) == (4, True)
