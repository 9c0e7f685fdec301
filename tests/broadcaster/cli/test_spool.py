"""What nobody answered is kept, offered once, sent once, and never sent late."""

from __future__ import annotations

import json
import socket
import stat
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broadcaster.cli.finding import organisation_file
from broadcaster.cli.patience import Patience
from broadcaster.testing.commandline import Ended, StandInDaemon as Daemon

Run = Callable[..., Ended]
REPORT = "POST /api/v1/incidents"
UPDATES = "POST /api/v1/incidents/A7/updates"


@pytest.fixture
def spool(home: Path) -> Path:
    return home / ".local/state/broadcaster/spool"


def kept(spool: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(spool.glob("*.json"))]


def report_into_silence(daemon: Daemon, run: Run) -> Ended:
    daemon.answers[REPORT] = (0, None)
    ended = run("report", "Out", "--area", "norra-ekbyn", "--next", "45m", "--yes")
    del daemon.answers[REPORT]
    return ended


def test_an_answer_that_never_came_exits_3_and_keeps_the_command(
    daemon: Daemon, run: Run, spool: Path
) -> None:
    ended = report_into_silence(daemon, run)
    assert ended.code == 3
    assert "kept for 15 minutes" in ended.err
    [entry] = kept(spool)
    assert entry["key"] == daemon.headers(REPORT)["Idempotency-Key"]
    assert datetime.fromisoformat(entry["body"]["next"]).utcoffset() is not None
    [path] = spool.glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700


def test_a_dead_daemon_exits_3_and_local_times_are_read_as_it_last_said(
    daemon: Daemon, environ: dict[str, str], run: Run, spool: Path, home: Path
) -> None:
    assert run("status").code == 0
    state = home / ".local/state/broadcaster"
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}"
    [organisation] = state.glob("organisation-*.json")
    (state / organisation_file(dead).name).write_text(organisation.read_text())
    environ["BROADCASTER_URL"] = dead
    ended = run("report", "Out", "--area", "norra-ekbyn", "--etr", "2027-03-01 22:00", "--yes")
    assert ended.code == 3
    assert "cannot be reached" in ended.err
    assert [entry["body"]["etr"] for entry in kept(spool)] == ["2027-03-01T22:00:00+01:00"]


def test_what_the_daemon_refused_is_not_kept(daemon: Daemon, run: Run, spool: Path) -> None:
    daemon.answers[REPORT] = (422, {"detail": "No.", "status": 422})
    assert run("report", "Out", "--yes").code == 4
    assert kept(spool) == []


def test_the_next_command_offers_it_and_it_goes_with_the_same_key(
    daemon: Daemon, run: Run, at_terminal: Run, spool: Path
) -> None:
    report_into_silence(daemon, run)
    key = daemon.headers(REPORT)["Idempotency-Key"]
    ended = at_terminal("status", typed="y\n")
    assert ended.code == 0
    assert "perhaps never sent: report norra-ekbyn “Out”" in " ".join(ended.out.split())
    assert "Sent: A7-1." in ended.out
    assert daemon.headers(REPORT)["Idempotency-Key"] == key
    assert len(daemon.bodies(REPORT)) == 2
    assert kept(spool) == []


@pytest.mark.parametrize(("typed", "left"), [("n\n", 1), ("\n", 1), ("d\n", 0)])
def test_a_no_leaves_it_and_a_drop_removes_it(
    daemon: Daemon, run: Run, at_terminal: Run, spool: Path, typed: str, left: int
) -> None:
    report_into_silence(daemon, run)
    at_terminal("status", typed=typed)
    assert len(daemon.bodies(REPORT)) == 1
    assert len(kept(spool)) == left


def test_what_was_put_off_is_one_line_until_the_next_word(
    daemon: Daemon, run: Run, at_terminal: Run, spool: Path
) -> None:
    report_into_silence(daemon, run)
    at_terminal("status", typed="n\n")
    for verb in ("status", "coverage"):
        daemon.answers[f"GET /api/v1/{verb}"] = (200, {"areas": [], "items": []})
        out = " ".join(at_terminal(verb, typed="y\n").out.split())
        assert "perhaps never sent: report norra-ekbyn “Out”. It is asked about" in out
        assert "Send it now?" not in out
    assert len(daemon.bodies(REPORT)) == 1
    out = at_terminal("update", "A7", "Still out", "--yes", typed="y\n").out
    assert "Send it now?" in out
    assert kept(spool) == []


