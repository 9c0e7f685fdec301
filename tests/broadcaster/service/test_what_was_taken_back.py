"""No later word repeats what was taken back: not an update, a holding message, the end, planned work or what was scheduled.

The rig's engine stands still; the test claims what is due.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from broadcaster.domain.incident import Kind, Mode, Planned, Severity, Update
from broadcaster.service import doctor, follow_up, status
from broadcaster.service.commands import Command
from broadcaster.service.notices import iso
from broadcaster.service.previewing import preview
from broadcaster.service.saying import prepare
from broadcaster.store import boards, dues, incidents, tables as t
from broadcaster.testing.rig import OPERATOR, UNHEARD, Rig

NEXT_DAY = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
WORK = Planned(NEXT_DAY, NEXT_DAY + timedelta(hours=4))
LATER_WORK = Planned(NEXT_DAY + timedelta(hours=6), NEXT_DAY + timedelta(hours=8))


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path, {"hook": UNHEARD, "staff": UNHEARD | {"audience": "staff"}})
    yield rig
    rig.stop()


def said(town: Rig, number: int) -> Update:
    record = town.store.read(lambda connection: incidents.load(connection, 1))
    assert record is not None
    found = record.numbered(number)
    assert found is not None
    return found.said


def soon(town: Rig, **span: float) -> datetime:
    return (town.clock() + timedelta(**span)).replace(microsecond=0)


FALSE: dict[str, Any] = {
    "cause": "En grävskada.",
    "instruction": "Koka vattnet.",
    "affected": 4000,
    "severity": Severity.EXTREME,
    "headline": "Vattenläcka",
    "since": datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3),
    "etr": datetime.now(UTC).replace(microsecond=0) + timedelta(hours=9),
}
"""What update 2 says, which update 3 takes over, and which then is retracted."""


def a_retracted_word_that_another_took_over(town: Rig, **first: Any) -> None:
    town.say("Strömmen är borta.", severity=Severity.MODERATE, **first)
    town.say("Vi vet mer.", Kind.UPDATE, **FALSE)
    town.say("Montör är på plats.", Kind.UPDATE)
    assert {name: getattr(said(town, 3), name) for name in FALSE} == FALSE
    town.say(kind=Kind.RETRACTION, number=2)


def facts(update: Update) -> dict[str, Any]:
    return {name: getattr(update, name) for name in FALSE}


NOTHING_FALSE = {
    "cause": "",
    "instruction": "",
    "affected": None,
    "severity": Severity.MODERATE,
    "headline": "",
    "since": None,
    "etr": None,
}


@pytest.mark.parametrize("kind", [Kind.UPDATE, Kind.HOLDING, Kind.RESTORED, Kind.CORRECTION])
def test_no_further_word_says_what_was_retracted(town: Rig, kind: Kind) -> None:
    a_retracted_word_that_another_took_over(town)
    town.say("Så här är det nu.", kind)
    assert facts(said(town, 5)) == NOTHING_FALSE


def test_the_retraction_itself_does_not_repeat_it(town: Rig) -> None:
    a_retracted_word_that_another_took_over(town)
    assert facts(said(town, 4)) == NOTHING_FALSE
    written = Command(kind=Kind.UPDATE, incident="A1", texts={"": "Nu."})
    for text in prepare(town.desk, OPERATOR, written).plan.texts:
        assert text.rendered is not None
        assert "grävskada" not in text.rendered.texts[0].body


def test_what_was_said_before_holds_again(town: Rig) -> None:
    true = {"cause": "Åska.", "etr": soon(town, hours=2), "since": soon(town, hours=-1)}
    a_retracted_word_that_another_took_over(town, **true)
    town.say("Nu.", Kind.UPDATE)
    assert facts(said(town, 5)) == NOTHING_FALSE | true


def test_what_the_operator_says_anew_stands(town: Rig) -> None:
    a_retracted_word_that_another_took_over(town)
    town.say("Det var en grävskada ändå.", Kind.UPDATE, cause="En grävskada.")
    town.say("Nu.", Kind.UPDATE)
    assert said(town, 6).cause == "En grävskada."


def test_what_a_word_takes_over_after_a_retraction_can_itself_be_retracted(town: Rig) -> None:
    a_retracted_word_that_another_took_over(town, cause="Åska.")
    town.say("Nu.", Kind.UPDATE)
    town.say(kind=Kind.RETRACTION, number=1)
    town.say("Nu då.", Kind.UPDATE)
    assert said(town, 7).cause == ""


def test_a_corrected_word_gives_on_what_its_correction_says(town: Rig) -> None:
    town.say("Strömmen är borta.", cause="Åska.", affected=40)
    town.say("Montör är på plats.", Kind.UPDATE)
    town.say("Det var inte åskan.", Kind.CORRECTION, number=1, cause="En grävskada.")
    for kind in (Kind.UPDATE, Kind.HOLDING, Kind.RESTORED):
        town.say("Nu.", kind)
        newest = said(town, 3 + (Kind.UPDATE, Kind.HOLDING, Kind.RESTORED).index(kind) + 1)
        assert (newest.cause, newest.affected) == ("En grävskada.", 40)


def test_a_retracted_area_is_concerned_no_more(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say("Även i söder.", Kind.UPDATE, area=("sodra-ekbyn",))
    town.say("Montör är på plats.", Kind.UPDATE)
    assert said(town, 3).areas == ("norra-ekbyn", "sodra-ekbyn")
    town.say(kind=Kind.RETRACTION, number=2)
    town.say("Nu.", Kind.UPDATE)
    assert said(town, 5).areas == ("norra-ekbyn",)


def test_an_incident_opened_again_by_mistake_is_over_when_that_is_retracted(town: Rig) -> None:
    town.say("Strömmen är borta.", etr=soon(town, hours=2))
    town.say("Strömmen är tillbaka.", Kind.RESTORED)
    town.say("Borta igen.", Kind.UPDATE)
    town.say(kind=Kind.RETRACTION)
    board = town.store.read(lambda c: boards.board(c, None, town.clock(), Mode.LIVE))
    assert board.open == ()
    (told,) = board.changed
    assert (told.closed_at is None, told.retracted, told.areas) == (False, False, ())
    assert (told.etr, told.promise, told.updates[0].etr) == (None, None, None)


def test_an_incident_keeps_what_it_is_called_when_its_first_word_is_retracted(town: Rig) -> None:
    town.say("Vattnet är borta.", headline="Vattenläcka", cause="En grävskada.")
    town.say("Montör är på plats.", Kind.UPDATE)
    town.say(kind=Kind.RETRACTION, number=1)
    town.say("Nu.", Kind.UPDATE)
    newest = said(town, 4)
    assert (newest.headline, newest.severity, newest.cause) == ("Vattenläcka", Severity.SEVERE, "")


def test_what_was_retracted_is_shown_to_no_operator_as_what_is(town: Rig) -> None:
    a_retracted_word_that_another_took_over(town, cause="Åska.")
    shown = status.show(town.desk, OPERATOR, "A1")
    assert (shown["cause"], shown["etr"], shown["headline"]) == ("Åska.", None, "")
    assert shown["severity"] == "moderate"
    new = soon(town, hours=5)
    command = Command(kind=Kind.UPDATE, incident="A1", etr=new)
    assert preview(town.desk, OPERATOR, command)["etr_before"] is None


# ---------------------------------------------------------------------------------------------------------- what is due
def due(town: Rig, what: str) -> list[str]:
    """Does what is due now, as the engine would; returns what came of those that are called `what`."""
    acts = follow_up.acts(town.desk)
    came = []
    for each in town.store.write(lambda c: dues.claim(c, town.clock())).result():
        outcome = acts[each.what](each)
        town.store.write(partial(dues.settle, due=each, now=town.clock(), outcome=outcome)).result()
        came += [outcome] if each.what == what else []
    return came


def told_to_staff(town: Rig) -> list[str]:
    found = town.store.read(
        lambda c: c.scalars(select(t.update.c.texts).where(t.update.c.kind == Kind.NOTICE)).all()
    )
    return [texts["sv"] for texts in found]


def test_the_holding_message_that_comes_by_itself_says_nothing_retracted(town: Rig) -> None:
    a_retracted_word_that_another_took_over(town)
    town.clock.shift += timedelta(hours=1)
    assert due(town, "grace") == ["holding message A1-5"]
    assert facts(said(town, 5)) == NOTHING_FALSE


@pytest.mark.parametrize("kind", [Kind.CORRECTION, Kind.RETRACTION])
def test_who_names_no_update_means_what_was_said_and_not_that_there_was_no_news(
    town: Rig, kind: Kind
) -> None:
    town.say("Strömmen är borta.")
    town.say("Den är borta även i Södra Ekbyn.", Kind.UPDATE)
    town.say(kind=Kind.HOLDING)
    town.say("Det var fel.", kind)
    assert said(town, 4).corrects == 2


def test_nothing_is_left_of_what_is_retracted_where_there_was_no_news_since(town: Rig) -> None:
    town.say("Koka vattnet.", headline="Kokning av vatten")
    town.say(kind=Kind.HOLDING)
    town.say(kind=Kind.RETRACTION)
    record = town.store.read(lambda connection: incidents.load(connection, 1))
    assert record is not None
    assert [word.struck_by for word in record.updates] == [3, 3, None]
    assert said(town, 3).headline == "Kokning av vatten"  # nobody takes it for another incident
    assert record.closed_at is not None


def test_a_word_that_stands_beside_the_retracted_one_goes_on(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say("Den är borta även i Södra Ekbyn.", Kind.UPDATE)
    town.say(kind=Kind.HOLDING)
    town.say(kind=Kind.RETRACTION)
    record = town.store.read(lambda connection: incidents.load(connection, 1))
    assert record is not None
    assert [word.struck_by for word in record.updates] == [None, 4, None, None]
    assert record.closed_at is None


def a_retraction_after_the_promise_it_goes_back_to(town: Rig) -> datetime:
    """Returns the promise that the retraction makes anew."""
    town.say("Strömmen är borta.", next=soon(town, minutes=10))
    town.say("Vi vet mer.", Kind.UPDATE, next=soon(town, minutes=50))
    town.clock.shift += timedelta(minutes=20)
    town.say(kind=Kind.RETRACTION, number=2)
    promise = said(town, 3).promise
    assert promise is not None
    assert promise > town.clock()
    return promise


def test_what_readers_were_told_last_is_the_promise_on_page_and_for_operators(town: Rig) -> None:
    promise = a_retraction_after_the_promise_it_goes_back_to(town)
    now = town.clock()
    board = town.store.read(lambda c: boards.board(c, None, now, Mode.LIVE))
    assert [incident.promise for incident in board.open] == [promise]
    shown = status.show(town.desk, OPERATOR, "A1")
    assert (shown["promise"], shown["overdue"]) == (iso(promise), False)
    seen = doctor.examine(town.desk, OPERATOR, {"ready": True, "degraded": []}, {}, "sv")
    assert "promise" not in {found["what"] for found in seen["items"]}


def test_staff_are_reminded_of_the_promise_that_a_retraction_made(town: Rig) -> None:
    promise = a_retraction_after_the_promise_it_goes_back_to(town)
    assert due(town, "remind") + due(town, "due") + due(town, "grace") == []
    town.clock.shift += promise - town.clock() + timedelta(seconds=1)
    assert due(town, "due") == ["promise broken, staff told"]
    (told,) = told_to_staff(town)
    assert f"{promise.astimezone(town.desk.configuration.zone):%H.%M}" in told
    shown = status.show(town.desk, OPERATOR, "A1")
    assert (shown["promise"], shown["overdue"]) == (iso(promise), True)


def test_a_retraction_keeps_the_promise_that_stood_before_while_it_is_to_come(town: Rig) -> None:
    first = soon(town, minutes=40)
    town.say("Strömmen är borta.", next=first)
    town.say("Vi vet mer.", Kind.UPDATE, next=soon(town, minutes=50))
    town.say(kind=Kind.RETRACTION, number=2)
    assert said(town, 3).promise == first
    assert status.show(town.desk, OPERATOR, "A1")["promise"] == iso(first)


def test_planned_work_turns_when_the_plan_that_stands_says_so(town: Rig) -> None:
    town.say("Vi byter en transformator.", planned=WORK)
    town.say("Det blir senare.", Kind.UPDATE, planned=LATER_WORK)
    town.say("Ta fram ficklampan.", Kind.UPDATE)
    town.say(kind=Kind.RETRACTION, number=2)
    assert said(town, 4).planned == WORK
    town.clock.shift = WORK.start - datetime.now(UTC) + timedelta(minutes=1)
    assert due(town, "open") == ["update A1-5"]
    assert said(town, 5).planned == WORK
    town.clock.shift = WORK.end - datetime.now(UTC) + timedelta(minutes=1)
    (ended,) = due(town, "close")
    assert ended.startswith("restored A1-")
    town.clock.shift = LATER_WORK.start - datetime.now(UTC) + timedelta(minutes=1)
    assert due(town, "open") in ([], ["nothing planned stands"])


def test_planned_work_that_was_retracted_neither_opens_nor_closes(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say("Vi arbetar i morgon.", Kind.UPDATE, planned=WORK)
    town.say("Montör är på plats.", Kind.UPDATE)
    town.say(kind=Kind.RETRACTION, number=2)
    town.clock.shift = WORK.start - datetime.now(UTC) + timedelta(minutes=1)
    assert due(town, "open") == ["nothing planned stands"]
    town.clock.shift = WORK.end - datetime.now(UTC) + timedelta(minutes=1)
    assert due(town, "close") == ["nothing planned stands"]


# -------------------------------------------------------------------------------------------------------- what waits
def scheduled_upon(town: Rig, **first: Any) -> datetime:
    town.say("Strömmen är borta.")
    town.say("Vi vet mer.", Kind.UPDATE, **first)
    at = soon(town, minutes=20)
    town.say("Kvällens läge.", Kind.UPDATE, at=at)
    return at


def at_its_time(town: Rig, at: datetime) -> list[str]:
    town.clock.shift += at - town.clock() + timedelta(seconds=1)
    return due(town, "release")


@pytest.mark.parametrize(
    "taken_back",
    [
        {"kind": Kind.RETRACTION, "number": 2},
        {"kind": Kind.CORRECTION, "number": 2, "text": "Nej.", "cause": "Åska."},
    ],
)
def test_a_scheduled_word_that_took_it_over_is_not_sent_and_staff_are_told(
    town: Rig, taken_back: dict[str, Any]
) -> None:
    at = scheduled_upon(town, cause="En grävskada.")
    town.say(**taken_back)
    assert at_its_time(town, at) == ["not sent, staff told"]
    assert said(town, 3).released_at is None
    (told,) = told_to_staff(town)
    assert told.startswith("A1-3 SKICKADES INTE")
    assert "broadcaster update A1" in told


@pytest.mark.parametrize(
    "meanwhile",
    [
        # Of which it took over nothing but what still stands.
        {"kind": Kind.RETRACTION, "number": 2},
        {"kind": Kind.CORRECTION, "number": 2, "text": "Nej."},
        {"kind": Kind.UPDATE, "text": "Mer.", "cause": "Åska."},
    ],
)
def test_a_scheduled_word_that_says_nothing_taken_back_goes_out(
    town: Rig, meanwhile: dict[str, Any]
) -> None:
    at = scheduled_upon(town)
    town.say(**meanwhile)
    (outcome,) = at_its_time(town, at)
    assert outcome.startswith("released")
    assert told_to_staff(town) == []


@pytest.mark.parametrize("kind", [Kind.CORRECTION, Kind.RETRACTION])
def test_a_scheduled_correction_of_what_was_put_right_meanwhile_is_not_sent(
    town: Rig, kind: Kind
) -> None:
    """Now nobody could say it: what it corrects was corrected already."""
    town.say("Strömmen är borta.")
    town.say("Vi vet mer.", Kind.UPDATE)
    at = soon(town, minutes=20)
    town.say("Rätt är så här.", Kind.CORRECTION, number=2, at=at, cause="Åska.")
    town.say("Nej, så här.", kind, number=2)
    assert at_its_time(town, at) == ["not sent, staff told"]
    assert said(town, 3).released_at is None


def test_what_a_scheduled_word_said_last_is_what_a_further_word_goes_on_from(town: Rig) -> None:
    town.say("Strömmen är borta.")
    at = soon(town, minutes=20)
    town.say("Kvällens läge.", Kind.UPDATE, at=at, cause="En grävskada.")
    town.say("Montör är på plats.", Kind.UPDATE, cause="Åska.")
    at_its_time(town, at)
    town.say("Nu.", Kind.UPDATE)
    assert said(town, 4).cause == "En grävskada."
    answer = town.say("Fel.", Kind.RETRACTION)
    assert said(town, answer["update"]).corrects == 4


def test_what_is_corrected_without_a_number_is_what_went_out_last(town: Rig) -> None:
    town.say("Strömmen är borta.")
    at = soon(town, minutes=20)
    town.say("Kvällens läge.", Kind.UPDATE, at=at)
    town.say("Montör är på plats.", Kind.UPDATE)
    at_its_time(town, at)
    town.say("Så är det.", Kind.CORRECTION)
    assert said(town, 4).corrects == 2


def test_a_word_scheduled_upon_what_stands_repeats_nothing_retracted(town: Rig) -> None:
    a_retracted_word_that_another_took_over(town)
    at = soon(town, minutes=20)
    town.say("Kvällens läge.", Kind.UPDATE, at=at)
    assert facts(said(town, 5)) == NOTHING_FALSE
    (outcome,) = at_its_time(town, at)
    assert outcome.startswith("released")


def test_a_retracted_correction_takes_the_promise_of_what_it_corrected_with_it(town: Rig) -> None:
    """What was said before both holds again, also of when the next word comes."""
    first, second, third = (soon(town, minutes=each) for each in (30, 60, 90))
    town.say("Strömmen är borta.", next=first)
    town.say("Felet är hittat.", Kind.UPDATE, next=second)
    town.say("Felet är inte hittat.", Kind.CORRECTION, next=third)
    town.say(kind=Kind.RETRACTION, number=3)
    assert said(town, 4).promise == first


def test_a_promise_that_was_retracted_with_its_word_and_has_passed_is_made_anew(town: Rig) -> None:
    first = soon(town, minutes=5)
    town.say("Strömmen är borta.", next=first)
    town.say("Felet är hittat.", Kind.UPDATE, next=soon(town, minutes=60))
    town.say("Felet är inte hittat.", Kind.CORRECTION, next=soon(town, minutes=90))
    town.pass_by(minutes=6)
    before = town.clock()
    town.say(kind=Kind.RETRACTION, number=3)
    promise = said(town, 4).promise
    assert promise is not None
    assert timedelta(0) <= promise - before - timedelta(minutes=45) < timedelta(seconds=30)
