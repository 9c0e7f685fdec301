"""What is asked shows what will be said, and nothing that was typed is thrown away."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import pytest

from broadcaster.testing.commandline import Ended, StandInDaemon as Daemon, organisation

Run = Callable[..., Ended]
REPORT = "POST /api/v1/incidents"
PREVIEW = "POST /api/v1/preview"
UPDATES = "POST /api/v1/incidents/A7/updates"


def refusal(at: str, detail: str, status: int = 422) -> tuple[int, dict[str, Any]]:
    return status, {"title": "No", "status": status, "detail": detail, "at": at}


def refusing_once(
    daemon: Daemon, at: str, sentence: str = "No, because."
) -> Callable[[Any], tuple[int, Any]]:
    """A preview that refuses its first body."""

    def answer(body: Any) -> tuple[int, Any]:
        first = len(daemon.bodies(PREVIEW)) == 1
        return refusal(at, sentence) if first else (200, daemon.preview())

    return answer


@pytest.mark.parametrize(
    ("at", "again", "field", "said"),
    [
        ("next", "1h\n", "next", None),
        ("etr", "4h\n", "etr", None),
        ("text", "Right\n", "text", "Right"),
        ("area", "sodra\n", "area", ["sodra-ekbyn"]),
    ],
)
def test_what_is_refused_is_asked_again_and_the_rest_is_kept(
    daemon: Daemon, at_terminal: Run, at: str, again: str, field: str, said: Any
) -> None:
    daemon.answers[PREVIEW] = refusing_once(daemon, at)
    ended = at_terminal("report", typed=f"norra\nWrong\n2h\n3h\n{again}y\n")
    assert ended.code == 0, ended.out
    assert "No, because." in ended.out
    first, second = daemon.bodies(PREVIEW)
    assert daemon.bodies(REPORT)[0][field] == (said or second[field])
    assert first[field] != second[field]
    unchanged = {"area", "text", "etr"} - {at}
    assert {name: first[name][:13] for name in unchanged} == {
        name: second[name][:13] for name in unchanged
    }


def test_what_no_question_can_mend_gives_the_words_back(daemon: Daemon, at_terminal: Run) -> None:
    daemon.answers[PREVIEW] = refusal("", "Bo said it already.", 409)
    ended = at_terminal("report", typed="norra\nThe power is out\n\n\n")
    assert ended.code == 4
    assert "Bo said it already.\nYou wrote: The power is out" in ended.out


def test_what_the_answers_lack_is_asked_and_no_option_is_named(
    daemon: Daemon, at_terminal: Run
) -> None:
    def lacking(body: Any) -> tuple[int, Any]:
        also = [key for key in ("sodra-ekbyn",) if key not in body["area"]]
        untold = [tag for tag in ("en",) if tag not in body.get("texts", {})]
        return 200, daemon.preview(names_also=also, no_text_in=untold)

    daemon.answers[PREVIEW] = lacking
    typed = "norra\nBorta även i Södra Ekbyn\n\n\ny\nOut there too\ny\n"
    ended = at_terminal("report", typed=typed)
    assert ended.code == 0, ended.out
    body = daemon.bodies(REPORT)[0]
    assert body["area"] == ["norra-ekbyn", "sodra-ekbyn"]
    assert (body["text"], body["texts"]) == ("Borta även i Södra Ekbyn", {"en": "Out there too"})
    assert " --" not in ended.out.partition("accepted")[0]


def test_what_is_declined_is_not_asked_twice(daemon: Daemon, at_terminal: Run) -> None:
    lacks = daemon.preview(names_also=["sodra-ekbyn"], no_text_in=["en"])
    daemon.answers[PREVIEW] = (200, lacks)
    ended = at_terminal("report", typed="norra\nInte i Södra Ekbyn\n\n\nn\n\ny\n")
    assert ended.code == 0, ended.out
    assert daemon.bodies(REPORT)[0]["area"] == ["norra-ekbyn"]
    assert "texts" not in daemon.bodies(REPORT)[0]
    assert " --" not in ended.out.partition("accepted")[0]


def test_a_text_in_another_language_is_asked_anew_with_the_text(
    daemon: Daemon, at_terminal: Run
) -> None:
    def answer(body: Any) -> tuple[int, Any]:
        told = body.get("texts", {})
        if told.get("en") == "Too long":
            sentence = "x: too long by 9. Nothing was sent. Or leave it out with --channel."
            return refusal("text", sentence)
        return 200, daemon.preview(no_text_in=[] if told else ["en"])

    daemon.answers[PREVIEW] = answer
    ended = at_terminal("report", typed="norra\nLångt\n\n\nToo long\nKort\nShort\ny\n")
    assert ended.code == 0, ended.out
    assert "x: too long by 9. Nothing was sent.\n" in ended.out
    assert daemon.bodies(REPORT)[0]["texts"] == {"en": "Short"}


@pytest.mark.parametrize(
    ("at", "sentence", "shown"),
    [
        (
            "etr",
            "--etr 19.00 is before it began (--since): write a later time.",
            "19.00 is before it began: write a later time.\n",
        ),
        (
            "text",
            "sms: too long. Shorten the text, or leave it out with --channel.",
            "sms: too long.\n",
        ),
        ("text", "sms: 12 – 14 -- so. Nothing sent.", "sms: 12 – 14 -- so. Nothing sent.\n"),
    ],
)
def test_a_refused_answer_names_no_option_that_could_be_typed(
    daemon: Daemon, at_terminal: Run, at: str, sentence: str, shown: str
) -> None:
    daemon.answers[PREVIEW] = refusing_once(daemon, at, sentence)
    again = {"etr": "4h\n", "text": "Right\n"}[at]
    ended = at_terminal("report", typed=f"norra\nWrong\n2h\n3h\n{again}y\n")
    assert ended.code == 0, ended.out
    before = ended.out.partition("accepted")[0]
    assert shown in before
    assert not any(f"--{name}" in before for name in ("etr", "since", "channel"))


def test_residents_are_owed_a_next_word_where_no_rule_makes_one(
    daemon: Daemon, at_terminal: Run
) -> None:
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(follow_up=None))
    ended = at_terminal("report", typed="norra\nThe power is out\n\n\n45m\ny\n")
    assert ended.code == 0, ended.out
    assert "next" in daemon.bodies(REPORT)[0]


@pytest.mark.parametrize(
    ("command", "kind", "struck"),
    [
        (["retract", "A7-1"], "retraction", "Takes back A7-1:"),
        (["correct", "A7-1", "Right"], "correction", "Corrects A7-1:"),
    ],
)
def test_a_question_shows_what_is_struck_and_what_is_said_instead(
    daemon: Daemon, at_terminal: Run, command: list[str], kind: str, struck: str
) -> None:
    preview = daemon.preview(
        asks=True,
        kind=kind,
        strikes={"name": "A7-1", "text": {"en": "A digger did it"}},
        text={"en": "It was a tree", "sv": "Det var ett träd"},
        etr="2027-01-10T19:00:00+01:00",
        etr_before="2027-01-10T21:00:00+01:00",
    )
    daemon.answers[PREVIEW] = (200, preview)
    ended = at_terminal(*command, typed="norra-ekbyn\n")
    assert ended.code == 0, ended.out
    shown = ended.out[ended.out.index("LIVE · ") :]
    assert shown.startswith(f"LIVE · {kind.capitalize()} · Power cut · Norra Ekbyn\n")
    assert f"{struck}\n  - “A digger did it”\nInstead:\nen: “It was a tree”\n" in shown
    assert "sv: “Det var ett träd”" in shown
    unfolded = " ".join(shown.split())
    assert "(until now: Sunday 10 January 21:00)" in unfolded
    assert "nothing to give up" in unfolded


def test_an_estimate_that_falls_away_is_said(daemon: Daemon, run: Run) -> None:
    before = "2027-01-10T21:00:00+01:00"
    daemon.answers[PREVIEW] = (200, daemon.preview(etr_before=before))
    out = run("preview", "--kind", "retraction", "--incident", "A7").out
    assert "No estimate any more (until now: Sunday 10 January 21:00)\n" in out


def test_the_end_of_an_incident_asks_for_the_area_where_it_ends(
    daemon: Daemon, at_terminal: Run
) -> None:
    over = daemon.preview(asks=True, kind="restored", areas=[], ended=["norra-ekbyn"])
    daemon.answers[PREVIEW] = (200, over)
    ended = at_terminal("restored", "A7", typed="Norra Ekbyn\n")
    assert ended.code == 0, ended.out
    assert len(daemon.bodies(UPDATES)) == 1


def test_areas_are_taken_by_the_name_that_is_shown_everywhere(daemon: Daemon, run: Run) -> None:
    run("report", "x", "--area", "Norra ekbyn", "--area", "0127", "--area", "nowhere", "--yes")
    assert daemon.bodies(REPORT)[0]["area"] == ["norra-ekbyn", "0127", "nowhere"]
    run("update", "A7", "x", "--without-area", "Södra Ekbyn", "--yes")
    assert daemon.bodies(UPDATES)[0]["without_area"] == ["sodra-ekbyn"]


def test_a_refusal_says_times_as_people_do(daemon: Daemon, run: Run) -> None:
    daemon.answers[REPORT] = refusal("next", "Too late (2027-01-10T18:21+01:00). Nothing was sent.")
    ended = run("report", "x", "--area", "norra-ekbyn", "--yes")
    assert ended.err == "Too late (Sunday 10 January 18:21). Nothing was sent.\n"


def test_a_preview_names_the_boards_and_where_they_show_it(daemon: Daemon, run: Run) -> None:
    page = {"channel": "page", "shape": "board", "url": "https://drift.example", "texts": []}
    daemon.answers[PREVIEW] = (200, daemon.preview(channels=[page]))
    out = run("preview", "x", "--area", "norra-ekbyn").out
    assert "“The power is out”\n" in out
    assert "page  shows what stands above, at https://drift.example\n" in out


def test_one_is_one_address_and_one_part(daemon: Daemon, run: Run) -> None:
    sms = {"channel": "sms", "parts": 1, "recipients": 1, "encoding": "GSM-7"}
    daemon.answers[PREVIEW] = (200, daemon.preview(channels=[sms], recipients={"sms": 1}))
    assert "sms to 1 address: 1 part\n" in run("preview", "x", "--area", "norra-ekbyn").out


def test_a_mail_has_no_parts(daemon: Daemon, run: Run) -> None:
    mail = {"channel": "mail", "parts": 1, "recipients": 3, "encoding": "", "used": 90}
    daemon.answers[PREVIEW] = (200, daemon.preview(channels=[mail], recipients={"mail": 3}))
    out = run("preview", "x", "--area", "norra-ekbyn").out
    assert "\nmail to 3 addresses\n" in out
    assert "part" not in out


DASH = {
    "channel": "sms",
    "language": "sv",
    "parts": 3,
    "recipients": 2,
    "encoding": "UCS-2",
    "forcing": ["–"],
    "remarks": [
        '"–" makes it UCS-2, which takes 3 parts.',
        "With plain signs (--plain) it takes 2.",
    ],
}


def test_the_question_names_the_letter_that_makes_more_parts_and_how_it_is_spared(
    daemon: Daemon, at_terminal: Run
) -> None:
    asked = daemon.preview(asks=True, channels=[DASH, DASH | {"language": "en"}])
    daemon.answers[PREVIEW] = (200, asked)
    ended = at_terminal("report", "x", "--area", "norra-ekbyn", typed="Norra Ekbyn\n")
    assert ended.code == 0, ended.out
    shown = " ".join(ended.out[: ended.out.index("nothing to give up")].split())
    assert shown.count('sms: "–" makes it UCS-2, which takes 3 parts.') == 1
    assert "sms: With plain signs (--plain) it takes 2." in shown


def test_nobody_types_an_areas_name_for_what_will_be_refused(
    daemon: Daemon, at_terminal: Run
) -> None:
    reason = "The SMS needs 5 parts and at most 4 are allowed: shorten it by 9 letters."
    asked = daemon.preview(asks=True, channels=[DASH | {"error": reason, "parts": 0}])
    daemon.answers[PREVIEW] = (200, asked)
    ended = at_terminal("report", "x", "--area", "norra-ekbyn")
    assert ended.code == 4, ended.out
    shown = " ".join(ended.out.split())
    assert f"sms: {reason} Nothing was sent. Shorten the text, or leave the channel out" in shown
    assert "nothing to give up" not in shown
    assert daemon.bodies(REPORT) == []


def test_the_question_and_the_answer_name_the_channels_that_are_parked(
    daemon: Daemon, at_terminal: Run
) -> None:
    remedy = "broadcaster channels resume sms"
    stopped = {"sms": {"state": "parked", "because": "It wants money.", "remedy": remedy}}
    daemon.answers[PREVIEW] = (200, daemon.preview(asks=True, stopped=stopped))
    daemon.answers[REPORT] = (201, daemon.accepted(stopped=stopped))
    ended = at_terminal("report", "x", "--area", "norra-ekbyn", typed="Norra Ekbyn\n")
    assert ended.code == 0, ended.out
    before, after = ended.out.split("nothing to give up")
    said = f"sms is parked, and what is said waits there: It wants money. Mend it, then: {remedy}"
    assert said in " ".join(before.split())
    assert said in " ".join(after.split())


def test_an_area_that_only_the_text_names_is_told_before_and_after(
    daemon: Daemon, run: Run
) -> None:
    named = {"names_also": ["sodra-ekbyn"]}
    daemon.answers[PREVIEW] = (200, daemon.preview(name="A7-2", kind="correction", **named))
    daemon.answers[UPDATES] = (201, daemon.accepted(kind="correction", corrects=1, **named))
    start = "The text names Södra Ekbyn, but this is about Norra Ekbyn. To say it there too"
    before = run("preview", "x", "--kind", "correct", "--incident", "A7").out
    assert f"\n{start}, add --area sodra-ekbyn\n" in before
    after = run("correct", "A7", "x", "--yes").out
    assert f'\n{start}: broadcaster correct A7 "…" --area sodra-ekbyn\n' in after


BOTH = {"asks": True, "areas": ["norra-ekbyn", "sodra-ekbyn"]}


@pytest.mark.parametrize(
    "typed",
    [
        "Norra Ekbyn, Södra Ekbyn",
        "södra ekbyn",
        "norra-ekbyn,sodra-ekbyn",
        "0127",
        "0127, Södra Ekbyn",
    ],
)
def test_one_of_several_areas_is_enough_and_all_of_them_may_be_typed(
    daemon: Daemon, at_terminal: Run, typed: str
) -> None:
    daemon.answers[PREVIEW] = (200, daemon.preview(**BOTH))
    ended = at_terminal("report", "x", "--area", "norra-ekbyn", typed=f"{typed}\n")
    assert ended.code == 0, ended.out
    asked = (
        "Type the name of one of the areas to send, nothing to give up: Norra Ekbyn, Södra Ekbyn"
    )
    assert asked in " ".join(ended.out.split())


def test_no_miss_loses_what_was_typed(daemon: Daemon, at_terminal: Run) -> None:
    daemon.answers[PREVIEW] = (200, daemon.preview(**BOTH))
    misses = "Norra Ekbyn, Ekeby\ny\n1\nnorra\n"
    ended = at_terminal("report", "x", "--area", "norra-ekbyn", typed=f"{misses}Norra Ekbyn\n")
    assert ended.code == 0, ended.out
    assert '"Norra Ekbyn, Ekeby" is not the name.' in ended.out
    assert len(daemon.bodies(REPORT)) == 1


def test_who_gives_up_can_say_it_later_without_answering_anew(
    daemon: Daemon, at_terminal: Run
) -> None:
    daemon.answers[PREVIEW] = (200, daemon.preview(**BOTH))
    typed = "1, 2\nDet är mörkt – överallt\n2027-01-10 19:00\n\ny\ny\ny\n\n"
    ended = at_terminal("report", typed=typed)
    assert ended.code == 4
    again = (
        "broadcaster report --area norra-ekbyn --area sodra-ekbyn --etr 2027-01-10T19:00+01:00 "
        "'Det är mörkt – överallt'"
    )
    shown = " ".join(ended.out.split())
    assert f"Nothing has been sent. To say it later: {again}" in shown
    assert shown.endswith(f"Nothing was sent. To say it later: {again}")
    assert ended.out.count(f"\n  {again}\n") == 2  # a line that is broken cannot be pasted
    assert daemon.bodies(REPORT) == []


def test_what_is_given_back_is_the_same_command(daemon: Daemon, run: Run, at_terminal: Run) -> None:
    daemon.answers[PREVIEW] = (200, daemon.preview(**BOTH))
    options = ["--etr", "none", "--planned", "2027-01-10 08:00/12:00", "--without-area", "0127"]
    words = ["correct", "A7-2", "It's here", "--text-sv", "Här", "--plain", *options]
    ended = at_terminal(*words, typed="\n")
    line = ended.out.split("To say it later:")[-1]
    run(*shlex.split(" ".join(line.split()))[1:], "--yes")
    run(*words, "--yes")
    first, second = daemon.bodies(UPDATES)
    assert first == second


@pytest.mark.parametrize(
    ("verb", "shown", "hidden"),
    [
        ("retract", ["--all", "--text", "--yes"], ["--planned", "--etr", "--area", "--affected"]),
        ("holding", ["--next", "--yes"], ["--planned", "--affected", "--lang"]),
        ("restored", ["--area", "--next", "broadcaster update ID"], ["--planned", "--cause"]),
        ("update", ["--planned", "--etr", "opened again"], []),
    ],
)
def test_help_shows_the_options_that_say_something(
    run: Run, verb: str, shown: list[str], hidden: list[str]
) -> None:
    out = run(verb, "--help").out
    assert [word for word in shown if word not in out] == []
    assert [word for word in hidden if f"{word} " in out] == []


def test_a_question_says_who_is_told_that_it_is_over_and_who_is_new(
    daemon: Daemon, at_terminal: Run
) -> None:
    moved = daemon.preview(
        asks=True,
        kind="update",
        areas=["norra-ekbyn"],
        ended=["sodra-ekbyn"],
        areas_before=["sodra-ekbyn"],
    )
    daemon.answers[PREVIEW] = (200, moved)
    shown = at_terminal("update", "A7", "--area", "norra-ekbyn", "It moved", typed="\n").out
    assert "No longer concerned, and told so: Södra Ekbyn" in shown
    assert "Now concerned as well: Norra Ekbyn" in shown


def test_a_slip_in_an_answer_is_met_with_what_is_near_and_no_option(
    daemon: Daemon, at_terminal: Run
) -> None:
    sentence = "--etr 18:00 is in the past. Nothing was sent."
    daemon.answers[PREVIEW] = refusing_once(daemon, "etr", sentence)
    shown = at_terminal("report", typed="nora ekbyn\nnorra\nx\nsoon\n2h\n3h\n4h\ny\n").out
    assert 'There is no area "nora ekbyn". Did you mean Norra Ekbyn?' in shown
    assert "18:00 is in the past." in shown
    assert "--etr" not in shown


def test_where_it_ends_in_part_the_area_that_it_ends_in_is_typed(
    daemon: Daemon, at_terminal: Run
) -> None:
    partly = daemon.preview(
        asks=True,
        kind="restored",
        headline="The power is back in Södra Ekbyn",
        areas=["norra-ekbyn"],
        ended=["sodra-ekbyn"],
    )
    daemon.answers[PREVIEW] = (200, partly)
    ended = at_terminal("restored", "A7", "--area", "sodra-ekbyn", typed="södra ekbyn\n")
    assert ended.code == 0, ended.out
    assert "LIVE · Restored · The power is back in Södra Ekbyn\n" in ended.out
    assert "Still affected: Norra Ekbyn\n" in ended.out


def test_a_word_without_a_text_is_shown_by_what_it_told(daemon: Daemon, run: Run) -> None:
    told = {"name": "A7-2", "headline": "The power is back in Norra Ekbyn", "text": {}}
    daemon.answers[PREVIEW] = (200, daemon.preview(kind="retraction", strikes=told))
    out = run("preview", "--kind", "retraction", "--incident", "A7").out
    assert "\nTakes back A7-2:\n  - “The power is back in Norra Ekbyn”\nInstead:\n" in out
    whole = {"name": "A7", "headline": "", "text": {}}
    daemon.answers[PREVIEW] = (200, daemon.preview(kind="retraction", strikes=whole))
    out = run("preview", "--kind", "retraction", "--incident", "A7").out
    assert "\nTakes back all of A7.\nInstead:\n" in out
