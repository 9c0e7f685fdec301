"""coverage and the line that says by how many ways an update is out, as an operator reads them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broadcaster.cli.redundancy import out_line, short_of
from broadcaster.cli.saying import Voice
from broadcaster.testing.commandline import Ended, StandInDaemon as Daemon, delivery, organisation

Run = Callable[..., Ended]
BOARDS = ["page", "feed"]
MILD: dict[str, Any] = {
    "severity": "minor",
    "channels": BOARDS,
    "ways": 1,
    "single_points": ["ekbyn.example"],
    "failures": [{"domain": "ekbyn.example", "stops": BOARDS, "left": [], "ways_left": 0}],
}
SEVERE: dict[str, Any] = {
    "severity": "severe",
    "channels": [*BOARDS, "mastodon", "x", "sms"],
    "ways": 3,
    "single_points": [],
    "failures": [
        {"domain": "ekbyn.example", "stops": BOARDS, "left": ["mastodon", "x", "sms"], "ways_left": 2},
        {"domain": "internet", "stops": ["mastodon", "x"], "left": [*BOARDS, "sms"], "ways_left": 2},
        {"domain": "mobile-net", "stops": ["sms"], "left": [*BOARDS, "mastodon", "x"], "ways_left": 2},
        {"domain": "x.com", "stops": ["x"], "left": [*BOARDS, "mastodon", "sms"], "ways_left": 3},
    ],
}  # fmt: skip
FOUND: dict[str, Any] = {
    "out": 2,
    "within": 300.0,
    "minimum": 2,
    "single_points": ["ekbyn.example"],
    "channels": [
        {"channel": "page", "needs": ["ekbyn.example"], "either": []},
        {"channel": "sms", "needs": ["mobile-net"], "either": ["46elks.com", "this-machine"]},
        {"channel": "modem", "needs": [], "either": []},
    ],
    "areas": [
        {"area": "norra-ekbyn", "name": "Norra Ekbyn", "levels": [MILD, SEVERE]},
        {"area": "sodra-ekbyn", "name": "Södra Ekbyn", "levels": [MILD, SEVERE]},
        {"area": "skargarden", "name": "Skärgården", "levels": [SEVERE | {"severity": "minor"}]},
    ],
}
SEEN = """\
LIVE · Single points of failure: ekbyn.example

What each channel needs:
  page   ekbyn.example
  sms    mobile-net, one of 46elks.com, this-machine
  modem  nothing that is known of

Norra Ekbyn, Södra Ekbyn – from minor: 1 independent way, not 2
             if it fails    stops       still reaches people
  ALL STOPS  ekbyn.example  page, feed  nothing

Norra Ekbyn, Södra Ekbyn – from severe: 3 independent ways
      if it fails    stops        still reaches people
  ok  ekbyn.example  page, feed   mastodon, x, sms (2 independent ways)
  ok  internet       mastodon, x  page, feed, sms (2 independent ways)
  ok  mobile-net     sms          page, feed, mastodon, x (2 independent ways)
  ok  x.com          x            page, feed, mastodon, sms (3 independent ways)

Skärgården – from minor: 3 independent ways
      if it fails    stops        still reaches people
  ok  ekbyn.example  page, feed   mastodon, x, sms (2 independent ways)
  ok  internet       mastodon, x  page, feed, sms (2 independent ways)
  ok  mobile-net     sms          page, feed, mastodon, x (2 independent ways)
  ok  x.com          x            page, feed, mastodon, sms (3 independent ways)
