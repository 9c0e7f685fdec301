"""The table says of every delivery how it stands, in words, in the operator's language."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broadcaster.cli.saying import Voice, inert, own_language
from broadcaster.cli.table import at_rest, everywhere, rows, standing, state_word
from broadcaster.domain.delivery import State

T0 = datetime(2026, 11, 22, 13, 12, 6, tzinfo=UTC)
ENGLISH = Voice("en", ZoneInfo("Europe/Stockholm"))
SWEDISH = Voice("sv", ZoneInfo("Europe/Stockholm"))


def delivery(state: str, **more: Any) -> dict[str, Any]:
    return {"channel": "x", "state": state, "attempts": 1, "detail": "", "url": "", **more}


def detail(voice: Voice = ENGLISH, **told: Any) -> str:
    [row] = rows([delivery(**told)], accepted_at=T0.isoformat(), voice=voice, now=T0)
    return row.detail


def test_every_state_has_a_word_in_swedish() -> None:
    words = {state_word(SWEDISH, str(state)) for state in State}
    assert len(words) == len(State)
    assert words.isdisjoint(set(State))


@pytest.mark.parametrize(
    ("seconds", "english", "swedish"),
    [(0.62, "0.6 s", "0,6 s"), (59.94, "59.9 s", "59,9 s"), (125, "2 min 5 s", "2 min 5 s")],
)
def test_times_are_relative_to_the_accept(seconds: float, english: str, swedish: str) -> None:
    came = (T0 + timedelta(seconds=seconds)).isoformat()
    for voice, said in ((ENGLISH, english), (SWEDISH, swedish)):
        told = [delivery("accepted", accepted_at=came)]
        [row] = rows(told, accepted_at=T0.isoformat(), voice=voice, now=T0)
        assert row.elapsed == said


def test_the_next_attempt_and_the_last_reason_are_said() -> None:
    due = (T0 + timedelta(seconds=4)).isoformat()
    said = detail(state="waiting", due_at=due, detail="the far side said 503")
    assert said == "again in 4 s (attempt 2): the far side said 503"


def test_a_try_whose_time_has_come_is_not_said_to_come_in_no_seconds() -> None:
    due = (T0 - timedelta(minutes=2)).isoformat()
    past: dict[str, Any] = {"state": "waiting", "due_at": due, "attempts": 9, "detail": "503"}
    assert detail(**past) == "waits for its turn (attempt 10): 503"
    assert detail(SWEDISH, **past) == "väntar på sin tur (försök 10): 503"
    at_once = past | {"due_at": (T0 + timedelta(seconds=0.3)).isoformat()}
    assert detail(**at_once) == "again soon (attempt 10): 503"


def test_a_board_that_rests_says_when_it_is_tried_again_and_why() -> None:
    due = (T0 + timedelta(seconds=240)).isoformat()
    rests: dict[str, Any] = {"state": "waiting", "due_at": due, "attempts": 0}
    assert detail(**rests, detail="The disk is full.") == "again in 4 min 0 s: The disk is full."
    assert detail(**rests) == ""  # nothing was tried yet: it is not "again"


def test_letters_that_wait_after_a_failure_say_when_they_are_tried_again() -> None:
    due = (T0 + timedelta(seconds=9)).isoformat()
    counts = {"total": 3, "accepted": 0}
    waits: dict[str, Any] = {"state": "waiting", "due_at": due, "attempts": 7, "counts": counts}
    said = "0 of 3 handed over"
    assert detail(**waits, detail="503") == f"{said}; again in 9 s: 503"


def test_letters_between_two_tries_are_said_to_wait_and_why() -> None:
    due = (T0 + timedelta(seconds=9)).isoformat()
    told = delivery("sending", due_at=due, detail="503", counts={"total": 2, "accepted": 0})
    [row] = rows([told], accepted_at=T0.isoformat(), voice=SWEDISH, now=T0)
    assert (row.word, row.detail) == ("väntar", "0 av 2 överlämnade; åter om 9 s: 503")
    told = delivery("sending", due_at=None, detail="503", counts={"total": 2, "accepted": 0})
    [row] = rows([told], accepted_at=T0.isoformat(), voice=SWEDISH, now=T0)
    assert (row.word, row.detail) == ("sänder", "0 av 2 överlämnade; 503")


def test_what_waits_for_an_earlier_word_names_it() -> None:
    due = (T0 - timedelta(seconds=9)).isoformat()
    waits: dict[str, Any] = {"state": "waiting", "due_at": due, "attempts": 0, "behind": "A3-1"}
    assert detail(SWEDISH, **waits) == "väntar på A3-1"
    counts = {"total": 0, "accepted": 0}
    assert detail(**waits, detail="503", counts=counts) == "waits for A3-1: 503"


@pytest.mark.parametrize(
    ("medium", "there", "not_there"),
    [
        ("sms", "reached the phone", "did not reach the phone"),
        ("email", "reached the mailbox", "came back"),
        ("", "arrived", "came back"),
    ],
)
def test_what_arrived_is_said_in_words_of_its_medium(
    medium: str, there: str, not_there: str
) -> None:
    counts = {"total": 9, "accepted": 9, "confirmed": 5, "failed": 4, "bounced": 4}
    said = detail(state="accepted", counts=counts, medium=medium)
    assert said == f"9 of 9 handed over, 5 {there}, 4 {not_there}"


def test_letters_are_counted() -> None:
    counts = {"total": 12430, "accepted": 8214, "confirmed": 7950, "failed": 3, "uncertain": 1}
    said = detail(SWEDISH, state="sending", counts=counts, medium="sms")
    assert said == (
        "8\xa0214 av 12\xa0430 överlämnade, 7\xa0950 nådde telefonen, 3 misslyckade, 1 ovissa"
    )


def test_a_stopped_channel_says_why() -> None:
    stop = {"state": "parked", "because": "Its token is refused.", "remedy": "resume x"}
    said = "Its token is refused. Mend it, then: resume x"
    for more in ({"state": "waiting"}, {"state": "sending", "counts": {"total": 0}}):
        told = [delivery(**more, stop=stop)]
        [row] = rows(told, accepted_at=T0.isoformat(), voice=ENGLISH, now=T0)
        assert (row.word, row.detail) == ("parked", said)
    counts = {"total": 3, "accepted": 1, "skipped": 0}
    told = [delivery("sending", counts=counts, stop=stop)]
    [row] = rows(told, accepted_at=T0.isoformat(), voice=ENGLISH, now=T0)
    assert (row.state, row.detail) == ("parked", f"1 of 3 handed over; {said}")


def test_what_was_given_up_in_the_middle_is_not_out() -> None:
    counts = {"total": 10, "accepted": 4, "failed": 0, "uncertain": 0, "skipped": 6}
    told = [delivery("accepted", counts=counts, given_up=True)]
    assert standing(told, ENGLISH) == "Everything is out but x (6 left out, given up)."
    assert standing(told, SWEDISH) == "Allt är ute utom x (6 utelämnade, uppgivna)."
    assert not everywhere(told)
    gone = [delivery("accepted", counts=counts, given_up=False)]  # they left in the meantime
    assert standing(gone, ENGLISH) == "Everything is out."


@pytest.mark.parametrize("state", list(State))
def test_only_accepted_and_confirmed_count_as_out(state: State) -> None:
    told = [delivery(str(state))]
    out = state in (State.ACCEPTED, State.CONFIRMED)
    assert everywhere(told) is out
    assert (standing(told, ENGLISH) == "Everything is out.") is out


@pytest.mark.parametrize("state", list(State))
def test_what_may_still_change_is_not_at_rest(state: State) -> None:
    moving = (State.WAITING, State.SENDING, State.UNCERTAIN)
    assert at_rest([delivery(str(state))]) is (state not in moving)


def test_what_did_not_get_out_is_named() -> None:
    told = [delivery("confirmed", channel="page"), delivery("failed", channel="sms")]
    assert standing(told, ENGLISH) == "Everything is out but sms."


@pytest.mark.parametrize(
    ("failed", "uncertain", "enough"),
    [(5, 0, True), (0, 5, True), (3, 2, True), (6, 0, False), (0, 6, False), (3, 3, False)],
)
def test_a_letter_in_doubt_counts_for_a_wait_as_one_that_failed(
    failed: int, uncertain: int, enough: bool
) -> None:
    counts = {"total": 100, "accepted": 100 - failed - uncertain}
    counts |= {"failed": failed, "uncertain": uncertain}
    assert everywhere([delivery("accepted", counts=counts)]) is enough


def test_times_carry_weekday_and_date_in_both_languages() -> None:
    later = "2026-11-23T02:00:00+00:00"
    assert ENGLISH.moment(later, near=T0) == "Monday 23 November 03:00"
    assert SWEDISH.moment(later, near=T0) == "måndag 23 november 03.00"
    assert SWEDISH.second(T0.isoformat()) == "14.12.06"


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({"LANG": "sv_SE.UTF-8"}, "sv"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LC_ALL": "sv_FI", "LANG": "en_US"}, "sv"),
        ({}, "en"),
        ({"LANG": "xx_XX"}, "xx"),
    ],
)
def test_before_the_organisation_is_known_the_machine_says_the_language(
    environ: dict[str, str], language: str
) -> None:
    assert own_language(environ) == language


def test_a_language_nobody_translated_is_spoken_in_english() -> None:
    assert Voice("xx").say("Everything is out.") == "Everything is out."
    assert Voice("xx").number(12430) == "12,430"


@pytest.mark.parametrize("text", ["\x1b[31m", "\x07", "\x9b", "\u202e", "\r", "\x00"])
def test_nothing_steers_the_terminal(text: str) -> None:
    assert "?" in inert(text)
    assert text not in inert(text)