def test_off_a_terminal_it_is_told_and_left(daemon: Daemon, run: Run, spool: Path) -> None:
    report_into_silence(daemon, run)
    ended = run("status", "--json")
    assert ended.json["items"]
    assert "perhaps never sent" in ended.err
    assert len(daemon.bodies(REPORT)) == 1
    assert len(kept(spool)) == 1


def age(spool: Path, minutes: int) -> dict[str, Any]:
    """The one that is kept, made so many minutes ago."""
    [path] = spool.glob("*.json")
    entry: dict[str, Any] = json.loads(path.read_text())
    entry["made_at"] = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
    path.write_text(json.dumps(entry))
    return entry


def test_off_a_terminal_an_expired_one_is_told_once_and_put_away(
    daemon: Daemon, run: Run, spool: Path
) -> None:
    report_into_silence(daemon, run)
    entry = age(spool, 16)
    ended = run("status")
    assert "too old to be sent now" in ended.err
    assert str(spool / "expired") in ended.err
    assert run("status").err == ""
    assert kept(spool) == []
    assert kept(spool / "expired") == [entry]
    [path] = (spool / "expired").glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(daemon.bodies(REPORT)) == 1


@pytest.mark.parametrize("minutes", [16, -16], ids=["old", "of a clock that was set back since"])
def test_an_expired_one_is_shown_and_never_sent(
    daemon: Daemon, run: Run, at_terminal: Run, spool: Path, minutes: int
) -> None:
    report_into_silence(daemon, run)
    age(spool, minutes)
    ended = at_terminal("status", typed="y\n")
    assert "too old to be sent now" in ended.out
    assert len(daemon.bodies(REPORT)) == 1
    assert kept(spool) == []


def test_what_asks_still_asks_when_it_is_offered(
    daemon: Daemon, run: Run, at_terminal: Run, spool: Path
) -> None:
    daemon.answers["POST /api/v1/preview"] = (0, None)
    assert run("report", "Out", "--area", "norra-ekbyn", "--severity", "severe").code == 3
    daemon.answers["POST /api/v1/preview"] = (200, daemon.preview(asks=True))
    ended = at_terminal("status", typed="y\n\n")
    assert "Type the area's name" in ended.out
    assert daemon.bodies(REPORT) == []


def test_what_is_kept_for_one_daemon_is_not_offered_to_another(
    daemon: Daemon, run: Run, spool: Path
) -> None:
    report_into_silence(daemon, run)
    [path] = spool.glob("*.json")
    entry = json.loads(path.read_text()) | {"server": "http://127.0.0.1:1"}
    path.write_text(json.dumps(entry))
    assert run("status").err == ""


def test_a_torn_file_in_the_spool_stops_nothing(run: Run, spool: Path) -> None:
    spool.mkdir(parents=True)
    (spool / "torn.json").write_text('{"key": ')
    assert run("status").code == 0


def test_a_retraction_is_tried_until_it_is_answered(daemon: Daemon, run: Run, spool: Path) -> None:
    silent = iter([True, True, False])

    def answer(body: Any) -> tuple[int, Any]:
        return (0, None) if next(silent) else (201, daemon.accepted(update=2))

    daemon.answers[UPDATES] = answer
    ended = run("retract", "A7", "--yes")
    assert ended.code == 0
    assert len(daemon.bodies(UPDATES)) == 3
    keys = {headers["Idempotency-Key"] for route, _, headers in daemon.asked if route == UPDATES}
    assert len(keys) == 1
    assert kept(spool) == []
    assert [ended.err.count(said) for said in ("broke off", "tried again until")] == [1, 1]


def test_a_retraction_goes_on_while_the_daemon_can_store_nothing(
    daemon: Daemon, run: Run, spool: Path
) -> None:
    busy = iter([True, False])

    def answer(body: Any) -> tuple[int, Any]:
        refused = {"status": 503, "detail": "Another program holds the database file."}
        return (503, refused) if next(busy) else (201, daemon.accepted(update=2))

    daemon.answers[UPDATES] = answer
    ended = run("retract", "A7", "--yes")
    assert ended.code == 0
    assert len(daemon.bodies(UPDATES)) == 2
    assert kept(spool) == []


