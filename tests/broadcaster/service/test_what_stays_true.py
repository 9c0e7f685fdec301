"""What residents read stays true: of what opened again, what is over in one place, and what was struck.

The rig's engine stands still: what is planned, and what the board holds, is all that is looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import html

from broadcaster.domain.incident import Audience, Kind, Mode, Planned, Severity, Update
from broadcaster.locale.retelling import tell
from broadcaster.service.commands import Command, Refused
from broadcaster.service.saying import prepare
from broadcaster.store import boards, incidents
from broadcaster.testing.rig import OPERATOR, UNHEARD, Rig
from channels.feed.items import Item, Teller
from channels.page.settings import PageSettings
from channels.page.site import pages

BOTH = ("norra-ekbyn", "sodra-ekbyn")
TOMORROW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
WORK = Planned(TOMORROW, TOMORROW + timedelta(hours=4))


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path, {"hook": UNHEARD, "duty": UNHEARD | {"audience": "staff"}})
    yield rig
    rig.stop()


def soon(town: Rig, **span: float) -> datetime:
    return (town.clock() + timedelta(**span)).replace(microsecond=0)


def board(town: Rig) -> Any:
    return town.store.read(lambda c: boards.board(c, None, town.clock(), Mode.DEMO))


def page(town: Rig, path: str = "incidents/a1/index.html") -> Any:
    context = town.desk.configuration.adapters["hook"].context
    files = pages(board(town), context, PageSettings(kind="page"))
    return html.fromstring({file.path: file for file in files}[path].body)


def words_of(node: Any, within: str = ".") -> str:
    found = " ".join(text for each in node.xpath(within) for text in each.itertext())
    return re.sub(r"\s+", " ", found).strip()


def feed(town: Rig) -> tuple[Item, ...]:
    context = town.desk.configuration.adapters["hook"].context
    return Teller(board(town), context, "sv").channel("", "", "").items


def said(town: Rig, number: int) -> Update:
    record = town.store.read(lambda connection: incidents.load(connection, 1))
    assert record is not None
    found = record.numbered(number)
    assert found is not None
    return found.said


# ----------------------------------------------------------------------------------------------------- opened again
def opened_again(town: Rig) -> None:
    town.say("Strömmen är borta.", etr=soon(town, hours=2))
    town.say("Det tar längre tid.", Kind.UPDATE, etr=soon(town, hours=3))
    town.say("Strömmen är tillbaka.", Kind.RESTORED)
    town.say("Strömmen är borta igen.", Kind.UPDATE)


def test_what_opened_again_has_no_estimate_yet_and_none_that_was_withdrawn(town: Rig) -> None:
    opened_again(town)
    facts = words_of(page(town), "//dl")
    assert "De flesta har ström ingen bedömning än" in facts
    assert "återtagen" not in facts
    assert "ändrat" not in facts


def test_the_estimates_of_what_opened_again_begin_anew(town: Rig) -> None:
    opened_again(town)
    (incident,) = board(town).open
    assert incident.etr_history == ()
    first, later = soon(town, hours=4), soon(town, hours=5)
    town.say("Senast då.", Kind.UPDATE, etr=first)
    town.say("Senare.", Kind.UPDATE, etr=later)
    (incident,) = board(town).open
    assert [(change.number, change.etr) for change in incident.etr_history] == [
        (5, first),
        (6, later),
    ]
    assert words_of(page(town), "//dl").count("ändrat") == 1


def test_an_estimate_that_was_withdrawn_after_it_opened_again_is_said_to_be(town: Rig) -> None:
    opened_again(town)
    town.say("Senast då.", Kind.UPDATE, etr=soon(town, hours=4))
    town.say("Vi vet inte.", Kind.UPDATE, drop_etr=True)
    assert "De flesta har ström bedömningen är återtagen" in words_of(page(town), "//dl")


def test_an_estimate_that_was_withdrawn_before_an_end_that_was_none_is_said_to_be(
    town: Rig,
) -> None:
    town.say("Strömmen är borta.", etr=soon(town, hours=2))
    town.say("Vi vet inte.", Kind.UPDATE, drop_etr=True)
    town.say("Strömmen är tillbaka.", Kind.RESTORED)
    town.say(kind=Kind.RETRACTION)
    assert "De flesta har ström bedömningen är återtagen" in words_of(page(town), "//dl")


def test_a_retracted_end_leaves_the_estimates_as_they_were(town: Rig) -> None:
    town.say("Strömmen är borta.", etr=soon(town, hours=2))
    town.say("Det tar längre tid.", Kind.UPDATE, etr=soon(town, hours=3))
    town.say("Strömmen är tillbaka.", Kind.RESTORED)
    town.say(kind=Kind.RETRACTION)
    (incident,) = board(town).open
    assert [change.number for change in incident.etr_history] == [1, 2]


# ------------------------------------------------------------------------------------------------- promises to others
def test_where_it_goes_on_the_promise_is_kept_when_it_is_over_elsewhere(town: Rig) -> None:
    promise = soon(town, minutes=20)
    town.say("Strömmen är borta.", area=BOTH, next=promise)
    town.clock.shift += timedelta(minutes=5)
    town.say(kind=Kind.RESTORED, area=("sodra-ekbyn",))
    assert said(town, 2).promise == promise
    (incident,) = board(town).open
    assert incident.promise == promise


def test_a_promise_is_made_anew_when_the_one_that_was_made_has_passed(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH, next=soon(town, minutes=20))
    town.clock.shift += timedelta(minutes=25)
    town.say(kind=Kind.RESTORED, area=("sodra-ekbyn",))
    assert said(town, 2).promise == said(town, 2).accepted_at + timedelta(minutes=45)


def test_the_operator_may_move_the_promise_when_it_is_over_elsewhere(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH, next=soon(town, minutes=20))
    later = soon(town, minutes=30)
    town.say(kind=Kind.RESTORED, area=("sodra-ekbyn",), next=later)
    assert said(town, 2).promise == later


def test_the_word_is_never_promised_after_an_estimate_given_with_the_end_elsewhere(
    town: Rig,
) -> None:
    town.say("Strömmen är borta.", area=BOTH, next=soon(town, minutes=40))
    etr = soon(town, minutes=15)
    town.say(kind=Kind.RESTORED, area=("sodra-ekbyn",), etr=etr)
    assert said(town, 2).promise == etr


# ------------------------------------------------------------------------------------------------------ what is struck
def struck(town: Rig, number: int) -> tuple[str, str]:
    """What is struck of an entry, and what stands in it besides."""
    (entry,) = page(town).xpath(f"//li[@id='a1-{number}']")
    gone = words_of(entry, ".//del")
    return gone, words_of(entry).replace(gone, "") if gone else words_of(entry)


def test_a_retracted_end_without_a_word_says_what_is_struck(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say(kind=Kind.RESTORED)
    town.say(kind=Kind.RETRACTION)
    gone, _ = struck(town, 2)
    assert gone == "Detta gäller inte längre: Strömmen är åter i Norra Ekbyn"


def test_a_retracted_end_in_one_area_strikes_that_end_and_not_where_it_goes_on(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH)
    town.say(kind=Kind.RESTORED, area=("sodra-ekbyn",))
    town.say(kind=Kind.RETRACTION)
    gone, stands = struck(town, 2)
    assert gone == "Detta gäller inte längre: Strömmen är åter i Södra Ekbyn"
    assert "Fortfarande berört: Norra Ekbyn" in stands
    assert "Berörs också: Södra Ekbyn" in words_of(page(town), "//li[@id='a1-3']")


def test_a_corrected_end_that_is_still_the_end_is_named_and_not_struck(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say(kind=Kind.RESTORED)
    town.say("Den kom redan 20.15.", Kind.CORRECTION)
    gone, stands = struck(town, 2)
    assert gone == ""
    assert "Strömmen är åter" in stands


def test_a_corrected_end_that_was_none_is_struck(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say(kind=Kind.RESTORED)
    town.say("Den är inte åter.", Kind.CORRECTION, area=("norra-ekbyn",))
    assert struck(town, 2)[0] == "Detta gäller inte längre: Strömmen är åter i Norra Ekbyn"


def test_an_end_whose_correction_was_taken_back_is_struck(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say(kind=Kind.RESTORED)
    town.say("Den kom redan 20.15.", Kind.CORRECTION)
    town.say(kind=Kind.RETRACTION)
    assert struck(town, 2)[0] == "Detta gäller inte längre: Strömmen är åter i Norra Ekbyn"


def test_an_end_that_was_corrected_twice_and_still_is_the_end_is_not_struck(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say(kind=Kind.RESTORED)
    town.say("Den kom redan 20.15.", Kind.CORRECTION)
    town.say("Den kom redan 20.10.", Kind.CORRECTION, number=3)
    assert struck(town, 2)[0] == ""


def test_any_word_without_text_that_is_struck_is_called_by_its_name(town: Rig) -> None:
    town.say("Vi byter en transformator.", planned=WORK)
    town.say(kind=Kind.UPDATE, severity=Severity.EXTREME)
    town.say("Det är inte värre.", Kind.CORRECTION, severity=Severity.SEVERE)
    assert struck(town, 2)[0] == "Detta gäller inte längre: Nytt besked"


def test_a_struck_word_that_says_something_is_not_called_by_its_name_too(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say(kind=Kind.UPDATE, etr=soon(town, hours=2))
    town.say(kind=Kind.RETRACTION)
    assert struck(town, 2)[0].startswith("Detta gäller inte längre: De flesta har ström senast")


def test_a_promise_that_the_correction_moved_is_struck(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say(kind=Kind.UPDATE, next=soon(town, minutes=20))
    town.say("Senare.", Kind.CORRECTION, next=soon(town, minutes=40))
    assert struck(town, 2)[0].startswith("Detta gäller inte längre: Nästa besked senast")


def test_a_struck_entry_of_the_feed_names_what_is_struck(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say(kind=Kind.RESTORED)
    town.say(kind=Kind.RETRACTION)
    assert re.fullmatch(r"DEMO: Återtaget \S+: Strömmen är åter i Norra Ekbyn", feed(town)[1].title)


def texts(item: Item) -> str:
    return " ".join(paragraph.text for paragraph in item.paragraphs)


def test_an_entry_names_no_area_and_no_fact_that_it_took_over_from_a_retracted_word(
    town: Rig,
) -> None:
    town.say("Strömmen är borta.", etr=soon(town, hours=2))
    town.say(
        "Även i söder.", Kind.UPDATE, area=("sodra-ekbyn",), affected=400, etr=soon(town, hours=4)
    )
    town.say("Det var en kabel.", Kind.CORRECTION, number=1)
    town.say(kind=Kind.RETRACTION, number=2)
    correction = feed(town)[1]
    assert correction.title.endswith("Strömavbrott i Norra Ekbyn")
    assert "Var: Norra Ekbyn" in texts(correction)
    assert "Södra" not in texts(correction)
    first = board(town).changed[0].updates[3]
    shown = board(town).changed[0].updates[1]
    assert (shown.areas, shown.affected, shown.etr) == (first.areas, None, first.etr)
    assert "inte" not in texts(correction)  # it moved no estimate


def test_who_follows_a_feed_reads_an_entry_anew_when_a_retraction_changed_it(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say("Även i söder.", Kind.UPDATE, area=("sodra-ekbyn",))
    town.say("Det var en kabel.", Kind.CORRECTION, number=1)
    before = feed(town)[0]
    town.say(kind=Kind.RETRACTION, number=2)
    retraction, after = feed(town)[:2]
    assert (after.id, after.published) == (before.id, before.published)
    assert before.updated < after.updated == retraction.updated


# ------------------------------------------------------------------------------------------------ retracted planned work
def test_planned_work_that_is_wholly_retracted_is_still_called_planned(town: Rig) -> None:
    town.say("Vi byter en transformator.", planned=WORK)
    town.say(kind=Kind.RETRACTION)
    named = "Planerat strömavbrott i Norra Ekbyn"
    assert words_of(page(town), "//h1") == f"Återtaget: DEMO: {named}"
    assert named in words_of(page(town, "index.html"))
    assert named in words_of(page(town, "archive/index.html"))
    for entry in feed(town):
        assert named in entry.title
    assert "Pågår" not in words_of(page(town))


# --------------------------------------------------------------------------------------------------------- words to staff
def links(town: Rig, command: Command) -> set[str]:
    planned = prepare(town.desk, OPERATOR, command).plan
    documents = [json.loads(each.payload) for each in planned.messages]
    assert documents
    return {document["link"] for document in documents} | {
        document["data"]["url"] for document in documents
    }


def test_staff_are_given_no_address_where_there_is_no_page(town: Rig) -> None:
    town.say("Vi misstänker ett kabelfel.", audience=Audience.STAFF)
    about: dict[str, Any] = {"incident": "A1", "texts": {"": "Montör åker."}}
    assert links(town, Command(kind=Kind.UPDATE, **about)) == {""}
    first = Command(
        kind=Kind.REPORT,
        texts={"": "Vi misstänker ett fel till."},
        area=BOTH,
        audience=Audience.STAFF,
    )
    assert links(town, first) == {""}


def test_staff_are_given_the_address_of_the_page_that_is_there(town: Rig) -> None:
    town.say("Strömmen är borta.")
    about = Command(
        kind=Kind.UPDATE, incident="A1", texts={"": "Internt."}, audience=Audience.STAFF
    )
    assert links(town, about) == {
        "http://127.0.0.1:9/incidents/a1/",
    }


def test_the_first_public_word_of_what_only_staff_knew_has_its_address(town: Rig) -> None:
    town.say("Vi misstänker ett kabelfel.", audience=Audience.STAFF)
    about = Command(
        kind=Kind.UPDATE,
        incident="A1",
        texts={"": "Strömmen är borta."},
        area=("norra-ekbyn",),
        audience=Audience.PUBLIC,
    )
    assert "" not in links(town, about)


# ---------------------------------------------------------------------------------------------------- what is refused
def refused(town: Rig, *given: Any, **said: Any) -> str:
    with pytest.raises(Refused) as refusal:
        town.say(*given, **said)
    return tell("sv", refusal.value.sentence, **refusal.value.values)


def test_an_area_that_is_not_concerned_is_named_as_people_name_it(town: Rig) -> None:
    town.say("Strömmen är borta.")
    sentence = refused(town, kind=Kind.RESTORED, area=("sodra-ekbyn",))
    assert sentence.startswith("A1 gäller inte Södra Ekbyn just nu; det gäller Norra Ekbyn.")


@pytest.mark.parametrize(
    "command",
    [
        {"kind": Kind.RESTORED},
        {"kind": Kind.UPDATE, "text": "Nu."},
        {"kind": Kind.CORRECTION, "text": "Nej."},
        {"kind": Kind.RETRACTION},
        {"kind": Kind.RETRACTION, "whole": True},
    ],
)
def test_of_what_has_not_gone_out_the_operator_reads_so_and_what_to_do(
    town: Rig, command: dict[str, Any]
) -> None:
    town.say("Vi bryter strömmen i kväll.", at=soon(town, hours=1))
    sentence = refused(town, **command)
    assert sentence.startswith("A1-1 har inte gått ut än.")
    assert "broadcaster scheduled cancel A1-1" in sentence
