"""resend sends once more what failed or is in doubt, and says before what that means for who reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from broadcaster.testing.commandline import Ended, StandInDaemon as Daemon, delivery, organisation

Run = Callable[..., Ended]
A7 = "GET /api/v1/incidents/A7"
AGAIN = "POST /api/v1/deliveries/11/resend"
IN_DOUBT = (
    "231 of 1,000 letters of A7-1 by sms may or may not have gone: some readers may get it twice."
)
DO = "Send just these again: broadcaster resend A7-1 --channel sms"


def letters(state: str = "accepted", /, **counts: int) -> dict[str, Any]:
    """A delivery of 1,000 letters, all accepted but these."""
    usual = {"confirmed": 0, "failed": 0, "uncertain": 0, "skipped": 0}
    left = 1_000 - sum(counts.values())
    return delivery(
        *("sms", state),
        id=11,
        shape="letter",
        counts={"total": 1_000, "accepted": left, **usual, **counts},
    )


def test_resend_names_the_newest_delivery_of_the_channel(daemon: Daemon, run: Run) -> None:
    daemon.deliveries = [
        delivery("x", "failed", id=11, update=1),
        delivery("x", "failed", id=12, update=2),
        delivery("page", "confirmed", id=13, update=2),
    ]
    for number in (11, 12):
        daemon.answers[f"POST /api/v1/deliveries/{number}/resend"] = (202, {"state": "waiting"})
    ended = run("resend", "A7", "--channel", "x")
    assert ended.out == "LIVE · A7-2 is sent once more by x.\n"
    run("resend", "A7-1", "--channel", "x")
    assert daemon.bodies("POST /api/v1/deliveries/11/resend") == [""]


def test_resend_on_a_channel_it_did_not_use_is_refused(run: Run) -> None:
    ended = run("resend", "A7", "--channel", "sms")
    assert (ended.code, ended.err) == (4, "A7 did not go out by sms.\n")


def test_resend_on_a_channel_that_is_not_there_names_those_that_are(run: Run) -> None:
    ended = run("resend", "A7-1", "--channel", "nix")
    assert (ended.code, ended.err) == (
        *(4, 'There is no channel "nix". There are page, sms. Nothing was sent.\n'),
    )


def test_resend_of_an_update_that_is_not_there_says_so(run: Run) -> None:
    ended = run("resend", "A7-9", "--channel", "sms")
    assert (ended.code, ended.err) == (4, "There is no update A7-9.\n")


def test_resend_reaches_a_delivery_of_a_channel_that_is_gone(daemon: Daemon, run: Run) -> None:
    daemon.deliveries = [delivery("old", "failed", id=11)]
    daemon.answers["POST /api/v1/deliveries/11/resend"] = (202, {"state": "waiting"})
    assert run("resend", "A7", "--channel", "old").code == 0


def test_what_did_not_fail_is_not_sent_again(daemon: Daemon, run: Run) -> None:
    daemon.deliveries = [delivery("x", "confirmed", id=11)]
    ended = run("resend", "A7", "--channel", "x")
    assert ended.code == 4
    assert ended.err.startswith("x is confirmed: only what failed or is uncertain")


# ------------------------------------------------------------------------------------------------- the name of a block
CHATS = [
    {"name": name, "kind": "apprise", "block": "chat"} for name in ("chat-a", "chat-b", "chat-c")
]


def test_by_the_name_of_a_block_it_goes_again_wherever_it_failed(daemon: Daemon, run: Run) -> None:
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(channels=CHATS))
    states = {"chat-a": "failed", "chat-b": "confirmed", "chat-c": "failed"}
    daemon.deliveries = [
        delivery(name, state, id=number) for number, (name, state) in enumerate(states.items(), 11)
    ]
    for number in (11, 12, 13):
        daemon.answers[f"POST /api/v1/deliveries/{number}/resend"] = (202, {"state": "waiting"})
    ended = run("resend", "A7", "--channel", "chat")
    assert ended.code == 0, ended.err
    assert ended.out == (
        "LIVE · A7-1 is sent once more by chat-a.\nLIVE · A7-1 is sent once more by chat-c.\n"
    )
    assert daemon.bodies("POST /api/v1/deliveries/12/resend") == []


def test_by_the_name_of_a_block_nothing_goes_again_where_nothing_failed(
    daemon: Daemon, run: Run
) -> None:
    daemon.answers["GET /api/v1/organisation"] = (200, organisation(channels=CHATS))
    daemon.deliveries = [delivery("chat-a", "confirmed", id=11)]
    assert run("resend", "A7", "--channel", "chat").code == 4


# ------------------------------------------------------------------------------------------------------------ letters
def accept_again(daemon: Daemon) -> None:
    daemon.answers[AGAIN] = (202, letters("waiting", uncertain=231))


def test_letters_in_doubt_are_sent_again_with_yes(daemon: Daemon, run: Run) -> None:
    daemon.deliveries = [letters(uncertain=231)]
    accept_again(daemon)
    ended = run("resend", "A7-1", "--channel", "sms", "--yes")
    assert (ended.code, ended.out) == (0, "LIVE · A7-1 is sent once more by sms.\n")
    assert len(daemon.bodies(AGAIN)) == 1


@pytest.mark.parametrize(
    ("counts", "question"),
    [
        (
            {"uncertain": 231},
            f"{IN_DOUBT} Send these again?",
        ),
        (
            {"uncertain": 231, "failed": 4},
            f"{IN_DOUBT} 4 failed. Send these again?",
        ),
        ({"failed": 4}, "4 of 1,000 letters of A7-1 by sms failed. Send these again?"),
    ],
)
def test_off_a_terminal_letters_are_not_sent_again_without_yes(
    daemon: Daemon, run: Run, counts: dict[str, int], question: str
) -> None:
    daemon.deliveries = [letters(**counts)]
    ended = run("resend", "A7-1", "--channel", "sms")
    assert (ended.code, ended.err) == (4, f"{question} There is nobody to ask: add --yes.\n")
    assert daemon.bodies(AGAIN) == []


@pytest.mark.parametrize(("typed", "sent"), [("y\n", 1), ("\n", 0)])
def test_at_a_terminal_it_asks_once_before_letters_go_again(
    daemon: Daemon, at_terminal: Run, typed: str, sent: int
) -> None:
    daemon.deliveries = [letters(uncertain=231)]
    accept_again(daemon)
    ended = at_terminal("resend", "A7", "--channel", "sms", typed=typed, after="[y/N]")
    assert ended.out.count("[y/N]") == 1
    assert len(daemon.bodies(AGAIN)) == sent
    assert ended.code == (0 if sent else 4)


def test_the_question_is_asked_in_swedish(daemon: Daemon, run: Run) -> None:
    swedish = organisation(languages=["sv", "en"])
    daemon.answers["GET /api/v1/organisation"] = (200, swedish)
    daemon.deliveries = [letters(uncertain=231)]
    assert run("resend", "A7-1", "--channel", "sms").err.startswith(
        "231 av 1\N{NO-BREAK SPACE}000 brev med A7-1 genom sms kan ha gått ut eller inte: "
        "några läsare kan få det två gånger."
    )


def test_letters_of_which_none_failed_or_is_in_doubt_are_not_sent_again(
    daemon: Daemon, run: Run
) -> None:
    daemon.deliveries = [letters()]
    ended = run("resend", "A7-1", "--channel", "sms", "--yes")
    assert (ended.code, daemon.bodies(AGAIN)) == (4, [])
    assert ended.err.startswith("sms is accepted: only what failed or is uncertain")


def go_out(daemon: Daemon, after: dict[str, Any]) -> None:
    """What is sent again comes to this at once."""
    daemon.deliveries = [delivery("page", "confirmed", id=10), letters(uncertain=231)]

    def again(_body: object) -> tuple[int, Any]:
        daemon.deliveries = [daemon.deliveries[0], after]
        return (202, letters("waiting", uncertain=231))

    daemon.answers[AGAIN] = again


def test_who_waits_is_told_when_all_of_it_is_through(daemon: Daemon, run: Run) -> None:
    go_out(daemon, letters())
    ended = run("resend", "A7-1", "--channel", "sms", "--yes", "--wait", "30")
    lines = ended.out.splitlines()
    assert (ended.code, ended.err) == (0, "")
    assert lines[0] == "LIVE · A7-1 is sent once more by sms."
    assert "1,000 of 1,000 handed over" in lines[1]
    assert lines[2:] == ["Everything is out."]


def test_who_waits_is_not_told_that_all_is_out_while_another_channel_lacks_it(
    daemon: Daemon, run: Run
) -> None:
    go_out(daemon, letters())
    daemon.deliveries[0] = delivery("page", "failed", id=10)
    ended = run("resend", "A7-1", "--channel", "sms", "--yes", "--wait", "30")
    assert (ended.code, ended.out.splitlines()[2:]) == (0, ["Everything is out but page."])


def test_who_waits_is_told_what_is_still_in_doubt_and_what_to_type(
    daemon: Daemon, run: Run
) -> None:
    go_out(daemon, letters(uncertain=7))
    daemon.answers[A7] = (200, daemon.incident(advice=[DO]))
    ended = run("resend", "A7-1", "--channel", "sms", "--yes", "--wait", "30")
    assert ended.code == 5
    assert ended.out.splitlines()[2:] == ["Everything is out but sms (7 uncertain).", DO]
    assert ended.err == "A7-1 is sent once more by sms, but not all of it went out in time.\n"


def test_who_waits_in_json_gets_the_delivery_as_it_stands_then(daemon: Daemon, run: Run) -> None:
    go_out(daemon, letters())
    ended = run("resend", "A7-1", "--channel", "sms", "--yes", "--wait", "30", "--json")
    assert (ended.code, ended.json["state"]) == (0, "accepted")
    assert ended.json["counts"] == letters()["counts"]


# ------------------------------------------------------------------------------------------- what status and report say
@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"uncertain": 231}, "Everything is out but sms (231 uncertain)."),
        ({"failed": 4}, "Everything is out but sms (4 failed)."),
        ({"failed": 4, "uncertain": 231}, "Everything is out but sms (4 failed, 231 uncertain)."),
        ({"skipped": 5}, "Everything is out."),
    ],
)
def test_status_does_not_say_that_all_is_out_while_letters_failed_or_are_in_doubt(
    daemon: Daemon, run: Run, counts: dict[str, int], sentence: str
) -> None:
    daemon.deliveries = [delivery("page", "confirmed"), letters(**counts)]
    daemon.answers[A7] = (200, daemon.incident(advice=[DO]))
    assert run("status", "A7").out.splitlines()[1:3] == [sentence, DO]


def test_status_says_how_many_were_left_out_because_the_time_was_over(
    daemon: Daemon, run: Run
) -> None:
    late = {"not_after": "2026-11-22T13:10:00+00:00", "ended_at": "2026-11-22T13:10:01+00:00"}
    daemon.deliveries = [delivery("page", "confirmed"), letters(skipped=417) | late]
    daemon.answers[A7] = (200, daemon.incident())
    assert run("status", "A7").out.splitlines()[1] == (
        "Everything is out but sms (417 left out, its time was over)."
    )


def test_letters_that_are_all_in_doubt_are_not_said_to_be_going_out(
    daemon: Daemon, run: Run
) -> None:
    daemon.deliveries = [letters("uncertain", uncertain=1_000)]
    assert run("status", "A7").out.splitlines()[1] == (
        "Everything is out but sms (1,000 uncertain)."
    )


def test_who_waits_for_a_report_is_told_how_many_letters_are_in_doubt_and_what_to_type(
    daemon: Daemon, run: Run
) -> None:
    daemon.deliveries = [delivery("page", "confirmed"), letters(uncertain=231)]
    daemon.answers[A7] = (200, daemon.incident(advice=[DO]))
    said = ("report", "--area", "norra-ekbyn", "The power is out", "--yes", "--wait", "1")
    lines = run(*said).out.splitlines()
    assert lines[-3:-1] == ["Everything is out but sms (231 uncertain).", DO]
