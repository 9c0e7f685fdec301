"""Channels, subscribers, tokens, backups, audit, doctor, configuration: what is asked, and what is answered."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broadcaster.testing.commandline import Ended, StandInDaemon as Daemon, organisation

Run = Callable[..., Ended]


CHATS = [
    {"name": "chat", "block": "other"},
    *({"name": name, "block": "press"} for name in ("press-radio", "press-tv")),
]


@pytest.mark.parametrize("act", ["pause", "resume", "probe"])
def test_the_name_of_a_block_stands_for_all_its_channels(
    daemon: Daemon, run: Run, act: str
) -> None:
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(channels=CHATS))
    for name in ("press-radio", "press-tv"):
        daemon.answers[f"POST /api/v1/channels/{name}/{act}"] = (200, {"channel": name})
    ended = run("channels", act, "press")
    assert ended.code == 0, ended.err
    radio, tv = ended.out.splitlines()
    assert "press-radio" in radio
    assert "press-tv" in tv
    told = json.loads(run("channels", act, "press", "--json").out)
    assert [one["channel"] for one in told["items"]] == ["press-radio", "press-tv"]


@pytest.mark.parametrize("good", [True, False])
def test_a_probe_that_is_not_good_ends_as_a_script_can_see(
    daemon: Daemon, run: Run, good: bool
) -> None:
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(channels=CHATS))
    answer = {"channel": "chat", "good": good, "sentence": "It says 503."}
    daemon.answers["POST /api/v1/channels/chat/probe"] = (200, answer)
    ended = run("channels", "probe", "chat")
    assert (ended.code, ended.err) == ((0, "") if good else (1, "Not in order: chat\n"))
    assert "It says 503." in ended.out
    assert run("channels", "probe", "chat", "--json").code == ended.code


def test_what_was_done_before_a_refusal_is_told(daemon: Daemon, run: Run) -> None:
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(channels=CHATS))
    daemon.answers["POST /api/v1/channels/press-radio/pause"] = (200, {})
    daemon.answers["POST /api/v1/channels/press-tv/pause"] = (
        *(403, {"title": "No", "status": 403, "detail": "Not yours."}),
    )
    ended = run("channels", "pause", "press")
    assert (ended.code, ended.err) == (4, "Not yours.\n")
    assert ended.out.startswith("LIVE · press-radio is paused.")


def test_a_report_names_all_channels_of_a_block(daemon: Daemon, run: Run) -> None:
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(channels=CHATS))
    run("report", "x", "--area", "norra-ekbyn", "--channel", "press", "--channel", "other", "--yes")
    [body] = daemon.bodies("POST /api/v1/incidents")
    assert body["channel"] == ["press-radio", "press-tv", "chat"]


def test_the_name_of_a_channel_is_that_channel(daemon: Daemon, run: Run) -> None:
    both = [{"name": "press", "block": ""}, {"name": "press-radio", "block": "press"}]
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(channels=both))
    run("report", "x", "--area", "norra-ekbyn", "--channel", "press", "--yes")
    assert daemon.bodies("POST /api/v1/incidents")[0]["channel"] == ["press"]


@pytest.mark.parametrize(
    ("arguments", "route", "body"),
    [
        (["channels", "pause", "x"], "POST /api/v1/channels/x/pause", ""),
        (["channels", "resume", "x"], "POST /api/v1/channels/x/resume", ""),
        (["channels", "drop", "x", "--yes"], "POST /api/v1/channels/x/drop", ""),
        (
            ["channels", "reroute", "x", "--to", "y", "--yes"],
            "POST /api/v1/channels/x/reroute",
            {"to": "y"},
        ),
        (["channels", "probe", "a/b"], "POST /api/v1/channels/a%2Fb/probe", ""),
        (["tokens", "revoke", "3"], "DELETE /api/v1/tokens/3", ""),
        (["scheduled", "cancel", "a7-2", "--yes"], "DELETE /api/v1/scheduled/A7-2", ""),
        (
            ["scheduled", "change", "A7-2", "--at", "2027-03-01 22:00"],
            "PATCH /api/v1/scheduled/A7-2",
            {"at": "2027-03-01T22:00:00+01:00"},
        ),
        (
            ["subscribers", "remove", "+46701740605", "--channel", "sms"],
            "POST /api/v1/subscribers/remove",
            {"channel": "sms", "address": "+46701740605"},
        ),
        (
            ["subscribers", "erase", "+46701740605", "--channel", "sms", "--yes"],
            "POST /api/v1/subscribers/erase",
            {"channel": "sms", "address": "+46701740605"},
        ),
        (["backup", "create", "today.backup"], "POST /api/v1/backups", {"path": "today.backup"}),
        (["backup", "create", "/b/x.backup"], "POST /api/v1/backups", {"path": "/b/x.backup"}),
    ],
)
def test_each_act_asks_its_address_and_says_so(
    daemon: Daemon, run: Run, arguments: list[str], route: str, body: Any
) -> None:
    daemon.answers[route] = (200, {"done": True})
    ended = run(*arguments)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("LIVE · ")
    assert daemon.bodies(route) == [body]
    assert run(*arguments, "--json").json == {"done": True}


@pytest.mark.parametrize(
    "arguments",
    [
        ["channels", "drop", "x"],
        ["channels", "reroute", "x", "--to", "y"],
        ["subscribers", "erase", "+46701740605", "--channel", "sms"],
        ["scheduled", "cancel", "A7-2"],
    ],
)
def test_what_cannot_be_undone_is_refused_when_nobody_can_be_asked(
    daemon: Daemon, run: Run, at_terminal: Run, arguments: list[str]
) -> None:
    waits = {"channel": "x", "waiting": ["A7-1"], "not_through": ["A7-1"], "putting_right": []}
    daemon.answers["GET /api/v1/channels"] = (200, {"items": [waits]})
    asked = len(daemon.asked)
    ended = run(*arguments)
    assert (ended.code, "--yes" in ended.err) == (4, True)
    assert at_terminal(*arguments, typed="n\n").code == 4
    assert {route.split()[0] for route, _, _ in daemon.asked[asked:]} == {"GET"}


@pytest.mark.parametrize(
    ("arguments", "question", "said"),
    [
        (["drop", "x"], "Give up what waits in x (2 deliveries: A7-1, A7-2)?", "Given up in x:"),
        (
            ["reroute", "x", "--to", "y"],
            "Send what waits in x (2 deliveries: A7-1, A7-2) by y?",
            "From x to y:",
        ),
    ],
)
def test_the_channel_and_what_waits_in_it_are_named_before_and_after(
    daemon: Daemon, at_terminal: Run, arguments: list[str], question: str, said: str
) -> None:
    held = ["A7-1", "A7-2"]  # what is under way is given up as well, but not handed over
    waiting = {"drop": ["A7-2"], "reroute": held}[arguments[0]]
    waits = {"channel": "x", "waiting": waiting, "not_through": held, "putting_right": []}
    daemon.answers["GET /api/v1/channels"] = (200, {"items": [waits]})
    answer = {"deliveries": 2, "updates": ["A7-1", "A7-2"]}
    daemon.answers[f"POST /api/v1/channels/x/{arguments[0]}"] = (200, answer)
    shown = " ".join(at_terminal("channels", *arguments, typed="y\n").out.split())
    assert question in shown
    assert f"{said} 2 deliveries: A7-1, A7-2." in shown


def test_before_a_retraction_is_given_up_it_is_said_who_will_not_be_told(
    daemon: Daemon, run: Run
) -> None:
    waits = {"channel": "x", "not_through": ["A7-1", "A7-2"], "putting_right": ["A7-2"]}
    daemon.answers["GET /api/v1/channels"] = (200, {"items": [waits]})
    ended = run("channels", "drop", "x")
    said = " ".join(ended.err.split())
    assert (
        "puts a wrong word right: A7-2. Whoever was told it by x would not be told better." in said
    )
    assert said.index("told better.") < said.index("Give up what waits in x (2 deliveries")


def test_one_is_not_counted_in_the_plural(daemon: Daemon, run: Run, tmp_path: Path) -> None:
    one = {"items": [{"channel": "sms", "count": 1}]}
    daemon.answers["GET /api/v1/subscribers/count"] = (200, one)
    assert run("subscribers", "count").out.splitlines()[0].endswith(" 1 subscriber")
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(languages=["sv"]))
    assert run("subscribers", "count").out.splitlines()[0].endswith(" 1 prenumerant")


def test_what_waits_is_counted_as_the_language_writes_numbers(daemon: Daemon, run: Run) -> None:
    item = {"channel": "sms", "kind": "sms_http", "state": "good", "queued": 1234, "waiting": []}
    daemon.answers["GET /api/v1/channels"] = (200, {"items": [item]})
    assert run("channels", "list").out.endswith(" 1,234\n")


@pytest.mark.parametrize("act", [["drop"], ["reroute", "--to", "page"]], ids=["drop", "reroute"])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("smss", 'There is no channel "smss". There are page, sms.'),
        ("sms", "Nothing waits in sms."),
    ],
)
def test_nobody_is_asked_about_what_is_not_there(
    daemon: Daemon, run: Run, at_terminal: Run, act: list[str], name: str, sentence: str
) -> None:
    empty: dict[str, Any] = {"waiting": [], "not_through": [], "putting_right": []}
    items = [{"channel": "page"} | empty, {"channel": "sms"} | empty]
    daemon.answers["GET /api/v1/channels"] = (200, {"items": items})
    ended = run("channels", act[0], name, *act[1:])
    assert (ended.code, ended.err) == (4, f"{sentence}\n")
    assert "[y/N]" not in at_terminal("channels", act[0], name, *act[1:]).out
    assert {route.split()[0] for route, _, _ in daemon.asked} == {"GET"}


def test_channels_list_says_what_is_not_in_order(daemon: Daemon, run: Run) -> None:
    probe = {"at": "2026-11-22T13:00:00+00:00", "good": True, "sentence": "500 characters"}
    items = [
        {"channel": "page", "kind": "page", "state": "good", "queued": 0, "probe": probe},
        {"channel": "x", "kind": "x", "state": "parked", "because": "token refused", "queued": 3},
        {"channel": "sms", "kind": "x", "state": "not_good", "because": "no gateway", "queued": 0},
    ]
    daemon.answers["GET /api/v1/channels"] = (200, {"items": items})
    out = run("channels", "list").out
    assert out.startswith("LIVE · Not in order: x, sms\n")
    assert out.splitlines()[1].split() == [
        *("channel", "kind", "state", "waiting", "what", "it", "said")
    ]
    assert re.search("parked +3 +token refused", out)
    assert re.search("sms +x +not good +no gateway", out)


def test_a_token_is_shown_once_and_ends_with_its_day(daemon: Daemon, run: Run) -> None:
    answer = {"secret": "bc_new", "id": 3, "prefix": "bc_ne"}
    daemon.answers["POST /api/v1/tokens"] = (201, answer)
    ended = run(
        *["tokens", "add", "Bo Ek", "--role", "author", "--area", "norra-ekbyn"],
        *["--expires", "2027-01-31"],
    )
    assert ended.code == 0, ended.err
    assert "\nbc_new\n" in ended.out
    assert daemon.bodies("POST /api/v1/tokens") == [
        {
            "name": "Bo Ek",
            "role": "author",
            "area": ["norra-ekbyn"],
            "expires": "2027-02-01T00:00:00+01:00",
        }
    ]


def test_an_import_streams_the_file_and_names_the_rows_it_refused(
    daemon: Daemon, run: Run, tmp_path: Path
) -> None:
    rows = "address,area,language\n" + "0701740605,norra-ekbyn,sv\n" * 50_000
    (tmp_path / "people.csv").write_text(rows)
    last = {"added": 49_999, "changed": 0, "refused": 1, "total": 50_000}
    last["errors"] = [{"line": 7, "reason": "no number"}]  # type: ignore[assignment]  # a scripted answer
    daemon.answers["POST /api/v1/subscribers/import"] = (200, [{"done": 1000}, last])
    ended = run(
        *["subscribers", "import", "people.csv", "--channel", "sms"],
        *["--source", "customers å", "--legal-basis", "contract"],
    )
    assert ended.code == 0, ended.err
    assert "49,999 added, 0 changed, 0 unchanged, 1 refused, rows: 50,000" in ended.out
    assert ended.err == "line 7: no number\n"
    assert daemon.bodies("POST /api/v1/subscribers/import") == [rows]


@pytest.mark.parametrize(
    ("counts", "code", "said"),
    [
        ({"refused": 6, "total": 7}, 0, "1 unchanged, 6 refused, rows: 7"),
        ({"total": 3}, 0, "3 unchanged, 0 refused, rows: 3"),
        ({"refused": 3, "total": 3}, 4, "0 unchanged, 3 refused, rows: 3"),
        ({"total": 0}, 0, "rows: 0"),
    ],
)
def test_rows_that_were_there_already_are_not_called_unusable(
    daemon: Daemon, run: Run, tmp_path: Path, counts: dict[str, int], code: int, said: str
) -> None:
    (tmp_path / "people.csv").write_text("address,area,language\n")
    last = {"added": 0, "changed": 0, "refused": 0, "errors": [], **counts}
    daemon.answers["POST /api/v1/subscribers/import"] = (200, [last])
    options = ["--channel", "sms", "--source", "x", "--legal-basis", "y"]
    ended = run("subscribers", "import", "people.csv", *options)
    assert (ended.code, said in ended.out) == (code, True)


@pytest.mark.parametrize("again", [True, False])
def test_who_said_no_is_taken_back_only_where_that_is_typed(
    daemon: Daemon, run: Run, tmp_path: Path, again: bool
) -> None:
    (tmp_path / "people.csv").write_text("address,area,language\n")
    last = {"added": 0, "changed": 0, "refused": 0, "errors": [], "total": 0}
    daemon.answers["POST /api/v1/subscribers/import"] = (200, [last])
    options = ["--channel", "sms", "--source", "x", "--legal-basis", "y"]
    run("subscribers", "import", "people.csv", *options, *(["--again"] if again else []))
    assert ("again=true" in daemon.queries[-1]) is again


@pytest.mark.parametrize("group", ["channels", "scheduled", "tokens"])
def test_a_group_alone_lists_what_it_is_about(daemon: Daemon, run: Run, group: str) -> None:
    daemon.answers[f"GET /api/v1/{group}"] = (200, {"items": []})
    assert run(group).out == run(group, "list").out
    assert run(group, "--json").json == {"items": []}
    assert "Commands:" in run(group, "--help").out


def test_the_sandbox_names_the_one_secret_it_asks_for_and_the_demo_has_it(run: Run) -> None:
    from broadcaster.testing.servers import WEBHOOK_SECRET

    assert WEBHOOK_SECRET in run("sandbox", "--help").out
    demo = (Path(__file__).parents[3] / "config/demo.yaml").read_text(encoding="utf-8")
    assert f"secret: {WEBHOOK_SECRET} " in demo


def test_an_import_that_breaks_off_exits_3(daemon: Daemon, run: Run, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("address,area,language\n")
    daemon.answers["POST /api/v1/subscribers/import"] = (200, [{"done": 1000}])
    options = ["--channel", "sms", "--source", "x", "--legal-basis", "y"]
    assert run("subscribers", "import", "people.csv", *options).code == 3
    ended = run("subscribers", "import", "nowhere.csv", *options)
    assert (ended.code, ended.err) == (2, "nowhere.csv cannot be read: there is no such file.\n")


def test_a_broken_audit_chain_is_no_success(daemon: Daemon, run: Run) -> None:
    whole = {"problems": [], "sealed": 12, "head": "ab"}
    daemon.answers["POST /api/v1/audit/verify"] = (200, whole)
    assert run("audit", "verify").code == 0
    broken = whole | {"problems": ["Row 4 was changed."]}
    daemon.answers["POST /api/v1/audit/verify"] = (200, broken)
    ended = run("audit", "verify")
    assert (ended.code, "Row 4 was changed." in ended.out) == (1, True)


def test_doctor_is_a_verdict_and_a_list(daemon: Daemon, run: Run) -> None:
    items = [
        {"what": "store", "verdict": "good", "sentence": "SQLite"},
        {"what": "sms", "verdict": "mend", "sentence": "credit covers 8000 of 12430 people"},
    ]
    daemon.answers["GET /api/v1/doctor"] = (200, {"items": items, "ready": True})
    ended = run("doctor")
    assert (ended.code, ended.err) == (1, "To mend: 1. Messages can be accepted.\n")
    assert ended.out.startswith("LIVE · To mend: 1. Messages can be accepted.\n")
    assert run("doctor", "--json").code == 1
    assert "sms    MEND" in ended.out
    daemon.answers["GET /api/v1/doctor"] = (200, {"items": items, "ready": False})
    assert run("doctor").code == 1


def test_doctor_and_channels_say_how_ready_everything_is(daemon: Daemon, run: Run) -> None:
    ready = {"score": 92, "ways": 3, "of": 4, "lines": []}
    left = "46elks: 40 SEK left, less than 200: fill it up."
    items = [
        {"channel": "page", "kind": "page", "state": "good", "grade": "unasked", "reasons": ["…"]},
        {
            "channel": "sms",
            "kind": "sms_http",
            "state": "good",
            "grade": "watch",
            "reasons": [left],
        },
    ]
    daemon.answers["GET /api/v1/doctor"] = (200, {"items": [], "ready": True, "readiness": ready})
    daemon.answers["GET /api/v1/channels"] = (200, {"items": items, "readiness": ready})
    said = "Readiness 92 %, 3 of 4 independent ways ready.\n"
    assert run("doctor").out == f"LIVE · Ready.\n{said}"
    out = run("channels", "list").out
    assert out.startswith(f"LIVE · All in order.\n{said}")
    assert re.search("page +page +good +…", out)
    assert re.search(f"sms +sms_http +good +{left}", out)


def test_a_channel_that_is_not_asked_says_why_and_one_whose_try_is_due_that_it_comes_soon(
    daemon: Daemon, run: Run
) -> None:
    common = {"kind": "k", "state": "good", "queued": 0, "probe": None, "grade": "unasked"}
    rests = {"channel": "x", "state": "resting", "because": "It says 503.", "grade": "not_ready"}
    items = [
        common | {"channel": "email", "reasons": ["It was asked too long ago."]},
        common | {"channel": "sms", "reasons": []},
        common | rests | {"tries_again_at": "2026-11-22T11:31:00+00:00"},
        common | rests | {"channel": "later", "tries_again_at": "2199-11-22T11:31:00+00:00"},
    ]
    daemon.answers["GET /api/v1/channels"] = (200, {"items": items})
    out = run("channels", "list").out
    assert re.search(r"email +k +good +It was asked too long ago\.$", out, re.MULTILINE)
    assert re.search(r"sms +k +good +cannot be asked$", out, re.MULTILINE)
    assert re.search(r"x .*It says 503\. Tried again soon\.$", out, re.MULTILINE)
    assert re.search(r"later .*It says 503\. Tried again 12:31:00\.$", out, re.MULTILINE)


def test_the_time_behind_a_sentence_is_its_own(daemon: Daemon, run: Run) -> None:
    probe = {"at": "2026-11-22T13:00:00+00:00", "good": True, "sentence": "500 characters"}
    common = {"kind": "k", "queued": 0, "probe": probe, "grade": "ready", "reasons": []}
    parked = {"because": "token refused", "because_at": "2026-11-22T11:31:00+00:00"}
    items = [
        common | {"channel": "page", "state": "good", "because": "", "because_at": None},
        common | {"channel": "x", "state": "parked"} | parked,
        common | {"channel": "sms", "state": "good", "because": "now by y", "because_at": None},
    ]
    daemon.answers["GET /api/v1/channels"] = (200, {"items": items})
    out = run("channels", "list").out
    assert re.search(r"500 characters \(.*14:00\)$", out, re.MULTILINE)
    assert re.search(r"token refused \(.*12:31\)$", out, re.MULTILINE)
    assert re.search(r"now by y$", out, re.MULTILINE)


def test_config_check_names_every_error_and_exits_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broadcaster.yaml").write_text("mode: lively\nunknown: 1\n")
    ended = run("config", "check")
    assert ended.code == 2
    assert "broadcaster.yaml:1  mode" in ended.out
    assert "broadcaster.yaml:2  unknown" in ended.out
    assert "errors. The running daemon keeps its present configuration." in ended.err
    assert run("config", "check", "--json").json["good"] is False


def test_config_schema_is_json(run: Run) -> None:
    assert json.loads(run("config", "schema").out)["title"] == "broadcaster.yaml"


@pytest.mark.parametrize(
    "verb", [["serve"], ["public"], ["config", "check"], ["backup", "restore", "x"]]
)
def test_without_a_configuration_it_is_said_how_to_make_one(run: Run, verb: list[str]) -> None:
    ended = run(*verb)
    assert (ended.code, "broadcaster init DIR" in ended.err) == (2, True)


def test_every_verb_of_the_contract_has_its_help(run: Run) -> None:
    verbs = [
        "init",
        "serve",
        "public",
        "sandbox",
        "report",
        "update",
        "correct",
        "retract",
        "holding",
        "restored",
        "preview",
        "status",
        "incidents:list",
        "resend",
        "scheduled:list",
        "scheduled:change",
        "scheduled:cancel",
        "channels:list",
        "channels:probe",
        "channels:verify",
        "channels:pause",
        "channels:resume",
        "channels:drop",
        "channels:reroute",
        "subscribers:import",
        "subscribers:export",
        "subscribers:count",
        "subscribers:remove",
        "subscribers:erase",
        "tokens:add",
        "tokens:list",
        "tokens:revoke",
        "coverage",
        "export",
        "login",
        "backup:create",
        "backup:restore",
        "audit:verify",
        "config:check",
        "config:schema",
        "doctor",
    ]

    from broadcaster.cli import build

    root: Any = build()
    offered = set()
    for name, command in root.commands.items():
        inner = getattr(command, "commands", None)
        offered |= {f"{name}:{part}" for part in inner} if inner else {name}
    assert offered == set(verbs)


def test_a_reader_that_goes_away_is_no_crash(
    run: Run, environ: dict[str, str], tmp_path: Path
) -> None:
    import subprocess
    import sys

    script = "from broadcaster.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", script, "config", "schema"],
        env={**environ, "PYTHONPATH": os.environ.get("PYTHONPATH", environ["PYTHONPATH"])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_the_list_of_tokens_says_in_which_year_each_ends(daemon: Daemon, run: Run) -> None:
    token = {"id": 1, "name": "Anna", "role": "author", "areas": []}
    soon = datetime.now(UTC) + timedelta(days=20)
    ends = [soon, soon + timedelta(days=365)]
    items = [token | {"expires_at": moment.isoformat()} for moment in ends]
    daemon.answers["GET /api/v1/tokens"] = (200, {"items": items})
    lines = run("tokens", "list").out.splitlines()[1:]
    years = [str(moment.astimezone(ZoneInfo("Europe/Stockholm")).year) for moment in ends]
    assert [year in line for year, line in zip(years, lines, strict=True)] == [True, True]