def test_what_may_have_been_stored_is_kept_under_its_key(
    daemon: Daemon, run: Run, spool: Path
) -> None:
    unsure = {"status": 503, "stored": "unknown", "detail": "It may have been stored."}
    daemon.answers[REPORT] = (503, unsure)
    ended = run("report", "Out", "--area", "norra-ekbyn", "--next", "45m", "--yes")
    assert ended.code == 3
    assert [entry["key"] for entry in kept(spool)] == [daemon.headers(REPORT)["Idempotency-Key"]]


def test_a_long_trying_tells_each_cause_once_and_now_and_then_that_it_goes_on() -> None:
    patience = Patience(began=0.0, every=300.0)
    attempts = [("refused", 10.0 * one) for one in range(1, 100)]
    attempts[20] = ("broke off", 210.0)
    told = [at for cause, at in attempts if patience.is_news(cause, at)]
    assert told == [10.0, 210.0, 510.0, 810.0]


def test_a_retraction_is_kept_while_it_is_tried(daemon: Daemon, run: Run, spool: Path) -> None:
    daemon.answers[UPDATES] = (0, None)
    ended: list[Ended] = []
    trying = threading.Thread(target=lambda: ended.append(run("retract", "A7", "--yes")))
    trying.start()
    deadline = time.monotonic() + 20
    while not kept(spool) and time.monotonic() < deadline:
        time.sleep(0.05)  # a file tells nobody that it is there
    assert [entry["body"]["kind"] for entry in kept(spool)] == ["retraction"]
    del daemon.answers[UPDATES]
    trying.join()
    assert ended[0].code == 0
    assert kept(spool) == []


def test_a_retraction_that_asks_is_asked_once_the_daemon_is_back(
    daemon: Daemon, at_terminal: Run, spool: Path
) -> None:
    silent = iter([True, False])

    def preview(body: Any) -> tuple[int, Any]:
        return (0, None) if next(silent) else (200, daemon.preview(asks=True))

    daemon.answers["POST /api/v1/preview"] = preview
    ended = at_terminal("retract", "A7", typed="2\nnorra-ekbyn\n")
    assert ended.code == 0, ended.out
    assert daemon.bodies(UPDATES)[0]["corrects"] == 2
    assert "Type the area's name" in ended.out
    assert len(daemon.bodies(UPDATES)) == 1
    assert kept(spool) == []


def test_what_was_confirmed_is_not_asked_again_when_it_is_offered(
    daemon: Daemon, at_terminal: Run, spool: Path
) -> None:
    daemon.answers["POST /api/v1/preview"] = (200, daemon.preview(asks=True))
    daemon.answers[REPORT] = (0, None)
    ended = at_terminal("report", "Out", "--area", "norra-ekbyn", typed="norra-ekbyn\n")
    assert ended.code == 3
    del daemon.answers[REPORT]
    assert "Sent: A7-1." in at_terminal("status", typed="y\n").out


def test_two_commands_never_share_a_key(daemon: Daemon, run: Run) -> None:
    for _ in range(2):
        run("report", "Out", "--area", "norra-ekbyn", "--yes")
    keys = {headers["Idempotency-Key"] for route, _, headers in daemon.asked if route == REPORT}
    assert len(keys) == 2


def test_what_may_have_arrived_goes_again_with_the_very_same_words(
    daemon: Daemon, run: Run, at_terminal: Run
) -> None:
    daemon.answers["POST /api/v1/preview"] = (0, None)
    at_terminal("report", "Out", "--area", "norra-ekbyn", "--severity", "severe", typed="")
    daemon.answers["POST /api/v1/preview"] = (200, daemon.preview(asks=True, mode="live"))
    daemon.answers[REPORT] = (0, None)  # taken, and the answer is lost
    at_terminal("status", typed="y\nnorra-ekbyn\nNorra Ekbyn\n")
    del daemon.answers[REPORT]
    daemon.answers["POST /api/v1/preview"] = (200, daemon.preview(asks=True, mode="live"))
    at_terminal("status", typed="y\nnorra-ekbyn\nNorra Ekbyn\n")
    first, again = daemon.bodies(REPORT)
    assert again == first