"""


def test_coverage_names_what_takes_everything_with_it_first(daemon: Daemon, run: Run) -> None:
    daemon.answers["GET /api/v1/coverage"] = (200, FOUND)
    assert run("coverage").out == SEEN


def test_coverage_fits_a_terminal_of_80_columns(daemon: Daemon, at_terminal: Run) -> None:
    daemon.answers["GET /api/v1/coverage"] = (200, FOUND)
    shown = at_terminal("coverage").out.splitlines()
    assert max(map(len, map(str.rstrip, shown))) <= 80
    assert "  ok  x.com          x            page, feed, mastodon, sms (3 independent ways)" in [
        line.rstrip() for line in shown
    ]


def test_coverage_is_said_in_swedish(daemon: Daemon, run: Run) -> None:
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(languages=["sv", "en"]))
    daemon.answers["GET /api/v1/coverage"] = (200, FOUND | {"single_points": []})
    shown = run("coverage").out
    assert "Ingen enskild felpunkt fäller allt." in shown
    assert "Norra Ekbyn, Södra Ekbyn – från minor: 1 oberoende väg, inte 2" in shown
    assert "ALLT STANNAR  ekbyn.example  page, feed  inget" in shown


def test_coverage_asks_for_one_area_by_its_name_and_answers_in_json(
    daemon: Daemon, run: Run
) -> None:
    daemon.answers["GET /api/v1/coverage"] = (200, FOUND)
    ended = run("coverage", "--area", "norra ekbyn", "--json")
    assert ended.json == FOUND
    assert daemon.queries[-1] == "area=norra-ekbyn"


# -------------------------------------------------------------------------------------------------------- one update
OUT: dict[str, Any] = {
    "update": 1,
    "at": datetime.now(UTC).replace(microsecond=0).isoformat(),
    "channels": 4,
    "ways": 3,
    "needed": 3,
    "wanted": 3,
    "by": None,
    "late": False,
    "accepted": [],
    "lacking": [],
}
WAITS = OUT | {
    "at": None,
    "channels": 2,
    "ways": 1,
    "needed": 2,
    "wanted": 2,
    "accepted": ["page", "feed"],
    "lacking": ["sms", "mastodon"],
}
VOICE = Voice("en")


def test_out_is_said_with_its_second_channels_and_ways() -> None:
    clock = VOICE.second(OUT["at"])
    assert out_line(VOICE, OUT) == f"Out {clock}: 4 channels over 3 independent ways"
    less = OUT | {"channels": 1, "ways": 1}
    assert out_line(VOICE, less) == (
        f"Out {clock}: 1 channel. This update goes by no more independent ways."
    )


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ((4, 3), "Out {clock}, first by 1 channel, now by 4 channels over 3 independent ways"),
        (
            (5, 1),
            "Out {clock}, first by 1 channel, now by 5 channels. This update goes by no more independent ways.",
        ),
    ],
)
def test_what_came_after_it_was_out_is_counted_too(now: tuple[int, int], said: str) -> None:
    first = OUT | {"channels": 1, "ways": 1, "channels_now": now[0], "ways_now": now[1]}
    assert out_line(VOICE, first) == said.format(clock=VOICE.second(OUT["at"]))


def test_in_swedish_it_says_how_many_had_it_first_and_have_it_now() -> None:
    first = OUT | {"channels": 1, "ways": 1, "channels_now": 5, "ways_now": 1}
    swedish = Voice("sv")
    assert out_line(swedish, first) == (
        f"Ute {swedish.second(OUT['at'])}, först med 1 kanal, nu med 5 kanaler. "
        "Fler oberoende vägar går detta besked inte över."
    )


def test_on_another_day_its_date_is_said() -> None:
    long_ago = datetime.now(UTC) - timedelta(days=3)
    said = out_line(VOICE, OUT | {"at": long_ago.isoformat()})
    assert f"{long_ago:%a}" in said


@pytest.mark.parametrize(
    ("found", "said", "listed"),
    [
        (
            WAITS,
            "Not out yet: page, feed, 1 of 2 independent ways; waiting for sms, mastodon",
            "not out yet: 1 of 2 ways",
        ),
        (
            WAITS | {"late": True, "accepted": [], "ways": 0},
            "NOT OUT IN TIME: no channel, 0 of 2 independent ways; lacking: sms, mastodon",
            "NOT OUT IN TIME: 0 of 2 ways",
        ),
        (WAITS | {"needed": 0}, "", ""),
        (None, "", ""),
    ],
    ids=["waits", "late", "to nobody", "not counted"],
)
def test_what_is_not_out_says_what_it_lacks(
    found: dict[str, Any] | None, said: str, listed: str
) -> None:
    assert out_line(VOICE, found) == said
    assert short_of(VOICE, found) == listed


def test_status_says_it_below_the_answer_and_the_list_where_it_lacks(
    daemon: Daemon, run: Run
) -> None:
    daemon.deliveries = [delivery("page", "accepted"), delivery("sms", "sending", accepted_at=None)]
    incident = daemon.incident(out=WAITS)
    daemon.answers["GET /api/v1/incidents/A7"] = (200, incident)
    lines = run("status", "A7").out.splitlines()
    assert lines[2].startswith("Not out yet: page, feed, 1 of 2 independent ways")
    listed = {"items": [incident, incident | {"incident": "A8", "out": OUT}], "next": ""}
    daemon.answers["GET /api/v1/incidents"] = (200, listed)
    first, second = run("incidents", "list").out.splitlines()[1:]
    assert "not out yet: 1 of 2 ways, next word" in first
    assert "ways" not in second
